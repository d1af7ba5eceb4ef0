//! The newest records in memory, for readers that keep up: a byte budget over all shards, the oldest
//! go first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use millrace_types::{Batch, Seq, ShardId};

use super::Shard;

/// Entries of batches that are gone already may be as many as this before they are swept.
const STALE_ENTRIES: usize = 4096;

/// The order in which batches came, and what they take. The batches lie with their shards.
#[derive(Debug, Default)]
pub(super) struct Tail {
    limit_bytes: usize,
    bytes: usize,
    batches: usize,
    order: VecDeque<(ShardId, Seq)>,
}

impl Tail {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, ..Self::default() }
    }

    /// Adds the newest batch of `id` and lets the oldest of all go that are too many.
    pub(super) fn push(&mut self, shards: &mut HashMap<ShardId, Shard>, id: ShardId, batch: Arc<Batch>) {
        let Some(shard) = shards.get_mut(&id) else { return };
        self.bytes += batch.memory_bytes();
        self.batches += 1;
        self.order.push_back((id, batch.first()));
        shard.tail.push_back(batch);
        while self.bytes > self.limit_bytes
            && let Some((id, first)) = self.order.pop_front()
        {
            if let Some(shard) = shards.get_mut(&id)
                && shard.tail.front().is_some_and(|batch| batch.first() == first)
            {
                self.pop(shard);
            }
        }
        if self.order.len() > 2 * self.batches + STALE_ENTRIES {
            let live = |(id, first): &(ShardId, Seq)| {
                let front = shards.get(id).and_then(|shard| shard.tail.front());
                front.is_some_and(|batch| batch.first() <= *first)
            };
            self.order.retain(live);
        }
    }

    fn pop(&mut self, shard: &mut Shard) {
        if let Some(batch) = shard.tail.pop_front() {
            self.bytes -= batch.memory_bytes();
            self.batches -= 1;
        }
    }

    /// Lets go what lies below the shard's watermark.
    pub(super) fn trim(&mut self, shard: &mut Shard) {
        while shard.tail.front().is_some_and(|batch| batch.end() <= shard.watermark) {
            self.pop(shard);
        }
    }

    /// Lets go all of the shard.
    pub(super) fn forget(&mut self, shard: &mut Shard) {
        while !shard.tail.is_empty() {
            self.pop(shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::BatchBuilder;

    #[test]
    fn memory_and_entries_stay_within_the_budget() {
        let mut shards = HashMap::new();
        let parked = ShardId::from_u64(1);
        let busy = ShardId::from_u64(2);
        shards.insert(parked, Shard::default());
        shards.insert(busy, Shard::default());
        let batch = |first: u64| {
            let mut builder = BatchBuilder::default();
            builder.push(&[0; 100], 0).unwrap();
            let mut batch = builder.finish();
            batch.set_first(Seq::new(first));
            Arc::new(batch)
        };
        let size = batch(0).memory_bytes();
        let mut tail = Tail::new(3 * size);
        tail.push(&mut shards, parked, batch(0));
        for first in 0..20_000 {
            tail.push(&mut shards, busy, batch(first));
            let shard = shards.get_mut(&busy).unwrap();
            shard.watermark = Seq::new(first + 1);
            tail.trim(shard);
        }
        assert_eq!(tail.bytes, size, "the parked batch alone");
        assert!(tail.order.len() <= STALE_ENTRIES + 4);
        for first in 0..9 {
            tail.push(&mut shards, busy, batch(20_000 + first));
        }
        assert!(shards[&parked].tail.is_empty(), "the oldest goes first");
        assert_eq!(shards[&busy].tail.len(), 3);
        tail.forget(shards.get_mut(&busy).unwrap());
        assert_eq!((tail.bytes, tail.batches), (0, 0));
    }
}
