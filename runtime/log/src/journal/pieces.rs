//! What a reader holds between disk or memory and its caller: contiguous batches, cut and joined to
//! the size that is asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use millrace_types::{Batch, PAYLOAD_BYTES_MAX, RECORDS_MAX, Seq};

/// Batches up to this size are joined (their payloads copied), larger ones handed out as they lie.
const JOIN_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Pieces {
    batches: VecDeque<Arc<Batch>>,
    /// The next record.
    at: Seq,
}

impl Pieces {
    /// Empties it; the next record will be `at`.
    pub(super) fn begin(&mut self, at: Seq) {
        self.batches.clear();
        self.at = at;
    }

    /// True when nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Adds the batch that holds the record behind the last, or, when it is the first, the next one.
    pub(super) fn push(&mut self, batch: Arc<Batch>) {
        if batch.end() > self.at {
            self.batches.push_back(batch);
        }
    }

    /// At most `bytes_max` payload bytes, but one record at least.
    pub(super) fn take(&mut self, bytes_max: usize) -> Option<Batch> {
        let first = self.batches.front()?;
        let from = offset(first, self.at);
        let to = cut(first, from, bytes_max);
        let whole = to == first.len();
        let size = span_bytes(first, from, to);
        let batch = if whole && size <= JOIN_BYTES_MAX && self.batches.len() > 1 {
            self.join(from, bytes_max.min(PAYLOAD_BYTES_MAX))
        } else if whole {
            let first = self.batches.pop_front()?;
            // Nobody else has what came from disk: no copy.
            if from == 0 { Arc::unwrap_or_clone(first) } else { first.slice(from, to) }
        } else {
            first.slice(from, to)
        };
        self.at = batch.end();
        Some(batch)
    }

    /// Joins small batches from the front.
    fn join(&mut self, mut from: usize, bytes_max: usize) -> Batch {
        let at = self.at;
        let keyed = self.batches.front().is_some_and(|batch| !batch.key_ends().is_empty());
        let mut payload = BytesMut::new();
        let mut keys = BytesMut::new();
        let (mut ends, mut key_ends, mut arrivals) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(batch) = self.batches.front() {
            let size = span_bytes(batch, from, batch.len());
            let fits = ends.is_empty()
                || (size <= JOIN_BYTES_MAX
                    && payload.len() + size <= bytes_max
                    && keys.len() + batch.keys().len() <= PAYLOAD_BYTES_MAX
                    && ends.len() + batch.len() <= RECORDS_MAX
                    && keyed != batch.key_ends().is_empty());
            if !fits {
                break;
            }
            add_column(&mut payload, &mut ends, batch.payload(), batch.ends(), from);
            if keyed {
                add_column(&mut keys, &mut key_ends, batch.keys(), batch.key_ends(), from);
            }
            arrivals.extend_from_slice(&batch.arrivals_ms()[from..]);
            from = 0;
            self.batches.pop_front();
        }
        #[expect(clippy::expect_used, reason = "columns of whole batches joined fit each other")]
        Batch::from_columns(at, payload.freeze(), ends, arrivals, keys.freeze(), key_ends).expect("joined columns fit")
    }
}

fn add_column(bytes: &mut BytesMut, ends: &mut Vec<u32>, from_bytes: &Bytes, from_ends: &[u32], from: usize) {
    let start = start_of(from_ends, from);
    #[expect(clippy::cast_possible_truncation, reason = "below PAYLOAD_BYTES_MAX")]
    let base = bytes.len() as u32;
    bytes.extend_from_slice(&from_bytes[start as usize..]);
    ends.extend(from_ends[from..].iter().map(|end| end - start + base));
}

fn start_of(ends: &[u32], record: usize) -> u32 {
    if record == 0 { 0 } else { ends[record - 1] }
}

fn offset(batch: &Batch, at: Seq) -> usize {
    if at <= batch.first() { 0 } else { usize::try_from(at.since(batch.first())).unwrap_or(usize::MAX) }
}

fn span_bytes(batch: &Batch, from: usize, to: usize) -> usize {
    (start_of(batch.ends(), to) - start_of(batch.ends(), from)) as usize
}

/// Behind the last record that fits, one at least.
fn cut(batch: &Batch, from: usize, bytes_max: usize) -> usize {
    let limit = start_of(batch.ends(), from) as usize + bytes_max;
    let fitting = batch.ends()[from..].partition_point(|end| *end as usize <= limit);
    (from + fitting.max(1)).min(batch.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::BatchBuilder;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_record_comes_once_and_in_order(
            batches in prop::collection::vec(prop::collection::vec(0usize..60_000, 1..6), 1..8),
            skipped in 0u64..4,
            bytes_max in 1usize..200_000,
        ) {
            let mut pieces = Pieces::default();
            let mut all = Vec::new();
            pieces.begin(Seq::new(skipped));
            for sizes in &batches {
                let mut builder = BatchBuilder::default();
                let first = all.len() as u64;
                for size in sizes {
                    let record = vec![u8::try_from(all.len()).unwrap(); *size];
                    builder.push(&record, i64::try_from(all.len()).unwrap()).unwrap();
                    all.push(record);
                }
                let mut batch = builder.finish();
                batch.set_first(Seq::new(first));
                pieces.push(Arc::new(batch));
            }
            let mut at = usize::try_from(skipped).unwrap();
            while let Some(batch) = pieces.take(bytes_max) {
                prop_assert_eq!(batch.first().get(), at as u64);
                prop_assert!(batch.payload().len() <= bytes_max || batch.len() == 1);
                for (nth, record) in batch.columns().iter().enumerate() {
                    prop_assert_eq!(record, &all[at]);
                    prop_assert_eq!(batch.arrivals_ms()[nth], i64::try_from(at).unwrap());
                    at += 1;
                }
            }
            prop_assert!(at >= all.len());
        }
    }
}
