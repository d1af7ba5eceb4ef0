//! Builds an example function for the demo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::build::rust;

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
    let way = rust::cargo(&dir, &["--package", name])?;
    Ok((rust::module(&dir, name), way))
}
