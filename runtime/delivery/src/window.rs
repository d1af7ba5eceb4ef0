//! A window: the open object of one partition or one error folder, encoded as records come in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_encode::{EncoderSettings, Error as EncodeError, ObjectEncoder, Rejected};
use millrace_types::{Columns, Entropy, Members, Seq, ShardId};

use crate::outbox::{Outbox, Spill, digest};
use crate::route::PARTITIONS_EXCEEDED;
use crate::work::{CONVERSION_FAILED, PROCESSING_FAILED};

/// Beginning of the user metadata that tells where an object's records came from.
const METADATA: &str = "millrace-";

/// Ranges of members from which on a window is cut: an intent takes 4 Mi, and one batch adds 3 Mi at most.
const RANGES_MAX: usize = 1 << 19;

/// A partition of a stream: all records whose keys give the same evaluated prefix.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    /// Its prefix with the values put in: what makes two partitions different.
    pub(crate) prefix: String,
    /// Keys and values of the first record that came.
    pub(crate) keys: Vec<(String, String)>,
}

impl PartialEq for Partition {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }
}

impl Eq for Partition {}

impl std::hash::Hash for Partition {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.prefix.hash(state);
    }
}

/// What kind of object a window becomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Data; with dynamic partitioning of one partition.
    Data(Option<Arc<Partition>>),
    /// Error lines, under the folder name of `!{firehose:error-output-type}`.
    Error(&'static str),
}

impl Kind {
    /// True for data, false for error lines.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self, Self::Data(_))
    }

    /// The kind of the error folder of that name.
    pub(crate) fn error(folder: &str) -> Option<Self> {
        let known = [PROCESSING_FAILED, CONVERSION_FAILED, PARTITIONS_EXCEEDED];
        known.into_iter().find(|known| *known == folder).map(Self::Error)
    }
}

/// An open window.
pub(crate) struct Window {
    pub(crate) kind: Kind,
    /// Revision of the function that makes its records; 0 without a function.
    pub(crate) revision: u32,
    /// Monotonic time when its first record came in.
    pub(crate) opened: Duration,
    oldest_arrival_ms: i64,
    members: Members,
    records: u64,
    encoder: ObjectEncoder,
    table_version: Option<u32>,
    digest: crc_fast::Digest,
    length: u64,
    spill: Option<Spill>,
}

/// Finished bytes: in memory, or already in a file of the outbox that is not synced yet.
pub(crate) enum Bulk {
    Memory(Bytes),
    Spilled(Spill),
}

/// A finished object that is not durable yet.
pub(crate) struct Finished {
    pub(crate) kind: Kind,
    /// As [`Window::revision`].
    pub(crate) revision: u32,
    pub(crate) oldest_arrival_ms: i64,
    pub(crate) members: Members,
    pub(crate) records: u64,
    pub(crate) bulk: Bulk,
    pub(crate) length: u64,
    pub(crate) crc64: u64,
    pub(crate) content_encoding: Option<&'static str>,
    pub(crate) extension: &'static str,
    /// Of the format and the encryption.
    pub(crate) metadata: Vec<(String, String)>,
    /// Version of the registered table that gave the columns.
    pub(crate) table_version: Option<u32>,
}

impl Bulk {
    /// Bytes that it holds in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Spilled(_) => 0,
        }
    }
}

impl Finished {
    /// User metadata: of the format and the encryption, and where the records came from.
    pub(crate) fn metadata(&self, shard: ShardId) -> Vec<(String, String)> {
        let (first, last) = self.members.span().unwrap_or_default();
        let told = [
            ("shard", shard.to_string()),
            ("first-sequence", first.to_string()),
            ("last-sequence", last.to_string()),
            ("records", self.records.to_string()),
        ];
        let told = told.into_iter().map(|(name, value)| (format!("{METADATA}{name}"), value));
        self.metadata.iter().cloned().chain(told).collect()
    }
}

/// Why a window could not take or finish records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the encoder failed")]
    Encode(#[from] EncodeError),
    #[error("the outbox file could not be written")]
    Spill(#[from] std::io::Error),
}

impl Window {
    pub(crate) fn open(
        kind: Kind,
        settings: &EncoderSettings,
        entropy: &dyn Entropy,
        now: Duration,
        arrival_ms: i64,
    ) -> Result<Self, Error> {
        Ok(Self {
            kind,
            revision: 0,
            opened: now,
            oldest_arrival_ms: arrival_ms,
            members: Members::new(),
            records: 0,
            encoder: ObjectEncoder::new(settings, entropy)?,
            table_version: settings.format.table_version(),
            digest: digest(),
            length: 0,
            spill: None,
        })
    }

    /// Encodes records; those that the format refuses are answered and not in the object.
    pub(crate) fn push(&mut self, columns: Columns<'_>, select: Option<&[u32]>) -> Result<Vec<Rejected>, Error> {
        Ok(self.encoder.push(columns, select)?)
    }

    /// Notes that output `index` of the records `from..to` was encoded.
    pub(crate) fn note(&mut self, index: u32, from: Seq, to: Seq, oldest_arrival_ms: i64) {
        self.members.insert(index, from, to);
        if matches!(self.kind, Kind::Error(_)) {
            self.members.insert_failed(from, to);
        }
        self.records += to.since(from);
        self.oldest_arrival_ms = self.oldest_arrival_ms.min(oldest_arrival_ms);
    }

    /// Notes how many outputs a record of the window has.
    pub(crate) fn note_total(&mut self, seq: Seq, outputs: u32) {
        self.members.insert_total(seq, outputs);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// True when it is to be cut for what its members cost, whatever it holds.
    pub(crate) fn is_wide(&self) -> bool {
        self.members.range_count() >= RANGES_MAX
    }

    pub(crate) fn source_bytes(&self) -> u64 {
        self.encoder.source_bytes()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.encoder.memory_bytes()
    }

    /// Ends the row group of Parquet that is being written, so that it can be spilled.
    pub(crate) fn end_row_group(&mut self) -> Result<(), Error> {
        Ok(self.encoder.end_row_group()?)
    }

    /// Moves the output so far into a file of the outbox; answers how many bytes that freed.
    pub(crate) fn spill(&mut self, outbox: &Outbox) -> Result<usize, Error> {
        let bytes = self.encoder.take_output();
        if bytes.is_empty() {
            return Ok(0);
        }
        self.take(&bytes);
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(outbox.begin_spill()?),
        };
        spill.append(&bytes)?;
        Ok(bytes.len())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// Ends the object.
    pub(crate) fn finish(mut self) -> Result<Finished, Error> {
        let mut bytes = self.encoder.take_output();
        let finished = self.encoder.finish()?;
        if bytes.is_empty() {
            bytes = finished.rest;
        } else {
            bytes.extend_from_slice(&finished.rest);
        }
        self.digest.update(&bytes);
        let length = self.length + bytes.len() as u64;
        let bulk = match self.spill {
            None => Bulk::Memory(Bytes::from(bytes)),
            Some(mut spill) => {
                spill.append(&bytes)?;
                Bulk::Spilled(spill)
            }
        };
        Ok(Finished {
            kind: self.kind,
            revision: self.revision,
            oldest_arrival_ms: self.oldest_arrival_ms,
            members: self.members,
            records: self.records,
            bulk,
            length,
            crc64: self.digest.finalize(),
            content_encoding: finished.content_encoding,
            extension: finished.extension,
            metadata: finished.metadata,
            table_version: self.table_version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_encode::{Compression, Format, Levels};
    use millrace_types::SeededEntropy;

    #[test]
    fn a_window_of_scattered_records_is_cut_before_its_intent_is_too_large() {
        let settings = EncoderSettings {
            format: Format::JsonLines { delimiter: None },
            compression: Compression::Uncompressed,
            levels: Levels { gzip: 6, zstd: 3, parquet_zstd: 1 },
            encryption: None,
        };
        let kind = Kind::Error(PROCESSING_FAILED);
        let mut window = Window::open(kind, &settings, &SeededEntropy::new(1), Duration::ZERO, 0).unwrap();
        // Each is a range of its own, and one more says that it failed.
        let mut records = 0;
        while !window.is_wide() {
            let seq = Seq::new(records * 2);
            window.note(0, seq, seq.plus(1), 0);
            records += 1;
        }
        assert_eq!(records as usize, RANGES_MAX / 2);
    }
}
