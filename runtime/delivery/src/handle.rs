//! What the front and the command line see of delivery: streams by name, appends, status.

use std::sync::Arc;

use millrace_catalog::Stream;
use millrace_types::{Batch, Counts, Seq, ShardId};
use serde::Serialize;

/// All delivery streams of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Streams;

/// One delivery stream.
#[derive(Debug)]
pub struct StreamHandle;

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The shard that took it.
    pub shard: ShardId,
    /// Sequence number of its first record; the others follow without a gap.
    pub first: Seq,
}

/// Why a batch was not taken. Nothing of it is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream is being deleted.
    #[error("the stream is being deleted")]
    Deleting,
    /// Back-pressure or trouble of the journal: `slug` names it (`journal.full`, `journal.fsync`,
    /// `stream.backlog`), the message says what to do.
    #[error("{message}")]
    Unavailable {
        /// Stable name of the condition.
        slug: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// Why a stream could not be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// No such stream.
    #[error("no such stream")]
    NotFound,
    /// It is being deleted already.
    #[error("the stream is being deleted already")]
    InProgress,
    /// The catalog or the journal refused.
    #[error("{0}")]
    Storage(String),
}

/// Why a stream delivers nothing.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Parked {
    /// Stable code: `NoSuchBucket`, `AccessDenied`, `FunctionNotFound`, …
    pub code: String,
    /// What is wrong, with the user's own names, and what to do.
    pub message: String,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Attempts so far.
    pub attempts: u32,
}

/// What `millrace status`, `/v1/status` and `/metrics` show of a stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamStatusReport {
    /// Its name.
    pub name: String,
    /// What became of its records.
    #[serde(flatten)]
    pub counts: Counts,
    /// accepted − decided.
    pub pending: u64,
    /// accepted − (delivered + dropped + failed + quarantined + pending): must be 0.
    pub balance: i64,
    /// Age of the oldest undelivered record, seconds; 0 when there is none.
    pub oldest_pending_age_s: f64,
    /// Bytes that its undelivered records hold on disk.
    pub backlog_bytes: u64,
    /// Source bytes accepted since start.
    pub accepted_bytes: u64,
    /// Objects committed since start.
    pub objects: u64,
    /// Object bytes committed since start.
    pub object_bytes: u64,
    /// Delivery shards in use.
    pub lanes: u16,
    /// Why it is parked, when it is.
    pub parked: Option<Parked>,
}

impl Streams {
    /// The stream `name`, if there is one (also while it is being deleted).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<StreamHandle>> {
        let _ = name;
        None
    }

    /// Makes durable in the catalog what was checked, and starts delivery. Blocks on disk in a
    /// blocking thread.
    ///
    /// # Errors
    /// [`millrace_catalog::Error`] when the name is taken, the limit of streams is reached, or the catalog fails.
    pub async fn create(&self, stream: millrace_catalog::NewStream) -> Result<Stream, millrace_catalog::Error> {
        let _ = stream;
        Err(millrace_catalog::Error::Closed)
    }

    /// Deletes the stream and its undelivered records.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        let _ = name;
        Err(DeleteError::NotFound)
    }

    /// Status of one stream, or of all in order of their names.
    #[must_use]
    pub fn status(&self, name: Option<&str>) -> Vec<StreamStatusReport> {
        let _ = name;
        Vec::new()
    }
}

impl StreamHandle {
    /// The stream's configuration.
    #[must_use]
    pub fn config(&self) -> Arc<Stream> {
        std::process::abort()
    }

    /// Appends a batch; durable when it answers.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is kept then.
    pub async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        let _ = batch;
        Err(AppendError::Deleting)
    }
}
