//! `millrace journal verify|dump`: looks into a stopped data directory; changes nothing.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

/// `millrace journal`.
#[derive(Debug, Args)]
pub(super) struct Journal {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check every frame; exit status 1 when something is damaged.
    Verify {
        /// The data directory.
        dir: PathBuf,
    },
    /// Print every frame, one a line.
    Dump {
        /// The data directory.
        dir: PathBuf,
        /// Frames of this shard only, as STREAM.LANE.
        #[arg(long)]
        shard: Option<String>,
    },
}
