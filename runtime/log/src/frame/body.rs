//! Bodies: to bytes and back. A body is made before the writer sees it, so that columns and checksums
//! cost the caller's core; a large payload is written from where it lies.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use millrace_types::{Batch, Counts, Members, RECORDS_MAX, Seq, ShardId};

use super::{ALIGN_BYTES, HEADER_BYTES, Header, KEYS, Kind, SAME_ARRIVAL, u32_at, u64_at};
use crate::{Commit, Intent};

const ZEROS: [u8; ALIGN_BYTES] = [0; ALIGN_BYTES];

/// A frame but for its place: `head`, `payload`, `keys` and padding one behind the other.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    pub(crate) shard: ShardId,
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) head: Vec<u8>,
    pub(crate) payload: Bytes,
    pub(crate) keys: Bytes,
    bytes: u32,
    crc: u32,
}

impl Body {
    fn new(kind: Kind, shard: ShardId, head: Vec<u8>, payload: Bytes, keys: Bytes) -> Self {
        let unpadded = head.len() + payload.len() + keys.len();
        let bytes = unpadded.next_multiple_of(ALIGN_BYTES);
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&head);
        digest.update(&payload);
        digest.update(&keys);
        digest.update(&ZEROS[..bytes - unpadded]);
        #[expect(clippy::cast_possible_truncation, reason = "a CRC32C has 32 bits")]
        let crc = digest.finalize() as u32;
        // Payload and keys are below PAYLOAD_BYTES_MAX each, heads below 16 bytes a record; members and
        // bodies of intents are held against BODY_BYTES_MAX by the journal.
        #[expect(clippy::expect_used, reason = "the sum is far below 4 GiB")]
        let bytes = u32::try_from(bytes).expect("a body is below 4 GiB");
        Self { kind, flags: 0, shard, first: 0, count: 0, head, payload, keys, bytes, crc }
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.bytes)
    }

    /// Zeros behind the keys.
    pub(crate) fn padding(&self) -> &'static [u8] {
        &ZEROS[..self.bytes as usize - self.head.len() - self.payload.len() - self.keys.len()]
    }

    /// The header, for a frame written when everything below `synced` was durable.
    pub(crate) fn header(&self, synced: u64) -> Header {
        Header {
            kind: self.kind,
            flags: self.flags,
            body_bytes: self.bytes,
            body_crc: self.crc,
            shard: self.shard,
            first: self.first,
            count: self.count,
            synced,
        }
    }

    /// Appends the whole frame to `out`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>, synced: u64, salt: u64) {
        out.extend_from_slice(&self.header(synced).encode(salt));
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(self.padding());
    }
}

/// A batch. The writer sets `first`.
pub(crate) fn records(shard: ShardId, batch: &Batch) -> Body {
    let arrivals = batch.arrivals_ms();
    let same = arrivals.windows(2).all(|pair| pair[0] == pair[1]);
    let stored = if same { &arrivals[..arrivals.len().min(1)] } else { arrivals };
    let mut head = Vec::with_capacity(stored.len() * 8 + batch.len() * 4 + batch.key_ends().len() * 4);
    head.extend(stored.iter().flat_map(|arrival| arrival.to_le_bytes()));
    head.extend(batch.ends().iter().flat_map(|end| end.to_le_bytes()));
    head.extend(batch.key_ends().iter().flat_map(|end| end.to_le_bytes()));
    let mut body = Body::new(Kind::Records, shard, head, batch.payload().clone(), batch.keys().clone());
    body.flags = if same { SAME_ARRIVAL } else { 0 } | if batch.key_ends().is_empty() { 0 } else { KEYS };
    body.first = batch.first().get();
    #[expect(clippy::cast_possible_truncation, reason = "a batch has at most RECORDS_MAX records")]
    let count = batch.len() as u32;
    body.count = count;
    body
}

pub(crate) fn intent(intent: &Intent) -> Body {
    let mut head = Vec::new();
    intent.members.encode(&mut head);
    #[expect(clippy::cast_possible_truncation, reason = "the journal holds bodies against BODY_BYTES_MAX")]
    let length = intent.body.len() as u32;
    head.extend_from_slice(&length.to_le_bytes());
    let mut body = Body::new(Kind::Intent, intent.shard, head, intent.body.clone(), Bytes::new());
    body.first = intent.id;
    body
}

pub(crate) fn commit(commit: &Commit) -> Body {
    let counts = [commit.counts.delivered, commit.counts.dropped, commit.counts.failed, commit.counts.quarantined];
    let head = counts.iter().chain(&commit.intents).flat_map(|number| number.to_le_bytes()).collect();
    let mut body = Body::new(Kind::Commit, commit.shard, head, Bytes::new(), Bytes::new());
    body.first = commit.watermark.get();
    #[expect(clippy::cast_possible_truncation, reason = "the journal holds commits against BODY_BYTES_MAX")]
    let count = commit.intents.len() as u32;
    body.count = count;
    body
}

pub(crate) fn retire(shard: ShardId) -> Body {
    Body::new(Kind::Retire, shard, Vec::new(), Bytes::new(), Bytes::new())
}

/// A frame of no shard: part of a snapshot, mark, pad.
pub(crate) fn plain(kind: Kind, head: Vec<u8>) -> Body {
    Body::new(kind, ShardId::from_u64(0), head, Bytes::new(), Bytes::new())
}

const SHORT: &str = "the frame's body is shorter than its header says";

/// Reads a batch; its payload and keys share `body`.
pub(crate) fn decode_records(header: &Header, body: &Bytes) -> Result<Batch, &'static str> {
    let count = header.count as usize;
    if count > RECORDS_MAX {
        return Err("the frame has more records than a batch may have");
    }
    let same = header.flags & SAME_ARRIVAL != 0;
    let keyed = header.flags & KEYS != 0;
    let arrivals_at = if same { count.min(1) * 8 } else { count * 8 };
    let ends_at = arrivals_at + count * 4;
    let key_ends_at = ends_at + if keyed { count * 4 } else { 0 };
    let columns = body.get(..key_ends_at).ok_or(SHORT)?;
    let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(|bytes| u32_at(bytes, 0)).collect::<Vec<_>>();
    let (ends, key_ends) = (numbers(&columns[arrivals_at..ends_at]), numbers(&columns[ends_at..]));
    let arrivals = columns[..arrivals_at].chunks_exact(8).map(|bytes| u64_at(bytes, 0).cast_signed());
    let arrivals: Vec<i64> = match (same, arrivals.clone().next()) {
        (true, Some(arrival)) => vec![arrival; count],
        _ => arrivals.collect(),
    };
    let payload_at = key_ends_at + ends.last().map_or(0, |end| *end as usize);
    let keys_at = payload_at + key_ends.last().map_or(0, |end| *end as usize);
    let padding = body.get(keys_at..).ok_or(SHORT)?;
    if padding.len() >= ALIGN_BYTES || padding.iter().any(|byte| *byte != 0) {
        return Err("the frame's body is longer than its columns");
    }
    let (payload, keys) = (body.slice(key_ends_at..payload_at), body.slice(payload_at..keys_at));
    Batch::from_columns(Seq::new(header.first), payload, ends, arrivals, keys, key_ends)
}

pub(crate) fn decode_intent(header: &Header, body: &[u8]) -> Result<Intent, &'static str> {
    let mut rest = body;
    let members = Members::decode(&mut rest).map_err(|_| "the intent's members are damaged")?;
    let length = rest.get(..4).map(|bytes| u32_at(bytes, 0) as usize).ok_or(SHORT)?;
    let body = rest[4..].get(..length).ok_or(SHORT)?;
    Ok(Intent { shard: header.shard, id: header.first, members, body: Bytes::copy_from_slice(body) })
}

pub(crate) fn decode_commit(header: &Header, body: &[u8]) -> Result<Commit, &'static str> {
    let count = header.count as usize;
    let bytes = body.get(..32 + count.checked_mul(8).ok_or(SHORT)?).ok_or(SHORT)?;
    let counts = Counts {
        accepted: 0,
        delivered: u64_at(bytes, 0),
        dropped: u64_at(bytes, 8),
        failed: u64_at(bytes, 16),
        quarantined: u64_at(bytes, 24),
    };
    let intents = bytes[32..].chunks_exact(8).map(|bytes| u64_at(bytes, 0)).collect();
    Ok(Commit { shard: header.shard, intents, watermark: Seq::new(header.first), counts })
}
