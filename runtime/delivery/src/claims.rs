//! Claims: which outputs were decided before this life of the lane (committed objects, open intents),
//! and the rule that makes each record's outputs whole though its function answers differently each time.
//!
//! The rule. A record's outputs are numbered from 0. As long as none of them is decided, the record is
//! whatever this life's run of the function makes of it. From the first decided one on:
//! 1. It has as many outputs as the run had that the first decided one came from (its *total*, told in
//!    the members of every object that holds one of them).
//! 2. A decided output stays as it is: this life's output of that number is left out.
//! 3. An undecided output below the total becomes this life's output of that number. Where this run has
//!    none (it gave fewer, failed or dropped the record), an error line takes its place, under its number.
//! 4. Outputs of this run from the total on are left out: the record does not have them.
//! 5. A record with an output in an error object counts as failed, in whichever life that was written.
//!
//! So every number below the total is in exactly one object, and no record is delivered in part silently.

use millrace_types::{Members, Seq};

/// What was decided of a shard's records above its watermark.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    decided: Members,
    /// [`Members::totals`] of `decided`. What lies below the watermark goes with the last of them.
    totals: Vec<(Seq, Seq, u32)>,
}

impl Claims {
    pub(crate) fn new(decided: Members) -> Self {
        Self { totals: decided.totals(), decided }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// How many outputs a record has of which one is decided.
    fn decided_total(&self, seq: Seq) -> Option<u32> {
        let behind = self.totals.partition_point(|(from, _, _)| *from <= seq);
        let (_, to, outputs) = self.totals[..behind].last()?;
        (seq < *to).then_some(*outputs)
    }

    /// True when an output of the record is decided.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        self.decided_total(seq).is_some()
    }

    /// True when a decided output of the record lies in an error object.
    pub(crate) fn has_failed(&self, seq: Seq) -> bool {
        !self.is_empty() && self.decided.has_failed(seq)
    }

    /// How many outputs the record has, of which this run gave `given`.
    pub(crate) fn total(&self, seq: Seq, given: u32) -> u32 {
        self.decided_total(seq).unwrap_or(given)
    }

    /// True when this run's output `index` is to be delivered.
    pub(crate) fn is_open(&self, seq: Seq, index: u32) -> bool {
        self.decided_total(seq).is_none_or(|total| index < total && !self.decided.contains(index, seq))
    }

    /// The undecided outputs of a record that this run, which gave `given`, does not have.
    pub(crate) fn missing(&self, seq: Seq, given: u32) -> impl Iterator<Item = u32> {
        (given..self.total(seq, given)).filter(move |index| !self.decided.contains(*index, seq))
    }

    /// Forgets what lies below the watermark: nothing below is read again.
    pub(crate) fn trim(&mut self, watermark: Seq) {
        if self.is_empty() {
            return;
        }
        self.decided.trim(watermark);
        if self.decided.is_empty() {
            self.totals = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decided_record_has_the_outputs_that_were_decided_then() {
        let seq = Seq::new(7);
        let mut decided = Members::new();
        decided.insert(1, seq, seq.plus(1));
        decided.insert_total(seq, 3);
        let claims = Claims::new(decided);
        assert_eq!(claims.total(seq, 9), 3);
        assert_eq!((0..9).filter(|index| claims.is_open(seq, *index)).collect::<Vec<_>>(), [0, 2]);
        for (given, missing) in [(0, vec![0, 2]), (1, vec![2]), (2, vec![2]), (3, vec![]), (9, vec![])] {
            assert_eq!(claims.missing(seq, given).collect::<Vec<_>>(), missing, "of {given} given");
        }
        let other = seq.plus(1);
        assert!(claims.is_open(other, 4) && !claims.has(other));
        assert_eq!((claims.total(other, 2), claims.missing(other, 0).count()), (2, 0));
    }
    proptest::proptest! {
        #[test]
        fn a_search_finds_what_a_look_at_each_range_finds(
            ranges in proptest::collection::vec((0u32..4, 0u64..40, 1u64..6, 1u32..4), 0..20),
            floor in 0u64..50,
        ) {
            let mut decided = Members::new();
            for (index, from, length, outputs) in ranges {
                decided.insert(index, Seq::new(from), Seq::new(from + length));
                decided.insert_total(Seq::new(from), outputs);
            }
            let mut claims = Claims::new(decided.clone());
            for floor in [Seq::ZERO, Seq::new(floor)] {
                claims.trim(floor);
                for seq in (floor.get()..50).map(Seq::new) {
                    let totals = decided.totals();
                    let total = totals.iter().find(|(from, to, _)| (*from..*to).contains(&seq)).map(|(_, _, n)| *n);
                    assert_eq!((claims.has(seq), claims.total(seq, 9)), (total.is_some(), total.unwrap_or(9)));
                    for index in 0..5 {
                        let open = total.is_none_or(|total| index < total && !decided.contains(index, seq));
                        assert_eq!(claims.is_open(seq, index), open);
                    }
                }
            }
        }
    }
}
