//! `millrace keys create|list`: the key ring of a data directory, for client-side encryption.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use millrace_encode::KeyRing;
use millrace_types::SystemEntropy;

use crate::named::Named;

/// `millrace keys`.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    verb: Verb,
    /// The data directory.
    #[arg(long, env = "MILLRACE_DATA_DIR", default_value = "millrace-data", global = true)]
    pub(super) data_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a new AES-256 key.
    Create {
        /// Its id: streams name it as arn:aws:kms:REGION:ACCOUNT:key/ID.
        id: String,
    },
    /// List the ids.
    List,
}

impl Keys {
    pub(super) fn run(self) -> Result<()> {
        let dir = &self.data_dir;
        let path = crate::assemble::keys_path(dir);
        match self.verb {
            Verb::Create { id } => {
                let folder = path.parent().unwrap_or(dir);
                std::fs::create_dir_all(folder)
                    .with_context(|| Named::new("server.data-dir", format!("cannot make {}", folder.display())))?;
                KeyRing::load(&path)?.create(&id, &SystemEntropy)?;
                println!("key {id} made in {}; keep a copy: without it what it encrypts is lost", path.display());
                println!("name it in a stream: arn:aws:kms:us-east-1:000000000000:key/{id}");
            }
            Verb::List => list(dir, &path)?.iter().for_each(|line| println!("{line}")),
        }
        Ok(())
    }
}

/// A line for each key; one that says so when there is none.
fn list(dir: &Path, ring: &Path) -> Result<Vec<String>> {
    let shown = dir.display();
    super::existing_data_dir(dir)?;
    let ids: Vec<String> = KeyRing::load(ring)?.ids().map(str::to_owned).collect();
    if ids.is_empty() {
        return Ok(vec![format!("no keys in {shown}; make one: millrace keys create ID --data-dir {shown}")]);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_and_no_keys_are_said() {
        let temp = tempfile::tempdir().expect("a folder");
        let dir = temp.path().join("data");
        let ring = crate::assemble::keys_path(&dir);
        let error = list(&dir, &ring).expect_err("no folder").to_string();
        assert!(error.contains(&dir.display().to_string()), "{error}");
        assert!(!dir.exists(), "looking makes nothing");
        std::fs::create_dir(&dir).expect("made");
        assert!(list(&dir, &ring).expect("none")[0].starts_with("no keys in "));
        std::fs::create_dir(dir.join("keys")).expect("made");
        KeyRing::load(&ring).expect("empty").create("a", &SystemEntropy).expect("made");
        assert_eq!(list(&dir, &ring).expect("one"), ["a"]);
    }
}
