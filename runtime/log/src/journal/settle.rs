//! Settling: a shard that lags pins segments that are full of others' decided records. Its frames are
//! copied, verified, to a run of its own; then the segments are free. The writer is not involved.
//!
//! A segment that is mostly pinned records is left as it is: copying it would free little. So what
//! lagging shards hold costs at most twice its size.
//!
//! A shard that cannot be settled, because all of its frames are damaged or cannot be read now, is passed
//! over until the next round: what it pins stays, the others are settled.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use millrace_types::{Entropy, Seq, ShardId, SystemEntropy};

use super::reader::Damage;
use super::shared::Shared;
use crate::disk::{Disk, DiskFile};
use crate::file::{FRAMES_AT, FileHead, FileKind, SETTLED, Source};
use crate::frame::{HEADER_BYTES, Header, u64_at};
use crate::index::{self, FrameRef, Refs, Summary};
use crate::scan::Window;
use crate::store::{Phase, Run, Store};

/// Bytes that one run takes in before the next is begun.
const RUN_BYTES_MAX: u64 = 64 << 20;
/// A run smaller than this part of a segment is copied into the next one.
const SMALL_RUN_PART: u64 = 4;
/// Copied bytes are written in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// What to copy: all of one shard, in order.
struct Plan {
    shard: ShardId,
    from: u64,
    to: u64,
    sources: Vec<From>,
}

struct From {
    source: Source,
    valid_bytes: u64,
    refs: Option<Arc<Refs>>,
}

/// Shards that could not be settled in this round.
pub(super) type PassedOver = HashSet<ShardId>;

/// Settles one shard that lags, or adds it to those that are `passed_over`. False when nothing more can be
/// settled in this round.
pub(super) fn settle_one(shared: &Shared, passed_over: &mut PassedOver) -> bool {
    let Some(plan) = plan(&shared.store.lock(), shared, passed_over) else { return false };
    match copy(shared, &plan) {
        Ok(Some((run, summary))) => {
            shared.store.lock().settle(run, &summary);
        }
        // Its frames are all damaged, and are set aside and reported by now.
        Ok(None) => {
            passed_over.insert(plan.shard);
        }
        Err(error) => {
            tracing::warn!(shard = %plan.shard, %error, "a lagging shard cannot be settled now");
            passed_over.insert(plan.shard);
            // A full disk has no room for the others' either.
            return error.kind() != io::ErrorKind::StorageFull;
        }
    }
    true
}

/// True when there is nothing to settle or to remove.
#[cfg(test)]
pub(super) fn is_idle(shared: &Shared) -> bool {
    let store = shared.store.lock();
    plan(&store, shared, &PassedOver::new()).is_none() && !store.has_garbage()
}

fn plan(store: &Store, shared: &Shared, passed_over: &PassedOver) -> Option<Plan> {
    let sealed: Vec<u64> = store
        .segments
        .iter()
        .filter(|(_, segment)| !matches!(segment.phase, Phase::Active(_)))
        .map(|(n, _)| *n)
        .collect();
    let lagging = sealed.get(..sealed.len().checked_sub(shared.settings.lag_segments)?)?;
    if lagging.is_empty() {
        return None;
    }
    let mut pinned: HashMap<u64, u64> = HashMap::new();
    let mut pinning: HashMap<u64, Vec<ShardId>> = HashMap::new();
    for (id, shard) in &store.shards {
        for place in shard.places.values() {
            if let Source::Segment(number) = place.source {
                *pinned.entry(number).or_default() += place.bytes;
                pinning.entry(number).or_default().push(*id);
            }
        }
    }
    let sparse = |number: &u64| {
        let valid = store.segments.get(number).map_or(0, |segment| segment.valid_bytes);
        pinned.get(number).is_some_and(|bytes| bytes * 2 <= valid)
    };
    let (oldest, shard) = lagging.iter().filter(|number| sparse(number)).find_map(|number| {
        let shards = pinning.get(number)?.iter();
        Some((*number, *shards.filter(|shard| !passed_over.contains(shard)).min()?))
    })?;
    let is_sealed = |number: &u64| sealed.binary_search(number).is_ok();
    Some(plan_shard(store, shard, oldest, shared.settings.segment_bytes / SMALL_RUN_PART, |number| {
        is_sealed(number) && sparse(number)
    }))
}

fn plan_shard(
    store: &Store,
    shard: ShardId,
    oldest: u64,
    small_run_bytes: u64,
    welcome: impl Fn(&u64) -> bool,
) -> Plan {
    let mut plan = Plan { shard, from: 0, to: 0, sources: Vec::new() };
    let Some(state) = store.shards.get(&shard) else { return plan };
    let mut bytes = 0;
    let mut begun = false;
    for (first, place) in &state.places {
        let taken = match place.source {
            // Only the run right before counts: what was taken before is forgotten.
            Source::Run { id, .. } if !begun => {
                plan.sources.clear();
                bytes = 0;
                store.runs.get(&id).filter(|_| place.bytes < small_run_bytes).map(|run| (run.valid_bytes, None))
            }
            Source::Segment(number) if (begun || number == oldest) && welcome(&number) => {
                begun = true;
                store.segments.get(&number).map(|segment| match &segment.phase {
                    Phase::Sealed(refs) => (segment.valid_bytes, Some(Arc::clone(refs))),
                    _ => (segment.valid_bytes, None),
                })
            }
            _ if begun => break,
            _ => {
                plan.sources.clear();
                None
            }
        };
        if let Some((valid_bytes, refs)) = taken {
            if plan.sources.is_empty() {
                plan.from = (*first).max(state.watermark.get());
            }
            plan.sources.push(From { source: place.source, valid_bytes, refs });
            plan.to = place.end;
            bytes += place.bytes;
        }
        if bytes >= RUN_BYTES_MAX {
            break;
        }
    }
    plan
}

/// A run while it is written.
struct Copy<'a> {
    shared: &'a Shared,
    shard: ShardId,
    file: Box<dyn DiskFile>,
    salt: u64,
    buffer: Vec<u8>,
    written: u64,
    refs: Refs,
}

fn copy(shared: &Shared, plan: &Plan) -> io::Result<Option<(Run, Summary)>> {
    let id = SystemEntropy.next_u64();
    let source = Source::Run { shard: plan.shard, first: Seq::new(plan.from), id };
    let path = source.path(&shared.dir);
    let unfinished = path.with_extension("tmp");
    let file = shared.disk.create(&unfinished)?;
    let made = fill(shared, plan, file, id).and_then(|copy| match copy {
        Some(copy) => {
            shared.disk.rename(&unfinished, &path)?;
            shared.disk.sync_dir(&shared.dir.join(SETTLED))?;
            Ok(Some(copy))
        }
        None => shared.disk.remove(&unfinished).map(|()| None),
    });
    match made {
        Ok(None) => Ok(None),
        Ok(Some((valid_bytes, head, refs))) => {
            let bytes = index::encode(&head, valid_bytes, &refs);
            // Without its index a start reads the run, no more.
            let stored = index::store(&*shared.disk, &source.index_path(&shared.dir), &bytes);
            if let Err(error) = stored {
                tracing::warn!(run = source.name(), %error, "an index cannot be written");
            }
            let summary = index::summaries(&refs).into_iter().find(|summary| summary.shard == plan.shard);
            let run = Run { source, valid_bytes, index_bytes: bytes.len() as u64, keep: false };
            // It takes the place of all it was planned from, damaged frames too.
            Ok(summary.map(|summary| (run, Summary { first: plan.from, end: plan.to, ..summary })))
        }
        Err(error) => {
            for left in [&unfinished, &path] {
                drop(shared.disk.remove(left));
            }
            Err(error)
        }
    }
}

/// Copies and syncs; none when no frame is needed any more.
fn fill(shared: &Shared, plan: &Plan, file: Box<dyn DiskFile>, id: u64) -> io::Result<Option<(u64, FileHead, Refs)>> {
    let head = FileHead {
        kind: FileKind::Run,
        number: id,
        salt: shared.salt,
        previous: plan.shard.as_u64(),
        previous_valid_bytes: 0,
        reserved_bytes: 0,
    };
    let mut copy = Copy {
        shared,
        shard: plan.shard,
        file,
        salt: shared.salt,
        buffer: head.encode(),
        written: 0,
        refs: Refs::new(),
    };
    for from in &plan.sources {
        copy.take(from, plan.from)?;
    }
    copy.write()?;
    if copy.refs.is_empty() {
        return Ok(None);
    }
    copy.file.sync_data()?;
    Ok(Some((copy.written, head, copy.refs)))
}

impl Copy<'_> {
    fn take(&mut self, from: &From, first_wanted: u64) -> io::Result<()> {
        let file = self.shared.disk.open(&from.source.path(&self.shared.dir))?;
        let salt = FileHead::read(&*file)?.map_or(self.shared.salt, |head| head.salt);
        let frames = match from.refs.as_ref().and_then(|refs| refs.get(&self.shard)) {
            Some(refs) => refs.frames.clone(),
            None => {
                let (disk, dir) = (&*self.shared.disk as &dyn Disk, self.shared.dir.as_path());
                index::shard_frames(disk, dir, from.source, &*file, self.shard, from.valid_bytes)?
            }
        };
        let mut window = Window::new(&*file, from.valid_bytes);
        for frame in frames.iter().filter(|frame| frame.end() > first_wanted) {
            match whole_frame(&mut window, frame, salt, self.shard)? {
                Some((header, body)) => self.put(header, &body)?,
                None => self.set_aside(from.source, frame),
            }
        }
        Ok(())
    }

    fn put(&mut self, header: Header, body: &[u8]) -> io::Result<()> {
        let offset = self.written + self.buffer.len() as u64;
        let header = Header { synced: FRAMES_AT, ..header };
        self.buffer.extend_from_slice(&header.encode(self.salt));
        self.buffer.extend_from_slice(body);
        let arrival_ms = body.get(..8).map_or(0, |bytes| u64_at(bytes, 0).cast_signed());
        index::add(&mut self.refs, self.shard, FrameRef::new(offset, &header), arrival_ms);
        if self.buffer.len() >= PIECE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        // A copy may take long: the mark does not wait for its end.
        self.shared.marker.keep(self.shared);
        self.file.write_all_at(&[&self.buffer], self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn set_aside(&self, source: Source, frame: &FrameRef) {
        let why = "checksum of a frame, seen while settling";
        let damage = Damage { to: frame.end(), offset: frame.offset, bytes: u64::from(frame.bytes), why };
        damage.note(self.shared, self.shard, frame.first, source);
    }
}

/// Header and body of the frame that `frame` names; none when it is damaged.
fn whole_frame(
    window: &mut Window<'_>,
    frame: &FrameRef,
    salt: u64,
    shard: ShardId,
) -> io::Result<Option<(Header, Bytes)>> {
    let header = window.get(frame.offset, HEADER_BYTES)?.and_then(|bytes| Header::decode(bytes, salt));
    let fits = |header: &Header| {
        header.shard == shard && header.first == frame.first && header.frame_bytes() == u64::from(frame.bytes)
    };
    let Some(header) = header.filter(fits) else { return Ok(None) };
    Ok(window.body(frame.offset, &header)?.map(|body| (header, body)))
}
