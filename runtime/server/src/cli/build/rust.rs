//! Rust: cargo with the wasm target, or, where rustup cannot bring it, a distribution's compiler that builds
//! the standard library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use toml::Table;

use super::{Made, tools};
use crate::cli::project::Project;
use crate::cli::project::toml_file::TomlFile;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// Where a distribution puts its compiler, with the library's source beside it.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";

/// Builds a project.
pub(super) fn project(project: &Project) -> Result<Made> {
    let path = project.dir.join("Cargo.toml");
    let file = TomlFile { path: &path, slug: "project.build" };
    let library = library(&file.read()?).ok_or_else(|| file.wrong("there is no package.name"))?;
    let way = cargo(&project.dir, &[])?;
    Ok(Made { file: module(&project.dir, &library), way: way.to_owned() })
}

/// Where cargo puts the module of package or library `name` in the workspace at `dir`.
pub(crate) fn module(dir: &Path, name: &str) -> PathBuf {
    dir.join("target").join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")))
}

/// The library's name, which its file has.
fn library(cargo: &Table) -> Option<String> {
    let name = |section: &str| cargo.get(section)?.get("name")?.as_str();
    name("lib").or_else(|| name("package")).map(str::to_owned)
}

/// Runs `cargo build` in `dir`; answers which way it took.
pub(crate) fn cargo(dir: &Path, more: &[&str]) -> Result<&'static str> {
    tools::need("cargo", "install Rust with rustup (rustup.rs), or your distribution's rustc and cargo")?;
    let sysroot = sysroot(dir)?;
    let build = ["build", "--release", "--quiet", "--target-dir", "target", "--target", TARGET];
    if sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        tools::run(Command::new("cargo").args(build).args(more).current_dir(dir), "cargo build")?;
        return Ok("rustup's target");
    }
    if !Path::new(DISTRIBUTION_RUSTC).is_file() || !Path::new(DISTRIBUTION_CARGO).is_file() {
        return Err(tools::missing(&format!(
            "the target {TARGET} is not installed for this Rust: `rustup target add {TARGET}` brings it"
        )));
    }
    let linker = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let command = &mut Command::new(DISTRIBUTION_CARGO);
    command
        .args(build)
        .args(more)
        .args(["-Z", "build-std=std,panic_abort"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", DISTRIBUTION_RUSTC)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
        .current_dir(dir);
    tools::run(command, "cargo build")?;
    Ok("the distribution's compiler")
}

/// Of the compiler that builds in `dir`, where a `rust-toolchain.toml` may choose one.
fn sysroot(dir: &Path) -> Result<PathBuf> {
    let output = tools::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(dir))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "rustc does not start: {}", said.trim());
    let path = String::from_utf8(output.stdout).context("the folder of the compiler")?;
    Ok(PathBuf::from(path.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_the_library_s_name() {
        let name = |text: &str| library(&text.parse().expect("TOML"));
        assert_eq!(name("[package]\nname = 'a-b'\n").as_deref(), Some("a-b"));
        assert_eq!(name("[package]\nname = 'a'\n[lib]\nname = 'c'\n").as_deref(), Some("c"));
        assert_eq!(name("[package]\nname = 'a'\n[lib]\ncrate-type = ['cdylib']\n").as_deref(), Some("a"));
        assert_eq!(name("[workspace]\n"), None);
        assert!(module(Path::new("d"), "a-b").ends_with("target/wasm32-unknown-unknown/release/a_b.wasm"));
    }
}
