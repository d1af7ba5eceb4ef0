//! The tracker: how far each record of a shard has come, and the watermark below which all are decided.

use std::collections::VecDeque;

use millrace_types::{Counts, Members, Seq};

/// What becomes of a record once all its outputs are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its outputs lie in objects.
    Delivered,
    /// The function returned nothing for it.
    Dropped,
    /// At least one of its outputs lies in an error object.
    Failed,
    /// Its frame cannot be read.
    Quarantined,
}

/// Eight bytes a record: the windows bound how many there are.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Outputs that are not committed yet.
    open: u32,
    /// `None` until the record was read (again) since the start.
    fate: Option<Fate>,
}

const UNREAD: Entry = Entry { open: 0, fate: None };

/// Records from the watermark on.
#[derive(Debug)]
pub(crate) struct Tracker {
    watermark: Seq,
    entries: VecDeque<Entry>,
}

impl Tracker {
    pub(crate) fn new(watermark: Seq) -> Self {
        Self { watermark, entries: VecDeque::new() }
    }

    /// Every record below is decided.
    pub(crate) fn watermark(&self) -> Seq {
        self.watermark
    }

    /// Records between the watermark and the highest one known.
    pub(crate) fn span(&self) -> usize {
        self.entries.len()
    }

    fn entry(&mut self, seq: Seq) -> &mut Entry {
        let index = usize::try_from(seq.since(self.watermark)).unwrap_or(usize::MAX);
        if index >= self.entries.len() {
            self.entries.resize(index + 1, UNREAD);
        }
        &mut self.entries[index]
    }

    /// Outputs of intents that were open at the start: they are decided when [`Self::settle`] says so.
    pub(crate) fn expect(&mut self, members: &Members) {
        for (_, from, to) in members.iter() {
            for seq in from.get().max(self.watermark.get())..to.get() {
                self.entry(Seq::new(seq)).open += 1;
            }
        }
    }

    /// The record was read: `outputs` of it went into windows.
    pub(crate) fn read(&mut self, seq: Seq, outputs: u32, fate: Fate) {
        let entry = self.entry(seq);
        entry.open += outputs;
        entry.fate = Some(fate);
    }

    /// `count` records from `first` on were read, each with one output in a window.
    pub(crate) fn read_all(&mut self, first: Seq, count: u64, fate: Fate) {
        if first == self.watermark.plus(self.entries.len() as u64) {
            let end = self.entries.len() + usize::try_from(count).unwrap_or(usize::MAX);
            self.entries.resize(end, Entry { open: 1, fate: Some(fate) });
            return;
        }
        for seq in first.get()..first.get() + count {
            self.read(Seq::new(seq), 1, fate);
        }
    }

    /// A later stage (format conversion) refused an output that [`Self::read`] counted.
    pub(crate) fn fail(&mut self, seq: Seq) {
        self.entry(seq).fate = Some(Fate::Failed);
    }

    /// The outputs lie in an object that is stored.
    pub(crate) fn settle(&mut self, members: &Members) {
        for (_, from, to) in members.iter() {
            for seq in from.get().max(self.watermark.get())..to.get() {
                let entry = self.entry(Seq::new(seq));
                assert!(entry.open > 0, "an output is settled once");
                entry.open -= 1;
            }
        }
    }

    /// Moves the watermark over decided records; answers what became of those.
    pub(crate) fn advance(&mut self) -> Counts {
        let mut counts = Counts::default();
        while let Some(Entry { open: 0, fate: Some(fate) }) = self.entries.front() {
            match fate {
                Fate::Delivered => counts.delivered += 1,
                Fate::Dropped => counts.dropped += 1,
                Fate::Failed => counts.failed += 1,
                Fate::Quarantined => counts.quarantined += 1,
            }
            self.entries.pop_front();
            self.watermark = self.watermark.plus(1);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ranges: &[(u32, u64, u64)]) -> Members {
        let mut members = Members::new();
        for (index, from, to) in ranges {
            members.insert(*index, Seq::new(*from), Seq::new(*to));
        }
        members
    }

    #[test]
    fn the_watermark_stops_at_the_first_undecided_record() {
        let mut tracker = Tracker::new(Seq::new(10));
        tracker.read_all(Seq::new(10), 5, Fate::Delivered);
        tracker.read(Seq::new(15), 0, Fate::Dropped);
        tracker.read(Seq::new(16), 2, Fate::Delivered);
        tracker.settle(&members(&[(0, 11, 15), (0, 16, 17)]));
        assert_eq!(tracker.advance(), Counts::default(), "record 10 is open");
        tracker.settle(&members(&[(0, 10, 11)]));
        assert_eq!(tracker.advance(), Counts { delivered: 5, dropped: 1, ..Counts::default() });
        assert_eq!(tracker.watermark(), Seq::new(16), "record 16 has a second output");
        tracker.fail(Seq::new(16));
        tracker.settle(&members(&[(1, 16, 17)]));
        assert_eq!(tracker.advance(), Counts { failed: 1, ..Counts::default() });
        assert_eq!(tracker.span(), 0);
    }

    #[test]
    fn outputs_of_open_intents_wait_for_both_reading_and_settling() {
        let mut tracker = Tracker::new(Seq::ZERO);
        let open = members(&[(0, 0, 3)]);
        tracker.expect(&open);
        tracker.settle(&open);
        assert_eq!(tracker.advance(), Counts::default(), "not read again yet");
        for seq in 0..3 {
            tracker.read(Seq::new(seq), 0, Fate::Delivered);
        }
        assert_eq!(tracker.advance().delivered, 3);
    }
}
