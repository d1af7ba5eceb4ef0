//! `millrace new`: a function project out of the templates that the binary carries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::project::{Kind, Language, MANIFEST, Manifest, embedded, name_complaint};
use crate::named::Named;

/// What a repository of the project leaves out.
const IGNORED: &str = "/build/\n/.millrace/\n/target/\nnode_modules/\n__pycache__/\n";

/// `millrace new`.
#[derive(Debug, Args)]
pub(super) struct New {
    /// Name of the function, and of the folder that is made.
    name: String,
    /// Its language.
    #[arg(short = 't', long = "template", value_name = "LANGUAGE")]
    language: Language,
    /// What it is a function over: batches of records, or one event as in AWS Lambda.
    #[arg(long, default_value = "transform")]
    kind: Kind,
}

impl New {
    pub(super) fn run(self) -> Result<()> {
        let made = self.make(Path::new(""))?;
        println!("made {}/: a {} function in {}", made.display(), self.kind.word(), self.language.word());
        println!("\nnext\n{}", next(&self.name));
        Ok(())
    }

    /// Makes the project's folder in `parent`: whole, or not at all.
    fn make(&self, parent: &Path) -> Result<PathBuf> {
        if let Some(complaint) = name_complaint(&self.name, self.language) {
            return Err(Named::new("project.name", complaint).into());
        }
        let dir = parent.join(&self.name);
        if dir.symlink_metadata().is_ok() {
            let message = format!("{} is there already: name another, or move it away", dir.display());
            return Err(Named::new("project.exists", message).into());
        }
        let files = embedded::template(self.language, self.kind, &self.name);
        if files.is_empty() {
            let message = format!("there is no template of a {} in {}", self.kind.word(), self.language.word());
            return Err(Named::new("project.template", message).into());
        }
        let half = parent.join(format!(".{}.new-{}", self.name, std::process::id()));
        let written = self
            .write(&half, files)
            .and_then(|()| std::fs::rename(&half, &dir).with_context(|| format!("making {}", dir.display())));
        if written.is_err() && half.exists() {
            std::fs::remove_dir_all(&half).with_context(|| format!("removing {}", half.display()))?;
        }
        written.map(|()| dir)
    }

    fn write(&self, into: &Path, files: Vec<(PathBuf, Vec<u8>)>) -> Result<()> {
        let manifest = Manifest::first(&self.name, self.language, self.kind).into_bytes();
        let common = [(PathBuf::from(MANIFEST), manifest), (PathBuf::from(".gitignore"), IGNORED.into())];
        // A template's own file wins.
        for (path, bytes) in common.into_iter().chain(files) {
            embedded::write(&into.join(path), &bytes)?;
        }
        embedded::refresh(into, self.language)
    }
}

/// What to type next.
fn next(name: &str) -> String {
    let lines = [
        (format!("cd {name}"), ""),
        ("millrace build".to_owned(), "# to WebAssembly: build/"),
        ("millrace test".to_owned(), "# the files in tests/, without a server"),
        ("millrace watch".to_owned(), "# build, test and deploy at each save (with `millrace serve --dev` running)"),
        ("millrace deploy".to_owned(), "# as the next version"),
    ];
    lines.map(|(command, what)| format!("  {command:16}{what}").trim_end().to_owned()).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::project::Project;
    use clap::ValueEnum;

    fn new(name: &str, language: Language) -> New {
        New { name: name.to_owned(), language, kind: Kind::Transform }
    }

    #[test]
    fn a_repository_of_a_project_leaves_out_what_is_made() {
        let parent = tempfile::tempdir().expect("dir");
        for (language, kind) in
            Language::value_variants().iter().flat_map(|l| [(*l, Kind::Transform), (*l, Kind::Handler)])
        {
            let name = format!("{}-{}", language.word(), kind.word());
            let made = New { name, language, kind }.make(parent.path()).expect("makes");
            let ignored = std::fs::read_to_string(made.join(".gitignore")).expect("there");
            assert!(["/build/", "/.millrace/"].iter().all(|line| ignored.lines().any(|l| l == *line)), "{ignored}");
        }
    }

    #[test]
    fn a_project_is_whole_and_takes_no_folder_that_is_there() {
        let parent = tempfile::tempdir().expect("dir");
        let made = new("shout", Language::Rust).make(parent.path()).expect("makes");
        let project = Project::open(Some(&made)).expect("a project");
        assert_eq!((project.manifest.name.as_str(), project.manifest.language), ("shout", Language::Rust));
        let cargo = std::fs::read_to_string(made.join("Cargo.toml")).expect("there");
        assert!(cargo.contains("shout") && !cargo.contains("{{"), "{cargo}");
        assert!(made.join(".gitignore").is_file() && project.sdk().join("src/lib.rs").is_file());
        let error = new("shout", Language::Rust).make(parent.path()).expect_err("there already").to_string();
        assert!(error.ends_with("shout is there already: name another, or move it away"), "{error}");
        for name in ["a b", "../x", "", "-t", "test"] {
            let error = new(name, Language::Rust).make(parent.path()).expect_err(name);
            assert_eq!(error.downcast_ref::<Named>().map(Named::slug), Some("project.name"));
        }
        assert_eq!(std::fs::read_dir(parent.path()).expect("reads").count(), 1, "nothing half made is left");
    }
}
