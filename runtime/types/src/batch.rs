//! The one batch layout: what the request decoder fills, a journal frame holds, a guest receives
//! and an encoder reads. Columns, not records: nothing is allocated per record.

use bytes::Bytes;

use crate::{MIB, Seq};

/// Payload bytes one batch may hold. Offsets are `u32`, so this must stay far below 4 GiB.
pub const PAYLOAD_BYTES_MAX: usize = 64 * MIB;
/// Records one batch may hold.
pub const RECORDS_MAX: usize = 1 << 20;

/// A borrowed view of packed records: `ends[i]` is the offset behind record `i` in `payload`.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// All records, one behind the other.
    pub payload: &'a [u8],
    /// For each record the offset (bytes) of its end in `payload`; never decreasing.
    pub ends: &'a [u32],
}

impl<'a> Columns<'a> {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Record `index`; panics when `index >= len()`.
    #[must_use]
    pub fn record(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.payload[start..self.ends[index] as usize]
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let columns = *self;
        (0..columns.len()).map(move |index| columns.record(index))
    }
}

/// A sealed batch. Cloning and slicing share the payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    first: Seq,
    payload: Bytes,
    ends: Vec<u32>,
    arrivals_ms: Vec<i64>,
    keys: Bytes,
    key_ends: Vec<u32>,
}

impl Batch {
    /// Puts a batch together from its columns, as a decoder of stored or received bytes does.
    /// `key_ends` is empty (no partition keys) or as long as `ends`.
    ///
    /// # Errors
    /// A sentence that names the column which does not fit the others.
    pub fn from_columns(
        first: Seq,
        payload: Bytes,
        ends: Vec<u32>,
        arrivals_ms: Vec<i64>,
        keys: Bytes,
        key_ends: Vec<u32>,
    ) -> Result<Self, &'static str> {
        if ends.len() > RECORDS_MAX || payload.len() > PAYLOAD_BYTES_MAX {
            return Err("batch exceeds the limits of records or payload bytes");
        }
        if !is_partition(&ends, payload.len()) {
            return Err("ends do not cover the payload in order");
        }
        if arrivals_ms.len() != ends.len() {
            return Err("arrivals and ends differ in length");
        }
        if key_ends.is_empty() {
            if !keys.is_empty() {
                return Err("keys without key ends");
            }
        } else if key_ends.len() != ends.len() || !is_partition(&key_ends, keys.len()) {
            return Err("key ends do not cover the keys in order");
        }
        Ok(Self { first, payload, ends, arrivals_ms, keys, key_ends })
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Sequence number of the first record; zero before the journal has assigned one.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.first
    }

    /// Sequence number behind the last record.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.first.plus(self.len() as u64)
    }

    /// Sets the first sequence number: the journal's writer does, once.
    pub fn set_first(&mut self, first: Seq) {
        self.first = first;
    }

    /// Payload and ends.
    #[must_use]
    pub fn columns(&self) -> Columns<'_> {
        Columns { payload: &self.payload, ends: &self.ends }
    }

    /// Record `index`; panics when out of range.
    #[must_use]
    pub fn record(&self, index: usize) -> &[u8] {
        self.columns().record(index)
    }

    /// The payload of all records.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// End offsets into the payload, bytes.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Arrival times, milliseconds since the Unix epoch.
    #[must_use]
    pub fn arrivals_ms(&self) -> &[i64] {
        &self.arrivals_ms
    }

    /// Partition keys, packed; empty when the source has none.
    #[must_use]
    pub fn keys(&self) -> &Bytes {
        &self.keys
    }

    /// End offsets into the keys; empty when the source has none.
    #[must_use]
    pub fn key_ends(&self) -> &[u32] {
        &self.key_ends
    }

    /// Bytes of memory that the columns hold.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.payload.len() + self.keys.len() + self.ends.len() * 12 + self.key_ends.len() * 4
    }

    /// Records `from..to` as a batch of their own that shares the payload.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        assert!(from <= to && to <= self.len(), "slice outside the batch");
        let (payload, ends) = slice_column(&self.payload, &self.ends, from, to);
        let (keys, key_ends) = if self.key_ends.is_empty() {
            (Bytes::new(), Vec::new())
        } else {
            slice_column(&self.keys, &self.key_ends, from, to)
        };
        let arrivals_ms = self.arrivals_ms[from..to].to_vec();
        Self { first: self.first.plus(from as u64), payload, ends, arrivals_ms, keys, key_ends }
    }
}

fn slice_column(bytes: &Bytes, ends: &[u32], from: usize, to: usize) -> (Bytes, Vec<u32>) {
    let start = if from == 0 { 0 } else { ends[from - 1] };
    let end = if to == 0 { 0 } else { ends[to - 1] };
    let rebased = ends[from..to].iter().map(|e| e - start).collect();
    (bytes.slice(start as usize..end as usize), rebased)
}

fn is_partition(ends: &[u32], bytes: usize) -> bool {
    ends.is_sorted() && ends.last().map_or(0, |e| *e as usize) == bytes
}

/// The batch is at one of its limits; send what is there and begin another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("batch is full: at most {RECORDS_MAX} records and {PAYLOAD_BYTES_MAX} bytes")]
pub struct BatchFull;

/// Fills a batch record by record; decoders write straight into the payload.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    payload: Vec<u8>,
    ends: Vec<u32>,
    arrivals_ms: Vec<i64>,
    keys: Vec<u8>,
    key_ends: Vec<u32>,
}

impl BatchBuilder {
    /// A builder with room for `records` records of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self {
            payload: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(records),
            arrivals_ms: Vec::with_capacity(records),
            ..Self::default()
        }
    }

    /// Number of records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no record yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Payload bytes so far.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Appends one record without a partition key.
    ///
    /// # Errors
    /// [`BatchFull`] when a limit would be passed; the batch is unchanged.
    pub fn push(&mut self, record: &[u8], arrival_ms: i64) -> Result<(), BatchFull> {
        self.push_with(arrival_ms, |payload| {
            payload.extend_from_slice(record);
            Ok::<(), BatchFull>(())
        })
    }

    /// Appends one record that `decode` writes behind the end of the payload. What `decode` wrote
    /// is taken back when it fails.
    ///
    /// # Errors
    /// What `decode` answers, or [`BatchFull`] turned into its type.
    pub fn push_with<E: From<BatchFull>>(
        &mut self,
        arrival_ms: i64,
        decode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        assert!(self.key_ends.is_empty(), "a batch has keys for all records or for none");
        self.push_column(arrival_ms, decode)
    }

    /// Appends one record with its partition key.
    ///
    /// # Errors
    /// As [`Self::push_with`].
    pub fn push_keyed<E: From<BatchFull>>(
        &mut self,
        arrival_ms: i64,
        key: &[u8],
        decode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        assert!(self.key_ends.len() == self.ends.len(), "a batch has keys for all records or for none");
        if self.keys.len() + key.len() > PAYLOAD_BYTES_MAX {
            return Err(BatchFull.into());
        }
        self.push_column(arrival_ms, decode)?;
        self.keys.extend_from_slice(key);
        #[expect(clippy::cast_possible_truncation, reason = "PAYLOAD_BYTES_MAX is below u32::MAX")]
        self.key_ends.push(self.keys.len() as u32);
        Ok(())
    }

    fn push_column<E: From<BatchFull>>(
        &mut self,
        arrival_ms: i64,
        decode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.payload.len();
        if self.ends.len() == RECORDS_MAX {
            return Err(BatchFull.into());
        }
        let decoded = decode(&mut self.payload);
        let full = self.payload.len() > PAYLOAD_BYTES_MAX;
        if decoded.is_err() || full {
            self.payload.truncate(before);
            decoded?;
            return Err(BatchFull.into());
        }
        #[expect(clippy::cast_possible_truncation, reason = "PAYLOAD_BYTES_MAX is below u32::MAX")]
        self.ends.push(self.payload.len() as u32);
        self.arrivals_ms.push(arrival_ms);
        Ok(())
    }

    /// Takes the batch out; the builder is empty behind it.
    #[must_use]
    pub fn finish(&mut self) -> Batch {
        let done = std::mem::take(self);
        Batch {
            first: Seq::ZERO,
            payload: done.payload.into(),
            ends: done.ends,
            arrivals_ms: done.arrivals_ms,
            keys: done.keys.into(),
            key_ends: done.key_ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_back_and_slices_agree(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..30),
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let mut builder = BatchBuilder::default();
            for record in &records {
                builder.push(record, 7).expect("fits");
            }
            let mut batch = builder.finish();
            batch.set_first(Seq::new(100));
            prop_assert_eq!(batch.columns().iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), records.clone());
            let (a, b) = (cut.0.index(records.len() + 1), cut.1.index(records.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            let slice = batch.slice(from, to);
            prop_assert_eq!(slice.first(), Seq::new(100 + from as u64));
            prop_assert_eq!(slice.columns().iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), records[from..to].to_vec());
        }
    }

    #[test]
    fn a_failed_decode_leaves_no_bytes() {
        let mut builder = BatchBuilder::default();
        let failed = builder.push_with(0, |payload| {
            payload.extend_from_slice(b"half");
            Err(BatchFull)
        });
        assert_eq!(failed, Err(BatchFull));
        assert_eq!(builder.payload_bytes(), 0);
        assert!(builder.is_empty());
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let bytes = Bytes::from_static(b"abc");
        let build = |ends: Vec<u32>, arrivals: Vec<i64>| {
            Batch::from_columns(Seq::ZERO, bytes.clone(), ends, arrivals, Bytes::new(), Vec::new())
        };
        assert!(build(vec![1, 3], vec![0, 0]).is_ok());
        assert!(build(vec![1, 2], vec![0, 0]).is_err(), "short of the payload");
        assert!(build(vec![3, 1], vec![0, 0]).is_err(), "decreasing");
        assert!(build(vec![1, 3], vec![0]).is_err(), "arrivals missing");
    }
}
