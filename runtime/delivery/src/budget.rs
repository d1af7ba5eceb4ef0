//! The node-wide memory budget of delivery (`delivery.memory_bytes_max`): who holds how much, who is asked
//! to spill, and who may read on.
//!
//! It covers what records become: open windows (output that is not spilled, row groups, compressors),
//! objects that are made again, and finished objects in memory, from their cut until they lie in the
//! outbox, and on until their first put has ended where they are put from memory. It does not cover what the
//! journal holds (`journal.*`), the memory of functions (their own limits), the few compressors that are
//! kept for the next object, and buffers of a fixed size for reading and sending.
//!
//! Memory grows only in a *step*: a lane reads a chunk and works on it. As many steps run at once as there
//! are threads for them. Above the limit the lane with the largest windows is asked to spill, and a lane
//! may read only while it holds nothing, and then no more than [`SQUEEZED_BYTES`]: so a dead destination
//! that holds on to its memory cannot stop the others. An object that is made again never waits for memory:
//! windows may wait for it, because their lane has no room to ship until it is stored. It is read in the
//! same steps, one object of a lane and [`REMAKES_MAX`] of the node at a time, and above the limit it keeps
//! a compressor or a row group of a set size at most. The limit is therefore exceeded by no more than steps ×
//! what one step makes of its chunk, lanes × what one makes of [`SQUEEZED_BYTES`], and [`REMAKES_MAX`] × what
//! is kept of an object that is made again.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_types::{KIB, ShardId};
use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Payload bytes that a lane reads at once while the node's memory is short.
pub(crate) const SQUEEZED_BYTES: usize = 64 * KIB;
/// Objects that are made again at once on the node: each holds a compressor or a row group, however short
/// memory is.
const REMAKES_MAX: usize = 64;

/// Who holds how much.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: usize,
    lanes: Mutex<Lanes>,
    /// Without a function, and with one: who waits behind running functions keeps no lane without one waiting.
    /// Who waits for a function to be ready has no step yet (`ready`).
    plain: Steps,
    guest: Steps,
    /// Objects that are made again at once.
    remakes: Semaphore,
}

/// Steps of one kind.
#[derive(Debug)]
struct Steps {
    /// As many at once as there are threads for them.
    permits: Arc<Semaphore>,
    /// Rung for one who waits when memory is freed; who then reads rings for the next (`Budget::step`): a
    /// thousand lanes are not woken for what two can take.
    room: Notify,
}

#[derive(Debug, Default)]
struct Lanes {
    total: usize,
    #[cfg(test)]
    peak: usize,
    held: HashMap<ShardId, Held>,
}

/// What one lane holds.
#[derive(Debug)]
struct Held {
    /// Bytes of open windows.
    windows: usize,
    /// Bytes of finished objects, and of one that is made again.
    finished: usize,
    /// It was asked to spill and had nothing; until its windows change or it can cut again it is not asked.
    spent: bool,
    /// Rung when it is to spill, and when it holds nothing any more.
    spill: Arc<Notify>,
}

/// How a lane may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As much as it likes.
    Free,
    /// At most [`SQUEEZED_BYTES`].
    Squeezed,
    /// Not now.
    Wait,
}

impl Steps {
    fn new(steps: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(steps)), room: Notify::new() }
    }
}

impl Budget {
    pub(crate) fn new(limit_bytes: usize, plain_steps: usize, guest_steps: usize) -> Arc<Self> {
        Arc::new(Self {
            limit_bytes,
            lanes: Mutex::default(),
            plain: Steps::new(plain_steps),
            guest: Steps::new(guest_steps),
            remakes: Semaphore::new(REMAKES_MAX),
        })
    }

    fn steps(&self, with_function: bool) -> &Steps {
        if with_function { &self.guest } else { &self.plain }
    }

    /// Waits until one more object may be made again.
    pub(crate) async fn remake(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.remakes.acquire().await.ok()
    }

    /// Waits until one more lane may read and work, and says how the lane of `shard` may read then. Who has a
    /// step waits for no function: see `ready`.
    pub(crate) async fn step(&self, shard: ShardId, with_function: bool) -> (Option<OwnedSemaphorePermit>, Reading) {
        let steps = self.steps(with_function);
        // Never closed.
        let permit = Arc::clone(&steps.permits).acquire_owned().await.ok();
        (permit, self.ring_on(shard, with_function))
    }

    /// Waits for the function of the lane of `shard`. Where that takes time, the next lane is rung for instead.
    pub(crate) async fn giving_way<T>(&self, shard: ShardId, function: impl Future<Output = T>) -> T {
        tokio::pin!(function);
        tokio::select! {
            biased;
            at_once = &mut function => return at_once,
            () = std::future::ready(()) => self.ring_on(shard, true),
        };
        function.await
    }

    /// Rings for the next where there is memory for more than the lane of `shard`, and says how it may read.
    fn ring_on(&self, shard: ShardId, with_function: bool) -> Reading {
        let reading = self.reading(shard);
        if reading == Reading::Free {
            self.steps(with_function).room.notify_one();
        }
        reading
    }

    /// The windows of the lane hold `bytes` now. Asks the largest to spill when all together hold too much.
    pub(crate) fn report(&self, shard: ShardId, bytes: usize, spill: &Arc<Notify>) {
        let mut lanes = self.lanes.lock();
        let lane = lanes.lane(shard, spill);
        let before = std::mem::replace(&mut lane.windows, bytes);
        lane.spent &= bytes == before;
        lanes.change(before, bytes);
        if bytes < before {
            self.freed(&lanes);
        }
        self.ask(&lanes);
    }

    /// The lane was asked to spill and has nothing that it could: the next is asked.
    pub(crate) fn spent(&self, shard: ShardId) {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.held.get_mut(&shard) {
            lane.spent = true;
        }
        self.ask(&lanes);
    }

    /// The lane may cut again: one of its objects has arrived.
    pub(crate) fn able(&self, shard: ShardId) {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.held.get_mut(&shard) {
            lane.spent = false;
        }
        self.ask(&lanes);
    }

    /// The lane holds an object of `bytes` until the answer is dropped.
    pub(crate) fn hold(self: &Arc<Self>, shard: ShardId, bytes: usize, spill: &Arc<Notify>) -> Hold {
        let mut hold = Hold { budget: Arc::clone(self), shard, spill: Arc::clone(spill), bytes: 0 };
        // Whose windows become objects reports them next, and is counted twice until then: nobody is asked.
        hold.count(bytes);
        hold
    }

    /// The lane's windows are gone.
    pub(crate) fn forget(&self, shard: ShardId) {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.held.get_mut(&shard) {
            let bytes = std::mem::take(&mut lane.windows);
            if lane.finished == 0 {
                lanes.held.remove(&shard);
            }
            lanes.change(bytes, 0);
        }
        // Also when it held nothing: it may have been woken to read, and does not any more.
        self.freed(&lanes);
    }

    /// How the lane may read now.
    pub(crate) fn reading(&self, shard: ShardId) -> Reading {
        self.lanes.lock().reading(self.limit_bytes, shard)
    }

    /// Wakes one of those who wait when [`Self::reading`] may answer something better for it, now and then
    /// for nothing. What is freed between this call and the wait is not missed.
    pub(crate) fn room(&self, with_function: bool) -> Notified<'_> {
        self.steps(with_function).room.notified()
    }

    /// True while all together hold less than the limit.
    pub(crate) fn has_room(&self) -> bool {
        self.lanes.lock().total < self.limit_bytes
    }

    /// Bytes that all windows and finished objects hold in memory.
    pub(crate) fn total_bytes(&self) -> usize {
        self.lanes.lock().total
    }

    /// Most bytes that were held at once.
    #[cfg(test)]
    pub(crate) fn peak_bytes(&self) -> usize {
        self.lanes.lock().peak
    }

    fn freed(&self, lanes: &Lanes) {
        if lanes.total < self.limit_bytes {
            self.plain.room.notify_one();
            self.guest.room.notify_one();
        }
    }

    fn ask(&self, lanes: &Lanes) {
        if lanes.total < self.limit_bytes {
            return;
        }
        let able = lanes.held.values().filter(|lane| !lane.spent && lane.windows > 0);
        if let Some(largest) = able.max_by_key(|lane| lane.windows) {
            largest.spill.notify_one();
        }
    }
}

impl Lanes {
    fn lane(&mut self, shard: ShardId, spill: &Arc<Notify>) -> &mut Held {
        let new = || Held { windows: 0, finished: 0, spent: false, spill: Arc::clone(spill) };
        self.held.entry(shard).or_insert_with(new)
    }

    fn change(&mut self, before: usize, after: usize) {
        self.total = self.total - before + after;
        #[cfg(test)]
        {
            self.peak = self.peak.max(self.total);
        }
    }

    fn reading(&self, limit_bytes: usize, shard: ShardId) -> Reading {
        if self.total < limit_bytes {
            Reading::Free
        } else if self.held.get(&shard).is_none_or(|lane| lane.windows + lane.finished == 0) {
            Reading::Squeezed
        } else {
            Reading::Wait
        }
    }
}

/// An object in memory, finished or made again, as the budget counts it.
#[derive(Debug)]
pub(crate) struct Hold {
    budget: Arc<Budget>,
    shard: ShardId,
    spill: Arc<Notify>,
    bytes: usize,
}

impl Hold {
    /// The object is of `bytes` now. Asks the largest lane to spill when that is too much in all.
    pub(crate) fn set(&mut self, bytes: usize) {
        let grows = bytes > self.bytes;
        self.count(bytes);
        if grows {
            self.budget.ask(&self.budget.lanes.lock());
        }
    }

    fn count(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let mut lanes = self.budget.lanes.lock();
        let lane = lanes.lane(self.shard, &self.spill);
        lane.finished = lane.finished - before + bytes;
        let is_empty = lane.windows + lane.finished == 0;
        lanes.change(before, bytes);
        if bytes < before {
            self.budget.freed(&lanes);
        }
        if is_empty {
            lanes.held.remove(&self.shard);
            if lanes.total >= self.budget.limit_bytes {
                // It may read in small steps again, however much the others hold.
                self.spill.notify_one();
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.count(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::{Lane, StreamId};

    fn shard(n: u32) -> ShardId {
        ShardId::new(StreamId(n), Lane(0))
    }

    #[tokio::test]
    async fn the_largest_is_asked_and_the_next_when_it_has_nothing() {
        let budget = Budget::new(100, 1, 1);
        let (small, large) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        budget.report(shard(1), 40, &small);
        budget.report(shard(2), 70, &large);
        large.notified().await;
        budget.spent(shard(2));
        small.notified().await;
        budget.report(shard(2), 0, &large);
        assert_eq!(budget.total_bytes(), 40);
        budget.forget(shard(1));
        assert_eq!(budget.total_bytes(), 0);
    }

    #[tokio::test]
    async fn who_had_nothing_is_asked_again_once_it_can_cut() {
        let budget = Budget::new(100, 1, 1);
        let spill = Arc::new(Notify::new());
        let asked = || std::pin::pin!(spill.notified()).enable();
        budget.report(shard(1), 99, &spill);
        assert!(!asked(), "below the limit");
        budget.report(shard(1), 100, &spill);
        assert!(asked(), "at the limit lanes wait, so somebody has to give way");
        budget.spent(shard(1));
        budget.report(shard(1), 100, &spill);
        assert!(!asked(), "it holds what it held");
        budget.able(shard(1));
        assert!(asked());
        budget.spent(shard(1));
        budget.report(shard(1), 101, &spill);
        assert!(asked(), "it holds more");
    }

    #[tokio::test]
    async fn finished_objects_count_until_they_are_let_go() {
        let budget = Budget::new(100, 1, 1);
        let spill = Arc::new(Notify::new());
        let hold = budget.hold(shard(1), 60, &spill);
        let more = budget.hold(shard(2), 60, &spill);
        assert_eq!((budget.total_bytes(), budget.has_room()), (120, false));
        assert_eq!(budget.reading(shard(1)), Reading::Wait);
        assert_eq!(budget.reading(shard(3)), Reading::Squeezed, "who holds nothing goes on in small steps");
        budget.forget(shard(1));
        assert_eq!(budget.total_bytes(), 120, "an object of an earlier life is still there");
        let rooms = [budget.room(false), budget.room(true)];
        drop(hold);
        for room in rooms {
            room.await;
        }
        assert_eq!(budget.reading(shard(1)), Reading::Free);
        drop(more);
        assert_eq!(budget.total_bytes(), 0);
    }
    #[tokio::test]
    async fn who_is_rung_for_and_waits_for_its_function_rings_for_the_next() {
        let budget = Budget::new(100, 1, 1);
        let hold = budget.hold(shard(9), 100, &Arc::default());
        let (mut first, mut second) = (Box::pin(budget.room(true)), Box::pin(budget.room(true)));
        assert!(!first.as_mut().enable() && !second.as_mut().enable());
        drop(hold);
        first.await;
        budget.giving_way(shard(1), std::future::ready(())).await;
        assert!(!second.as_mut().enable(), "what is ready is followed by a step, which rings");
        let mut waits = Box::pin(budget.giving_way(shard(1), std::future::pending::<()>()));
        tokio::select! {
            biased;
            () = &mut waits => {}
            () = second => {}
        }
    }
}
