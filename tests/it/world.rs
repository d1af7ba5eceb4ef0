//! What most tests begin with: a folder, a server, a client, a stream.

use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::{Bucket, Destination, Firehose, Keys, Plain, Server, ServerOptions, wait_drained};
use tempfile::TempDir;

/// How long a backlog of a test may take.
pub(crate) const DRAIN: Duration = Duration::from_secs(60);

/// A server with its folder.
pub(crate) struct World {
    pub(crate) server: Server,
    /// Deleted with the world.
    pub(crate) _dir: TempDir,
}

impl World {
    /// A server in `--dev` whose windows close after a fraction of a second.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with(|options| options).await
    }

    /// As [`World::start`], with changes to how it starts.
    pub(crate) async fn start_with(change: impl FnOnce(ServerOptions) -> ServerOptions) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("millrace-it-").tempdir()?;
        let options = ServerOptions::dev(&dir.path().join("data"))
            .env("MILLRACE_DELIVERY_INTERVAL_SCALE", "0.2")
            .env("MILLRACE_DELIVERY_RETRY_CAP_MS", "250");
        Ok(Self { server: Server::start(change(options)).await?, _dir: dir })
    }

    pub(crate) fn firehose(&self) -> Firehose {
        Firehose::new(self.server.base(), &Keys::any())
    }

    pub(crate) fn plain(&self) -> Plain {
        Plain::bearer(self.server.base(), "any")
    }

    /// The folder of a bucket.
    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        Bucket::Folder(self.server.bucket_dir(name))
    }

    /// Creates a stream; `change` changes its destination.
    pub(crate) async fn stream(
        &self,
        name: &str,
        change: impl FnOnce(Destination) -> Destination,
    ) -> anyhow::Result<()> {
        self.firehose().create(name, &change(Destination::gzip("out"))).await.with_context(|| format!("create {name}"))
    }

    /// Puts numbered records `{"n":…}` from `from` until before `to`.
    pub(crate) async fn put(&self, stream: &str, from: u64, to: u64) -> anyhow::Result<()> {
        let lines: Vec<String> = (from..to).map(|n| format!("{{\"n\":{n}}}")).collect();
        self.plain().put_lines(stream, lines.join("\n")).await?.ok().with_context(|| format!("put to {stream}"))?;
        Ok(())
    }

    /// The numbers of all records below `prefix` once everything is delivered, sorted.
    pub(crate) async fn delivered(&self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<u64>> {
        wait_drained(&self.server, DRAIN).await?;
        let mut numbers = Vec::new();
        for record in self.bucket(bucket).records(prefix).await? {
            let value: serde_json::Value = serde_json::from_slice(&record)?;
            numbers.push(value["n"].as_u64().with_context(|| format!("no number in {value}"))?);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}
