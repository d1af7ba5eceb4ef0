//! What a function answered, checked: nothing behind this file meets a column that does not fit.

use millrace_types::{Columns, PAYLOAD_BYTES_MAX, RECORDS_MAX};

use crate::abi::RawOutput;
use crate::error::cut;

/// Partition keys that an output may carry, as at AWS.
pub(crate) const PARTITION_NAMES_MAX: usize = 50;
/// Bytes of a partition key's name; an object key has 1024 in all.
pub(crate) const PARTITION_NAME_BYTES_MAX: usize = 256;
/// Bytes that the partition keys of one output take at most: their values and the ends of these.
const PARTITION_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
/// Bytes of a failure's reason that are kept.
pub(crate) const REASON_BYTES_MAX: usize = 1024;
/// The wire text for a record that the function marked as failed (firehose reference, section 5).
pub(crate) const PROCESSING_FAILED: &str = "ProcessingFailed status set for record";

/// The records that a batch became.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Output {
    /// All output records, one behind the other.
    pub payload: Vec<u8>,
    /// For each output record the offset (bytes) of its end in `payload`.
    pub ends: Vec<u32>,
    /// For each output record the index of its input record; never decreasing.
    pub sources: Vec<u32>,
    /// Input records that the function could not process, in order; none of them in `sources`.
    pub failures: Vec<Failure>,
    /// Names of the partition keys; empty when the function gives none.
    pub partition_names: Vec<String>,
    /// Values of the partition keys, packed, UTF-8. An empty value stands for none.
    pub partition_values: Vec<u8>,
    /// End offset (bytes) of the value of output record `i` and name `j` at `i * names + j`.
    pub partition_ends: Vec<u32>,
}

/// A record that the function could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Index of the input record.
    pub index: u32,
    /// The function's words, at most 1 KiB.
    pub reason: String,
}

impl Output {
    /// Number of output records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no output record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The output records.
    #[must_use]
    pub fn columns(&self) -> Columns<'_> {
        Columns { payload: &self.payload, ends: &self.ends }
    }

    /// The value of partition key `name` (its index in `partition_names`) of output record `index`;
    /// panics when one of them is out of range.
    #[must_use]
    pub fn partition(&self, index: usize, name: usize) -> &str {
        let at = index * self.partition_names.len() + name;
        let start = if at == 0 { 0 } else { self.partition_ends[at - 1] as usize };
        let value = &self.partition_values[start..self.partition_ends[at] as usize];
        // Checked to be UTF-8 when the output was taken.
        std::str::from_utf8(value).unwrap_or_default()
    }

    /// Checks what a guest answered for `inputs` records.
    pub(crate) fn check(raw: RawOutput, inputs: usize) -> Result<Self, String> {
        if raw.ends.len() > RECORDS_MAX || raw.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(format!(
                "{} records of {} bytes, at most {RECORDS_MAX} of {PAYLOAD_BYTES_MAX} are taken",
                raw.ends.len(),
                raw.payload.len()
            ));
        }
        covers("ends", &raw.ends, "payload", raw.payload.len())?;
        if raw.sources.len() != raw.ends.len() {
            return Err(format!("{} sources for {} records", raw.sources.len(), raw.ends.len()));
        }
        if !raw.sources.is_sorted() {
            return Err("sources are not in order".to_owned());
        }
        if let Some(last) = raw.sources.last().filter(|last| **last as usize >= inputs) {
            return Err(format!("a source is {last}, the batch has {inputs} records"));
        }
        check_partitions(&raw)?;
        let failures = check_failures(&raw, inputs)?;
        Ok(Self {
            payload: raw.payload,
            ends: raw.ends,
            sources: raw.sources,
            failures,
            partition_names: raw.partition_names,
            partition_values: raw.partition_values,
            partition_ends: raw.partition_ends,
        })
    }

    /// Appends what a later part of the batch became; `offset` is that part's first record.
    pub(crate) fn append(&mut self, mut part: Self, offset: u32) {
        // Batches are far below 4 GiB and 4 G records, and parts of one batch stay within its limits
        // many times over; a part that would pass them is refused by `fits` before.
        let (bytes, values) = (as_u32(self.payload.len()), as_u32(self.partition_values.len()));
        let records = part.len();
        self.align_names(&part, records);
        self.payload.extend_from_slice(&part.payload);
        self.ends.extend(part.ends.iter().map(|end| end + bytes));
        self.sources.extend(part.sources.iter().map(|source| source + offset));
        let failures = std::mem::take(&mut part.failures);
        self.failures.extend(failures.into_iter().map(|f| Failure { index: f.index + offset, ..f }));
        if self.partition_names == part.partition_names {
            self.partition_values.extend_from_slice(&part.partition_values);
            self.partition_ends.extend(part.partition_ends.iter().map(|end| end + values));
            return;
        }
        let columns: Vec<_> = self.partition_names.iter().map(|n| position(&part.partition_names, n)).collect();
        for index in 0..records {
            for column in &columns {
                if let Some(name) = column {
                    let value = part.partition_at(index, *name);
                    self.partition_values.extend_from_slice(value);
                }
                self.partition_ends.push(as_u32(self.partition_values.len()));
            }
        }
    }

    /// True when `part` can be appended without passing the limits of one output. A name that only one
    /// of them has becomes a column of both.
    pub(crate) fn fits(&self, part: &Self) -> bool {
        let records = self.len() + part.len();
        let more = part.partition_names.iter().filter(|name| !self.partition_names.contains(name)).count();
        let ends = records * (self.partition_names.len() + more) * size_of::<u32>();
        records <= RECORDS_MAX
            && self.payload.len() + part.payload.len() <= PAYLOAD_BYTES_MAX
            && self.partition_values.len() + part.partition_values.len() + ends <= PARTITION_BYTES_MAX
    }

    fn partition_at(&self, index: usize, name: usize) -> &[u8] {
        let at = index * self.partition_names.len() + name;
        let start = if at == 0 { 0 } else { self.partition_ends[at - 1] as usize };
        &self.partition_values[start..self.partition_ends[at] as usize]
    }

    /// Makes the names of `part` columns of this output too; records before it have no value there.
    fn align_names(&mut self, part: &Self, records: usize) {
        let missing: Vec<String> =
            part.partition_names.iter().filter(|n| !self.partition_names.contains(n)).cloned().collect();
        if records == 0 || missing.is_empty() {
            return;
        }
        if !self.is_empty() {
            let (names, more) = (self.partition_names.len(), missing.len());
            let mut ends = Vec::with_capacity(self.len() * (names + more));
            let mut last = 0;
            for index in 0..self.len() {
                ends.extend_from_slice(&self.partition_ends[index * names..(index + 1) * names]);
                last = ends.last().copied().unwrap_or(last);
                ends.extend(std::iter::repeat_n(last, more));
            }
            self.partition_ends = ends;
        }
        self.partition_names.extend(missing);
    }
}

fn position(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|n| n == name)
}

fn as_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn covers(what: &str, ends: &[u32], of: &str, bytes: usize) -> Result<(), String> {
    if !ends.is_sorted() {
        return Err(format!("{what} decrease"));
    }
    match ends.last().map_or(0, |end| *end as usize) {
        last if last == bytes => Ok(()),
        last => Err(format!("{what} reach to {last}, {of} has {bytes} bytes")),
    }
}

fn check_partitions(raw: &RawOutput) -> Result<(), String> {
    let names = &raw.partition_names;
    if names.len() > PARTITION_NAMES_MAX {
        return Err(format!("{} partition names, at most {PARTITION_NAMES_MAX} are taken", names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() || name.len() > PARTITION_NAME_BYTES_MAX {
            return Err(format!("a partition name of {} bytes", name.len()));
        }
        if position(names, name) != Some(at) {
            return Err(format!("partition name `{name}` twice"));
        }
    }
    let expected = names.len() * raw.ends.len();
    if raw.partition_ends.len() != expected {
        return Err(format!("{} partition ends, expected {expected}", raw.partition_ends.len()));
    }
    covers("partition ends", &raw.partition_ends, "partition values", raw.partition_values.len())?;
    let values = std::str::from_utf8(&raw.partition_values).map_err(|_| "partition values are not UTF-8")?;
    if raw.partition_ends.iter().any(|end| !values.is_char_boundary(*end as usize)) {
        return Err("a partition value ends inside a character".to_owned());
    }
    Ok(())
}

fn check_failures(raw: &RawOutput, inputs: usize) -> Result<Vec<Failure>, String> {
    let mut failures = Vec::with_capacity(raw.failures.len().min(inputs));
    for failure in &raw.failures {
        if failure.index as usize >= inputs {
            return Err(format!("failure of record {}, the batch has {inputs}", failure.index));
        }
        if raw.sources.binary_search(&failure.index).is_ok() {
            return Err(format!("record {} is a source and a failure", failure.index));
        }
        if failures.len() == inputs {
            return Err("more failures than records".to_owned());
        }
        let reason = cut(&failure.reason, REASON_BYTES_MAX).to_owned();
        failures.push(Failure { index: failure.index, reason });
    }
    failures.sort_by_key(|failure| failure.index);
    if let Some(twice) = failures.windows(2).find(|pair| pair[0].index == pair[1].index) {
        return Err(format!("record {} failed twice", twice[0].index));
    }
    Ok(failures)
}

#[cfg(test)]
mod tests;
