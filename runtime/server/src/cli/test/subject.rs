//! The module under test, compiled once and run in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_transform::{
    ArtifactKey, CompileLimits, Compiler, Function, Host, HostSettings, Limits, LogLevel, LogSink, Ran,
};
use millrace_types::{Batch, BatchBuilder, Clock, Entropy, SystemClock, SystemEntropy};

use super::file::Record;
use crate::cli::project::Manifest;
use crate::cli::show::printable;
use crate::cli::{MODULE_BYTES_MAX, read_file};

/// A module, ready to be run any number of times.
pub(super) struct Subject {
    sealed: Vec<u8>,
    key: ArtifactKey,
    /// What it imports, by name.
    pub(super) imports: Vec<String>,
    limits: Limits,
}

/// What a run is given besides its records.
pub(super) struct Surroundings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) settings: BTreeMap<String, String>,
}

impl Subject {
    /// Compiles the module in `file`. Limits are the manifest's where there is one.
    pub(super) fn load(file: &Path, manifest: Option<&Manifest>) -> Result<Self> {
        let module = read_file(file, MODULE_BYTES_MAX)?;
        let compiler = Compiler { exe: std::env::current_exe()?, limits: CompileLimits::default() };
        let built = compiler.build(&module).with_context(|| format!("{}", file.display()))?;
        let mut fresh = [0; 32];
        SystemEntropy.fill(&mut fresh);
        let key = ArtifactKey::new(&fresh);
        let sealed = millrace_transform::seal(&built.code, &key)?;
        Ok(Self { sealed, key, imports: built.imports, limits: limits(manifest) })
    }

    /// Runs `batch` once: an error for the whole batch is not tried again.
    pub(super) fn run(&self, with: Surroundings, batch: &Batch) -> Result<Ran> {
        let settings = HostSettings { calls_max: 1, warm_max: 0, ..HostSettings::default() };
        let host = Host::new(&settings, with.clock, with.entropy)?;
        let module = host.load_bytes(&self.sealed, &self.key)?;
        let function = Function::new(module, with.settings, self.limits.clone(), Arc::new(ToStderr));
        Ok(function.run(batch, 0))
    }
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

/// A wall clock that stands still; deadlines run on the machine's own.
#[derive(Debug)]
pub(super) struct StandingClock(pub(super) i64);

impl Clock for StandingClock {
    fn now_ms(&self) -> i64 {
        self.0
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
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
