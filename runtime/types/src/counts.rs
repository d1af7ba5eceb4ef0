//! Loss accounting: what became of the records of a shard.

use serde::{Deserialize, Serialize};

/// Where the records of a shard are. `accepted = delivered + dropped + failed + quarantined + pending`
/// at all times; a record counts once, by what became of its input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Durable in the journal, acknowledged.
    pub accepted: u64,
    /// All its outputs lie in committed objects.
    pub delivered: u64,
    /// The function returned it neither as output nor as failure.
    pub dropped: u64,
    /// Lies in a committed error object.
    pub failed: u64,
    /// Its journal frame is damaged and set aside; never deleted.
    pub quarantined: u64,
}

impl Counts {
    /// Records whose fate is decided.
    #[must_use]
    pub const fn decided(&self) -> u64 {
        self.delivered + self.dropped + self.failed + self.quarantined
    }

    /// Records not decided yet.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.accepted.saturating_sub(self.decided())
    }

    /// Adds `other`, member by member.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.dropped += other.dropped;
        self.failed += other.failed;
        self.quarantined += other.quarantined;
    }
}
