//! The words that a caller and the journal use with each other.

use bytes::Bytes;
use millrace_types::{Batch, Counts, Members, Seq, ShardId};

/// A decision that is durable before its object is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Whose records.
    pub shard: ShardId,
    /// Unique in the shard; the caller chooses it. The same id again replaces the intent.
    pub id: u64,
    /// What the object holds.
    pub members: Members,
    /// The caller's own words; opaque to the journal.
    pub body: Bytes,
}

/// The end of intents, and how far everything is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Whose.
    pub shard: ShardId,
    /// Intents that are closed now; their members are done. Unknown ones are passed over.
    pub intents: Vec<u64>,
    /// Every record below is decided. It never goes back.
    pub watermark: Seq,
    /// Delivered, dropped, failed and quarantined to be added; `accepted` is not looked at.
    pub counts: Counts,
}

/// What is known of a shard; all of it durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardState {
    /// The next record's place.
    pub next: Seq,
    /// Every record below is decided.
    pub watermark: Seq,
    /// Members of committed intents at or above the watermark.
    pub done: Members,
    /// What became of its records.
    pub counts: Counts,
    /// Bytes on disk of records at or above the watermark; within a file as if all were of one size.
    pub backlog_bytes: u64,
    /// How many of them lie in runs of its own.
    pub settled_bytes: u64,
    /// Arrival of the oldest undecided record, milliseconds since the Unix epoch; of its file's
    /// oldest when the record is not in memory.
    pub oldest_arrival_ms: Option<i64>,
}

/// What a reader found.
#[derive(Debug)]
pub enum Read {
    /// Records, contiguous from the reader's position.
    Batch(Batch),
    /// Records that cannot be read; the reader goes on behind them.
    Gap {
        /// First of them.
        from: Seq,
        /// Behind the last.
        to: Seq,
        /// What was found.
        why: String,
    },
    /// The journal is closed and everything was read, or the shard is retired: nothing more comes.
    Closed,
}
