//! Frames: what lies in segments and runs, byte by byte. All numbers are little-endian.
//!
//! A frame is a header of 48 bytes and a body, padded with zeros to a multiple of 8:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `MRF1` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | kind: 1 records, 2 intent, 3 commit, 4 retire, 5 snapshot, 6 mark, 7 pad |
//! | 6 | 2 | flags: 1 all records arrived at the same time, 2 partition keys, 4 the next frame belongs to the same request |
//! | 8 | 4 | bytes of the body, padding included |
//! | 12 | 4 | CRC32C of the body, padding included |
//! | 16 | 8 | shard |
//! | 24 | 8 | records: first sequence number; intent: its id; commit: watermark; snapshot: number of the part |
//! | 32 | 4 | records: how many; commit: how many intents; snapshot: how many parts |
//! | 36 | 4 | CRC32C of the file's salt (8 bytes) and this header without this field |
//! | 40 | 8 | offset in this file below which everything was durable when the frame was written |
//!
//! The salt is random and never leaves the data directory: a record whose payload looks like a frame
//! is not taken for one when a damaged place is skipped.
//!
//! Bodies. *Records*: arrivals (one i64, or one for each record), ends (u32 each), with keys the
//! key ends (u32 each), payload, keys. *Intent*: members, then the caller's body with its length
//! (u32) before it. *Commit*: delivered, dropped, failed, quarantined (u64 each), intent ids (u64 each).
//! *Retire*, *mark*: nothing. *Pad*: zeros. *Snapshot*: see `snapshot`.

mod body;
#[cfg(test)]
mod tests;

use millrace_types::ShardId;

pub(crate) use body::{Body, commit, decode_commit, decode_intent, decode_records, intent, plain, records, retire};

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 48;
/// Bytes of the shortest frame of records: one empty record, with an arrival and an end, padded.
pub(crate) const RECORDS_BYTES_MIN: u64 = HEADER_BYTES as u64 + 16;
/// Frames begin at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 8;
pub(crate) const MAGIC: [u8; 4] = *b"MRF1";
const VERSION: u8 = 1;

/// All records arrived at the same time.
pub(crate) const SAME_ARRIVAL: u16 = 1;
/// The records have partition keys.
pub(crate) const KEYS: u16 = 2;
/// The next frame belongs to the same request: without it this one is not valid.
pub(crate) const MORE: u16 = 4;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records of a shard.
    Records = 1,
    /// A decision.
    Intent = 2,
    /// The end of decisions.
    Commit = 3,
    /// The end of a shard.
    Retire = 4,
    /// The state when the segment began.
    Snapshot = 5,
    /// Nothing; it says that what is before it was durable.
    Mark = 6,
    /// Nothing; it fills.
    Pad = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Records,
            2 => Self::Intent,
            3 => Self::Commit,
            4 => Self::Retire,
            5 => Self::Snapshot,
            6 => Self::Mark,
            7 => Self::Pad,
            _ => return None,
        })
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    pub(crate) body_bytes: u32,
    pub(crate) body_crc: u32,
    pub(crate) shard: ShardId,
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) synced: u64,
}

impl Header {
    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// Behind the last record.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    pub(crate) fn encode(&self, salt: u64) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = VERSION;
        out[5] = self.kind as u8;
        out[6..8].copy_from_slice(&self.flags.to_le_bytes());
        out[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        out[16..24].copy_from_slice(&self.shard.as_u64().to_le_bytes());
        out[24..32].copy_from_slice(&self.first.to_le_bytes());
        out[32..36].copy_from_slice(&self.count.to_le_bytes());
        out[40..].copy_from_slice(&self.synced.to_le_bytes());
        let crc = header_crc(&out, salt);
        out[36..40].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// None when these bytes are no header of a file with this salt.
    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        if bytes[..4] != MAGIC || bytes[4] != VERSION || u32_at(bytes, 36) != header_crc(bytes, salt) {
            return None;
        }
        let header = Self {
            kind: Kind::from_byte(bytes[5])?,
            flags: u16::from_le_bytes([bytes[6], bytes[7]]),
            body_bytes: u32_at(bytes, 8),
            body_crc: u32_at(bytes, 12),
            shard: ShardId::from_u64(u64_at(bytes, 16)),
            first: u64_at(bytes, 24),
            count: u32_at(bytes, 32),
            synced: u64_at(bytes, 40),
        };
        // Sequence numbers near the end of u64 would overflow behind the frame.
        let placed = header.kind == Kind::Records && header.first > u64::MAX / 2;
        ((header.body_bytes as usize).is_multiple_of(ALIGN_BYTES) && !placed).then_some(header)
    }

    /// True when `body` is what was written.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.body_bytes as usize && crc_fast::crc32_iscsi(body) == self.body_crc
    }
}

fn header_crc(header: &[u8; HEADER_BYTES], salt: u64) -> u32 {
    let mut covered = [0; HEADER_BYTES + 4];
    covered[..8].copy_from_slice(&salt.to_le_bytes());
    covered[8..44].copy_from_slice(&header[..36]);
    covered[44..].copy_from_slice(&header[40..]);
    crc_fast::crc32_iscsi(&covered)
}

/// The number at `at`; panics when it lies outside.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

/// The number at `at`; panics when it lies outside.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}
