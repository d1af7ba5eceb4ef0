//! The journal's handle: opens, asks the writer thread, looks at what is durable.

mod group;
mod keeper;
mod marker;
mod pieces;
#[cfg(feature = "planted")]
mod planted;
mod reader;
mod room;
mod segment;
mod settle;
mod shared;
#[cfg(test)]
mod tests;
mod words;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use millrace_types::{Batch, Clock, Counts, Seq, ShardId};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::disk::Disk;
use crate::file::{LOCK, QUARANTINE, SETTLED};
use crate::frame::{self, Body, MORE};
use crate::recovery::{Recovered, recover};
use crate::{Error, JournalSettings, JournalStatus, Recovery};

use group::Request;
use marker::Marker;
pub use reader::Reader;
use segment::{Active, NewSegment};
use shared::{Shared, Spares, make_segment};
pub use words::{Commit, Intent, Read, ShardState};
use writer::Writer;

/// Requests that wait for the writer; more callers wait outside. Records are bounded by bytes besides.
const QUEUE_REQUESTS: usize = 4096;
/// A frame of records takes about so much; more make several frames.
const FRAME_BYTES_MAX: u64 = 4 << 20;
/// Bytes that the body of an intent, and ranges that its members, may have.
const INTENT_BYTES_MAX: usize = 16 << 20;
const INTENT_RANGES_MAX: usize = 1 << 22;
/// Intents that one commit may close.
const COMMIT_INTENTS_MAX: usize = 1 << 20;
/// Where a full disk has no room for a whole segment, a start makes do with one not smaller than this.
const SEGMENT_BYTES_MIN: u64 = 16 * 1024;

/// The journal of one data directory. Cloning shares it; the last clone's end stops its threads, as
/// [`Self::close`] does.
#[derive(Debug, Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    /// Bytes of records that may be on their way.
    queue: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in `dir`, which is created when it is not there, and starts its threads.
    /// Blocks while it reads what the last process left.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Settings`], [`Error::Damaged`], [`Error::Lost`], or [`Error::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        settings: JournalSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), Error> {
        settings.check()?;
        for folder in [dir.clone(), dir.join(SETTLED), dir.join(QUARANTINE)] {
            disk.create_dir_all(&folder).map_err(Error::io("cannot create", folder))?;
        }
        let lock = disk.lock(&dir.join(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::Locked(dir.clone()),
            _ => Error::io("cannot lock", dir.join(LOCK))(error),
        })?;
        let Recovered { store, salt, previous, mut next_number, spare, mark, report } =
            recover(&*disk, &dir, &settings)?;
        let marker = Marker::open(&*disk, &dir, &mark, salt);
        let (number, file, capacity) = match spare {
            Some((number, file)) => (number, file, settings.segment_bytes),
            None => {
                next_number += 1;
                let (file, capacity) = first_segment(&*disk, &dir, next_number - 1, settings.segment_bytes)
                    .map_err(Error::io("cannot create a segment in", &dir))?;
                (next_number - 1, file, capacity)
            }
        };
        let queue = Arc::new(Semaphore::new(settings.queue_bytes));
        let (bell, heard) = crossbeam_channel::bounded(1);
        let shared = Arc::new(Shared {
            disk,
            dir: dir.clone(),
            settings,
            clock,
            salt,
            store: Mutex::new(store),
            spares: Spares::new(next_number),
            marker,
            recheck: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            bell,
        });
        let active = NewSegment { number, file, capacity, previous }
            .begin(&shared)
            .map_err(Error::io("cannot begin a segment in", &dir))?;
        shared.marker.keep(&shared);
        let (requests, threads) = start(&shared, active, lock.into(), heard)?;
        let handle = Handle { shared, requests, queue, threads: Mutex::new(threads) };
        Ok((Self { handle: Arc::new(handle) }, report))
    }

    /// Appends `batch` to `shard` and answers the sequence number of its first record; the others
    /// follow without a gap. Durable on return. All of the batch or nothing.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::ShardFull`], [`Error::Retired`], [`Error::Poisoned`],
    /// [`Error::Closed`]: nothing of it is in the journal. [`Error::Failed`]: see there.
    pub async fn append(&self, shard: ShardId, batch: Batch) -> Result<Seq, Error> {
        if batch.is_empty() {
            return Ok(self.shard(shard).unwrap_or_default().next);
        }
        let limit = FRAME_BYTES_MAX.min(self.handle.shared.settings.segment_bytes / 4);
        let frames = cut(shard, batch, limit);
        let bytes = frames.iter().map(|(_, body)| body.frame_bytes()).sum();
        let permit = self.admit(bytes).await?;
        self.ask(|answer| Request::Append { shard, frames, permit, answer }).await
    }

    /// Makes a decision durable.
    ///
    /// # Errors
    /// As [`Self::append`]; [`Error::DiskFull`] only when not even the reserve is left, and
    /// [`Error::Invalid`] when it is larger than an intent may be.
    pub async fn intent(&self, intent: Intent) -> Result<(), Error> {
        if intent.body.len() > INTENT_BYTES_MAX || intent.members.range_count() > INTENT_RANGES_MAX {
            return Err(Error::Invalid("the intent has more than 16 MiB of body or 4 Mi ranges of members"));
        }
        let body = frame::intent(&intent);
        self.ask(|answer| Request::Intent { intent, body, answer }).await
    }

    /// Closes intents and moves the watermark, durably. What lies below may be trimmed.
    ///
    /// # Errors
    /// As [`Self::intent`]; [`Error::Invalid`] when the watermark lies behind the last record.
    pub async fn commit(&self, commit: Commit) -> Result<(), Error> {
        if commit.intents.len() > COMMIT_INTENTS_MAX {
            return Err(Error::Invalid("the commit closes more than 1 Mi intents"));
        }
        let body = frame::commit(&commit);
        self.ask(|answer| Request::Commit { commit, body, answer }).await
    }

    /// Forgets a shard whose stream was deleted: its records, intents and files. Its id must not be
    /// used again. Answers what had become of its records.
    ///
    /// # Errors
    /// As [`Self::intent`]; [`Error::Retired`] when it is already.
    pub async fn retire(&self, shard: ShardId) -> Result<Counts, Error> {
        let body = frame::retire(shard);
        self.ask(|answer| Request::Retire { shard, body, answer }).await
    }

    /// All shards that ever got a record, intent or commit and were not retired, by id.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardId> {
        let mut shards: Vec<ShardId> = self.handle.shared.store.lock().shards.keys().copied().collect();
        shards.sort_unstable();
        shards
    }

    /// What is known of `shard`.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<ShardState> {
        self.handle.shared.store.lock().shards.get(&shard).map(|shard| shard.view())
    }

    /// The decisions of `shard` that no commit has closed, by id.
    #[must_use]
    pub fn open_intents(&self, shard: ShardId) -> Vec<Intent> {
        let store = self.handle.shared.store.lock();
        store.shards.get(&shard).map(|shard| shard.intents.values().cloned().collect()).unwrap_or_default()
    }

    /// A reader of `shard` that begins at `from`.
    #[must_use]
    pub fn reader(&self, shard: ShardId, from: Seq) -> Reader {
        Reader::new(Arc::clone(&self.handle.shared), shard, from)
    }

    /// Figures of now. Asks the file system for its free bytes.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        let shared = &*self.handle.shared;
        let free_bytes = shared.disk.free_bytes(&shared.dir).unwrap_or(0);
        let (bytes_on_disk, refusing) = (shared.used_bytes(), shared.refusal());
        let spare = usize::from(shared.spares.is_ready());
        let store = shared.store.lock();
        JournalStatus {
            segments: store.segments.len() + spare,
            runs: store.runs.len(),
            bytes_on_disk,
            limit_bytes: shared.settings.disk_bytes_max,
            free_bytes,
            refusing,
            ..store.status.clone()
        }
    }

    /// Why records cannot be taken now: [`Error::Failed`] or [`Error::DiskFull`]. Looks at the disk, and
    /// where a segment could not be prepared tries it again: what it says is of this moment, though no
    /// record was put. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// As it says.
    pub fn ready(&self) -> Result<(), Error> {
        let shared = &*self.handle.shared;
        if let Some(why) = &shared.store.lock().failed {
            return Err(Error::Failed(Arc::clone(why)));
        }
        shared.spares.retry(shared);
        shared.refusal().map_or(Ok(()), |refusal| Err(Error::DiskFull(refusal)))
    }

    /// Makes durable what is queued and stops the threads. What lies on disk is what a kill would leave.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.handle.requests.send(Request::Close { answer }).await.is_ok() {
            // An error says that the writer is gone, which is what was asked for.
            drop(answered.await);
        }
        let threads = std::mem::take(&mut *self.handle.threads.lock());
        millrace_tasks::blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the journal panicked");
                }
            }
        })
        .await;
    }

    async fn admit(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Error> {
        // A batch larger than the whole queue takes all of it.
        let most = u32::try_from(self.handle.shared.settings.queue_bytes).unwrap_or(u32::MAX);
        let wanted = u32::try_from(bytes).unwrap_or(most).min(most);
        Arc::clone(&self.handle.queue).acquire_many_owned(wanted).await.map_err(|_| Error::Closed)
    }

    async fn ask<T>(&self, request: impl FnOnce(group::Answer<T>) -> Request) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.handle.requests.send(request(answer)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

/// One frame, or several of about `limit_bytes` each that are valid together.
fn cut(shard: ShardId, batch: Batch, limit_bytes: u64) -> Vec<(Batch, Body)> {
    let bytes = batch.memory_bytes() as u64;
    let parts = usize::try_from(bytes.div_ceil(limit_bytes)).unwrap_or(usize::MAX).min(batch.len());
    if parts <= 1 {
        let body = frame::records(shard, &batch);
        return vec![(batch, body)];
    }
    let mut frames = Vec::with_capacity(parts);
    for part in 0..parts {
        let slice = batch.slice(batch.len() * part / parts, batch.len() * (part + 1) / parts);
        let mut body = frame::records(shard, &slice);
        if part + 1 < parts {
            body.flags |= MORE;
        }
        frames.push((slice, body));
    }
    frames
}

/// A segment to begin with; on a full disk a smaller one, so that deliveries go on.
fn first_segment(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    segment_bytes: u64,
) -> io::Result<(Arc<dyn crate::DiskFile>, u64)> {
    let mut bytes = segment_bytes;
    loop {
        match make_segment(disk, dir, number, bytes) {
            Ok(file) => return Ok((file, bytes)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull && bytes / 4 >= SEGMENT_BYTES_MIN => bytes /= 4,
            Err(error) => return Err(error),
        }
    }
}

type Threads = (mpsc::Sender<Request>, Vec<JoinHandle<()>>);

fn start(
    shared: &Arc<Shared>,
    active: Active,
    lock: Arc<dyn crate::disk::Lock>,
    heard: crossbeam_channel::Receiver<()>,
) -> Result<Threads, Error> {
    let failed = || Error::io("cannot start a thread for", shared.dir.clone());
    let (requests, received) = mpsc::channel(QUEUE_REQUESTS);
    let (keeper_shared, keeper_lock) = (Arc::clone(shared), Arc::clone(&lock));
    let keeper = millrace_tasks::thread("journal-keeper", move || {
        keeper::run(&keeper_shared, &heard);
        // Both threads hold the lock: nobody else may open while one of them writes.
        drop(keeper_lock);
    })
    .map_err(failed())?;
    let writer = Writer::new(Arc::clone(shared), received, active, lock);
    let writer = millrace_tasks::thread("journal", move || writer.run()).map_err(failed())?;
    Ok((requests, vec![writer, keeper]))
}
