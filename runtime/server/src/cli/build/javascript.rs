//! JavaScript: what the SDK's lock file pins from npm, then the SDK's `build.mjs`.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Made, Quick, script, tools};
use crate::cli::project::Project;

/// Builds a project.
pub(super) fn project(project: &Project) -> Result<Made> {
    let file = project.hidden().join("out/app.wasm");
    tools::run(command(project)?.arg("--output").arg(&file), "the JavaScript build")?;
    Ok(Made { file, way: "componentize-qjs".to_owned() })
}

/// The project with the engine that is quicker to build and to compile, and slower to run.
pub(super) fn quick(project: &Project) -> Result<Quick> {
    let file = project.hidden().join("dev/app.wasm");
    tools::run(command(project)?.arg("--dev").arg("--output").arg(&file), "the JavaScript build")?;
    Ok(Quick {
        file,
        settings: BTreeMap::new(),
        way: "built with the smaller QuickJS; `millrace build` takes the faster one",
    })
}

/// `build.mjs` for this project, all but what it is to write.
pub(super) fn command(project: &Project) -> Result<Command> {
    let mut command = Command::new(tools::need("node", "install Node.js 20 or newer, with npm")?);
    install(project)?;
    script(&mut command, project, "build.mjs")?;
    Ok(command)
}

/// Installs the packages of the SDK beside it, once for each lock file.
fn install(project: &Project) -> Result<()> {
    let (sdk, lock) = (project.sdk(), project.sdk().join("package-lock.json"));
    let marker = sdk.join("node_modules/.installed");
    let wanted = std::fs::read(&lock).with_context(|| format!("reading {}", lock.display()))?;
    if tools::is_installed(&marker, &wanted) {
        return Ok(());
    }
    let npm = tools::need("npm", "install Node.js 20 or newer, with npm")?;
    eprintln!("installing what the JavaScript build needs into {} (once)", sdk.join("node_modules").display());
    tools::run(Command::new(npm).args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&sdk), "npm ci")?;
    std::fs::write(&marker, &wanted).with_context(|| format!("writing {}", marker.display()))
}
