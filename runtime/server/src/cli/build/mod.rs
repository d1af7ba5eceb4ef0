//! `millrace build`: a project's sources to `build/NAME.wasm`, with the toolchain of its language.

mod c;
mod go;
mod javascript;
mod python;
pub(crate) mod rust;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use millrace_transform::{DeployLimits, componentize};
use millrace_types::{Clock, SystemClock};

use super::project::{Language, Project, embedded};
use super::{MODULE_BYTES_MAX, read_file};
use crate::named::Named;

/// `millrace build`.
#[derive(Debug, Args)]
pub(super) struct Build {
    /// The project's folder (default: the one that the current folder is in).
    dir: Option<PathBuf>,
}

impl Build {
    pub(super) fn run(self) -> Result<()> {
        let project = Project::open(self.dir.as_deref())?;
        println!("{}", build(&project)?.line());
        Ok(())
    }
}

/// What a toolchain made.
pub(crate) struct Made {
    /// The module or component, wherever the toolchain puts it.
    pub(crate) file: PathBuf,
    /// With what.
    pub(crate) way: String,
}

/// What a build made.
#[derive(Debug)]
pub(crate) struct Built {
    /// The file to deploy.
    pub(crate) file: PathBuf,
    bytes: usize,
    imports: Vec<String>,
    way: String,
    seconds: f64,
}

impl Built {
    /// The line that says so.
    pub(crate) fn line(&self) -> String {
        let imports = if self.imports.is_empty() { "none".to_owned() } else { self.imports.join(", ") };
        format!(
            "built {} with {}: {} KiB, {:.1} s; imports: {imports}",
            self.file.display(),
            self.way,
            self.bytes.div_ceil(1024),
            self.seconds,
        )
    }
}

/// Builds the project. The output is there whole, or as it was before.
pub(crate) fn build(project: &Project) -> Result<Built> {
    let begun = SystemClock.monotonic();
    embedded::refresh(&project.dir, project.manifest.language)?;
    let made = match &project.manifest.build.command {
        Some(command) => own(project, command)?,
        None => {
            let source = project.dir.join(&project.manifest.source);
            if !source.is_file() {
                let message = format!("{} is not there: function.source in millrace.toml names it", source.display());
                return Err(Named::new("project.build", message).into());
            }
            match project.manifest.language {
                Language::Rust => rust::project(project)?,
                Language::Python => python::project(project)?,
                Language::Javascript => javascript::project(project)?,
                Language::Go => go::project(project)?,
                Language::C => c::project(project)?,
            }
        }
    };
    let bytes = read_file(&made.file, MODULE_BYTES_MAX)?;
    // What no server would take is said here already.
    let limits = DeployLimits { grants: super::test::grants(&project.manifest.grants), ..DeployLimits::default() };
    let component = componentize(&bytes, &limits).context("what was built cannot be deployed")?;
    let (world, kind) = (component.world.name(), project.manifest.kind.word());
    if world != kind {
        let message =
            format!("the manifest says kind = \"{kind}\", and what was built is a {world}: set function.kind");
        return Err(Named::new("project.build", message).into());
    }
    let file = project.output();
    store(&file, &bytes)?;
    let seconds = SystemClock.monotonic().saturating_sub(begun).as_secs_f64();
    Ok(Built { file, bytes: bytes.len(), imports: component.imports, way: made.way, seconds })
}

/// A component that is quicker to make than what `build` makes, and the same in what it does.
pub(crate) struct Quick {
    pub(crate) file: PathBuf,
    /// What it needs besides the project's settings.
    pub(crate) settings: BTreeMap<String, String>,
    /// What it is, for the user.
    pub(crate) way: &'static str,
}

/// The project for `millrace watch`; none where its language has no quicker way.
pub(crate) fn quick(project: &Project) -> Result<Option<Quick>> {
    let manifest = &project.manifest;
    if manifest.build.command.is_some() {
        return Ok(None);
    }
    let make = match manifest.language {
        Language::Python => python::interpreted,
        Language::Javascript => javascript::quick,
        Language::Rust | Language::Go | Language::C => return Ok(None),
    };
    embedded::refresh(&project.dir, manifest.language)?;
    make(project).map(Some)
}

/// Arguments of an SDK's build script: the project, and what its manifest says.
fn script(command: &mut Command, project: &Project, script: &str) -> Result<()> {
    let manifest = &project.manifest;
    let out = project.hidden().join("out");
    std::fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    command.arg(project.sdk().join(script)).arg(&project.dir).args(["--kind", manifest.kind.word()]);
    command.arg("--source").arg(&manifest.source);
    command.arg("--wit").arg(project.hidden().join("wit/transform"));
    for (word, is_granted) in [("http", !manifest.grants.http.is_empty()), ("key_value", manifest.grants.key_value)] {
        if is_granted {
            command.args(["--grant", word]);
        }
    }
    Ok(())
}

/// The manifest's own command.
fn own(project: &Project, command: &str) -> Result<Made> {
    tools::run(Command::new("sh").args(["-c", command]).current_dir(&project.dir), "build.command of millrace.toml")?;
    let output = project.manifest.build.output.clone().unwrap_or_default();
    Ok(Made { file: project.dir.join(output), way: format!("`{command}`") })
}

/// Writes beside, then renames: nobody sees half a file.
fn store(file: &Path, bytes: &[u8]) -> Result<()> {
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    embedded::write(&beside, bytes)?;
    std::fs::rename(&beside, file).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests;
