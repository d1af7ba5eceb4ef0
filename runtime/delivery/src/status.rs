//! What is shown of a stream: its counts, its backlog, and why it stands still when it does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_types::Counts;
use parking_lot::Mutex;
use serde::Serialize;

/// Why a stream cannot go on right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// Why a stream delivers nothing.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Parked {
    /// Stable code: `NoSuchBucket`, `AccessDenied`, `Lambda.ResourceNotFoundException`, …
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
    /// Records from the watermarks of its shards to their ends: counted by place, not by subtraction.
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
    /// Puts that failed since start.
    pub put_failures: u64,
    /// Delivery shards in use.
    pub lanes: u16,
    /// Which revisions of its function make its records, and since when.
    pub function_revisions: Vec<RevisionSince>,
    /// Why it is parked, when it is.
    pub parked: Option<Parked>,
}

/// A revision of a stream's function at work on one delivery shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevisionSince {
    /// The delivery shard's lane, from 0.
    pub lane: u16,
    /// The revision.
    pub revision: u32,
    /// The sequence number of the first record that it ran on since the lane's start or since it came back.
    pub from_sequence: u64,
}

/// The live numbers of one stream, shared by its lanes.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) accepted_bytes: AtomicU64,
    pub(crate) objects: AtomicU64,
    pub(crate) object_bytes: AtomicU64,
    pub(crate) put_failures: AtomicU64,
    /// By whoever stands still: a lane or one object on its way. Each takes its own reason back.
    parked: Mutex<BTreeMap<u64, Parked>>,
    next_owner: AtomicU64,
    /// By lane.
    revisions: Mutex<BTreeMap<u16, Vec<RevisionSince>>>,
}

impl Gauges {
    /// A number for somebody who may stand still.
    pub(crate) fn owner(&self) -> u64 {
        self.next_owner.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a failed attempt and shows the stream as parked; true when nobody showed this reason.
    pub(crate) fn park(&self, owner: u64, trouble: &Trouble, now_ms: i64) -> bool {
        let mut parked = self.parked.lock();
        let new = parked.values().all(|p| p.code != trouble.code);
        let (since_ms, attempts) = parked.get(&owner).map_or((now_ms, 0), |p| (p.since_ms, p.attempts));
        let (code, message) = (trouble.code.clone(), trouble.message.clone());
        parked.insert(owner, Parked { code, message, since_ms, attempts: attempts.saturating_add(1) });
        new
    }

    /// Shows the revisions at work on a lane.
    pub(crate) fn work_by(&self, lane: u16, revisions: Vec<RevisionSince>) {
        self.revisions.lock().insert(lane, revisions);
    }

    /// The revisions at work, by lane.
    pub(crate) fn revisions(&self) -> Vec<RevisionSince> {
        self.revisions.lock().values().flatten().cloned().collect()
    }

    pub(crate) fn put_failed(&self) {
        self.put_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The owner goes on; true when the whole stream does.
    pub(crate) fn unpark(&self, owner: u64) -> bool {
        let mut parked = self.parked.lock();
        parked.remove(&owner).is_some() && parked.is_empty()
    }

    /// The reason that has lasted longest.
    pub(crate) fn parked(&self) -> Option<Parked> {
        self.parked.lock().values().min_by_key(|p| p.since_ms).cloned()
    }

    pub(crate) fn object_committed(&self, bytes: u64) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.object_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_parked_until_the_last_owner_goes_on() {
        let gauges = Gauges::default();
        let (lane, ship) = (gauges.owner(), gauges.owner());
        assert!(gauges.park(lane, &Trouble::new("a", ""), 1));
        assert!(gauges.park(ship, &Trouble::new("b", ""), 2));
        assert!(!gauges.park(ship, &Trouble::new("b", ""), 3));
        assert!(!gauges.unpark(lane));
        let left = gauges.parked().expect("still parked");
        assert_eq!((left.code.as_str(), left.since_ms, left.attempts), ("b", 2, 2));
        assert!(gauges.unpark(ship) && gauges.parked().is_none());
        assert!(!gauges.unpark(ship), "once");
    }
}
