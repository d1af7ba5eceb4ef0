//! The writer thread: drains what is queued, writes it at once, syncs once, then makes it true and
//! answers. A failed write or sync is the end of its segment: the segment is never synced again, and
//! what was in flight is refused only when a new segment says, durably, where the old one ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use millrace_types::{Batch, Counts, Seq, ShardId};
use tokio::sync::mpsc::Receiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::group::{Answer, Group, Request, Target};
use super::room::Room;
use super::segment::{Active, NewSegment};
use super::shared::Shared;
use crate::disk::Lock;
use crate::frame::Body;
use crate::{Commit, Error, Intent, Refusal};

/// A group is written when it has this many bytes, though more is queued.
const GROUP_BYTES_MAX: u64 = 16 << 20;

/// The thread's state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    active: Active,
    group: Group,
    /// Next sequence numbers behind the group, where it has records of the shard.
    staged: HashMap<ShardId, Seq>,
    room: Room,
    #[cfg(feature = "planted")]
    planted: super::planted::Held,
    _lock: Arc<dyn Lock>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, requests: Receiver<Request>, active: Active, lock: Arc<dyn Lock>) -> Self {
        Self {
            shared,
            requests,
            active,
            group: Group::default(),
            staged: HashMap::new(),
            room: Room::new(),
            #[cfg(feature = "planted")]
            planted: super::planted::Held::default(),
            _lock: lock,
        }
    }

    /// Serves until all senders are gone or one asks to close.
    pub(super) fn run(mut self) {
        let _gone = Gone(Arc::clone(&self.shared));
        let mut closing: Vec<oneshot::Sender<()>> = Vec::new();
        while closing.is_empty()
            && let Some(first) = self.requests.blocking_recv()
        {
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Close { answer } => closing.push(answer),
                    request => self.take(request),
                }
                next = if self.group.bytes() < GROUP_BYTES_MAX { self.requests.try_recv().ok() } else { None };
            }
            self.flush();
            if self.requests.is_empty() {
                self.active.mark(self.shared.salt);
            }
        }
        #[cfg(feature = "planted")]
        self.planted.write(&self.active);
        closing.into_iter().for_each(|answer| answer.send(()).unwrap_or_default());
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Append { shard, frames, permit, answer } => self.append(shard, frames, permit, answer),
            Request::Intent { intent, body, answer } => self.intent(intent, &body, answer),
            Request::Commit { commit, body, answer } => self.commit(commit, &body, answer),
            Request::Retire { shard, body, answer } => self.retire(shard, &body, answer),
            Request::Close { answer } => drop(answer),
        }
    }

    fn append(
        &mut self,
        shard: ShardId,
        frames: Vec<(Batch, Body)>,
        permit: OwnedSemaphorePermit,
        answer: Answer<Seq>,
    ) {
        let bytes = frames.iter().map(|(_, body)| body.frame_bytes()).sum();
        let admitted = self.admit_records(shard, bytes).and_then(|()| self.make_room(bytes));
        match admitted {
            Ok(()) => {
                let records: u64 = frames.iter().map(|(batch, _)| batch.len() as u64).sum();
                let first = self.next(shard);
                self.staged.insert(shard, first.plus(records));
                self.group.append(self.target(), shard, first, frames, permit, answer);
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn intent(&mut self, intent: Intent, body: &Body, answer: Answer<()>) {
        match self.admit(intent.shard).and_then(|()| self.make_room(body.frame_bytes())) {
            Ok(()) => self.group.intent(self.target(), intent, body, answer),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn commit(&mut self, commit: Commit, body: &Body, answer: Answer<()>) {
        let next = self.next(commit.shard);
        let sane = if commit.watermark <= next {
            Ok(())
        } else {
            Err(Error::Invalid("the watermark lies behind the last record"))
        };
        let admitted = self.admit(commit.shard).and(sane).and_then(|()| self.make_room(body.frame_bytes()));
        match admitted {
            Ok(()) => self.group.commit(self.target(), commit, body, answer),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn retire(&mut self, shard: ShardId, body: &Body, answer: Answer<Counts>) {
        match self.admit(shard).and_then(|()| self.make_room(body.frame_bytes())) {
            Ok(()) => {
                self.group.retire(self.target(), shard, body, answer);
                // What follows for this shard is refused by what is published.
                self.flush();
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn next(&self, shard: ShardId) -> Seq {
        let published = || self.shared.store.lock().shards.get(&shard).map_or(Seq::ZERO, |shard| shard.next);
        self.staged.get(&shard).copied().unwrap_or_else(published)
    }

    fn target(&self) -> Target {
        Target { offset: self.active.end, synced: self.active.synced, salt: self.shared.salt }
    }

    fn admit(&self, shard: ShardId) -> Result<(), Error> {
        let store = self.shared.store.lock();
        if let Some(why) = &store.failed {
            return Err(Error::Failed(Arc::clone(why)));
        }
        if store.is_retired(shard) { Err(Error::Retired(shard)) } else { Ok(()) }
    }

    fn admit_records(&mut self, shard: ShardId, bytes: u64) -> Result<(), Error> {
        self.admit(shard)?;
        // While the next segment is being prepared half of this one is left to decisions.
        let is_half_full = self.active.end + self.group.bytes() + bytes > self.active.capacity / 2;
        if let Some(refusal) = self.room.refusal(&self.shared, is_half_full) {
            return Err(Error::DiskFull(refusal));
        }
        let settings = &self.shared.settings;
        let store = self.shared.store.lock();
        let backlog_bytes = store.shards.get(&shard).map_or(0, |shard| shard.backlog_bytes);
        let share = self.room.lag_share_bytes();
        let lags = || store.lags(shard, settings.lag_segments);
        let limit_bytes = match settings.backlog_bytes_max {
            own if own > share && backlog_bytes + bytes > share && lags() => share,
            own => own,
        };
        if backlog_bytes + bytes > limit_bytes {
            return Err(Error::ShardFull { shard, backlog_bytes, limit_bytes });
        }
        Ok(())
    }

    /// Makes room for `bytes` more in the segment.
    fn make_room(&mut self, bytes: u64) -> Result<(), Error> {
        if self.active.fits(self.group.bytes() + bytes) {
            return Ok(());
        }
        self.flush();
        if let Some(why) = &self.shared.store.lock().failed {
            return Err(Error::Failed(Arc::clone(why)));
        }
        if !self.active.fits(bytes) {
            self.roll().map_err(refused)?;
        }
        if bytes > self.shared.settings.segment_bytes / 2 || !self.active.fits(bytes) {
            self.active.extend(&self.shared, bytes).map_err(refused)?;
        }
        Ok(())
    }

    /// Begins the next segment. Whatever comes of it, the old one takes nothing more: what the new
    /// head says about its end stays true.
    fn roll(&mut self) -> std::io::Result<()> {
        let (number, file) = self.shared.spares.take(&self.shared)?;
        self.active.closed = true;
        let previous = (self.active.number, self.active.synced);
        let new = NewSegment { number, file, capacity: self.shared.settings.segment_bytes, previous };
        self.active = new.begin(&self.shared)?;
        self.room.forget();
        self.shared.ring();
        Ok(())
    }

    fn flush(&mut self) {
        if self.group.is_empty() {
            return;
        }
        let group = std::mem::take(&mut self.group);
        self.staged.clear();
        let before = self.shared.clock.monotonic();
        let written = self.write(&group);
        let took = self.shared.clock.monotonic().saturating_sub(before);
        match written {
            Ok(()) => {
                self.active.end += group.bytes();
                self.active.synced = self.active.end;
                let mut store = self.shared.store.lock();
                store.status.fsyncs += 1;
                store.status.fsync_total += took;
                store.status.fsync_max = store.status.fsync_max.max(took);
                if let Some(segment) = store.segments.get_mut(&self.active.number) {
                    segment.valid_bytes = self.active.synced;
                }
                let answers = group.publish(&mut store, self.active.number);
                let freed = store.has_garbage();
                drop(store);
                if freed {
                    self.shared.ring();
                }
                answers.send();
            }
            Err(error) => self.poison(group, &error),
        }
    }

    fn write(&mut self, group: &Group) -> std::io::Result<()> {
        #[cfg(feature = "planted")]
        if self.planted.hold(&self.active, group)? {
            return Ok(());
        }
        self.active.file.write_all_at(&group.buffers(), self.active.end)?;
        self.active.file.sync_data()
    }

    fn poison(&mut self, group: Group, error: &std::io::Error) {
        let why: Arc<str> = error.to_string().into();
        tracing::error!(%error, segment = self.active.number, "a write to the journal failed; its segment is given up");
        self.active.closed = true;
        self.shared.store.lock().status.poisoned_segments += 1;
        match self.roll() {
            Ok(()) => group.fail(|| Error::Poisoned(Arc::clone(&why))),
            Err(error) => {
                tracing::error!(%error, "no new segment either; the journal needs a restart");
                let why: Arc<str> = format!("{why}; then no new segment: {error}").into();
                let mut store = self.shared.store.lock();
                store.failed = Some(Arc::clone(&why));
                store.status.failed = Some(why.to_string());
                store.wake_all();
                drop(store);
                group.fail(|| Error::Failed(Arc::clone(&why)));
            }
        }
    }
}

/// Why a request got no room; nothing of it was written.
fn refused(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::DiskFull(Refusal::NoSpace),
        _ => Error::Poisoned(error.to_string().into()),
    }
}

/// The thread's end, by whatever way: nobody waits for it any more.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut store = self.0.store.lock();
        store.closed = true;
        if std::thread::panicking() {
            store.failed.get_or_insert_with(|| "the writer thread panicked".into());
            store.status.failed.get_or_insert_with(|| "the writer thread panicked".into());
        }
        store.wake_all();
        drop(store);
        self.0.stop.store(true, Ordering::Release);
        self.0.ring();
    }
}
