//! Snapshots: the whole state, at the head of each segment, twice. So the files before are needed for
//! their records only, and a start reads one segment.
//!
//! The parts' bodies, one behind the other, are entries; each begins with its tag, zeros fill the rest.
//! 1 shard: id, next, watermark, delivered, dropped, failed, quarantined (u64 each), members done.
//! 2 intent: shard, id (u64 each), members, length of the body (u32), body.
//! 3 sealed segment: number, valid bytes (u64 each).

use std::collections::BTreeMap;

use bytes::Bytes;
use millrace_types::{Counts, Members, Seq, ShardId};

use crate::Intent;
use crate::file::FRAMES_AT;
use crate::frame::{Body, HEADER_BYTES, Header, Kind, plain, u32_at, u64_at};
use crate::store::{Shard, Store};

/// A part is closed when it is this long; only a single longer entry makes a longer one.
const PART_BYTES: usize = 1 << 20;

const SHARD: u8 = 1;
const INTENT: u8 = 2;
const SEGMENT: u8 = 3;

/// The state as frames; there is at least one.
pub(crate) fn encode(store: &Store) -> Vec<Body> {
    let mut parts = Parts::default();
    let mut shards: Vec<_> = store.shards.iter().collect();
    shards.sort_unstable_by_key(|(id, _)| **id);
    for (id, shard) in shards {
        let decided = &shard.decided;
        let numbers = [
            id.as_u64(),
            shard.next.get(),
            shard.watermark.get(),
            decided.delivered,
            decided.dropped,
            decided.failed,
            decided.quarantined,
        ];
        parts.entry(SHARD, &numbers, |out| shard.done.encode(out));
        for intent in shard.intents.values() {
            parts.entry(INTENT, &[id.as_u64(), intent.id], |out| {
                intent.members.encode(out);
                #[expect(clippy::cast_possible_truncation, reason = "the journal took it with a length of u32")]
                let length = intent.body.len() as u32;
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(&intent.body);
            });
        }
    }
    for (number, segment) in &store.segments {
        parts.entry(SEGMENT, &[*number, segment.valid_bytes], |_| {});
    }
    parts.finish()
}

#[derive(Default)]
struct Parts {
    done: Vec<Body>,
    part: Vec<u8>,
}

impl Parts {
    fn entry(&mut self, tag: u8, numbers: &[u64], rest: impl FnOnce(&mut Vec<u8>)) {
        if self.part.len() >= PART_BYTES {
            self.close();
        }
        self.part.push(tag);
        self.part.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        rest(&mut self.part);
    }

    fn close(&mut self) {
        self.done.push(plain(Kind::Snapshot, std::mem::take(&mut self.part)));
    }

    fn finish(mut self) -> Vec<Body> {
        if !self.part.is_empty() || self.done.is_empty() {
            self.close();
        }
        #[expect(clippy::cast_possible_truncation, reason = "parts of a MiB each")]
        let count = self.done.len() as u32;
        for (nth, part) in self.done.iter_mut().enumerate() {
            part.first = nth as u64;
            part.count = count;
        }
        self.done
    }
}

/// The copies lie in pages of their own.
const PAGE_BYTES: u64 = 4096;

/// Where the second copy begins when the first one ends at `end`; a pad fills what lies between.
pub(crate) fn second_copy_at(end: u64) -> u64 {
    (end + HEADER_BYTES as u64).next_multiple_of(PAGE_BYTES)
}

/// Where the second copy ends, by the whole parts among a segment's frames: all of them in one copy or the
/// other, or the segment has no snapshot that can be read.
pub(crate) fn copies_end<'a>(frames: impl Iterator<Item = &'a Header>) -> u64 {
    let parts = frames.filter(|header| header.kind == Kind::Snapshot);
    let bytes: BTreeMap<u64, u64> = parts.map(|header| (header.first, header.frame_bytes())).collect();
    let bytes: u64 = bytes.values().sum();
    second_copy_at(FRAMES_AT + bytes) + bytes
}

/// What a snapshot says.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) shards: Vec<(ShardId, Shard)>,
    /// Valid bytes of the segments before, by number.
    pub(crate) segments: BTreeMap<u64, u64>,
}

/// Reads the bodies of all parts, in order.
pub(crate) fn decode(parts: &[Bytes]) -> Result<Snapshot, &'static str> {
    let mut out = Snapshot::default();
    for part in parts {
        let mut rest = &part[..];
        while let Some((tag, behind)) = rest.split_first() {
            rest = behind;
            match *tag {
                0 => break,
                SHARD => {
                    let [id, next, watermark, delivered, dropped, failed, quarantined] = take(&mut rest)?;
                    let done = Members::decode(&mut rest).map_err(|_| WRONG)?;
                    let decided = Counts { accepted: 0, delivered, dropped, failed, quarantined };
                    let (next, watermark) = (Seq::new(next), Seq::new(watermark));
                    let shard = Shard { next, watermark, done, decided, ..Shard::default() };
                    out.shards.push((ShardId::from_u64(id), shard));
                }
                INTENT => {
                    let [id, nth] = take(&mut rest)?;
                    let intent = take_intent(&mut rest, ShardId::from_u64(id), nth)?;
                    let owner = out.shards.last_mut().filter(|(id, _)| *id == intent.shard).ok_or(WRONG)?;
                    owner.1.intents.insert(nth, intent);
                }
                SEGMENT => {
                    let [number, valid_bytes] = take(&mut rest)?;
                    out.segments.insert(number, valid_bytes);
                }
                _ => return Err(WRONG),
            }
        }
    }
    Ok(out)
}

const WRONG: &str = "a snapshot is cut short or of another form";

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u64; N], &'static str> {
    let (numbers, behind) = rest.split_at_checked(N * 8).ok_or(WRONG)?;
    *rest = behind;
    Ok(std::array::from_fn(|nth| u64_at(numbers, nth * 8)))
}

fn take_intent(rest: &mut &[u8], shard: ShardId, id: u64) -> Result<Intent, &'static str> {
    let members = Members::decode(rest).map_err(|_| WRONG)?;
    let (length, behind) = rest.split_at_checked(4).ok_or(WRONG)?;
    let (body, behind) = behind.split_at_checked(u32_at(length, 0) as usize).ok_or(WRONG)?;
    *rest = behind;
    Ok(Intent { shard, id, members, body: Bytes::copy_from_slice(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_many_parts_comes_back() {
        let mut store = Store::new(0);
        for nth in 0..40u64 {
            let id = ShardId::from_u64(nth * 7);
            let mut members = Members::new();
            members.insert(0, Seq::new(nth), Seq::new(nth + 5));
            store.intent(Intent { shard: id, id: nth, members, body: vec![7; 100_000].into() });
            let shard = store.shards.get_mut(&id).unwrap();
            shard.next = Seq::new(nth + 9);
            shard.decided.delivered = nth;
        }
        let bodies = encode(&store);
        assert!(bodies.len() > 2, "several parts");
        let parts: Vec<Bytes> = bodies.iter().map(|body| body.head.clone().into()).collect();
        let back = decode(&parts).unwrap();
        assert_eq!(back.shards.len(), 40);
        for (id, shard) in back.shards {
            let there = &store.shards[&id];
            assert_eq!((shard.next, &shard.decided, &shard.intents), (there.next, &there.decided, &there.intents));
        }
        for cut in 1..200 {
            let mut short = parts.clone();
            let last = short.pop().unwrap();
            short.push(last.slice(..last.len() - cut));
            assert!(decode(&short).is_err(), "cut by {cut}");
        }
    }
}
