//! What a function is given.

/// Some records of one shard, in order.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    pub(crate) payload: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    pub(crate) arrivals_ms: Vec<i64>,
    pub(crate) keys: Vec<u8>,
    pub(crate) key_ends: Vec<u32>,
    pub(crate) first_sequence: u64,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub(crate) index: u32,
    bytes: &'a [u8],
    arrival_ms: i64,
    key: Option<&'a [u8]>,
    sequence: u64,
}

impl Batch {
    /// A batch of `records` without partition keys, which arrived at the Unix epoch: for tests.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r [u8]>) -> Self {
        let mut batch = Self::default();
        for record in records {
            batch.payload.extend_from_slice(record);
            batch.ends.push(u32::try_from(batch.payload.len()).expect("a test's batch is below 4 GiB"));
            batch.arrivals_ms.push(0);
        }
        batch
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all records.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let (mut start, mut key_start) = (0, 0);
        self.ends.iter().zip(&self.arrivals_ms).enumerate().map(move |(index, (end, arrival_ms))| {
            let end = *end as usize;
            let bytes = &self.payload[std::mem::replace(&mut start, end)..end];
            let key = self.key_ends.get(index).map(|end| {
                let end = *end as usize;
                &self.keys[std::mem::replace(&mut key_start, end)..end]
            });
            let sequence = self.first_sequence + index as u64;
            Record { index: index as u32, bytes, arrival_ms: *arrival_ms, key, sequence }
        })
    }
}

impl<'a> Record<'a> {
    /// The record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The record as text: checked once, which is faster than a parser that checks every string.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&'a str, std::str::Utf8Error> {
        std::str::from_utf8(self.bytes)
    }

    /// The record's JSON as `T`, which may borrow from the record.
    ///
    /// # Errors
    /// When it is not the JSON of a `T`.
    #[cfg(feature = "serde")]
    pub fn json<T: serde::Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.bytes)
    }

    /// When it arrived, milliseconds since the Unix epoch.
    pub fn arrival_ms(&self) -> i64 {
        self.arrival_ms
    }

    /// Its partition key, where the source has keys.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// Its sequence number in its shard: the same whenever it is processed.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its place in the batch, from 0.
    pub fn index(&self) -> usize {
        self.index as usize
    }
}
