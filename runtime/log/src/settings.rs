//! The journal's limits, each with its unit.

use millrace_types::MIB;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Smallest segment that still holds its head, a snapshot and some frames.
const SEGMENT_BYTES_MIN: u64 = 32 * 1024;
/// Frames name offsets below this; also what one `fallocate` may ask for.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// A disk share below this many segments could not hold the active one, the spare and some to trim.
const DISK_SEGMENTS_MIN: u64 = 4;

/// What an operator may tune. Each limit answers with a named error when it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSettings {
    /// Bytes that one segment file is preallocated with.
    pub segment_bytes: u64,
    /// Bytes of the newest records that are kept in memory for readers, all shards together.
    pub tail_bytes: usize,
    /// Bytes that are admitted and not yet durable; more appends wait.
    pub queue_bytes: usize,
    /// Bytes that the journal's segments and runs may take; none: as many as the file system has.
    pub disk_bytes_max: Option<u64>,
    /// Free bytes of the file system below which records are refused; what delivers goes on.
    pub headroom_bytes: u64,
    /// Undelivered bytes that one shard may hold on disk; above, its own appends are refused.
    pub backlog_bytes_max: u64,
    /// Sealed segments that a lagging shard may pin before its frames move to runs of its own.
    pub lag_segments: usize,
    /// The one loss of durable bytes that a start goes on without, as [`Error::Lost`] names it; empty: none.
    pub accept_loss: String,
}

impl Default for JournalSettings {
    fn default() -> Self {
        let mib = MIB as u64;
        Self {
            segment_bytes: 64 * mib,
            tail_bytes: 64 * MIB,
            queue_bytes: 32 * MIB,
            disk_bytes_max: None,
            headroom_bytes: 256 * mib,
            backlog_bytes_max: 8 * 1024 * mib,
            lag_segments: 4,
            accept_loss: String::new(),
        }
    }
}

impl JournalSettings {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(Error::Settings("segment_bytes must be between 32 KiB and 1 GiB"));
        }
        if self.queue_bytes == 0 || u32::try_from(self.queue_bytes).is_err() {
            return Err(Error::Settings("queue_bytes must be between 1 byte and 4 GiB"));
        }
        if self.disk_bytes_max.is_some_and(|max| max / DISK_SEGMENTS_MIN < self.segment_bytes) {
            return Err(Error::Settings("disk_bytes_max must be at least four times segment_bytes"));
        }
        Ok(())
    }
}
