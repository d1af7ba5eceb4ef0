//! The server, its store and the proxy between them, and what can be done to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::proxy::Faults;
use millrace_tests::store::{Kind, Store};
use millrace_tests::{Bucket, Destination, Firehose, Keys, Plain, Proxy, Server, ServerOptions, guests, ports, wait};
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
    /// The store's fault of this cycle.
    store_fault: Option<Fault>,
    /// The store was killed and is not back.
    store_is_down: bool,
    /// How often each fault struck that the oracle does itself.
    struck: BTreeMap<Fault, u64>,
    entropy: SeededEntropy,
}

impl World {
    /// Starts store, proxy and server, and creates function and streams.
    pub(crate) async fn start(plan: &Plan, dir: &Path, seed: u64) -> anyhow::Result<Self> {
        let bucket_name = format!("oracle-{seed:x}");
        let store = start_store(plan, dir).await?;
        let mut options = ServerOptions::dev(&dir.join("data"))
            .env("MILLRACE_DELIVERY_INTERVAL_SCALE", INTERVAL_SCALE)
            .env("MILLRACE_DELIVERY_RETRY_CAP_MS", RETRY_CAP_MS);
        options.listen = format!("127.0.0.1:{}", ports::free(1)?[0]);
        for pair in &plan.server_env {
            let (name, value) = pair.split_once('=').context("--server-env takes NAME=VALUE")?;
            options = options.env(name, value);
        }
        let mut proxy = None;
        let mut bucket = Bucket::Folder(PathBuf::new());
        if let Some(store) = &store {
            let client = store.client();
            client.create_bucket(&bucket_name).await?;
            let before = Proxy::start(&store.endpoint(), seed).await?;
            options = options.s3(before.endpoint(), store.keys());
            bucket = Bucket::S3 { client: Box::new(client), name: bucket_name.clone() };
            proxy = Some(before);
        }
        let server = Server::start(options).await?;
        if store.is_none() {
            bucket = Bucket::Folder(server.bucket_dir(&bucket_name));
        }
        let world = Self {
            server,
            bucket,
            witness: Witness::default(),
            proxy,
            store,
            store_fault: None,
            store_is_down: false,
            struck: BTreeMap::new(),
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
            let partition = if plan.is_partitioned() { "part=!{partitionKeyFromLambda:part}/" } else { "" };
            let destination = Destination {
                prefix: Some(format!("{stream}/{partition}")),
                error_prefix: Some(format!("errors-{stream}/!{{firehose:error-output-type}}/")),
                function: function.clone(),
                parquet: (plan.format == Format::Parquet).then(|| "ZSTD".to_owned()),
                partitioned: plan.is_partitioned(),
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

    /// Begins a cycle with the store's faults in turn, then with none. What the proxy makes lasts for the cycle;
    /// the store itself is killed by [`World::strike_store`].
    pub(crate) fn disturb(&mut self, plan: &Plan, cycle: u32) {
        let faults = plan.store_faults();
        self.store_fault = faults.get(cycle as usize % (faults.len() + 1)).copied();
        let Some(proxy) = &self.proxy else { return };
        let quiet = Faults::default();
        proxy.set(match self.store_fault {
            Some(Fault::S3Errors) => Faults { errors: 0.5, ..quiet },
            Some(Fault::CutAfterStore) => Faults { cut_after_store: 0.4, ..quiet },
            Some(Fault::CutBeforeStore) => Faults { cut_before_store: 0.4, ..quiet },
            Some(Fault::S3Slow) => Faults { slow_ms: 120, ..quiet },
            Some(Fault::S3Gone) => Faults { always: Some(404), ..quiet },
            _ => quiet,
        });
        if self.store_fault == Some(Fault::S3Slow) {
            self.count(Fault::S3Slow);
        }
    }

    fn count(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    /// How often each of the plan's faults struck, and those that never did.
    pub(crate) fn struck(&self, plan: &Plan) -> (BTreeMap<String, u64>, Vec<String>) {
        let count = |fault: Fault| {
            let done = self.proxy.as_ref().map(Proxy::done);
            let proxied = done.and_then(|done| match fault {
                Fault::S3Errors => Some(&done.errors),
                Fault::CutAfterStore => Some(&done.cut_after_store),
                Fault::CutBeforeStore => Some(&done.cut_before_store),
                Fault::S3Gone => Some(&done.always),
                _ => None,
            });
            let own = || self.struck.get(&fault).copied().unwrap_or(0);
            proxied.map_or_else(own, |counter| counter.load(Ordering::Relaxed))
        };
        let struck: BTreeMap<String, u64> = plan.faults.iter().map(|fault| (fault.name(), count(*fault))).collect();
        let missed = struck.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name.clone()).collect();
        (struck, missed)
    }

    /// Ends all disturbance of the store.
    pub(crate) fn calm(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.set(Faults::default());
        }
    }

    /// Kills the store, where this cycle's fault is that.
    pub(crate) fn strike_store(&mut self) -> anyhow::Result<()> {
        if let (Some(store), Some(Fault::S3Kill)) = (&mut self.store, self.store_fault) {
            store.kill()?;
            self.store_is_down = true;
            self.count(Fault::S3Kill);
        }
        Ok(())
    }

    /// Starts the store again, where it is down.
    async fn restart_store(&mut self) -> anyhow::Result<()> {
        if let (Some(store), true) = (&mut self.store, self.store_is_down) {
            store.restart().await.context("the S3 server does not come back")?;
            self.store_is_down = false;
        }
        Ok(())
    }

    /// Does one fault to the server and undoes it; answers the seconds from the fault until the server
    /// was ready again. A store that is down comes back before that or after it.
    pub(crate) async fn strike(&mut self, plan: &Plan) -> anyhow::Result<f64> {
        if self.below(2) == 0 {
            self.restart_store().await?;
        }
        let faults = plan.server_faults();
        let mut from = wait::now_s();
        if !faults.is_empty() {
            let fault = faults[usize::try_from(self.below(faults.len() as u64))?];
            self.count(fault);
            match fault {
                Fault::Term => {
                    let (code, _) = self.server.stop().await.context("a clean stop")?;
                    anyhow::ensure!(code == Some(0), "a clean stop ended with {code:?}:\n{}", self.server.log_tail());
                    self.server.restart().await.context("the server does not come back")?;
                }
                Fault::Freeze => {
                    self.server.freeze(true)?;
                    tokio::time::sleep(Duration::from_millis(300 + self.below(1_000))).await;
                    self.server.freeze(false)?;
                }
                _ => {
                    self.server.kill()?;
                    if !self.store_is_down {
                        self.witness.look(&self.bucket).await.context("look at the bucket")?;
                    }
                    from = wait::now_s();
                    self.server.restart().await.context("the server does not come back")?;
                }
            }
        }
        let recovered = wait::now_s() - from;
        self.restart_store().await?;
        Ok(recovered)
    }

    /// A number below `below`, of the run's own randomness.
    pub(crate) fn below(&self, below: u64) -> u64 {
        self.entropy.next_u64() % below.max(1)
    }
}

/// The S3 server of the plan, started; none for the local folder.
async fn start_store(plan: &Plan, dir: &Path) -> anyhow::Result<Option<Store>> {
    let (store, kind) = match plan.store {
        None | Some(StoreKind::Local) => return Ok(None),
        Some(store @ StoreKind::Minio) => (store, Kind::Minio),
        Some(store @ StoreKind::Seaweedfs) => (store, Kind::SeaweedFs),
    };
    let program = plan.program(store).context("--minio or --weed PROGRAM is needed")?;
    Ok(Some(Store::start(kind, program, &dir.join("store")).await?))
}
