//! The server, its store and the proxy between them, and what can be done to them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::proxy::Faults;
use millrace_tests::store::{Kind, Store};
use millrace_tests::{Bucket, Destination, Firehose, Keys, Plain, Proxy, S3, Server, ServerOptions, guests, wait};
use millrace_types::{Entropy as _, SeededEntropy};

use crate::plan::{Fault, Format, Plan, StoreKind};
use crate::witness::Witness;

/// Streams of a run.
pub(crate) const STREAMS: [&str; 2] = ["stream-a", "stream-b"];
/// Buffering hints: MiB and seconds. With [`INTERVAL_SCALE`] a window is open for 0.3 s.
const WINDOW: (u32, u32) = (1, 60);
const INTERVAL_SCALE: &str = "0.005";
/// Longest wait of the server between two attempts, milliseconds: the oracle's cycles are short.
const RETRY_CAP_MS: &str = "250";

/// Everything that a run works on.
pub(crate) struct World {
    /// The server under test.
    pub(crate) server: Server,
    /// Where to read what was delivered.
    pub(crate) bucket: Bucket,
    /// What lay there at each kill.
    pub(crate) witness: Witness,
    proxy: Option<Proxy>,
    store: Option<Store>,
    entropy: SeededEntropy,
}

impl World {
    /// Starts store, proxy and server, and creates function and streams.
    pub(crate) async fn start(plan: &Plan, dir: &Path, seed: u64) -> anyhow::Result<Self> {
        let bucket_name = format!("oracle-{seed:x}");
        let (store, remote) = start_store(plan, dir).await?;
        let mut options = ServerOptions::dev(&dir.join("data"))
            .env("MILLRACE_DELIVERY_INTERVAL_SCALE", INTERVAL_SCALE)
            .env("MILLRACE_DELIVERY_RETRY_CAP_MS", RETRY_CAP_MS);
        for pair in &plan.server_env {
            let (name, value) = pair.split_once('=').context("--server-env takes NAME=VALUE")?;
            options = options.env(name, value);
        }
        let mut proxy = None;
        let mut bucket = Bucket::Folder(PathBuf::new());
        if let Some((endpoint, keys)) = &remote {
            let client = S3::new(endpoint, keys);
            client.create_bucket(&bucket_name).await?;
            let before = Proxy::start(endpoint, seed).await?;
            options = options.s3(before.endpoint(), keys);
            bucket = Bucket::S3 { client: Box::new(client), name: bucket_name.clone() };
            proxy = Some(before);
        }
        let server = Server::start(options).await?;
        if remote.is_none() {
            bucket = Bucket::Folder(server.bucket_dir(&bucket_name));
        }
        let world = Self {
            server,
            bucket,
            witness: Witness::default(),
            proxy,
            store,
            entropy: SeededEntropy::new(seed ^ 0xfa),
        };
        world.create(plan, &bucket_name).await?;
        Ok(world)
    }

    async fn create(&self, plan: &Plan, bucket: &str) -> anyhow::Result<()> {
        let base = self.server.base();
        let mut function = None;
        if plan.function != "none" {
            let plain = Plain::bearer(base, "any");
            plain.deploy(&plan.function, guests::module(&plan.function)?, &[]).await.context("deploy")?;
            function = Some(plan.function.clone());
        }
        let firehose = Firehose::new(base, &Keys::any());
        for stream in STREAMS {
            let partition = if plan.partitioned { "part=!{partitionKeyFromLambda:part}/" } else { "" };
            let destination = Destination {
                prefix: Some(format!("{stream}/{partition}")),
                error_prefix: Some(format!("errors-{stream}/!{{firehose:error-output-type}}/")),
                function: function.clone(),
                parquet: (plan.format == Format::Parquet).then(|| "ZSTD".to_owned()),
                partitioned: plan.partitioned,
                window: WINDOW,
                ..Destination::gzip(bucket)
            };
            firehose.create(stream, &destination).await.with_context(|| format!("create {stream}"))?;
        }
        Ok(())
    }

    /// Prefixes of the streams' objects, and of their error objects.
    pub(crate) fn prefixes() -> (Vec<String>, Vec<String>) {
        let own = STREAMS.iter().map(|stream| format!("{stream}/")).collect();
        (own, STREAMS.iter().map(|stream| format!("errors-{stream}/")).collect())
    }

    /// Sets the proxy to one of the plan's faults, or to none.
    pub(crate) fn disturb(&self, plan: &Plan) {
        let Some(proxy) = &self.proxy else { return };
        let proxied: Vec<Fault> = plan.faults.iter().copied().filter(|fault| fault.is_proxied()).collect();
        if proxied.is_empty() || self.entropy.next_u64().is_multiple_of(4) {
            return proxy.set(Faults::default());
        }
        let quiet = Faults::default();
        proxy.set(match proxied[(self.entropy.next_u64() % proxied.len() as u64) as usize] {
            Fault::CutAfterStore => Faults { cut_after_store: 0.4, ..quiet },
            Fault::CutBeforeStore => Faults { cut_before_store: 0.4, ..quiet },
            Fault::S3Slow => Faults { slow_ms: 120, ..quiet },
            Fault::S3Gone => Faults { always: Some(404), ..quiet },
            _ => Faults { errors: 0.5, ..quiet },
        });
    }

    /// Ends all disturbance of the store.
    pub(crate) fn calm(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.set(Faults::default());
        }
    }

    /// Does one fault to a process and undoes it; answers the seconds from the fault until the server
    /// was ready again.
    pub(crate) async fn strike(&mut self, plan: &Plan) -> anyhow::Result<f64> {
        let pick = |entropy: &SeededEntropy, of: &[Fault]| {
            let there: Vec<Fault> = of.iter().copied().filter(|fault| plan.has(*fault)).collect();
            (!there.is_empty()).then(|| there[(entropy.next_u64() % there.len() as u64) as usize])
        };
        let mut from = wait::now_s();
        if plan.has(Fault::S3Kill)
            && let Some(store) = &mut self.store
        {
            store.kill()?;
        }
        match pick(&self.entropy, &[Fault::Kill, Fault::Term, Fault::Freeze]) {
            Some(Fault::Kill) => {
                self.server.kill()?;
                if !plan.has(Fault::S3Kill) {
                    self.witness.look(&self.bucket).await?;
                }
                from = wait::now_s();
                self.server.restart().await?;
            }
            Some(Fault::Term) => {
                let (code, _) = self.server.stop().await?;
                anyhow::ensure!(code == Some(0), "a clean stop ended with {code:?}:\n{}", self.server.log_tail());
                self.server.restart().await?;
            }
            Some(Fault::Freeze) => {
                self.server.freeze(true)?;
                tokio::time::sleep(Duration::from_millis(300 + self.entropy.next_u64() % 1_000)).await;
                self.server.freeze(false)?;
            }
            _ => {}
        }
        let recovered = wait::now_s() - from;
        if plan.has(Fault::S3Kill)
            && let Some(store) = &mut self.store
        {
            store.restart().await?;
        }
        Ok(recovered)
    }

    /// A number below `below`, of the run's own randomness.
    pub(crate) fn below(&self, below: u64) -> u64 {
        self.entropy.next_u64() % below.max(1)
    }
}

/// The store of the plan: its process where the oracle runs it, its address and keys where it is remote.
async fn start_store(plan: &Plan, dir: &Path) -> anyhow::Result<(Option<Store>, Option<(String, Keys)>)> {
    let kind = match plan.store {
        None | Some(StoreKind::Local) => {
            anyhow::ensure!(!plan.faults.iter().any(|fault| fault.is_proxied()), "the local folder has no S3 faults");
            return Ok((None, None));
        }
        Some(StoreKind::Minio) => Kind::Minio,
        Some(StoreKind::Seaweedfs) => Kind::SeaweedFs,
    };
    if let Some(program) = &plan.s3_program {
        let store = Store::start(kind, program, &dir.join("store")).await?;
        let remote = (store.endpoint(), store.keys().clone());
        return Ok((Some(store), Some(remote)));
    }
    anyhow::ensure!(!plan.has(Fault::S3Kill), "s3-kill needs --s3-program: the oracle kills only what it started");
    let endpoint = plan.s3_endpoint.clone().context("--s3-endpoint or --s3-program is needed")?;
    Ok((None, Some((endpoint, plan.keys()))))
}
