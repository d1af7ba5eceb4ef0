//! Whether records find room: the file system's free bytes, the journal's limit, and what of both a
//! lagging shard may hold. What decides about records is never refused here.
//!
//! The room is what is free (above the headroom, below the limit) and what undecided records hold. A shard
//! that lags may hold as many bytes as are free, less a quarter of the room. So `n` shards that lag end
//! with equal shares of 3/4 of the room, divided by `n + 1`, and leave the last quarter to all others. A
//! shard that keeps up has its records in the newest segments, with all others that do: they need no limit.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::shared::Shared;
use crate::Refusal;

/// How long a look at the free space is good for.
const ROOM_CHECK: Duration = Duration::from_secs(1);
/// Shards that lag leave one part in so many of the room to the others.
const RESERVED_PART: u64 = 4;

/// What the last look at the disk gave.
#[derive(Debug)]
pub(super) struct Room {
    refusing: Option<Refusal>,
    checked: Option<Duration>,
    /// Undecided bytes that one shard that lags may hold.
    lag_share_bytes: u64,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { refusing: None, checked: None, lag_share_bytes: u64::MAX }
    }

    /// Looks again before the next records are taken.
    pub(super) fn forget(&mut self) {
        self.checked = None;
    }

    pub(super) fn lag_share_bytes(&self) -> u64 {
        self.lag_share_bytes
    }

    /// Why records are refused; looked up at most once a second, and after files were removed or begun.
    /// `is_half_full`: half of the segment is left to decisions, unless the next one is prepared.
    pub(super) fn refusal(&mut self, shared: &Shared, is_half_full: bool) -> Option<Refusal> {
        let now = shared.clock.monotonic();
        let recheck = shared.recheck.swap(false, Ordering::AcqRel);
        let fresh = self.checked.is_some_and(|at| now.saturating_sub(at) < ROOM_CHECK);
        // What decides about records must find room whatever happens: no spare segment, no records.
        let spare_needed = shared.spares.has_failed() || (is_half_full && !shared.spares.is_ready());
        if fresh && !recheck && (self.refusing.is_some() || !spare_needed) {
            return self.refusing;
        }
        self.checked = Some(now);
        let found = self.look(shared, spare_needed);
        if found != self.refusing {
            match found {
                Some(why) => tracing::warn!(%why, "records are refused until there is room"),
                None => tracing::info!("there is room again"),
            }
            self.refusing = found;
        }
        found
    }

    fn look(&mut self, shared: &Shared, spare_needed: bool) -> Option<Refusal> {
        if spare_needed && !shared.spares.ensure(shared) {
            return Some(Refusal::NoSpace);
        }
        let settings = &shared.settings;
        let below_limit = settings.disk_bytes_max.map(|limit| limit.saturating_sub(shared.used_bytes()));
        let free = shared.disk.free_bytes(&shared.dir).ok();
        let above_headroom = free.map(|free| free.saturating_sub(settings.headroom_bytes));
        let free_here = below_limit.into_iter().chain(above_headroom).min();
        let held = shared.store.lock().backlog_bytes();
        self.lag_share_bytes = free_here.map_or(u64::MAX, |free| lag_share(free, held));
        shared.refusal()
    }
}

fn lag_share(free_bytes: u64, held_bytes: u64) -> u64 {
    free_bytes.saturating_sub(free_bytes.saturating_add(held_bytes) / RESERVED_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_that_lag_end_with_equal_shares_and_leave_a_quarter() {
        const ROOM: u64 = 40_000;
        for shards in [1u64, 2, 10, 100] {
            // All take a byte in turn for as long as they may.
            let mut held = vec![0; usize::try_from(shards).unwrap()];
            loop {
                let all: u64 = held.iter().sum();
                let share = lag_share(ROOM - all, all);
                let Some(one) = held.iter_mut().min().filter(|one| **one < share) else { break };
                *one += 1;
            }
            let all: u64 = held.iter().sum();
            let fair = ROOM * 3 / 4 / (shards + 1);
            assert!(held.iter().all(|one| one.abs_diff(fair) <= 1), "{shards}: {held:?}, fair {fair}");
            assert!(ROOM - all >= ROOM / 4, "{shards}: the last quarter stays");
        }
        assert_eq!(lag_share(0, 100), 0);
        assert_eq!(lag_share(u64::MAX, 100), u64::MAX - u64::MAX / 4);
    }
}
