//! The node-wide memory budget of open windows: each lane says what it holds; above the limit the
//! lane that holds most is asked to spill.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_types::ShardId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who holds how much.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: usize,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    total: usize,
    held: HashMap<ShardId, (usize, Arc<Notify>)>,
}

impl Budget {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, lanes: Mutex::default() }
    }

    /// The lane of `shard` holds `bytes` now. Asks the largest to spill when all together hold too much.
    pub(crate) fn report(&self, shard: ShardId, bytes: usize, spill: &Arc<Notify>) {
        let mut lanes = self.lanes.lock();
        let entry = lanes.held.entry(shard).or_insert_with(|| (0, Arc::clone(spill)));
        let before = std::mem::replace(&mut entry.0, bytes);
        lanes.total = lanes.total - before + bytes;
        if lanes.total > self.limit_bytes
            && let Some((_, largest)) = lanes.held.values().max_by_key(|(held, _)| *held)
        {
            largest.notify_one();
        }
    }

    /// The lane is gone.
    pub(crate) fn forget(&self, shard: ShardId) {
        let mut lanes = self.lanes.lock();
        if let Some((bytes, _)) = lanes.held.remove(&shard) {
            lanes.total -= bytes;
        }
    }

    /// Bytes that all windows hold in memory.
    pub(crate) fn total_bytes(&self) -> usize {
        self.lanes.lock().total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::{Lane, StreamId};

    #[tokio::test]
    async fn the_largest_is_asked() {
        let budget = Budget::new(100);
        let (small, large) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let shard = |n| ShardId::new(StreamId(n), Lane(0));
        budget.report(shard(1), 40, &small);
        budget.report(shard(2), 70, &large);
        large.notified().await;
        budget.report(shard(2), 0, &large);
        assert_eq!(budget.total_bytes(), 40);
        budget.forget(shard(1));
        assert_eq!(budget.total_bytes(), 0);
    }
}
