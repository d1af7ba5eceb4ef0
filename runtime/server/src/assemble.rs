//! Puts the server together: opens what is on disk, wires the parts, binds the port. The only place
//! that names concrete sinks.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use millrace_auth::{AccessKeys, Policy};
use millrace_catalog::{Catalog, Place, State};
use millrace_delivery::{Parts, Streams};
use millrace_front::{Front, FrontParts, FrontSettings, tls_dev, tls_from_files};
use millrace_functions::{FunctionParts, Functions, INVOKE_THREADS};
use millrace_log::{Disk, Journal, RealDisk};
use millrace_object::{ObjectBuckets, ObjectSettings};
use millrace_outbound::{Outbound, OutboundSettings};
use millrace_sink::Buckets;
use millrace_tasks::{ShutdownTrigger, Tasks};
use millrace_transform::{ArtifactKey, CompileLimits, Compiler, Host, HostSettings, Isolation};
use millrace_types::{Clock, Entropy, SystemClock, SystemEntropy};
use tokio::net::TcpListener;

use crate::admin::ServerAdmin;
use crate::lambda::ServerLambda;
use crate::named::Named;
use crate::settings::{Isolate, Settings};

/// The first wait before an event is tried again, as at AWS.
const EVENT_RETRY: Duration = Duration::from_secs(60);
/// What mimalloc is told in a function's process: what it reserves ahead, 1 GiB, is not memory before it is
/// needed, and does not count against the bound of the process; and not to look for the machine's nodes of
/// memory, which are files.
const WORKER_VARIABLES: [(&str, &str); 2] = [("MIMALLOC_ARENA_EAGER_COMMIT", "0"), ("MIMALLOC_USE_NUMA_NODES", "1")];
/// How long the port may take to end beyond its own drain time.
const FRONT_END_EXTRA: Duration = Duration::from_secs(12);
/// Calls of functions at once, at most: each reserves three memories of 4 GiB address space, of 128 TiB.
const CALLS_MAX: u32 = 512;

/// A running server.
pub(crate) struct Server {
    /// `http://ADDR` or `https://ADDR`.
    pub(crate) url: String,
    /// Lines to show behind it.
    pub(crate) notes: Vec<String>,
    functions: Arc<Functions>,
    streams: Streams,
    journal: Journal,
    shutdown: ShutdownTrigger,
    front: Tasks,
}

impl Server {
    /// Takes no more requests, flushes what can be flushed in its time, closes the journal.
    pub(crate) async fn stop(&self) {
        self.shutdown.shut_down();
        self.front.join(FRONT_END_EXTRA).await;
        self.functions.stop().await;
        self.streams.stop().await;
        self.journal.close().await;
    }
}

/// The key ring of a data directory.
pub(crate) fn keys_path(data_dir: &Path) -> PathBuf {
    data_dir.join("keys").join("ring.json")
}

/// Starts everything; the port answers when it returns.
pub(crate) async fn assemble(settings: Settings) -> Result<Server> {
    settings.delivery.check().map_err(|text| anyhow::anyhow!(text))?;
    let listener = listen(&settings.listen).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let dir = settings.data_dir.clone();
    let policy = policy(&settings)?;
    disk.create_dir_all(&dir).with_context(|| data_dir_error("make", &dir))?;
    let journal = journal(&settings, &dir, &disk, &clock)?;
    let place = Place { region: settings.region.clone(), account_id: settings.account_id.clone() };
    let catalog = Arc::new(
        Catalog::open(&dir.join("catalog.redb"), place, Arc::clone(&clock))
            .with_context(|| format!("opening the catalog in {}", dir.display()))?,
    );
    let buckets = Arc::new(buckets(&settings, &dir)?);
    let host = host(&settings, &clock, &entropy)?;
    let functions = functions(&dir, host, &disk, &catalog, &buckets, &clock, &entropy)?;
    let streams = Streams::start(Parts {
        journal: journal.clone(),
        disk,
        outbox_dir: dir.join("outbox"),
        keys_path: keys_path(&dir),
        catalog: Arc::clone(&catalog),
        buckets: Arc::clone(&buckets) as Arc<dyn Buckets>,
        functions: Arc::clone(&functions),
        settings: settings.delivery.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
    })
    .await
    .with_context(|| format!("starting delivery from {}", dir.display()))?;
    let lambda = Arc::new(ServerLambda { functions: Arc::clone(&functions), buckets });
    let admin = Arc::new(ServerAdmin {
        functions: Arc::clone(&functions),
        catalog: Arc::clone(&catalog),
        journal: journal.clone(),
        streams: streams.clone(),
        keys_path: keys_path(&dir),
    });
    let (tls, notes) = tls(&settings, &dir)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    let (trigger, shutdown) = ShutdownTrigger::new();
    let front = Tasks::new();
    let parts = FrontParts {
        settings: FrontSettings::default(),
        policy,
        catalog,
        streams: streams.clone(),
        admin,
        lambda,
        clock,
        entropy,
        tls,
        shutdown,
    };
    front.spawn("front", Front::serve(vec![listener], parts));
    Ok(Server { url, notes, functions, streams, journal, shutdown: trigger, front })
}

/// The port.
async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let next = match error.kind() {
            ErrorKind::AddrInUse => "another process has it; stop that one, or name another port with --listen",
            _ => "name another address with --listen",
        };
        anyhow::Error::new(error).context(Named::new("server.address", format!("cannot listen on {address}: {next}")))
    })
}

/// What the system refuses in the data directory.
fn data_dir_error(what: &str, path: &Path) -> Named {
    Named::new("server.data-dir", format!("cannot {what} {}", path.display()))
}

/// Opens the journal, and says what the start found in it.
fn journal(settings: &Settings, dir: &Path, disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Result<Journal> {
    let (journal, recovery) =
        Journal::open(Arc::clone(disk), dir.join("journal"), settings.journal.clone(), Arc::clone(clock))
            .with_context(|| format!("opening the journal in {}", dir.display()))?;
    let (shards, segments) = (journal.shards().len(), journal.status().segments);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), data_dir = %dir.display(), shards, segments, "journal open");
    if !recovery.quarantined.is_empty() || recovery.torn_bytes > 0 {
        tracing::warn!(
            torn_bytes = recovery.torn_bytes,
            quarantined = recovery.quarantined.len(),
            "recovered; see `millrace journal verify`"
        );
    }
    if let Some(why) = &recovery.mark {
        tracing::warn!(
            why,
            "journal.mark could not be asked whether all is there that was durable; it is written anew (journal.lost \
             in the manual)"
        );
    }
    Ok(journal)
}

/// Buckets as the settings, the variables and the flag say.
fn buckets(settings: &Settings, dir: &Path) -> Result<ObjectBuckets> {
    Ok(ObjectBuckets::new(dir.join("objects"), objects(settings), Arc::new(|name: &str| std::env::var(name).ok()))?)
}

/// Object stores as the settings, the variables and the flag say; the flag wins.
pub(crate) fn objects(settings: &Settings) -> ObjectSettings {
    let mut objects = settings.objects.clone();
    // The endpoint first: it makes the default an S3 store, which the environment then fills.
    if let Some(endpoint) = &settings.s3_endpoint {
        objects.use_s3_endpoint(endpoint);
    }
    objects.fill_from_environment(&|name| std::env::var(name).ok());
    objects
}

fn policy(settings: &Settings) -> Result<Policy> {
    if settings.dev {
        return Ok(Policy::Dev);
    }
    let mut pairs = Vec::new();
    if let (Some(id), Some(secret)) = (&settings.access_key_id, &settings.secret_access_key) {
        pairs.push((id.clone(), secret.expose().to_owned()));
    }
    pairs.extend(settings.access_keys.iter().map(|key| (key.id.clone(), key.secret.expose().to_owned())));
    let tokens = settings.token.iter().map(|token| token.expose().to_owned());
    Ok(Policy::Keys(AccessKeys::new(pairs, tokens)?))
}

type Tls = (Option<Arc<rustls::ServerConfig>>, Vec<String>);

fn tls(settings: &Settings, dir: &Path) -> Result<Tls> {
    match (&settings.tls_cert, &settings.tls_key) {
        (Some(certificate), Some(key)) => Ok((Some(tls_from_files(certificate, key)?), Vec::new())),
        (None, None) if settings.tls_dev => {
            let host_name = std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
            let dev = tls_dev(&dir.join("tls"), host_name.as_deref())?;
            Ok((Some(dev.config), dev.lines))
        }
        (None, None) => Ok((None, Vec::new())),
        _ => bail!("tls_cert and tls_key go together: set both or none"),
    }
}

/// What runs functions, as many at once as there are threads that call them or try a new one, up to what the address
/// space bears; refused when processes of their own were asked for and cannot be had.
fn host(settings: &Settings, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Result<Arc<Host>> {
    let isolate = settings.isolate;
    let builder = 1;
    let threads = INVOKE_THREADS + settings.delivery.guest_threads() + builder;
    let calls_max = u32::try_from(threads).unwrap_or(u32::MAX).min(CALLS_MAX);
    let settings = HostSettings { calls_max, ..HostSettings::default() };
    let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
    let host = match isolate {
        Isolate::None => Host::new(&settings, clock, entropy),
        Isolate::Process => {
            // This very file, also when another has taken its place: both sides are of one build.
            let isolation = Isolation { exe: "/proc/self/exe".into(), variables: &WORKER_VARIABLES };
            isolation.check().context(Named::new(
                "server.isolation",
                "isolate = \"process\": functions cannot be run in processes of their own here",
            ))?;
            Host::isolated(&settings, isolation, clock, entropy)
        }
    };
    match isolate {
        Isolate::None => tracing::info!(isolate = "none", "functions run in the server's own process"),
        Isolate::Process => {
            tracing::info!(isolate = "process", "functions run in processes of their own, behind Landlock and seccomp");
        }
    }
    host.context("starting the function host")
}

fn functions(
    dir: &Path,
    host: Arc<Host>,
    disk: &Arc<dyn Disk>,
    catalog: &Arc<Catalog>,
    buckets: &Arc<ObjectBuckets>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<Functions>> {
    let key = artifact_key(&dir.join("keys"), &**entropy)?;
    let compiler = Compiler { exe: std::env::current_exe()?, limits: CompileLimits::default() };
    let outbound = OutboundSettings::default();
    let outbound = Outbound::new(&outbound, tokio::runtime::Handle::current(), Arc::clone(clock))
        .context("starting the client for requests of functions")?;
    let (folder, state) = (dir.join("functions"), dir.join("state.redb"));
    let parts = FunctionParts {
        dir: folder.clone(),
        disk: Arc::clone(disk),
        catalog: Arc::clone(catalog),
        state: Arc::new(State::open(&state).with_context(|| format!("opening {}", state.display()))?),
        host,
        compiler,
        key,
        outbound: Arc::new(outbound),
        buckets: Arc::clone(buckets) as Arc<dyn Buckets>,
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
        event_retry: EVENT_RETRY,
    };
    Functions::start(parts).with_context(|| data_dir_error("make", &folder))
}

/// The data directory's own key for compiled functions. Losing it costs compilations, nothing else.
fn artifact_key(dir: &Path, entropy: &dyn Entropy) -> Result<ArtifactKey> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = dir.join("functions.key");
    std::fs::create_dir_all(dir).with_context(|| data_dir_error("make", dir))?;
    if let Ok(bytes) = std::fs::read(&path)
        && let Ok(key) = <[u8; 32]>::try_from(bytes)
    {
        return Ok(ArtifactKey::new(&key));
    }
    let mut key = [0; 32];
    entropy.fill(&mut key);
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
    written.with_context(|| data_dir_error("write", &path))?;
    Ok(ArtifactKey::new(&key))
}
