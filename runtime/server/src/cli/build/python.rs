//! Python: componentize-py in an environment of the project's own, by the SDK's `build.py`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Made, Quick, script, tools};
use crate::cli::project::Project;

/// Packages that the project wants besides the SDK's, beside its manifest.
const REQUIREMENTS: &str = "requirements.txt";

/// The setting that an interpreter reads the source from.
const SOURCE: &str = "MILLRACE_SOURCE";

/// Builds a project.
pub(super) fn project(project: &Project) -> Result<Made> {
    let file = project.hidden().join("out/app.wasm");
    tools::run(command(project)?.arg("--output").arg(&file), "the Python build")?;
    Ok(Made { file, way: "componentize-py".to_owned() })
}

/// The interpreter (built once) and the project's source for it.
pub(super) fn interpreted(project: &Project) -> Result<Quick> {
    let (file, source) = (project.hidden().join("dev/app.wasm"), project.hidden().join("dev/source.json"));
    tools::run(command(project)?.arg("--bundle").arg("--output").arg(&source), "the Python build")?;
    if !file.is_file() {
        eprintln!("building the interpreter for `millrace watch` (once)");
    }
    tools::run(command(project)?.arg("--dev").arg("--output").arg(&file), "the Python build")?;
    let text = std::fs::read_to_string(&source).with_context(|| format!("reading {}", source.display()))?;
    let way = "bundled the source for its interpreter, which `millrace build` builds it into";
    Ok(Quick { file, settings: [(SOURCE.to_owned(), text)].into(), way })
}

/// `build.py` for this project, all but what it is to write.
pub(super) fn command(project: &Project) -> Result<Command> {
    let mut command = Command::new(environment(project)?);
    script(&mut command, project, "build.py")?;
    Ok(command)
}

/// The interpreter of the project's environment, which has what the SDK's `requirements.txt` pins and what
/// the project's own asks for.
fn environment(project: &Project) -> Result<PathBuf> {
    let venv = std::path::absolute(project.hidden().join("venv"))?;
    let (python, marker) = (venv.join("bin/python"), venv.join("installed"));
    let own = project.dir.join(REQUIREMENTS);
    let lists: Vec<PathBuf> = [project.sdk().join(REQUIREMENTS), own].into_iter().filter(|p| p.is_file()).collect();
    let mut wanted = Vec::new();
    for list in &lists {
        wanted.extend(std::fs::read(list).with_context(|| format!("reading {}", list.display()))?);
    }
    if tools::is_installed(&marker, &wanted) {
        return Ok(python);
    }
    let system = tools::need("python3", "install Python 3.10 or newer")?;
    eprintln!("installing what the Python build needs into {} (once)", venv.display());
    let made = tools::output(Command::new(system).args(["-m", "venv", "--clear"]).arg(&venv))?;
    if !made.status.success() {
        return Err(tools::missing("`python3 -m venv` does not work here: `apt-get install python3-venv` brings it"));
    }
    let install = &mut Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for list in &lists {
        install.arg("-r").arg(list);
    }
    tools::run(install, "pip install")?;
    std::fs::write(&marker, &wanted).with_context(|| format!("writing {}", marker.display()))?;
    Ok(python)
}
