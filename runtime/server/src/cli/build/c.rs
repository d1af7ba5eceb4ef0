//! C: zig's clang with its own C library for WASI preview 1, and the world's bindings.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Made, tools};
use crate::cli::project::Project;

/// A reactor of WASI preview 1: its `_initialize` runs before the first call.
const FLAGS: &[&str] = &["cc", "-target", "wasm32-wasi", "-mexec-model=reactor", "-O3", "-s"];

/// Builds a project: every `.c` file beside its source, and the bindings of its kind.
pub(super) fn project(project: &Project) -> Result<Made> {
    let folder = project.hidden().join("out");
    std::fs::create_dir_all(&folder).context("making the build's folder")?;
    let file = std::path::absolute(folder.join("app.wasm"))?;
    let source = project.dir.join(&project.manifest.source);
    let sources = sources(source.parent().unwrap_or(&project.dir))?;
    let sdk = std::path::absolute(project.sdk())?;
    // The component type is not linked in: a module gets that of the world that it exports.
    let bindings = sdk.join(format!("{}.c", project.manifest.kind.word()));
    let (mut command, way) = zig()?;
    command.args(FLAGS).arg("-I").arg(&sdk).arg("-o").arg(&file).args(&sources).arg(&bindings);
    tools::run(command.current_dir(&project.dir), "the C build")?;
    Ok(Made { file, way: way.to_owned() })
}

/// `zig` itself, or the package of that name for Python.
fn zig() -> Result<(Command, &'static str)> {
    if let Some(zig) = tools::find("zig") {
        return Ok((Command::new(zig), "zig"));
    }
    if let Some(python) = tools::find("python3") {
        let mut command = Command::new(&python);
        command.args(["-m", "ziglang"]);
        if tools::output(Command::new(&python).args(["-m", "ziglang", "version"]))?.status.success() {
            return Ok((command, "zig (ziglang)"));
        }
    }
    Err(tools::missing("zig is not here, which brings a C compiler and library: `pip install ziglang`"))
}

/// The C files in `dir`, in order.
fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "c") {
            found.push(std::path::absolute(path)?);
        }
    }
    found.sort();
    Ok(found)
}
