//! What can go wrong, and for each what it means for the data.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use millrace_types::ShardId;

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
