//! `millrace test`: a module over records in this process, without a server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use millrace_transform::{CompileLimits, Compiler, Function, Grants, Host, HostSettings, Limits, LogLevel, LogSink};
use millrace_types::{BatchBuilder, Clock, SystemClock, SystemEntropy};

use super::show::printable;
use super::{key_values, outcome, read_file};

/// Bytes of an input file.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a module.
const MODULE_BYTES_MAX: u64 = 64 << 20;

/// `millrace test`.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The module or component.
    file: PathBuf,
    /// Records, one a line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// A setting that the function reads, as KEY=VALUE.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
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

impl Test {
    pub(super) fn run(self) -> Result<()> {
        let settings = key_values("--set", &self.set)?;
        let module = read_file(&self.file, MODULE_BYTES_MAX)?;
        let compiler = Compiler { exe: std::env::current_exe()?, limits: CompileLimits::default() };
        let built = compiler.build(&module, &Grants::default()).with_context(|| format!("{}", self.file.display()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let host = Host::new(
            &HostSettings { calls_max: 1, warm_max: 0, ..HostSettings::default() },
            Arc::clone(&clock),
            Arc::new(SystemEntropy),
        )?;
        let mut fresh = [0; 32];
        millrace_types::Entropy::fill(&SystemEntropy, &mut fresh);
        let key = millrace_transform::ArtifactKey::new(&fresh);
        let module = host.load_bytes(&millrace_transform::seal(&built.code, &key)?, &key)?;
        let function = Function::new(module, settings, Limits::default(), Arc::new(ToStderr));
        let input = read_file(&self.input, INPUT_BYTES_MAX)?;
        let mut batch = BatchBuilder::with_capacity(1024, input.len());
        for line in input.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).filter(|l| !l.is_empty()) {
            batch.push(line, clock.now_ms())?;
        }
        let batch = batch.finish();
        println!("imports: {}", if built.imports.is_empty() { "none".to_owned() } else { built.imports.join(", ") });
        outcome::print(&outcome::describe(&batch, &function.run(&batch, 0)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_read_as_it_was_written() {
        assert_eq!(log_line(LogLevel::Warn, "late"), "log warn: late");
        assert_eq!(log_line(LogLevel::Error, "panicked at a.rs:1:\nno"), "log error: panicked at a.rs:1:\n  no");
    }
}
