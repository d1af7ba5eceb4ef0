//! What a function answers, in columns.

use std::borrow::Cow;

use crate::{Batch, Record};

/// The output of a batch. Records are written in the order of the batch; an input that is neither
/// written nor failed is dropped.
#[derive(Debug, Default)]
pub struct Output {
    pub(crate) payload: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    pub(crate) sources: Vec<u32>,
    pub(crate) failures: Vec<(u32, String)>,
    names: Vec<Cow<'static, str>>,
    values: Vec<u8>,
    cells: Vec<Cell>,
}

/// The value of partition key `name` of output record `row`: up to `end` in the values, from where
/// the cell before it ends.
#[derive(Debug, Clone, Copy)]
struct Cell {
    row: u32,
    name: u32,
    end: u32,
}

/// Names, values, and their ends, row by row.
pub(crate) type Partitions = (Vec<String>, Vec<u8>, Vec<u32>);

impl Output {
    /// An output with room for what `batch` will probably become: buffers are made once.
    pub fn for_batch(batch: &Batch) -> Self {
        let bytes = batch.payload().len();
        Self {
            payload: Vec::with_capacity(bytes + bytes / 8 + 64),
            ends: Vec::with_capacity(batch.len()),
            sources: Vec::with_capacity(batch.len()),
            ..Self::default()
        }
    }

    /// Number of output records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no output record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Output record `index` and the index of its source: for tests.
    pub fn get(&self, index: usize) -> Option<(&[u8], usize)> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? as usize };
        let end = *self.ends.get(index)? as usize;
        Some((&self.payload[start..end], self.sources[index] as usize))
    }

    /// The failed records and their reasons: for tests.
    pub fn failures(&self) -> &[(u32, String)] {
        &self.failures
    }

    /// `record` goes on as it is.
    pub fn keep(&mut self, record: Record<'_>) {
        self.push(record, record.bytes());
    }

    /// `bytes` go on, made of `record`. May be called several times for a record.
    pub fn push(&mut self, record: Record<'_>, bytes: &[u8]) {
        self.payload.extend_from_slice(bytes);
        self.end(record);
    }

    /// What `write` appends goes on, made of `record`: nothing is copied. What it appended is taken
    /// back when it fails.
    ///
    /// # Errors
    /// What `write` answers.
    pub fn write<E>(&mut self, record: Record<'_>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.payload.len();
        if let Err(error) = write(&mut self.payload) {
            self.payload.truncate(before);
            return Err(error);
        }
        assert!(self.payload.len() >= before, "write appends");
        self.end(record);
        Ok(())
    }

    /// `record` goes to the error output with `reason`.
    pub fn fail(&mut self, record: Record<'_>, reason: impl Into<String>) {
        self.failures.push((record.index, reason.into()));
    }

    /// Gives the record that was written last the value of a partition key.
    ///
    /// # Panics
    /// When no record was written yet.
    pub fn partition(&mut self, name: impl Into<Cow<'static, str>>, value: &str) {
        let name = name.into();
        let row = self.ends.len().checked_sub(1).expect("a partition key belongs to a record that was written");
        let at = match self.names.iter().position(|known| *known == name) {
            Some(at) => at,
            None => {
                self.names.push(name);
                self.names.len() - 1
            }
        };
        self.values.extend_from_slice(value.as_bytes());
        self.cells.push(Cell { row: row as u32, name: at as u32, end: self.values.len() as u32 });
    }

    pub(crate) fn partitions(&mut self, keys: &[(Cow<'static, str>, String)]) {
        for (name, value) in keys {
            self.partition(name.clone(), value);
        }
    }

    fn end(&mut self, record: Record<'_>) {
        // A guest's memory is below 4 GiB.
        self.ends.push(self.payload.len() as u32);
        self.sources.push(record.index);
    }

    /// The partition keys row by row. A value given twice is the last one.
    pub(crate) fn take_partitions(&mut self) -> Partitions {
        let names: Vec<String> = self.names.drain(..).map(Cow::into_owned).collect();
        let rows = self.ends.len();
        if names.is_empty() {
            return Partitions::default();
        }
        let in_order = self.cells.len() == rows * names.len()
            && self
                .cells
                .iter()
                .enumerate()
                .all(|(at, cell)| (cell.row as usize, cell.name as usize) == (at / names.len(), at % names.len()));
        let cells = std::mem::take(&mut self.cells);
        let values = std::mem::take(&mut self.values);
        if in_order {
            // Every record gave every key in the same order: the values lie as they must.
            return (names, values, cells.iter().map(|cell| cell.end).collect());
        }
        let mut places = vec![(0, 0); rows * names.len()];
        let mut start = 0;
        for cell in cells {
            places[cell.row as usize * names.len() + cell.name as usize] = (start, cell.end as usize);
            start = cell.end as usize;
        }
        let (mut sorted, mut ends) = (Vec::with_capacity(values.len()), Vec::with_capacity(places.len()));
        for (start, end) in places {
            sorted.extend_from_slice(&values[start..end]);
            ends.push(sorted.len() as u32);
        }
        (names, sorted, ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(given: &[&[(&'static str, &str)]]) -> Partitions {
        let records = vec![b"x".as_slice(); given.len()];
        let batch = Batch::of(records);
        let mut out = Output::for_batch(&batch);
        for (record, keys) in batch.iter().zip(given) {
            out.keep(record);
            for (name, value) in *keys {
                out.partition(*name, value);
            }
        }
        out.take_partitions()
    }

    #[test]
    fn partition_keys_lie_row_by_row() {
        let (names, values, ends) = partitions(&[&[("a", "1"), ("b", "22")], &[("a", "3"), ("b", "")]]);
        assert_eq!((names.len(), &values[..], &ends[..]), (2, &b"1223"[..], &[1, 3, 4, 4][..]));
    }

    #[test]
    fn keys_in_another_order_late_or_twice_find_their_place() {
        let (names, values, ends) =
            partitions(&[&[("a", "1")], &[("b", "2"), ("a", "3")], &[], &[("b", "x"), ("b", "4")]]);
        assert_eq!(names, ["a", "b"]);
        assert_eq!(values, b"1324");
        assert_eq!(ends, [1, 1, 2, 3, 3, 3, 3, 4]);
        assert_eq!(partitions(&[&[], &[]]), Partitions::default());
    }
}
