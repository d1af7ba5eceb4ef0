//! The module under test: compiled once, run in this process over a clock and randomness of the tests' own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_transform::{
    BatchSource, CallContext, CallError, CompileCache, CompileLimits, Compiler, EventInvocation, Function, Grants,
    Host, HostSettings, Limits, LogLevel, LogSink, Module, Outbound, OutboundRequest, OutboundResponse, Ran, Setup,
};
use millrace_types::{Batch, BatchBuilder};

use super::file::Record;
use super::virtuals::{Memory, VirtualClock, VirtualEntropy};
use crate::cli::progress::{Progress, mib};
use crate::cli::project::{self, Manifest};
use crate::cli::show::printable;
use crate::cli::{MODULE_BYTES_MAX, read_file};

/// A module, ready to be run any number of times, one run after the other.
pub(in crate::cli) struct Subject {
    host: Arc<Host>,
    module: Arc<Module>,
    /// What it was compiled with.
    cache: Arc<CompileCache>,
    /// What it imports, by name.
    pub(super) imports: Vec<String>,
    /// SHA-256 of the module's file, hex.
    digest: String,
    manifest: Option<Manifest>,
    name: String,
    limits: Limits,
    grants: Grants,
    clock: Arc<VirtualClock>,
    entropy: Arc<VirtualEntropy>,
}

/// What a run is given besides its records.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Where the clock stands, milliseconds since the Unix epoch; the machine's own when none.
    pub(super) clock_ms: Option<i64>,
    /// Where randomness comes from; the machine's own when none.
    pub(super) seed: Option<u64>,
    pub(super) settings: BTreeMap<String, String>,
}

impl Subject {
    /// Compiles the module in `file`. Name, limits and grants are the manifest's where there is one. What is as
    /// in `before` is not compiled again.
    pub(super) fn load(file: &Path, manifest: Option<&Manifest>, before: Option<&Self>) -> Result<Self> {
        let module = read_file(file, MODULE_BYTES_MAX)?;
        let _telling = Progress::begin(format!("compiling {} for the tests", mib(module.len())));
        let digest = millrace_auth::body_sha256_hex(&module);
        let grants = manifest.map_or_else(Grants::default, |manifest| grants(&manifest.grants));
        let compiler = Compiler { exe: std::env::current_exe()?, limits: CompileLimits::default() };
        let judged = compiler.judge(&module, &grants).with_context(|| format!("{}", file.display()))?;
        let (clock, entropy) = (Arc::new(VirtualClock::default()), Arc::new(VirtualEntropy::default()));
        let cache = Arc::new(before.map_or_else(CompileCache::default, |before| before.cache.next()));
        let compile_cache = Some(Arc::clone(&cache));
        let defaults = HostSettings::default();
        let settings = HostSettings { calls_max: 1, warm_max: 0, deterministic: true, compile_cache, ..defaults };
        let host = Host::new(&settings, Arc::clone(&clock) as _, Arc::clone(&entropy) as _)?;
        let module = host.load_component(&judged.bytes).with_context(|| format!("{}", file.display()))?;
        let name = match manifest {
            Some(manifest) => manifest.name.clone(),
            None => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let (imports, limits, manifest) = (judged.imports, limits(manifest), manifest.cloned());
        Ok(Self { host, module, cache, imports, digest, manifest, name, limits, grants, clock, entropy })
    }

    /// True when this is what [`Self::load`] would make.
    pub(super) fn is_of(&self, file: &Path, manifest: &Manifest) -> Result<bool> {
        let digest = millrace_auth::body_sha256_hex(&read_file(file, MODULE_BYTES_MAX)?);
        Ok(digest == self.digest && self.manifest.as_ref() == Some(manifest))
    }

    /// Runs `batch` once: an error for the whole batch is not tried again.
    pub(super) fn run(&self, with: Surroundings, batch: &Batch) -> Ran {
        self.function(with).run(batch, 0)
    }

    /// Calls the function with one event.
    pub(super) fn handle(&self, with: Surroundings, event: &[u8]) -> EventInvocation {
        let call = CallContext {
            request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            function_name: self.name.clone(),
            function_version: "$LATEST".to_owned(),
            ..CallContext::default()
        };
        self.function(with).handle(event, &call)
    }

    /// A function of its own for each run: state of one does not reach another.
    fn function(&self, with: Surroundings) -> Function {
        self.clock.set(with.clock_ms, self.limits.deadline);
        self.entropy.set(with.seed);
        let source = BatchSource { function_name: self.name.clone(), ..BatchSource::default() };
        let http = (!self.grants.http_hosts.is_empty()).then(|| Arc::new(NoNetwork) as Arc<dyn Outbound>);
        let setup = Setup {
            settings: with.settings,
            limits: self.limits.clone(),
            log: Arc::new(ToStderr),
            source: Arc::new(source),
            key_value: self.grants.key_value.then(|| Arc::new(Memory::default()) as _),
            http,
        };
        Function::with(Arc::clone(&self.module), setup)
    }
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).field("host", &self.host).finish_non_exhaustive()
    }
}

/// The text of an event's error, as the function's caller sees it.
pub(super) fn error_text(error: &CallError) -> String {
    error.to_string()
}

/// The manifest's grants in the host's words.
pub(in crate::cli) fn grants(given: &project::Grants) -> Grants {
    Grants { http_hosts: given.http.clone(), key_value: given.key_value }
}

fn limits(manifest: Option<&Manifest>) -> Limits {
    let mut limits = Limits::default();
    let Some(given) = manifest.map(|manifest| &manifest.limits) else { return limits };
    if let Some(mib) = given.memory_mb {
        limits.memory_bytes = usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    }
    if let Some(ms) = given.timeout_ms {
        limits.deadline = Duration::from_millis(ms.into());
    }
    limits
}

/// Records as one batch: when one of them has a key, the others have an empty one.
pub(super) fn batch(records: &[Record]) -> Result<Batch> {
    let mut batch = BatchBuilder::with_capacity(records.len(), records.iter().map(|r| r.data.len()).sum());
    let keyed = records.iter().any(|record| record.key.is_some());
    for record in records {
        if keyed {
            let key = record.key.as_deref().unwrap_or_default();
            batch.push_keyed(record.arrival_ms, key.as_bytes(), |payload| {
                payload.extend_from_slice(&record.data);
                Ok::<_, millrace_types::BatchFull>(())
            })?;
        } else {
            batch.push(&record.data, record.arrival_ms)?;
        }
    }
    Ok(batch.finish())
}

/// A test reaches nobody: what it gets would be another thing tomorrow.
#[derive(Debug)]
struct NoNetwork;

impl Outbound for NoNetwork {
    fn send(&self, request: OutboundRequest, _: Duration) -> Result<OutboundResponse, String> {
        Err(format!("`millrace test` sends no requests: {} {}", request.method, request.url))
    }
}

/// Shows the function's log lines as they come.
struct ToStderr;

impl LogSink for ToStderr {
    fn line(&self, level: LogLevel, message: &str) {
        eprintln!("{}", log_line(level, message));
    }
}

fn log_line(level: LogLevel, message: &str) -> String {
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    format!("log {level}: {}", printable(message).replace('\n', "\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_read_as_it_was_written() {
        assert_eq!(log_line(LogLevel::Warn, "late"), "log warn: late");
        assert_eq!(log_line(LogLevel::Error, "panicked at a.rs:1:\nno"), "log error: panicked at a.rs:1:\n  no");
    }

    #[test]
    fn records_keep_their_keys_and_arrivals() {
        let record = |data: &str, key: Option<&str>, arrival_ms| Record {
            data: data.into(),
            key: key.map(str::to_owned),
            arrival_ms,
        };
        let made = batch(&[record("a", Some("k"), 1), record("", None, 2)]).expect("fits");
        assert_eq!((made.columns().record(0), made.arrivals_ms()), (b"a".as_slice(), [1, 2].as_slice()));
        assert_eq!((&made.keys()[..], made.key_ends()), (b"k".as_slice(), [1, 1].as_slice()));
        let made = batch(&[record("a", None, 1)]).expect("fits");
        assert!(made.key_ends().is_empty());
    }
}
