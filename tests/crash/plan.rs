//! What a run is made of: the command line, and the set of runs that stands for CI.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use millrace_tests::Keys;
use serde::Deserialize;

/// Kills and disturbs a server under load, again and again, and judges what came out.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Plan {
    /// Faults to live through.
    #[arg(long, default_value_t = 20)]
    pub(crate) cycles: u32,
    /// Where objects go. Without it: every kind of run, against the local folder and each server of
    /// `MILLRACE_TEST_S3_SERVERS`.
    #[arg(long)]
    pub(crate) store: Option<StoreKind>,
    /// Address of an S3 server that runs already.
    #[arg(long)]
    pub(crate) s3_endpoint: Option<String>,
    /// Its access key id.
    #[arg(long, default_value = "millrace")]
    pub(crate) s3_access_key_id: String,
    /// Its secret access key.
    #[arg(long, default_value = "millrace", hide_default_value = true)]
    pub(crate) s3_secret_access_key: String,
    /// Program of an S3 server that the oracle starts (and kills) itself.
    #[arg(long)]
    pub(crate) s3_program: Option<PathBuf>,
    /// Format of the objects.
    #[arg(long, default_value = "json")]
    pub(crate) format: Format,
    /// Guest example that the streams call, or `none`.
    #[arg(long, default_value = "none")]
    pub(crate) function: String,
    /// Dynamic partitioning by the keys of the function `partition`.
    #[arg(long)]
    pub(crate) partitioned: bool,
    /// Of all randomness. Without it: from the clock, and printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// What goes wrong; a cycle takes some of them.
    #[arg(long, value_delimiter = ',', default_value = "kill")]
    pub(crate) faults: Vec<Fault>,
    /// Shortest time under load between two faults, milliseconds.
    #[arg(long, default_value_t = 400)]
    pub(crate) load_ms_min: u64,
    /// Longest time under load between two faults, milliseconds.
    #[arg(long, default_value_t = 1_500)]
    pub(crate) load_ms_max: u64,
    /// Records a second of all producers; 0 is full load.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Producers.
    #[arg(long, default_value_t = 4)]
    pub(crate) producers: u16,
    /// Further variables of the server, NAME=VALUE.
    #[arg(long = "server-env")]
    pub(crate) server_env: Vec<String>,
    /// The run must find the contract broken: for planted bugs.
    #[arg(long)]
    pub(crate) expect_violation: bool,
    /// Keep the run's folder; it is kept anyway when the contract is broken.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Where objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreKind {
    /// The server's own folder.
    Local,
    /// MinIO.
    Minio,
    /// SeaweedFS.
    Seaweedfs,
}

/// Format of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON lines, gzip.
    Json,
    /// Parquet, zstd.
    Parquet,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// `kill -9` of the server.
    Kill,
    /// A clean stop of the server.
    Term,
    /// The server is frozen for a while (SIGSTOP).
    Freeze,
    /// `kill -9` of the S3 server, which starts again.
    S3Kill,
    /// The store answers 500 and 503.
    S3Errors,
    /// The connection is cut once the store has stored.
    CutAfterStore,
    /// The connection is cut before the store sees the object.
    CutBeforeStore,
    /// The store is slow.
    S3Slow,
    /// The store answers 404 to everything: streams park.
    S3Gone,
}

impl Fault {
    /// Whether the proxy makes it.
    pub(crate) fn is_proxied(self) -> bool {
        matches!(self, Self::S3Errors | Self::CutAfterStore | Self::CutBeforeStore | Self::S3Slow | Self::S3Gone)
    }
}

/// An S3 server that `tests/run` started.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "MILLRACE_TEST_S3_NAME")]
    name: String,
    #[serde(rename = "MILLRACE_TEST_S3_ENDPOINT")]
    endpoint: String,
    #[serde(rename = "MILLRACE_TEST_S3_ACCESS_KEY_ID")]
    access_key_id: String,
    #[serde(rename = "MILLRACE_TEST_S3_SECRET_ACCESS_KEY")]
    secret_access_key: String,
}

impl Plan {
    /// Keys of the S3 server that runs already.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&self.s3_access_key_id, &self.s3_secret_access_key)
    }

    /// Whether a fault is among those asked for.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// In a few words, for folders and reports.
    pub(crate) fn name(&self) -> String {
        let store = self.store.map_or("all", |store| match store {
            StoreKind::Local => "local",
            StoreKind::Minio => "minio",
            StoreKind::Seaweedfs => "seaweedfs",
        });
        let format = if self.format == Format::Json { "json" } else { "parquet" };
        let partitioned = if self.partitioned { "-partitioned" } else { "" };
        format!("{store}-{format}-{}{partitioned}", self.function)
    }

    /// The single runs that this plan stands for.
    pub(crate) fn runs(&self) -> anyhow::Result<Vec<Self>> {
        if self.store.is_some() {
            let is_partition = self.function == "partition";
            anyhow::ensure!(self.partitioned == is_partition, "--partitioned and --function partition go together");
            let is_random_parquet = self.function == "random" && self.format == Format::Parquet;
            anyhow::ensure!(!is_random_parquet, "the function `random` makes no JSON: it needs --format json");
            return Ok(vec![self.clone()]);
        }
        let local = Self { store: Some(StoreKind::Local), ..self.clone() };
        let with = |plan: &Self, format, function: &str, partitioned| Self {
            format,
            function: function.to_owned(),
            partitioned,
            ..plan.clone()
        };
        let mut runs = vec![
            with(&local, Format::Json, "none", false),
            with(&local, Format::Json, "random", false),
            with(&local, Format::Parquet, "identity", false),
            with(&local, Format::Json, "partition", true),
        ];
        let listed = std::env::var("MILLRACE_TEST_S3_SERVERS").unwrap_or_else(|_| "[]".to_owned());
        for server in serde_json::from_str::<Vec<Listed>>(&listed)? {
            let kind = StoreKind::from_str(&server.name, true).map_err(|error| anyhow::anyhow!(error))?;
            let remote = Self {
                store: Some(kind),
                s3_endpoint: Some(server.endpoint),
                s3_access_key_id: server.access_key_id,
                s3_secret_access_key: server.secret_access_key,
                faults: vec![Fault::Kill, Fault::S3Errors, Fault::CutAfterStore, Fault::CutBeforeStore],
                ..self.clone()
            };
            runs.push(with(&remote, Format::Json, "random", false));
            runs.push(with(&remote, Format::Parquet, "partition", true));
        }
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_store_is_one_run_and_none_is_the_whole_set() {
        let plan = |args: &[&str]| Plan::parse_from([&["oracle"], args].concat());
        let one = plan(&["--store", "local", "--faults", "kill,cut-after-store", "--format", "parquet"]);
        assert_eq!((one.runs().unwrap().len(), one.name().as_str()), (1, "local-parquet-none"));
        assert!(one.has(Fault::CutAfterStore) && !one.has(Fault::S3Kill));
        assert!(plan(&["--store", "local", "--partitioned"]).runs().is_err());
        assert!(plan(&[]).runs().unwrap().len() >= 4);
    }
}
