//! What the journal tells about itself.

use std::time::Duration;

use millrace_types::{Seq, ShardId};

use crate::Refusal;

/// Ranges that status keeps; more are counted only.
pub(crate) const QUARANTINED_MAX: usize = 1024;

/// Records that cannot be read, and where their bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Their shard; none where the damage hides it.
    pub shard: Option<ShardId>,
    /// First of them.
    pub from: Seq,
    /// Behind the last.
    pub to: Seq,
    /// File name below the journal's directory.
    pub file: String,
    /// Where in the file, bytes.
    pub offset: u64,
    /// What was found.
    pub why: String,
}

/// A place in the newest segment where records may have lain of which nothing tells whose they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// File name below the journal's directory.
    pub file: String,
    /// Where in the file, bytes.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Hidden {
    /// The stable name of the condition, for users.
    pub const SLUG: &'static str = "journal.unknown-records";
}

/// What a start found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments found.
    pub segments: usize,
    /// Runs found.
    pub runs: usize,
    /// Bytes that were read frame by frame, because no index covers them.
    pub scanned_bytes: u64,
    /// Bytes of a torn, never acknowledged tail that were cut.
    pub torn_bytes: u64,
    /// Segments and runs whose index was missing or damaged and made again.
    pub indexes_rebuilt: usize,
    /// Damaged ranges.
    pub quarantined: Vec<Quarantined>,
    /// Files that are gone and held undecided records, or may have: each range says how sure that is.
    pub missing: Vec<String>,
    /// Places whose records are in no count, but for those that a later record or decision shows to be
    /// missing: these are among the damaged ranges, with their shard.
    pub hidden: Vec<Hidden>,
    /// Files that could not be used and were moved to `quarantine/`.
    pub set_aside: Vec<String>,
    /// Why the mark could not be asked; none when it could, or when there was no journal. Without it a
    /// loss of durable bytes at the journal's end may have passed for a torn tail.
    pub mark: Option<String>,
}

/// The journal's figures since start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalStatus {
    /// Segment files, the active one and the spare among them.
    pub segments: usize,
    /// Runs of lagging shards.
    pub runs: usize,
    /// Bytes that segments, runs and their indexes take.
    pub bytes_on_disk: u64,
    /// `disk_bytes_max` of the settings.
    pub limit_bytes: Option<u64>,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    /// Group commits: syncs of the active segment.
    pub fsyncs: u64,
    /// Time in them.
    pub fsync_total: Duration,
    /// The longest.
    pub fsync_max: Duration,
    /// Record frames made durable.
    pub appended_frames: u64,
    /// Records made durable.
    pub appended_records: u64,
    /// Bytes of record frames made durable.
    pub appended_bytes: u64,
    /// Segments given up because a write or a sync failed.
    pub poisoned_segments: u64,
    /// Why the journal takes nothing more until a restart.
    pub failed: Option<String>,
    /// Why records are refused now.
    pub refusing: Option<Refusal>,
    /// Damaged ranges found at start or since, at most 1,024 of them.
    pub quarantined: Vec<Quarantined>,
    /// All damaged ranges found.
    pub quarantined_total: u64,
    /// Bytes of a torn tail that the start cut.
    pub torn_bytes: u64,
}
