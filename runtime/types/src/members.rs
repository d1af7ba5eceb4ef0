//! Members: which outputs of which records an object holds, as ranges. A record that the function
//! turns into several has outputs 0, 1, …; one that it leaves alone, or that fails, has output 0.
//!
//! The set also says, as indices of their own from 2^31 on, which records have an output that failed
//! (2^31), and how many outputs a record has where it has several (2^31 + their number): so that a
//! record counts the same, and has as many outputs, when its function answers differently the next time.
//!
//! Stored form: for each output index that occurs, ascending: varint(index + 1), varint(number of
//! ranges), then per range varint(gap to the previous range's end) and varint(length); a zero ends it.

use std::collections::{BTreeMap, BTreeSet};

use crate::Seq;

/// Stored bytes hold more ranges than this: refused.
const RANGES_MAX: usize = 1 << 24;

/// This index says "an output of this record lies in an error object".
const FAILED: u32 = 1 << 31;
/// Indices above this one (a total of 1 is not told) say "this record has `index - TOTALS` outputs".
const TOTALS: u32 = FAILED;

/// A set of (sequence, output index). Ranges of one index never touch or overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// output index → start → end (exclusive)
    ranges: BTreeMap<u32, BTreeMap<u64, u64>>,
}

/// Stored members are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored members are cut short or out of order")]
pub struct DecodeMembersError;

impl Members {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds output `index` of the records `from..to`.
    pub fn insert(&mut self, index: u32, from: Seq, to: Seq) {
        let (mut start, mut end) = (from.get(), to.get());
        if start >= end {
            return;
        }
        let ranges = self.ranges.entry(index).or_default();
        // Fast path: records come in order, so most inserts extend the last range.
        if let Some(mut last) = ranges.last_entry()
            && *last.get() == start
        {
            *last.get_mut() = end;
            return;
        }
        if let Some((s, e)) = ranges.range(..=start).next_back().map(|(s, e)| (*s, *e))
            && e >= start
        {
            start = s;
            end = end.max(e);
        }
        while let Some((s, e)) = ranges.range(start..=end).next().map(|(s, e)| (*s, *e)) {
            ranges.remove(&s);
            end = end.max(e);
        }
        ranges.insert(start, end);
    }

    /// Says that record `seq` has `outputs` outputs; one that says nothing has one.
    pub fn insert_total(&mut self, seq: Seq, outputs: u32) {
        if outputs > 1 && outputs < TOTALS {
            self.insert(TOTALS + outputs, seq, seq.plus(1));
        }
    }

    /// How many outputs the records have of which any is in the set: as (from, to, outputs), ascending,
    /// ranges that do not overlap. For a search: it is one walk over the whole set.
    #[must_use]
    pub fn totals(&self) -> Vec<(Seq, Seq, u32)> {
        let mut edges: Vec<(u64, u32, bool)> = Vec::with_capacity(2 * self.range_count());
        for (index, ranges) in &self.ranges {
            edges.extend(ranges.iter().flat_map(|(start, end)| [(*start, *index, true), (*end, *index, false)]));
        }
        edges.sort_unstable();
        let (mut totals, mut inside) = (Vec::new(), BTreeSet::new());
        for (nth, (at, index, begins)) in edges.iter().enumerate() {
            if *begins {
                inside.insert(*index);
            } else {
                inside.remove(index);
            }
            let next = edges.get(nth + 1).map_or(*at, |edge| edge.0);
            if next == *at || inside.first().is_none_or(|index| *index >= FAILED) {
                continue;
            }
            let outputs = inside.range(TOTALS + 1..).next().map_or(1, |index| index - TOTALS);
            match totals.last_mut() {
                Some((_, to, told)) if *to == Seq::new(*at) && *told == outputs => *to = Seq::new(next),
                _ => totals.push((Seq::new(*at), Seq::new(next), outputs)),
            }
        }
        totals
    }

    /// Says that outputs of the records `from..to` lie in an error object.
    pub fn insert_failed(&mut self, from: Seq, to: Seq) {
        self.insert(FAILED, from, to);
    }

    /// True when an output of record `seq` lies in an error object.
    #[must_use]
    pub fn has_failed(&self, seq: Seq) -> bool {
        self.contains(FAILED, seq)
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (index, ranges) in &other.ranges {
            for (start, end) in ranges {
                self.insert(*index, Seq::new(*start), Seq::new(*end));
            }
        }
    }

    /// True when output `index` of record `seq` is in it.
    #[must_use]
    pub fn contains(&self, index: u32, seq: Seq) -> bool {
        self.ranges
            .get(&index)
            .and_then(|ranges| ranges.range(..=seq.get()).next_back())
            .is_some_and(|(_, end)| *end > seq.get())
    }

    /// Forgets all records below `floor`.
    pub fn trim(&mut self, floor: Seq) {
        let floor = floor.get();
        self.ranges.retain(|_, ranges| {
            let mut kept = ranges.split_off(&floor);
            if let Some((_, end)) = ranges.last_key_value()
                && *end > floor
            {
                kept.insert(floor, *end);
            }
            *ranges = kept;
            !ranges.is_empty()
        });
    }

    /// Number of ranges: what this set costs in memory and on disk.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.values().map(BTreeMap::len).sum()
    }

    /// Number of (sequence, output) pairs, 2^64 - 1 when there are more.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.iter().fold(0u64, |count, (_, from, to)| count.saturating_add(to.since(from)))
    }

    /// Lowest and highest sequence number of its outputs.
    #[must_use]
    pub fn span(&self) -> Option<(Seq, Seq)> {
        let outputs = || self.ranges.range(..FAILED).map(|(_, ranges)| ranges);
        let first = outputs().filter_map(|r| r.first_key_value()).map(|(s, _)| *s).min()?;
        let last = outputs().filter_map(|r| r.last_key_value()).map(|(_, e)| e - 1).max()?;
        Some((Seq::new(first), Seq::new(last)))
    }

    /// The output indices that occur, ascending.
    pub fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.range(..FAILED).map(|(index, _)| *index)
    }

    /// The outputs' ranges as (output index, from, to), by index and then by sequence.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Seq, Seq)> + '_ {
        self.ranges
            .range(..FAILED)
            .flat_map(|(index, ranges)| ranges.iter().map(|(s, e)| (*index, Seq::new(*s), Seq::new(*e))))
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (index, ranges) in &self.ranges {
            put_varint(out, u64::from(*index) + 1);
            put_varint(out, ranges.len() as u64);
            let mut previous = 0;
            for (start, end) in ranges {
                put_varint(out, start - previous);
                put_varint(out, end - start);
                previous = *end;
            }
        }
        out.push(0);
    }

    /// Reads the stored form from the head of `bytes`, which moves behind it.
    ///
    /// # Errors
    /// [`DecodeMembersError`] when the bytes are not what [`Self::encode`] writes.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeMembersError> {
        let mut members = Self::new();
        let mut budget = RANGES_MAX;
        let mut last_index = None;
        loop {
            let tag = take_varint(bytes)?;
            if tag == 0 {
                return Ok(members);
            }
            let index = u32::try_from(tag - 1).map_err(|_| DecodeMembersError)?;
            if last_index.is_some_and(|last| last >= index) {
                return Err(DecodeMembersError);
            }
            last_index = Some(index);
            let count = usize::try_from(take_varint(bytes)?).map_err(|_| DecodeMembersError)?;
            budget = budget.checked_sub(count).filter(|_| count > 0).ok_or(DecodeMembersError)?;
            let mut ranges = BTreeMap::new();
            let mut previous = 0u64;
            for nth in 0..count {
                let gap = take_varint(bytes)?;
                let length = take_varint(bytes)?;
                let start = previous.checked_add(gap).ok_or(DecodeMembersError)?;
                let end = start.checked_add(length).ok_or(DecodeMembersError)?;
                if length == 0 || (nth > 0 && gap == 0) {
                    return Err(DecodeMembersError);
                }
                ranges.insert(start, end);
                previous = end;
            }
            members.ranges.insert(index, ranges);
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeMembersError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(DecodeMembersError)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(DecodeMembersError);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeMembersError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn build(ranges: &[(u32, u64, u64)]) -> (Members, BTreeSet<(u32, u64)>) {
        let (mut members, mut model) = (Members::new(), BTreeSet::new());
        for (index, start, length) in ranges {
            members.insert(*index, Seq::new(*start), Seq::new(start + length));
            model.extend((*start..start + length).map(|seq| (*index, seq)));
        }
        (members, model)
    }

    /// The same as [`Members::totals`] for one record, by a look at every index.
    fn total_by_scan(members: &Members, seq: Seq) -> Option<u32> {
        members.indices().find(|index| members.contains(*index, seq))?;
        let told = members.ranges.range(TOTALS + 1..).map(|(index, _)| *index);
        Some(told.into_iter().find(|index| members.contains(*index, seq)).map_or(1, |index| index - TOTALS))
    }

    fn total(totals: &[(Seq, Seq, u32)], seq: Seq) -> Option<u32> {
        totals.iter().find(|(from, to, _)| (*from..*to).contains(&seq)).map(|(_, _, outputs)| *outputs)
    }

    #[test]
    fn a_span_is_that_of_the_outputs() {
        let (mut members, _) = build(&[(0, 5, 1), (2, 7, 2)]);
        members.insert_total(Seq::new(11), 2);
        members.insert_failed(Seq::new(1), Seq::new(2));
        assert_eq!(members.span(), Some((Seq::new(5), Seq::new(8))));
    }

    #[test]
    fn more_pairs_than_a_number_holds_are_the_largest() {
        let mut members = Members::new();
        members.insert(0, Seq::ZERO, Seq::new(u64::MAX));
        members.insert(1, Seq::ZERO, Seq::new(u64::MAX));
        assert_eq!(members.count(), u64::MAX);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            ranges in prop::collection::vec((0u32..3, 0u64..60, 0u64..9), 0..40),
            floor in 0u64..70,
        ) {
            let (mut members, model) = build(&ranges);
            let mut bytes = Vec::new();
            members.encode(&mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(&Members::decode(&mut rest).expect("own bytes"), &members);
            prop_assert!(rest.is_empty());
            for cut in 0..bytes.len() {
                prop_assert!(Members::decode(&mut &bytes[..cut]).is_err());
            }
            for index in 0..3 {
                for seq in 0..70 {
                    prop_assert_eq!(members.contains(index, Seq::new(seq)), model.contains(&(index, seq)));
                }
            }
            prop_assert_eq!(members.count(), model.len() as u64);
            members.trim(Seq::new(floor));
            for index in 0..3 {
                for seq in 0..70 {
                    prop_assert_eq!(
                        members.contains(index, Seq::new(seq)),
                        seq >= floor && model.contains(&(index, seq))
                    );
                }
            }
        }

        #[test]
        fn totals_and_failures_are_told_and_are_no_outputs(
            totals in prop::collection::btree_map(0u64..40, (1u32..5, any::<bool>()), 0..20),
        ) {
            let mut members = Members::new();
            for (seq, (outputs, failed)) in &totals {
                members.insert(outputs - 1, Seq::new(*seq), Seq::new(seq + 1));
                members.insert_total(Seq::new(*seq), *outputs);
                if *failed {
                    members.insert_failed(Seq::new(*seq), Seq::new(seq + 1));
                }
            }
            let mut bytes = Vec::new();
            members.encode(&mut bytes);
            let mut merged = Members::new();
            merged.merge(&Members::decode(&mut &bytes[..]).expect("own bytes"));
            prop_assert_eq!(&merged, &members);
            prop_assert_eq!(merged.count(), totals.len() as u64);
            for seq in 0..40 {
                prop_assert_eq!(total(&merged.totals(), Seq::new(seq)), totals.get(&seq).map(|(outputs, _)| *outputs));
                prop_assert_eq!(merged.has_failed(Seq::new(seq)), totals.get(&seq).is_some_and(|(_, failed)| *failed));
            }
        }

        #[test]
        fn totals_are_what_a_look_at_every_index_finds(
            ranges in prop::collection::vec((0u32..5, 0u64..60, 0u64..9), 0..40),
            told in prop::collection::vec((0u64..70, 1u32..4), 0..20),
            floor in 0u64..70,
        ) {
            let (mut members, _) = build(&ranges);
            for (seq, outputs) in told {
                members.insert_total(Seq::new(seq), outputs);
            }
            members.insert_failed(Seq::new(3), Seq::new(50));
            for _ in 0..2 {
                let totals = members.totals();
                for seq in (0..70).map(Seq::new) {
                    prop_assert_eq!(total(&totals, seq), total_by_scan(&members, seq), "{:?} of {:?}", seq, totals);
                }
                prop_assert!(totals.iter().all(|(from, to, _)| from < to));
                // Ascending, and what touches differs.
                prop_assert!(totals.windows(2).all(|w| w[0].1 < w[1].0 || (w[0].1 == w[1].0 && w[0].2 != w[1].2)));
                members.trim(Seq::new(floor));
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = &bytes[..];
            if let Ok(members) = Members::decode(&mut rest) {
                prop_assert!(members.range_count() <= bytes.len());
                drop(members.totals());
            }
        }
    }
}
