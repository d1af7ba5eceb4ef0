//! A function project: a folder with a `millrace.toml`, and what that manifest says.

pub(crate) mod embedded;
mod manifest;
pub(crate) mod toml_file;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::named::Named;
#[cfg(test)]
pub(crate) use manifest::manifest_of;
pub(crate) use manifest::{Grants, Kind, Language, Manifest, name_complaint};

/// Name of the manifest's file.
pub(crate) const MANIFEST: &str = "millrace.toml";
/// Folder that `millrace build` writes to.
const OUTPUT: &str = "build";
/// Folder of the test files.
const TESTS: &str = "tests";

/// A project's folder and manifest.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Project {
    /// The project in `dir`; without one, the project that the current folder is in.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self> {
        let dir = match dir {
            Some(dir) => Some(dir.to_owned()).filter(|dir| dir.join(MANIFEST).is_file()),
            None => {
                let here = std::env::current_dir()?;
                here.ancestors().find(|dir| dir.join(MANIFEST).is_file()).map(Path::to_owned)
            }
        };
        let Some(dir) = dir else {
            let missing = "no function project is here (no millrace.toml): begin one with `millrace new NAME -t rust`";
            return Err(Named::new("project.missing", missing).into());
        };
        let manifest = Manifest::read(&dir.join(MANIFEST))?;
        Ok(Self { dir, manifest })
    }

    /// The file that is deployed.
    pub(crate) fn output(&self) -> PathBuf {
        self.dir.join(OUTPUT).join(format!("{}.wasm", self.manifest.name))
    }

    /// The project's hidden folder.
    pub(crate) fn hidden(&self) -> PathBuf {
        self.dir.join(embedded::HIDDEN)
    }

    /// The SDK of the project's language, as [`embedded::refresh`] wrote it.
    pub(crate) fn sdk(&self) -> PathBuf {
        self.hidden().join("sdk").join(self.manifest.language.word())
    }

    /// The project's test files, by name.
    pub(crate) fn tests(&self) -> Result<Vec<PathBuf>> {
        let Ok(entries) = std::fs::read_dir(self.dir.join(TESTS)) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_where_its_manifest_is() {
        let dir = tempfile::tempdir().expect("dir");
        let error = Project::open(Some(dir.path())).expect_err("nothing there");
        assert_eq!(error.downcast_ref::<Named>().map(Named::slug), Some("project.missing"));
        std::fs::write(dir.path().join(MANIFEST), "[function]\nname = 'a'\nlanguage = 'c'\n").expect("writes");
        std::fs::create_dir(dir.path().join(TESTS)).expect("makes");
        for name in ["b.toml", "a.toml", "README.md"] {
            std::fs::write(dir.path().join(TESTS).join(name), "").expect("writes");
        }
        let project = Project::open(Some(dir.path())).expect("there");
        assert!(project.output().ends_with("build/a.wasm") && project.sdk().ends_with(".millrace/sdk/c"));
        let tests = project.tests().expect("reads");
        assert_eq!(tests, ["a.toml", "b.toml"].map(|name| dir.path().join(TESTS).join(name)));
    }
}
