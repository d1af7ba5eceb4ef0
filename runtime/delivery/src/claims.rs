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
pub(crate) struct Claims(Members);

impl Claims {
    pub(crate) fn new(decided: Members) -> Self {
        Self(decided)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when an output of the record is decided.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        !self.is_empty() && self.0.contains_any(seq)
    }

    /// True when a decided output of the record lies in an error object.
    pub(crate) fn has_failed(&self, seq: Seq) -> bool {
        !self.is_empty() && self.0.has_failed(seq)
    }

    /// How many outputs the record has, of which this run gave `given`.
    pub(crate) fn total(&self, seq: Seq, given: u32) -> u32 {
        if self.is_empty() { given } else { self.0.total(seq).unwrap_or(given) }
    }

    /// True when this run's output `index` is to be delivered.
    pub(crate) fn is_open(&self, seq: Seq, index: u32) -> bool {
        self.is_empty() || self.0.total(seq).is_none_or(|total| index < total && !self.0.contains(index, seq))
    }

    /// The undecided outputs of a record that this run, which gave `given`, does not have.
    pub(crate) fn missing(&self, seq: Seq, given: u32) -> impl Iterator<Item = u32> {
        let total = if self.is_empty() { None } else { self.0.total(seq) };
        (given..total.unwrap_or(given)).filter(move |index| !self.0.contains(*index, seq))
    }

    /// Forgets what lies below the watermark: nothing below is read again.
    pub(crate) fn trim(&mut self, watermark: Seq) {
        if !self.is_empty() {
            self.0.trim(watermark);
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
}
