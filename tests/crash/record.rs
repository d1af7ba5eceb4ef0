//! What a record of the oracle looks like: all of it follows from its id and the seed, so the judge
//! can tell a torn or foreign record from a good one.

use millrace_types::{Entropy as _, SeededEntropy};
use serde_json::Value;

/// Distinct partitions that records name.
pub(crate) const PARTITIONS: u64 = 5;
/// Bytes of padding in most records.
const PAD_BYTES_MAX: u64 = 400;
/// One record in so many is large.
const LARGE_EVERY: u64 = 997;
/// Bytes of padding in a large one.
const LARGE_BYTES_MAX: u64 = 60_000;

/// The partition that record `id` belongs to.
pub(crate) fn partition(id: u64, seed: u64) -> String {
    format!("p{}", mix(id, seed, 1) % PARTITIONS)
}

/// The record with this id: one JSON object.
pub(crate) fn record(id: u64, producer: u16, stream: u8, seed: u64) -> Vec<u8> {
    let pad = pad(id, seed);
    let (part, check) = (partition(id, seed), check(id, producer, stream, seed, &pad));
    format!(
        "{{\"id\":{id},\"producer\":{producer},\"stream\":{stream},\"part\":\"{part}\",\"check\":\"{check}\",\"pad\":\"{pad}\"}}"
    )
    .into_bytes()
}

/// The record as it is sent to the function `partition`: that takes the head off and makes it the key.
pub(crate) fn with_head(record: &[u8], id: u64, seed: u64) -> Vec<u8> {
    [format!("part={};", partition(id, seed)).as_bytes(), record].concat()
}

/// What the judge reads off a delivered record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The number that the function `random` drew for this output; 0 without it.
    pub(crate) drawn: u64,
    /// Its id.
    pub(crate) id: u64,
    /// Its producer.
    pub(crate) producer: u16,
    /// Its stream.
    pub(crate) stream: u8,
}

/// How many outputs the function `random` makes of a record for which it drew `drawn`; without it one.
pub(crate) fn copies_of(drawn: u64) -> u8 {
    if drawn != 0 && drawn.is_multiple_of(16) { 2 } else { 1 }
}

/// Reads a record back; `None` when it is not one of ours or was changed. What the function `random`
/// sets before it (a number in hex and the time) is taken off; members may have been added to it.
pub(crate) fn read(bytes: &[u8], seed: u64) -> Option<Seen> {
    let start = bytes.iter().position(|byte| *byte == b'{')?;
    let (head, json) = bytes.split_at(start);
    let drawn = match std::str::from_utf8(head).ok()?.split_once(' ') {
        Some((number, _)) => u64::from_str_radix(number, 16).ok()?,
        None if head.is_empty() => 0,
        None => return None,
    };
    let value: Value = serde_json::from_slice(json).ok()?;
    let id = value["id"].as_u64()?;
    let producer = u16::try_from(value["producer"].as_u64()?).ok()?;
    let stream = u8::try_from(value["stream"].as_u64()?).ok()?;
    let pad = value["pad"].as_str()?;
    let good = pad == self::pad(id, seed)
        && value["part"] == partition(id, seed)
        && value["check"] == check(id, producer, stream, seed, pad);
    good.then_some(Seen { drawn, id, producer, stream })
}

fn pad(id: u64, seed: u64) -> String {
    let large = mix(id, seed, 2).is_multiple_of(LARGE_EVERY);
    let bytes = mix(id, seed, 3) % if large { LARGE_BYTES_MAX } else { PAD_BYTES_MAX };
    let mut raw = vec![0; usize::try_from(bytes / 2).unwrap_or(0)];
    SeededEntropy::new(mix(id, seed, 4)).fill(&mut raw);
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// FNV-1a, 64 bits, over all other members and the seed.
fn check(id: u64, producer: u16, stream: u8, seed: u64, pad: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in format!("{seed}/{id}/{producer}/{stream}/").bytes().chain(pad.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// A number that follows from id, seed and purpose.
fn mix(id: u64, seed: u64, purpose: u64) -> u64 {
    SeededEntropy::new(id.wrapping_mul(0x9e37_79b9).wrapping_add(seed.rotate_left(17)).wrapping_add(purpose << 56))
        .next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_any_change_is_seen() {
        for id in 0..2000 {
            let bytes = record(id, 3, 1, 7);
            assert_eq!(read(&bytes, 7), Some(Seen { drawn: 0, id, producer: 3, stream: 1 }));
            assert_eq!(read(&bytes, 8), None, "another seed");
        }
        let drawn = [b"00000000000000a0 1790000000000 ".to_vec(), record(5, 3, 1, 7)].concat();
        assert_eq!(read(&drawn, 7), Some(Seen { drawn: 0xa0, id: 5, producer: 3, stream: 1 }));
        assert_eq!((copies_of(0xa0), copies_of(0xa1), copies_of(0)), (2, 1, 1));
        assert!(read(&with_head(&record(5, 3, 1, 7), 5, 7), 7).is_none(), "the head must be taken off");
        let text = String::from_utf8(record(5, 3, 1, 7)).unwrap();
        assert!(read(text.replace("\"id\":5", "\"id\":6").as_bytes(), 7).is_none());
        assert!(read(text.replace("\"producer\":3", "\"producer\":4").as_bytes(), 7).is_none());
        assert!(read(text.replace("{\"id\"", "{\"extra\":1,\"id\"").as_bytes(), 7).is_some(), "more members are fine");
        assert!(read(&text.as_bytes()[..text.len() / 2], 7).is_none());
    }
}
