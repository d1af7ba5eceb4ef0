//! Deployed functions: their files, their versions in the catalog, and the loaded ones by version.
//!
//! `functions/<sha256>.wasm` is the component, `functions/<sha256>.cwasm` what was compiled from it
//! and sealed; the second can always be made again from the first.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_catalog::{Catalog, FunctionVersion, NewFunction};
use millrace_log::Disk;
use millrace_transform::{ArtifactKey, Compiler, Error, Function, Grants, Host, Limits, LogLevel, LogSink, Ran, seal};
use millrace_types::{Batch, Clock};
use parking_lot::Mutex;

use crate::lane::chain;
use crate::status::Trouble;

/// Memory that a function may be given at most, bytes.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Time that a function may be given for one batch at most: 5 minutes, as at AWS.
const DEADLINE_MS_MAX: u32 = 300_000;
/// Log lines of functions that are written in one second, all together; the rest is counted.
const LOG_LINES_PER_SECOND: u32 = 200;

/// A loaded function, as a lane sees it.
pub(crate) trait Transform: Send + Sync + std::fmt::Debug {
    /// Runs over a batch on this thread; see [`Function::run`].
    fn run(&self, batch: &Batch, retries: u32) -> Ran;
}

impl Transform for Function {
    fn run(&self, batch: &Batch, retries: u32) -> Ran {
        Self::run(self, batch, retries)
    }
}

/// Where lanes find functions.
#[async_trait]
pub(crate) trait Library: Send + Sync + std::fmt::Debug {
    /// The version that is asked for (the newest when `None`) and its function, loaded.
    async fn get(self: Arc<Self>, name: &str, version: Option<u32>) -> Result<(u32, Arc<dyn Transform>), Trouble>;
}

#[async_trait]
impl Library for Functions {
    async fn get(self: Arc<Self>, name: &str, version: Option<u32>) -> Result<(u32, Arc<dyn Transform>), Trouble> {
        let found = self.find(name, version)?;
        let function: Arc<dyn Transform> = self.load(&found).await?;
        Ok((found.version, function))
    }
}

/// What [`Functions`] is built from.
#[derive(Debug)]
pub struct FunctionParts {
    /// The folder of the files.
    pub dir: PathBuf,
    /// The disk under it.
    pub disk: Arc<dyn Disk>,
    /// Versions by name.
    pub catalog: Arc<Catalog>,
    /// The engine.
    pub host: Arc<Host>,
    /// The compiling child.
    pub compiler: Compiler,
    /// Authenticates compiled files.
    pub key: ArtifactKey,
    /// Time, for log limits.
    pub clock: Arc<dyn Clock>,
}

/// Deployed functions.
#[derive(Debug)]
pub struct Functions {
    parts: FunctionParts,
    loaded: Mutex<HashMap<(String, u32), Arc<Function>>>,
    /// Compilations one at a time: each may take the memory of a whole child.
    building: Mutex<()>,
    log_share: Arc<LogShare>,
}

/// A module to be deployed.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The function's name, checked.
    pub name: String,
    /// The module or component.
    pub module: Vec<u8>,
    /// What the guest reads through the settings interface.
    pub settings: BTreeMap<String, String>,
    /// Memory of one instance at most, bytes; 64 MiB when `None`.
    pub memory_bytes: Option<u64>,
    /// Time of one batch at most, milliseconds; 5,000 when `None`.
    pub deadline_ms: Option<u32>,
    /// Keep instances between batches; false when `None`.
    pub warm: Option<bool>,
}

/// Why a module was not deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A limit that cannot be given.
    #[error("{0}")]
    Limits(String),
    /// The module cannot become a function.
    #[error("function {name}: {source}")]
    Module {
        /// The function's name.
        name: String,
        /// Why.
        source: Error,
    },
    /// A file could not be stored.
    #[error("the function's files could not be stored")]
    Files(#[from] io::Error),
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] millrace_catalog::Error),
}

impl Functions {
    /// Makes the folder when it is not there. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(parts: FunctionParts) -> io::Result<Self> {
        parts.disk.create_dir_all(&parts.dir)?;
        let log_share = Arc::new(LogShare { clock: Arc::clone(&parts.clock), window: Mutex::default() });
        Ok(Self { parts, loaded: Mutex::default(), building: Mutex::new(()), log_share })
    }

    /// Checks, compiles, stores: the next version of its name. It is loaded once before it counts, so
    /// that a version that cannot start is never current.
    ///
    /// # Errors
    /// [`DeployError`]; then nothing has changed.
    pub async fn deploy(self: &Arc<Self>, deployment: Deployment) -> Result<Arc<FunctionVersion>, DeployError> {
        let functions = Arc::clone(self);
        millrace_tasks::blocking(move || functions.deploy_blocking(deployment)).await
    }

    fn deploy_blocking(&self, deployment: Deployment) -> Result<Arc<FunctionVersion>, DeployError> {
        let (memory_bytes, deadline_ms) = limits(&deployment)?;
        let name = deployment.name.clone();
        let refused = |source| DeployError::Module { name: name.clone(), source };
        let _one = self.building.lock();
        let built = self.parts.compiler.build(&deployment.module, &Grants::default()).map_err(refused)?;
        let sealed = seal(&built.code, &self.parts.key).map_err(refused)?;
        let host = &self.parts.host;
        let module = host.load_bytes(&sealed, &self.parts.key).map_err(refused)?;
        let limits = limits_of(memory_bytes, deadline_ms, false);
        host.try_start(&module, limits).map_err(refused)?;
        let sha256 = sha256_hex(&built.component);
        self.write(&self.path(&sha256, "wasm"), &built.component)?;
        self.write(&self.path(&sha256, "cwasm"), &sealed)?;
        let version = self.parts.catalog.put_function(NewFunction {
            name: deployment.name,
            sha256,
            component_bytes: built.component.len() as u64,
            imports: built.imports,
            settings: deployment.settings,
            memory_bytes,
            deadline_ms,
            warm: deployment.warm.unwrap_or(false),
        })?;
        tracing::info!(function = version.name, version = version.version, "deployed");
        Ok(version)
    }

    fn path(&self, sha256: &str, extension: &str) -> PathBuf {
        self.parts.dir.join(format!("{sha256}.{extension}"))
    }

    /// Writes a file whole or not at all: beside its place, synced, renamed, folder synced.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let disk = &self.parts.disk;
        let beside = path.with_extension("part");
        if let Err(error) = disk.remove(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = disk.create(&beside)?;
        file.write_all_at(&[bytes], 0)?;
        file.sync_data()?;
        disk.rename(&beside, path)?;
        disk.sync_dir(&self.parts.dir)
    }

    /// The version that a stream names; the newest when `None`.
    pub(crate) fn find(&self, name: &str, version: Option<u32>) -> Result<Arc<FunctionVersion>, Trouble> {
        self.parts.catalog.snapshot().function(name, version).cloned().ok_or_else(|| {
            let version = version.map_or_else(String::new, |v| format!(" version {v}"));
            Trouble::new(
                "Lambda.ResourceNotFoundException",
                format!("the function {name}{version} is not deployed: `millrace deploy {name} FILE.wasm`"),
            )
        })
    }

    /// The loaded function of a version; loads it once, compiles it again when the engine changed.
    pub(crate) async fn load(self: &Arc<Self>, version: &Arc<FunctionVersion>) -> Result<Arc<Function>, Trouble> {
        let key = (version.name.clone(), version.version);
        if let Some(function) = self.loaded.lock().get(&key) {
            return Ok(Arc::clone(function));
        }
        let (functions, wanted) = (Arc::clone(self), Arc::clone(version));
        let loaded = millrace_tasks::blocking(move || functions.load_blocking(&wanted)).await.map_err(|error| {
            Trouble::new("Lambda.InitFailed", format!("function {} version {}: {}", key.0, key.1, chain(&error)))
        })?;
        Ok(Arc::clone(self.loaded.lock().entry(key).or_insert(loaded)))
    }

    fn load_blocking(&self, version: &FunctionVersion) -> Result<Arc<Function>, Error> {
        let (host, key) = (&self.parts.host, &self.parts.key);
        let artifact = self.path(&version.sha256, "cwasm");
        let module = match host.load(&artifact, key) {
            Err(Error::Recompile | Error::Artifact | Error::Io { .. }) => {
                let _one = self.building.lock();
                let component = self.read_component(version)?;
                let sealed = seal(&self.parts.compiler.compile(&component)?, key)?;
                // The next start compiles once more when this cannot be kept.
                if let Err(error) = self.write(&artifact, &sealed) {
                    tracing::warn!(function = version.name, %error, "the compiled function could not be stored");
                }
                host.load_bytes(&sealed, key)?
            }
            other => other?,
        };
        let limits = limits_of(version.memory_bytes, version.deadline_ms, version.warm);
        let log = FunctionLog {
            function: version.name.clone(),
            version: version.version,
            share: Arc::clone(&self.log_share),
        };
        Ok(Arc::new(Function::new(module, version.settings.clone(), limits, Arc::new(log))))
    }

    fn read_component(&self, version: &FunctionVersion) -> Result<Vec<u8>, Error> {
        let failed = |what| move |source| Error::Io { what, source };
        let file =
            self.parts.disk.open(&self.path(&version.sha256, "wasm")).map_err(failed("opening a stored component"))?;
        let length = file.len().map_err(failed("reading a stored component"))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0).map_err(failed("reading a stored component"))?;
        if sha256_hex(&bytes) == version.sha256 { Ok(bytes) } else { Err(Error::Artifact) }
    }

    /// Runs a version over a batch and delivers nothing.
    ///
    /// # Errors
    /// A code and a sentence: no such function, or one that does not start.
    pub async fn invoke(
        self: &Arc<Self>,
        name: &str,
        version: Option<u32>,
        batch: Batch,
    ) -> Result<(Arc<FunctionVersion>, Ran), (String, String)> {
        let told = |t: Trouble| (t.code, t.message);
        let found = self.find(name, version).map_err(told)?;
        let function = self.load(&found).await.map_err(told)?;
        let ran = millrace_tasks::blocking(move || function.run(&batch, 0)).await;
        Ok((found, ran))
    }
}

/// Batches that a warm instance serves before it is made anew.
const WARM_BATCHES: u32 = 1_000;

fn limits(deployment: &Deployment) -> Result<(u64, u32), DeployError> {
    let memory_bytes = deployment.memory_bytes.unwrap_or(64 << 20);
    let deadline_ms = deployment.deadline_ms.unwrap_or(5_000);
    if !(64 << 10..=MEMORY_BYTES_MAX).contains(&memory_bytes) {
        return Err(DeployError::Limits(format!(
            "memory-bytes is from 65536 to {MEMORY_BYTES_MAX}, not {memory_bytes}"
        )));
    }
    if !(1..=DEADLINE_MS_MAX).contains(&deadline_ms) {
        return Err(DeployError::Limits(format!("deadline-ms is from 1 to {DEADLINE_MS_MAX}, not {deadline_ms}")));
    }
    Ok((memory_bytes, deadline_ms))
}

fn limits_of(memory_bytes: u64, deadline_ms: u32, warm: bool) -> Limits {
    Limits {
        memory_bytes: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
        deadline: Duration::from_millis(u64::from(deadline_ms)),
        warm_batches_max: if warm { WARM_BATCHES } else { 0 },
        ..Limits::default()
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Log lines of functions go to the server's log, a bounded number a second.
struct LogShare {
    clock: Arc<dyn Clock>,
    window: Mutex<LogWindow>,
}

impl std::fmt::Debug for LogShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogShare")
    }
}

#[derive(Default)]
struct LogWindow {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl LogShare {
    /// Whether one more line may be written now, and how many were left out before it.
    fn take(&self) -> Option<u64> {
        let second = self.clock.monotonic().as_secs();
        let mut window = self.window.lock();
        if window.second != second {
            window.second = second;
            window.lines = 0;
        }
        if window.lines >= LOG_LINES_PER_SECOND {
            window.left_out += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

struct FunctionLog {
    function: String,
    version: u32,
    share: Arc<LogShare>,
}

impl LogSink for FunctionLog {
    fn line(&self, level: LogLevel, message: &str) {
        let Some(left_out) = self.share.take() else {
            return;
        };
        let (function, version) = (&self.function, self.version);
        // A guest must not be able to write lines of its own into the log.
        let mut line = String::with_capacity(message.len());
        for c in message.chars() {
            if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
        }
        if left_out > 0 {
            tracing::warn!(left_out, "log lines of functions were left out");
        }
        match level {
            LogLevel::Debug => tracing::debug!(function, version, "{line}"),
            LogLevel::Info => tracing::info!(function, version, "{line}"),
            LogLevel::Warn => tracing::warn!(function, version, "{line}"),
            LogLevel::Error => tracing::error!(function, version, "{line}"),
        }
    }
}
