//! Builds an example function for the demo: with the wasm target that `rust-toolchain.toml` brings,
//! or, where rustup cannot download it, with a distribution's compiler that builds the standard library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";
/// Where a distribution puts its compiler, with the library's source beside it.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";

/// The folder of the example functions: in a clone, below or above the current folder, or where this
/// binary was built.
pub(super) fn examples() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf);
    here.ancestors()
        .map(Path::to_path_buf)
        .chain(built)
        .map(|dir| dir.join("guest-examples"))
        .find(|dir| dir.join("Cargo.toml").is_file())
        .context("guest-examples/ is not here: run the demo in a clone of the project")
}

/// Builds the example `name`; answers its module and which way it took.
pub(super) fn build(name: &str) -> Result<(PathBuf, &'static str)> {
    let dir = examples()?;
    let module = dir.join("target").join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
    let package = ["build", "--release", "--quiet", "--target", TARGET, "--package", name];
    let ours = run(Command::new("cargo").args(package).current_dir(&dir))?;
    if ours.is_none() {
        return Ok((module, "rustup's target"));
    }
    let first = ours.unwrap_or_default();
    if !Path::new(DISTRIBUTION_RUSTC).is_file() || !Path::new(DISTRIBUTION_CARGO).is_file() {
        bail!("the example function does not build; `rustup target add {TARGET}` brings what is missing\n{first}");
    }
    let linker = sysroot()?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let fallback = run(Command::new(DISTRIBUTION_CARGO)
        .args(package)
        .args(["-Z", "build-std=std,panic_abort"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", DISTRIBUTION_RUSTC)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
        .current_dir(&dir))?;
    match fallback {
        None => Ok((module, "the distribution's compiler")),
        Some(second) => bail!("the example function builds in neither way\n{first}\n{second}"),
    }
}

/// Runs a command; answers what it said when it failed. The outer build's variables would change
/// what the inner one does, so they are left out.
fn run(command: &mut Command) -> Result<Option<String>> {
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).output().context("starting cargo")?;
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn sysroot() -> Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("starting rustc")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
