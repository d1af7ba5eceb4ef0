//! Go: the stock toolchain makes a WASI preview 1 reactor, which is adapted at deploy.

use std::process::Command;

use anyhow::{Context, Result};

use super::{Made, tools};
use crate::cli::project::Project;

/// Builds a project.
pub(super) fn project(project: &Project) -> Result<Made> {
    let go = tools::need("go", "install Go 1.24 or newer (go.dev/dl)")?;
    let file = project.hidden().join("out").join("app.wasm");
    std::fs::create_dir_all(project.hidden().join("out")).context("making the build's folder")?;
    let command = &mut Command::new(go);
    command
        .args(["build", "-buildmode=c-shared", "-ldflags=-s -w", "-o"])
        .arg(std::path::absolute(&file)?)
        .arg(".")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .current_dir(&project.dir);
    tools::run(command, "go build")?;
    Ok(Made { file, way: "Go".to_owned() })
}
