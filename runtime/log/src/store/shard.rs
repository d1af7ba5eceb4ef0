//! One shard: how far it is, what is decided, where its records lie.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use millrace_types::{Batch, Counts, Members, Seq};

use crate::file::Source;
use crate::index::{FrameRef, Summary};
use crate::{Commit, Intent, ShardState};

/// Records of a shard in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Source,
    /// Behind the last record.
    pub(crate) end: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) oldest_ms: i64,
}

impl Place {
    pub(crate) fn grow(&mut self, frame: &FrameRef) {
        self.end = frame.end();
        self.bytes += u64::from(frame.bytes);
        self.records += u64::from(frame.count);
    }

    /// Bytes of the records at or above `watermark`, as if all were of one size.
    fn live_bytes(&self, first: u64, watermark: u64) -> u64 {
        let live = self.end.saturating_sub(watermark.max(first));
        let all = self.end.saturating_sub(first).max(1);
        u64::try_from(u128::from(self.bytes) * u128::from(live) / u128::from(all)).unwrap_or(u64::MAX)
    }
}

/// One shard.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) next: Seq,
    pub(crate) watermark: Seq,
    pub(crate) done: Members,
    /// `accepted` is not kept: it is `next`, because a shard begins at 0.
    pub(crate) decided: Counts,
    pub(crate) intents: BTreeMap<u64, Intent>,
    /// By the first sequence number.
    pub(crate) places: BTreeMap<u64, Place>,
    /// Of all places at or above the watermark.
    pub(crate) backlog_bytes: u64,
    /// The newest records, contiguous, the last ending at `next`.
    pub(crate) tail: VecDeque<Arc<Batch>>,
}

impl Shard {
    pub(crate) fn counts(&self) -> Counts {
        Counts { accepted: self.next.get(), ..self.decided }
    }

    /// Applies a commit; answers the places that are not needed any more.
    pub(crate) fn commit(&mut self, commit: &Commit) -> Vec<Place> {
        for id in &commit.intents {
            if let Some(intent) = self.intents.remove(id) {
                self.done.merge(&intent.members);
            }
        }
        self.decided.add(&Counts { accepted: 0, ..commit.counts });
        self.watermark = self.watermark.max(commit.watermark);
        self.next = self.next.max(self.watermark);
        self.done.trim(self.watermark);
        let watermark = self.watermark.get();
        let mut released = Vec::new();
        // Places do not overlap but for damage, so the ended ones come first.
        self.places.retain(|_, place| {
            let ended = place.end <= watermark;
            if ended {
                released.push(*place);
            }
            !ended
        });
        self.recount();
        released
    }

    /// True when a run already holds what `run` holds and the shard still needs.
    pub(crate) fn has_run_over(&self, run: &Summary) -> bool {
        let from = run.first.max(self.watermark.get());
        self.places.iter().any(|(first, place)| place.source.is_run() && *first <= from && place.end >= run.end)
    }

    /// Takes out the places that a run covers.
    pub(crate) fn cover(&mut self, run: &Summary) -> Vec<Place> {
        let watermark = self.watermark.get();
        let mut covered = Vec::new();
        self.places.retain(|first, place| {
            let inside = place.end <= run.end && watermark.max(*first) >= run.first;
            if inside {
                covered.push(*place);
            }
            !inside
        });
        self.recount();
        covered
    }

    pub(crate) fn recount(&mut self) {
        let watermark = self.watermark.get();
        self.backlog_bytes = self.places.iter().map(|(first, place)| place.live_bytes(*first, watermark)).sum();
    }

    /// The place that holds `seq`, or where the next one begins.
    pub(crate) fn find(&self, seq: Seq) -> Result<(u64, Place), Option<u64>> {
        let seq = seq.get();
        let before = self.places.range(..=seq).rev().find(|(_, place)| place.end > seq);
        match before {
            Some((first, place)) => Ok((*first, *place)),
            None => Err(self.places.range(seq..).next().map(|(first, _)| *first)),
        }
    }

    /// Ranges at or above the watermark that lie in no file.
    pub(crate) fn holes(&self) -> Vec<(Seq, Seq)> {
        let mut holes = Vec::new();
        let mut at = self.watermark.get();
        for (first, place) in &self.places {
            if *first > at {
                holes.push((Seq::new(at), Seq::new(*first)));
            }
            at = at.max(place.end);
        }
        if at < self.next.get() {
            holes.push((Seq::new(at), self.next));
        }
        holes
    }

    fn oldest_arrival_ms(&self) -> Option<i64> {
        if self.watermark >= self.next {
            return None;
        }
        if let Some(batch) = self.tail.iter().find(|batch| batch.end() > self.watermark)
            && batch.first() <= self.watermark
        {
            let nth = usize::try_from(self.watermark.since(batch.first())).unwrap_or(usize::MAX);
            return batch.arrivals_ms().get(nth).copied();
        }
        self.places.values().find(|place| place.end > self.watermark.get()).map(|place| place.oldest_ms)
    }

    pub(crate) fn view(&self) -> ShardState {
        let settled = self.places.iter().filter(|(_, place)| place.source.is_run());
        ShardState {
            next: self.next,
            watermark: self.watermark,
            done: self.done.clone(),
            counts: self.counts(),
            backlog_bytes: self.backlog_bytes,
            settled_bytes: settled.map(|(first, place)| place.live_bytes(*first, self.watermark.get())).sum(),
            oldest_arrival_ms: self.oldest_arrival_ms(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u64, end: u64, bytes: u64) -> Place {
        Place { source: Source::Segment(number), end, bytes, records: 0, oldest_ms: 0 }
    }

    #[test]
    fn backlog_holes_and_places_follow_the_watermark() {
        let mut shard = Shard { next: Seq::new(100), ..Shard::default() };
        shard.places.insert(0, place(1, 40, 400));
        shard.places.insert(50, place(2, 90, 400));
        shard.recount();
        assert_eq!(shard.backlog_bytes, 800);
        assert_eq!(shard.holes(), [(Seq::new(40), Seq::new(50)), (Seq::new(90), Seq::new(100))]);
        assert_eq!(shard.find(Seq::new(39)).unwrap().0, 0);
        assert_eq!(shard.find(Seq::new(40)), Err(Some(50)));
        assert_eq!(shard.find(Seq::new(95)), Err(None));
        let commit = Commit {
            shard: millrace_types::ShardId::from_u64(1),
            intents: Vec::new(),
            watermark: Seq::new(60),
            counts: Counts { accepted: 9, delivered: 60, ..Counts::default() },
        };
        assert_eq!(shard.commit(&commit), [place(1, 40, 400)]);
        assert_eq!(shard.backlog_bytes, 300);
        assert_eq!(shard.counts(), Counts { accepted: 100, delivered: 60, ..Counts::default() });
        let run = Summary { shard: commit.shard, first: 60, end: 90, bytes: 1, records: 30, oldest_ms: 0 };
        assert_eq!(shard.cover(&run), [place(2, 90, 400)]);
    }
}
