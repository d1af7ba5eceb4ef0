//! A reader follows one shard: from memory when it keeps up, from segments and runs when it does not.
//! What cannot be read is a gap, and it goes on behind it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use millrace_types::{Batch, Seq, ShardId};
use tokio::sync::Notify;

use super::pieces::Pieces;
use super::shared::Shared;
use crate::disk::DiskFile;
use crate::file::{FileHead, Source, is_damage, read_patiently};
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::index::{self, FrameRef};
use crate::quarantine;
use crate::store::{Phase, Place, Store};
use crate::{Error, Quarantined, Read};

/// Frames of one file that lie no further apart are read at once, with what lies between.
const READ_THROUGH_BYTES: u64 = 32 * 1024;
/// Frames copied from a segment in memory at a time.
const REFS_MAX: usize = 4096;
/// A file that vanished was settled or trimmed: look again, at most so often.
const VANISHED_MAX: usize = 16;

/// Follows one shard from a place on.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    shard: ShardId,
    position: Seq,
    bell: Arc<Notify>,
    /// Read and not handed out yet, contiguous from the position.
    pieces: Pieces,
    cursor: Option<Cursor>,
}

/// An open file and the shard's frames in it.
#[derive(Debug, Clone)]
struct Cursor {
    source: Source,
    file: Arc<dyn DiskFile>,
    salt: u64,
    /// All from the first on, or as many as were copied.
    frames: Arc<Vec<FrameRef>>,
    /// Behind the last record that `frames` knows of.
    end: u64,
}

/// Where the next records are.
enum Next {
    Memory(Vec<Arc<Batch>>),
    Disk(Place),
    Gap { to: Seq },
    Wait,
    Closed,
}

/// What reading a file gave.
enum Got {
    Batches(Vec<Batch>),
    Gap(Damage),
}

/// Records that cannot be read, from the position on.
pub(super) struct Damage {
    /// Behind the last of them.
    pub(super) to: u64,
    pub(super) offset: u64,
    /// Bytes of the frame; 0 when there is none.
    pub(super) bytes: u64,
    pub(super) why: &'static str,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, shard: ShardId, from: Seq) -> Self {
        let bell = shared.store.lock().waiter(shard);
        Self { shared, shard, position: from, bell, pieces: Pieces::default(), cursor: None }
    }

    /// Where the next read begins.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.position
    }

    /// The next records, of at most `bytes_max` payload bytes (one record at least); waits until there
    /// are some. Records below the shard's watermark are passed over. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read for a reason that may pass.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Read, Error> {
        let mut vanished = 0;
        loop {
            if let Some(batch) = self.pieces.take(bytes_max) {
                self.position = batch.end();
                return Ok(Read::Batch(batch));
            }
            let bell = Arc::clone(&self.bell);
            // A waiter exists before the look: a wake between look and wait is not missed.
            let woken = bell.notified();
            match self.look(bytes_max) {
                Next::Memory(batches) => batches.into_iter().for_each(|batch| self.pieces.push(batch)),
                Next::Gap { to } => return Ok(self.gap(to, "no file holds these records".into())),
                Next::Closed => return Ok(Read::Closed),
                Next::Wait => woken.await,
                Next::Disk(place) => {
                    if let Some(gap) = self.read_disk(place, bytes_max, &mut vanished).await? {
                        return Ok(gap);
                    }
                }
            }
        }
    }

    /// Waits until [`Self::next`] has something to answer, and reads nothing meanwhile.
    pub async fn ready(&mut self) {
        loop {
            let bell = Arc::clone(&self.bell);
            let woken = bell.notified();
            if self.pieces.is_empty() && matches!(self.look(0), Next::Wait) {
                woken.await;
            } else {
                return;
            }
        }
    }

    fn gap(&mut self, to: Seq, why: String) -> Read {
        let from = self.position;
        self.position = to;
        Read::Gap { from, to, why }
    }

    fn look(&mut self, bytes_max: usize) -> Next {
        let store = self.shared.store.lock();
        if store.is_retired(self.shard) {
            return Next::Closed;
        }
        let idle = if store.closed || store.failed.is_some() { Next::Closed } else { Next::Wait };
        let Some(shard) = store.shards.get(&self.shard) else { return idle };
        self.position = self.position.max(shard.watermark);
        if self.position >= shard.next {
            return idle;
        }
        if shard.tail.front().is_some_and(|batch| batch.first() <= self.position) {
            let from = shard.tail.partition_point(|batch| batch.end() <= self.position);
            let mut bytes = 0;
            let wanted = shard.tail.range(from..).take_while(|batch| {
                let more = bytes < bytes_max;
                bytes += batch.payload().len();
                more
            });
            let batches: Vec<_> = wanted.cloned().collect();
            if !batches.is_empty() {
                drop(store);
                self.pieces.begin(self.position);
                self.cursor = None;
                return Next::Memory(batches);
            }
        }
        match shard.find(self.position) {
            Ok((_, place)) => Next::Disk(place),
            Err(Some(next)) => Next::Gap { to: Seq::new(next) },
            Err(None) => Next::Gap { to: shard.next },
        }
    }

    /// Reads from the file of `place`; a gap when the records at the position are damaged.
    async fn read_disk(&mut self, place: Place, bytes_max: usize, vanished: &mut usize) -> Result<Option<Read>, Error> {
        let (shared, shard, position) = (Arc::clone(&self.shared), self.shard, self.position.get());
        let cursor = self.cursor.clone();
        let outcome = millrace_tasks::blocking(move || {
            let cursor = match cursor.filter(|cursor| cursor.covers(place.source, position)) {
                Some(cursor) => cursor,
                None => Cursor::open(&shared, place.source, shard, position)?,
            };
            let got = cursor.read(shard, position, bytes_max, place.end)?;
            if let Got::Gap(damage) = &got {
                damage.note(&shared, shard, position, place.source);
            }
            Ok::<_, io::Error>((cursor, got))
        })
        .await;
        match outcome {
            Ok((cursor, got)) => {
                self.cursor = Some(cursor);
                Ok(match got {
                    Got::Batches(batches) => {
                        self.pieces.begin(self.position);
                        batches.into_iter().for_each(|batch| self.pieces.push(Arc::new(batch)));
                        None
                    }
                    Got::Gap(damage) => Some(self.gap(Seq::new(damage.to), damage.why.into())),
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.cursor = None;
                *vanished += 1;
                if *vanished <= VANISHED_MAX {
                    return Ok(None);
                }
                let damage = Damage { to: place.end, offset: 0, bytes: 0, why: "the file is gone" };
                damage.note(&self.shared, shard, position, place.source);
                Ok(Some(self.gap(Seq::new(damage.to), damage.why.into())))
            }
            Err(error) => Err(Error::io("cannot read", place.source.path(&self.shared.dir))(error)),
        }
    }
}

impl Damage {
    /// Copies the bytes aside and notes that the records from `from` on cannot be read. A source whose
    /// bytes the disk does not give is kept.
    pub(super) fn note(&self, shared: &Shared, shard: ShardId, from: u64, source: Source) {
        let copied = match self.bytes {
            0 => Ok(()),
            bytes => quarantine::copy(&*shared.disk, &shared.dir, source, self.offset, bytes),
        };
        let mut store = shared.store.lock();
        if let Err(error) = copied {
            tracing::error!(file = source.name(), %error, "damaged bytes cannot be copied; the file is kept");
            store.keep(source);
        }
        store.quarantine(Quarantined {
            shard: Some(shard),
            from: Seq::new(from),
            to: Seq::new(self.to),
            file: source.name(),
            offset: self.offset,
            why: self.why.into(),
        });
    }
}

impl Cursor {
    fn covers(&self, source: Source, position: u64) -> bool {
        self.source == source && position < self.end && self.frames.first().is_some_and(|frame| frame.first <= position)
    }

    /// Opens `source` and finds the shard's frames in it. [`io::ErrorKind::NotFound`] when the journal
    /// has let it go in the meantime.
    fn open(shared: &Shared, source: Source, shard: ShardId, position: u64) -> io::Result<Self> {
        let known = know(&shared.store.lock(), source, shard, position);
        let (file, frames) = match known.ok_or(io::ErrorKind::NotFound)? {
            Known::InMemory(file, frames) => (file, frames),
            Known::OnDisk { valid_bytes } => {
                let file: Arc<dyn DiskFile> = shared.disk.open(&source.path(&shared.dir))?.into();
                let frames = index::shard_frames(&*shared.disk, &shared.dir, source, &*file, shard, valid_bytes)?;
                (file, frames)
            }
        };
        let salt = FileHead::read(&*file)?.map_or(shared.salt, |head| head.salt);
        let end = frames.last().map_or(0, FrameRef::end);
        Ok(Self { source, file, salt, frames: Arc::new(frames), end })
    }

    /// Reads frames from `position` on, about `bytes_max` bytes of them. `place_end`: behind the last
    /// record that the file should hold.
    fn read(&self, shard: ShardId, position: u64, bytes_max: usize, place_end: u64) -> io::Result<Got> {
        const MISSING: &str = "no whole frame holds these records";
        let from = self.frames.partition_point(|frame| frame.end() <= position);
        let Some(first) = self.frames.get(from) else {
            return Ok(Got::Gap(Damage { to: place_end, offset: 0, bytes: 0, why: MISSING }));
        };
        if first.first > position {
            return Ok(Got::Gap(Damage { to: first.first, offset: 0, bytes: 0, why: MISSING }));
        }
        let mut to = from + 1;
        while let (Some(last), Some(next)) = (self.frames.get(to - 1), self.frames.get(to)) {
            let end = last.offset + u64::from(last.bytes);
            let far = next.offset < end || next.offset - end > READ_THROUGH_BYTES;
            let long = next.offset + u64::from(next.bytes) - first.offset > bytes_max as u64;
            if far || long || next.first != last.end() {
                break;
            }
            to += 1;
        }
        self.decode(shard, first, &self.frames[from..to])
    }

    /// Reads and decodes `frames`, of which `first` is the first.
    fn decode(&self, shard: ShardId, first: &FrameRef, frames: &[FrameRef]) -> io::Result<Got> {
        let start = first.offset;
        let last = frames.last().unwrap_or(first);
        let length = usize::try_from(last.offset + u64::from(last.bytes) - start).unwrap_or(usize::MAX);
        let mut buffer = vec![0; length];
        let damaged = |why| Got::Gap(Damage { to: first.end(), offset: start, bytes: u64::from(first.bytes), why });
        match read_patiently(&*self.file, &mut buffer, start) {
            Ok(()) => {}
            // One unreadable frame among many: each by itself.
            Err(error) if is_damage(&error) && frames.len() > 1 => return self.decode(shard, first, &frames[..1]),
            Err(error) if is_damage(&error) => return Ok(damaged("the disk cannot read the frame")),
            Err(error) => return Err(error),
        }
        let buffer = Bytes::from(buffer);
        let mut batches = Vec::with_capacity(frames.len());
        for frame in frames {
            let at = usize::try_from(frame.offset - start).unwrap_or(usize::MAX);
            match self.decode_one(shard, frame, buffer.slice(at..at + frame.bytes as usize)) {
                Ok(batch) => batches.push(batch),
                Err(why) if batches.is_empty() => return Ok(damaged(why)),
                Err(_) => break,
            }
        }
        Ok(Got::Batches(batches))
    }

    fn decode_one(&self, shard: ShardId, frame: &FrameRef, bytes: Bytes) -> Result<Batch, &'static str> {
        let header = Header::decode(&bytes, self.salt).ok_or("checksum of a frame's header")?;
        let same = header.kind == Kind::Records
            && header.shard == shard
            && header.first == frame.first
            && header.count == frame.count
            && header.frame_bytes() == u64::from(frame.bytes);
        if !same {
            return Err("another frame lies where this one should");
        }
        let body = bytes.slice(HEADER_BYTES..);
        if !header.fits(&body) {
            return Err("checksum of a frame's body");
        }
        frame::decode_records(&header, &body)
    }
}

/// What the store knows of the shard's frames in a file.
enum Known {
    /// The file, and frames from the position on.
    InMemory(Arc<dyn DiskFile>, Vec<FrameRef>),
    OnDisk {
        valid_bytes: u64,
    },
}

/// None when the file is not the store's any more.
fn know(store: &Store, source: Source, shard: ShardId, position: u64) -> Option<Known> {
    let number = match source {
        Source::Run { id, .. } => {
            return store.runs.get(&id).map(|run| Known::OnDisk { valid_bytes: run.valid_bytes });
        }
        Source::Segment(number) => number,
    };
    let segment = store.segments.get(&number)?;
    let refs = match &segment.phase {
        Phase::Active(refs) => refs.get(&shard),
        Phase::Sealed(refs) => refs.get(&shard),
        Phase::Indexed => None,
    };
    Some(match (refs, &segment.file) {
        (Some(refs), Some(file)) => {
            let from = refs.frames.partition_point(|frame| frame.end() <= position);
            let to = refs.frames.len().min(from + REFS_MAX);
            Known::InMemory(Arc::clone(file), refs.frames[from..to].to_vec())
        }
        _ => Known::OnDisk { valid_bytes: segment.valid_bytes },
    })
}
