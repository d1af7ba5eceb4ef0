//! Other people's tools: whether they are there, running them, what they said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

use crate::cli::progress::Progress;
use crate::named::Named;

/// Bytes at the end of what a tool said that are shown.
const SHOWN_BYTES_MAX: usize = 32 << 10;
/// Variables that would change what an inner build does.
const OUTER: [&str; 5] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_MAKEFLAGS"];

/// The program `name` in the folders of `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The program `name`, or the error that says how to get it.
pub(super) fn need(name: &str, how: &str) -> Result<PathBuf> {
    find(name).ok_or_else(|| missing(&format!("{name} is not here: {how}")))
}

/// Something that a build needs is not here; `message` says what and how to get it.
pub(super) fn missing(message: &str) -> anyhow::Error {
    Named::new("project.toolchain", message).into()
}

/// Runs `command`; answers what it printed.
pub(super) fn output(command: &mut Command) -> Result<Output> {
    for name in OUTER {
        command.env_remove(name);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).output().with_context(|| format!("starting {program}"))
}

/// Runs `command`, which is `what`. What it said is shown when it fails, its warnings when it does not.
pub(super) fn run(command: &mut Command, what: &str) -> Result<()> {
    let telling = Progress::begin(what);
    let output = output(command)?;
    drop(telling);
    if output.status.success() {
        eprint!("{}", tail(&output.stderr));
        return Ok(());
    }
    eprint!("{}{}", tail(&output.stdout), tail(&output.stderr));
    Err(Named::new("project.build", format!("{what} failed ({}): its own words stand above", output.status)).into())
}

/// The last of what a tool said, from the beginning of a line.
fn tail(said: &[u8]) -> String {
    let from = said.len().saturating_sub(SHOWN_BYTES_MAX);
    let kept = said.get(from..).unwrap_or_default();
    let kept = if from == 0 { kept } else { kept.splitn(2, |b| *b == b'\n').last().unwrap_or_default() };
    let text = String::from_utf8_lossy(kept);
    let text = text.trim_end();
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

/// True when `marker` says that what `wanted` (a list of versions) names is installed.
pub(super) fn is_installed(marker: &Path, wanted: &[u8]) -> bool {
    std::fs::read(marker).is_ok_and(|there| there == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_missing_is_one_line() {
        let error = need("no-such-compiler", "take another").expect_err("missing");
        assert_eq!(error.to_string(), "no-such-compiler is not here: take another");
        assert_eq!(error.downcast_ref::<Named>().map(Named::slug), Some("project.toolchain"));
        assert!(need("sh", "").is_ok());
    }

    #[test]
    fn a_failure_has_its_own_name_and_a_bounded_tail() {
        assert!(run(Command::new("sh").args(["-c", "true"]), "it").is_ok());
        let error = run(Command::new("sh").args(["-c", "exit 3"]), "it").expect_err("fails").to_string();
        assert_eq!(error, "it failed (exit status: 3): its own words stand above");
        let long = [b"first\n".as_slice(), &vec![b'x'; SHOWN_BYTES_MAX - 3], b"\nlast\n"].concat();
        assert_eq!(tail(&long), "last\n");
        assert_eq!((tail(b"a\nb\n\n"), tail(b"")), ("a\nb\n".to_owned(), String::new()));
    }
}
