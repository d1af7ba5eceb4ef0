//! What can go wrong, and for each what it means for the data.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_types::{Seq, ShardId};

use crate::mark::Loss;

/// The journal's errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has this directory open.
    #[error("the journal in {0} is in use by another process")]
    Locked(PathBuf),
    /// A setting that cannot work.
    #[error("{0}")]
    Settings(&'static str),
    /// An IO error outside of the write path.
    #[error("{what} {path}")]
    Io {
        /// What was being done: "cannot read" …
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// State that nothing on disk can replace is damaged; the journal does not start.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Bytes that were durable are gone from the journal's end; the journal does not start, because it
    /// would give their sequence numbers again.
    #[error("{}", lost(dir, loss, records))]
    Lost {
        /// The journal's directory.
        dir: PathBuf,
        /// What is gone.
        loss: Box<Loss>,
        /// Records among it whose frame's header is left: shard, first, behind the last.
        records: Vec<(ShardId, Seq, Seq)>,
    },
    /// The write or the sync failed. Nothing of the request is in the journal, now or after a
    /// restart; it may be made again.
    #[error("the journal could not make the request durable: {0}")]
    Poisoned(Arc<str>),
    /// The journal takes nothing more until it is started again. Whether a request in flight
    /// is durable is known after the restart.
    #[error("the journal has failed and needs a restart: {0}")]
    Failed(Arc<str>),
    /// No room for records; nothing was written. Passes by itself when there is room again.
    #[error("the journal takes no records: {0}")]
    DiskFull(Refusal),
    /// The shard holds as many undelivered bytes as it may; nothing was written.
    #[error("shard {shard} holds {backlog_bytes} undelivered bytes, its limit is {limit_bytes}")]
    ShardFull {
        /// The shard.
        shard: ShardId,
        /// What it holds, bytes.
        backlog_bytes: u64,
        /// What it may hold, bytes.
        limit_bytes: u64,
    },
    /// The shard was retired.
    #[error("shard {0} is retired")]
    Retired(ShardId),
    /// The request contradicts itself or the journal; nothing was written.
    #[error("{0}")]
    Invalid(&'static str),
    /// The journal is closed.
    #[error("the journal is closed")]
    Closed,
}

impl Error {
    /// A stable name of the condition, for users.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Locked(_) => "journal.locked",
            Self::Settings(_) => "journal.settings",
            Self::Io { .. } => "journal.io",
            Self::Damaged { .. } => "journal.damaged",
            Self::Lost { .. } => "journal.lost",
            Self::Poisoned(_) => "journal.fsync",
            Self::Failed(_) => "journal.failed",
            Self::DiskFull(_) => "journal.full",
            Self::ShardFull { .. } => "stream.backlog",
            Self::Retired(_) => "journal.retired",
            Self::Invalid(_) => "journal.invalid",
            Self::Closed => "journal.closed",
        }
    }

    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

fn lost(dir: &Path, loss: &Loss, records: &[(ShardId, Seq, Seq)]) -> String {
    let whose = match records {
        [] => "whose records lay there is not known".to_owned(),
        known => {
            let each = known.iter().map(|(shard, from, to)| format!("shard {shard} from {from} to {to}"));
            format!("known of what lay there: {}", each.collect::<Vec<_>>().join(", "))
        }
    };
    format!(
        "durable bytes of the journal in {} are gone: {loss}; {whose}. Acknowledged records may have been \
         among them, and their sequence numbers would be given again, so nothing was started or changed \
         (journal.lost). Keep a copy of the data directory and look at it with `millrace journal verify`; \
         put back what is missing, or start without it by journal.accept_loss = \"{}\"",
        dir.display(),
        loss.accept()
    )
}

/// Why records are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The file system has no room for another segment.
    NoSpace,
    /// The file system has fewer free bytes than the headroom.
    Headroom {
        /// Free now.
        free_bytes: u64,
        /// `headroom_bytes` of the settings.
        headroom_bytes: u64,
    },
    /// The journal holds as many bytes as it may.
    Limit {
        /// Held now.
        used_bytes: u64,
        /// `disk_bytes_max` of the settings.
        limit_bytes: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace => f.write_str("the file system has no room for another segment"),
            Self::Headroom { free_bytes, headroom_bytes } => {
                write!(f, "the file system has {free_bytes} free bytes, the headroom is {headroom_bytes}")
            }
            Self::Limit { used_bytes, limit_bytes } => {
                write!(f, "it holds {used_bytes} bytes, its limit is {limit_bytes}")
            }
        }
    }
}
