//! What is known in memory of all that lies on disk: shards, the files that hold their records, and
//! the newest records themselves. Only what is durable is in here. One lock guards it; nobody waits
//! for the disk while holding it.

mod shard;
mod tail;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use millrace_types::{Batch, Counts, Seq, ShardId};
use tokio::sync::Notify;

use crate::disk::DiskFile;
use crate::file::Source;
use crate::index::{self, FrameRef, Refs, Summary};
use crate::status::{JournalStatus, QUARANTINED_MAX, Quarantined};
use crate::{Commit, Intent};

pub(crate) use shard::{Place, Shard};
use tail::Tail;

/// Where a segment is in its life.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Being written.
    Active(Refs),
    /// Whole; its index is not written yet.
    Sealed(Arc<Refs>),
    /// Its index lies beside it.
    Indexed,
}

/// One segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) valid_bytes: u64,
    pub(crate) file_bytes: u64,
    pub(crate) index_bytes: u64,
    /// Shards with undecided records in it.
    pub(crate) pins: usize,
    pub(crate) phase: Phase,
    /// Never removed: it holds damage that could not be copied.
    pub(crate) keep: bool,
    /// Open while it is written and until it has an index.
    pub(crate) file: Option<Arc<dyn DiskFile>>,
}

impl Segment {
    fn is_unneeded(&self) -> bool {
        self.pins == 0 && !self.keep && !matches!(self.phase, Phase::Active(_))
    }
}

/// One run of a lagging shard.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) source: Source,
    pub(crate) valid_bytes: u64,
    pub(crate) index_bytes: u64,
    /// Never removed: it holds damage that could not be copied.
    pub(crate) keep: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) shards: HashMap<ShardId, Shard>,
    pub(crate) segments: BTreeMap<u64, Segment>,
    pub(crate) runs: HashMap<u64, Run>,
    /// Runs that nobody needs any more.
    dead_runs: Vec<Run>,
    /// Since start; shard ids are never used again.
    retired: HashSet<ShardId>,
    waiters: HashMap<ShardId, Arc<Notify>>,
    tail: Tail,
    pub(crate) status: JournalStatus,
    pub(crate) failed: Option<Arc<str>>,
    pub(crate) closed: bool,
}

impl Store {
    /// An empty store that keeps `tail_bytes` of records in memory.
    pub(crate) fn new(tail_bytes: usize) -> Self {
        Self { tail: Tail::new(tail_bytes), ..Self::default() }
    }

    pub(crate) fn is_retired(&self, shard: ShardId) -> bool {
        self.retired.contains(&shard)
    }

    /// The bell of those who wait for records of `shard`.
    pub(crate) fn waiter(&mut self, shard: ShardId) -> Arc<Notify> {
        Arc::clone(self.waiters.entry(shard).or_default())
    }

    /// Wakes all who read `shard`.
    pub(crate) fn wake(&self, shard: ShardId) {
        if let Some(waiter) = self.waiters.get(&shard) {
            waiter.notify_waiters();
        }
    }

    /// Wakes all readers.
    pub(crate) fn wake_all(&self) {
        self.waiters.values().for_each(|waiter| waiter.notify_waiters());
    }

    /// Takes in a durable frame of records in the active segment `number`.
    pub(crate) fn append(&mut self, shard: ShardId, batch: Arc<Batch>, number: u64, frame: FrameRef) {
        let arrival_ms = batch.arrivals_ms().first().copied().unwrap_or(0);
        let Some(segment) = self.segments.get_mut(&number) else { return };
        let Phase::Active(refs) = &mut segment.phase else { return };
        index::add(refs, shard, frame, arrival_ms);
        let entry = self.shards.entry(shard).or_default();
        entry.next = Seq::new(frame.end());
        let source = Source::Segment(number);
        let bytes = u64::from(frame.bytes);
        entry.backlog_bytes += bytes;
        match entry.places.last_entry() {
            Some(mut last) if last.get().source == source => last.get_mut().grow(&frame),
            _ => {
                segment.pins += 1;
                let (end, records) = (frame.end(), u64::from(frame.count));
                let place = Place { source, end, bytes, records, oldest_ms: arrival_ms };
                entry.places.insert(frame.first, place);
            }
        }
        self.status.appended_frames += 1;
        self.status.appended_records += u64::from(frame.count);
        self.status.appended_bytes += bytes;
        self.tail.push(&mut self.shards, shard, batch);
    }

    /// Takes in a durable intent.
    pub(crate) fn intent(&mut self, intent: Intent) {
        self.shards.entry(intent.shard).or_default().intents.insert(intent.id, intent);
    }

    /// Takes in a durable commit.
    pub(crate) fn commit(&mut self, commit: &Commit) {
        let shard = self.shards.entry(commit.shard).or_default();
        let released = shard.commit(commit);
        self.tail.trim(shard);
        self.release(released);
    }

    /// Forgets a shard; answers what became of its records.
    pub(crate) fn retire(&mut self, id: ShardId) -> Counts {
        self.retired.insert(id);
        let mut shard = self.shards.remove(&id).unwrap_or_default();
        self.tail.forget(&mut shard);
        for segment in self.segments.values_mut() {
            if let Phase::Active(refs) = &mut segment.phase {
                refs.remove(&id);
            }
        }
        self.release(std::mem::take(&mut shard.places).into_values().collect());
        self.wake(id);
        self.waiters.remove(&id);
        shard.counts()
    }

    fn release(&mut self, places: Vec<Place>) {
        for place in places {
            match place.source {
                Source::Segment(number) => {
                    if let Some(segment) = self.segments.get_mut(&number) {
                        segment.pins -= 1;
                    }
                }
                Source::Run { id, .. } => self.drop_run(id),
            }
        }
    }

    /// Notes where undecided records of a shard lie; false when they are not needed.
    pub(crate) fn place(&mut self, source: Source, summary: &Summary) -> bool {
        let Some(shard) = self.shards.get_mut(&summary.shard) else { return false };
        if summary.end <= shard.watermark.get() || summary.first >= summary.end {
            return false;
        }
        let place = Place {
            source,
            end: summary.end,
            bytes: summary.bytes,
            records: summary.records,
            oldest_ms: summary.oldest_ms,
        };
        if let Source::Segment(number) = source
            && let Some(segment) = self.segments.get_mut(&number)
        {
            segment.pins += 1;
        }
        // Of two places that begin alike one is a run that covers the other, or the longer is kept.
        let replaced = match shard.places.get(&summary.first) {
            Some(other) if other.end > place.end => vec![place],
            _ => shard.places.insert(summary.first, place).into_iter().collect(),
        };
        shard.recount();
        self.release(replaced);
        true
    }

    /// A run takes the place of what it covers. False when the shard is gone or does not need it.
    pub(crate) fn settle(&mut self, run: Run, summary: &Summary) -> bool {
        let source = run.source;
        let Source::Run { id, .. } = source else { return false };
        let shard = self.shards.get_mut(&summary.shard);
        let redundant = shard.as_ref().is_none_or(|shard| shard.has_run_over(summary));
        let covered = shard.filter(|_| !redundant).map(|shard| shard.cover(summary)).unwrap_or_default();
        self.release(covered);
        self.runs.insert(id, run);
        let needed = !redundant && self.place(source, summary);
        if !needed {
            self.drop_run(id);
        }
        needed
    }

    /// The segment that is written and its durable bytes.
    pub(crate) fn active(&self) -> Option<(u64, u64)> {
        let (number, segment) = self.segments.last_key_value()?;
        matches!(segment.phase, Phase::Active(_)).then_some((*number, segment.valid_bytes))
    }

    /// Never removes `source` from now on: it holds what could not be read, and may be read later.
    pub(crate) fn keep(&mut self, source: Source) {
        match source {
            Source::Segment(number) => {
                if let Some(segment) = self.segments.get_mut(&number) {
                    segment.keep = true;
                }
            }
            Source::Run { id, .. } => {
                if let Some(run) = self.runs.get_mut(&id) {
                    run.keep = true;
                }
            }
        }
    }

    /// Lets a run go that no place names any more, unless it is kept.
    fn drop_run(&mut self, id: u64) {
        if self.runs.get(&id).is_some_and(|run| !run.keep) {
            self.dead_runs.extend(self.runs.remove(&id));
        }
    }

    /// True when the oldest undecided record of `shard` lies more than `segments` segments behind the
    /// newest, or in a run of its own.
    pub(crate) fn lags(&self, shard: ShardId, segments: usize) -> bool {
        let oldest = self.shards.get(&shard).and_then(|shard| shard.places.first_key_value());
        match oldest.map(|(_, place)| place.source) {
            None => false,
            Some(Source::Run { .. }) => true,
            Some(Source::Segment(number)) => self.segments.range(number + 1..).nth(segments).is_some(),
        }
    }

    /// Undecided bytes of all shards.
    pub(crate) fn backlog_bytes(&self) -> u64 {
        self.shards.values().map(|shard| shard.backlog_bytes).sum()
    }

    /// True when [`Self::garbage`] would find something.
    pub(crate) fn has_garbage(&self) -> bool {
        !self.dead_runs.is_empty() || self.segments.values().any(Segment::is_unneeded)
    }

    /// Takes out the files that nobody needs; the caller removes them.
    pub(crate) fn garbage(&mut self) -> Vec<Source> {
        let unneeded = self.segments.extract_if(.., |_, segment| segment.is_unneeded());
        let mut sources: Vec<Source> = unneeded.map(|(number, _)| Source::Segment(number)).collect();
        sources.extend(self.dead_runs.drain(..).map(|run| run.source));
        sources
    }

    /// Notes a damaged range once.
    pub(crate) fn quarantine(&mut self, range: Quarantined) {
        if self.status.quarantined.contains(&range) {
            return;
        }
        tracing::error!(
            file = range.file, offset = range.offset, from = %range.from, to = %range.to, why = range.why,
            "damaged records are set aside"
        );
        self.status.quarantined_total += 1;
        if self.status.quarantined.len() < QUARANTINED_MAX {
            self.status.quarantined.push(range);
        }
    }

    /// Bytes that segments, runs and indexes take.
    pub(crate) fn used_bytes(&self) -> u64 {
        let segments = self.segments.values().map(|segment| segment.file_bytes + segment.index_bytes);
        segments.chain(self.runs.values().map(|run| run.valid_bytes + run.index_bytes)).sum()
    }
}
