//! `millrace keys create|list`: the key ring of a data directory, for client-side encryption.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use millrace_encode::KeyRing;
use millrace_types::SystemEntropy;

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
        let path = crate::assemble::keys_path(&self.data_dir);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut ring = KeyRing::load(&path)?;
        match self.verb {
            Verb::Create { id } => {
                ring.create(&id, &SystemEntropy)?;
                println!("key {id} made in {}; keep a copy: without it what it encrypts is lost", path.display());
                println!("name it in a stream: arn:aws:kms:us-east-1:000000000000:key/{id}");
            }
            Verb::List => ring.ids().for_each(|id| println!("{id}")),
        }
        Ok(())
    }
}
