//! What the journal's handles, its two threads and its readers share.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_types::Clock;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::marker::Marker;
use crate::disk::{Disk, DiskFile};
use crate::file::segment_name;
use crate::store::Store;
use crate::{JournalSettings, Refusal};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) settings: JournalSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) salt: u64,
    pub(crate) store: Mutex<Store>,
    pub(crate) spares: Spares,
    pub(crate) marker: Marker,
    /// Files were removed: records may be welcome again.
    pub(crate) recheck: AtomicBool,
    pub(crate) stop: AtomicBool,
    /// Wakes the keeper; one ring is as good as many.
    pub(crate) bell: crossbeam_channel::Sender<()>,
}

impl Shared {
    /// Lets the keeper look around.
    pub(crate) fn ring(&self) {
        // Full: it is awake already. Disconnected: it has stopped.
        self.bell.try_send(()).ok();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Why records cannot be taken, by what the file system says now.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if self.spares.has_failed() {
            return Some(Refusal::NoSpace);
        }
        let (headroom_bytes, limit) = (self.settings.headroom_bytes, self.settings.disk_bytes_max);
        match self.disk.free_bytes(&self.dir) {
            Ok(free_bytes) if free_bytes < headroom_bytes => {
                return Some(Refusal::Headroom { free_bytes, headroom_bytes });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the free space is not known"),
        }
        let limit_bytes = limit?;
        let used_bytes = self.used_bytes();
        // The next segment has to fit too.
        let full = used_bytes + self.settings.segment_bytes > limit_bytes;
        full.then_some(Refusal::Limit { used_bytes, limit_bytes })
    }

    /// Bytes that count against the limit, the spare among them: also while the keeper is about to make it,
    /// so that what is admitted does not depend on how far it is.
    pub(crate) fn used_bytes(&self) -> u64 {
        let spare = if self.spares.has_failed() { 0 } else { self.settings.segment_bytes };
        let used = self.store.lock().used_bytes();
        used + spare
    }
}

/// How long a failed attempt to prepare a segment is good for, where nobody waits for one.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Segments are prepared one ahead, so that decisions always find room.
#[derive(Debug)]
pub(crate) struct Spares {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slot {
    state: Spare,
    next_number: u64,
    /// When somebody last looked whether a segment can be prepared again.
    retried: Option<Duration>,
}

#[derive(Debug)]
enum Spare {
    Empty,
    Preparing,
    Ready(u64, Arc<dyn DiskFile>),
    Failed,
}

impl Spares {
    /// None yet; segments are numbered from `next_number`.
    pub(crate) fn new(next_number: u64) -> Self {
        let slot = Slot { state: Spare::Empty, next_number, retried: None };
        Self { slot: Mutex::new(slot), changed: Condvar::new() }
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.slot.lock().state, Spare::Ready(..))
    }

    /// True when the last attempt to prepare one failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.slot.lock().state, Spare::Failed)
    }

    /// Prepares one when there is none and the last attempt did not fail: the keeper's part.
    pub(super) fn prepare(&self, shared: &Shared) {
        let mut slot = self.slot.lock();
        if !matches!(slot.state, Spare::Empty) {
            return;
        }
        slot.state = Spare::Preparing;
        let number = slot.number();
        drop(slot);
        let made = make_segment(&*shared.disk, &shared.dir, number, shared.settings.segment_bytes);
        self.slot.lock().put(number, made);
        self.changed.notify_all();
    }

    /// True when there is one, be it made now: the writer's part, when the keeper is late or failed.
    pub(super) fn ensure(&self, shared: &Shared) -> bool {
        let mut slot = self.settled_slot();
        if !matches!(slot.state, Spare::Ready(..)) {
            let number = slot.number();
            let made = make_segment(&*shared.disk, &shared.dir, number, shared.settings.segment_bytes);
            slot.put(number, made);
        }
        matches!(slot.state, Spare::Ready(..))
    }

    /// Prepares one where the last attempt failed: the part of who asks how things are now. Once a
    /// second, and not while another is at it.
    pub(super) fn retry(&self, shared: &Shared) {
        let Some(mut slot) = self.slot.try_lock() else { return };
        let now = shared.clock.monotonic();
        let fresh = slot.retried.is_some_and(|at| now.saturating_sub(at) < RETRY_EVERY);
        if !matches!(slot.state, Spare::Failed) || fresh {
            return;
        }
        slot.retried = Some(now);
        let number = slot.number();
        let made = make_segment(&*shared.disk, &shared.dir, number, shared.settings.segment_bytes);
        slot.put(number, made);
    }

    /// The slot when nobody prepares a segment.
    fn settled_slot(&self) -> MutexGuard<'_, Slot> {
        let mut slot = self.slot.lock();
        while matches!(slot.state, Spare::Preparing) {
            self.changed.wait(&mut slot);
        }
        slot
    }

    /// The prepared segment, or one made now.
    pub(crate) fn take(&self, shared: &Shared) -> io::Result<(u64, Arc<dyn DiskFile>)> {
        let mut slot = self.settled_slot();
        if let Spare::Ready(number, file) = std::mem::replace(&mut slot.state, Spare::Empty) {
            return Ok((number, file));
        }
        let number = slot.number();
        let made = make_segment(&*shared.disk, &shared.dir, number, shared.settings.segment_bytes);
        if made.is_err() {
            slot.state = Spare::Failed;
        }
        Ok((number, made?))
    }
}

impl Slot {
    /// A number that no segment had.
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    fn put(&mut self, number: u64, made: io::Result<Arc<dyn DiskFile>>) {
        self.state = match made {
            Ok(file) => Spare::Ready(number, file),
            Err(error) => {
                tracing::warn!(%error, "no segment can be prepared ahead");
                Spare::Failed
            }
        };
    }
}

/// Creates segment `number` with `bytes` reserved, its length and its name durable.
pub(super) fn make_segment(disk: &dyn Disk, dir: &Path, number: u64, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
    let path = dir.join(segment_name(number));
    let file = disk.create(&path)?;
    let made = file.allocate(bytes).and_then(|()| file.sync_data()).and_then(|()| disk.sync_dir(dir));
    if let Err(error) = made {
        if let Err(left) = disk.remove(&path) {
            tracing::warn!(path = %path.display(), error = %left, "an unused segment stays");
        }
        return Err(error);
    }
    Ok(file.into())
}
