//! Frames come back as they were written, and nothing else is taken for one.

use bytes::Bytes;
use millrace_types::{Batch, Counts, Members, Seq};
use proptest::prelude::*;

use super::*;
use crate::{Commit, Intent};

const SALT: u64 = 0x1234_5678_9abc_def0;

fn any_batch() -> impl Strategy<Value = Batch> {
    let record = (prop::collection::vec(any::<u8>(), 0..40), any::<i64>(), prop::collection::vec(any::<u8>(), 0..8));
    (prop::collection::vec(record, 0..20), any::<bool>(), any::<bool>(), 0..u64::MAX / 4).prop_map(
        |(records, keyed, same, first)| {
            let (mut payload, mut keys, mut ends, mut key_ends, mut arrivals) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for (record, arrival, key) in records {
                payload.extend(record);
                ends.push(u32::try_from(payload.len()).unwrap());
                arrivals.push(if same { 77 } else { arrival });
                if keyed {
                    keys.extend(key);
                    key_ends.push(u32::try_from(keys.len()).unwrap());
                }
            }
            let (payload, keys) = (Bytes::from(payload), Bytes::from(keys));
            Batch::from_columns(Seq::new(first), payload, ends, arrivals, keys, key_ends).unwrap()
        },
    )
}

fn written(body: &Body) -> Vec<u8> {
    let mut out = Vec::new();
    body.write_to(&mut out, 4242, SALT);
    assert_eq!(out.len() as u64, body.frame_bytes());
    assert_eq!(out.len() % ALIGN_BYTES, 0);
    out
}

fn read(bytes: &[u8]) -> Option<(Header, Bytes)> {
    let header = Header::decode(bytes, SALT)?;
    let body = bytes.get(HEADER_BYTES..HEADER_BYTES + header.body_bytes as usize)?;
    header.fits(body).then(|| (header, Bytes::copy_from_slice(body)))
}

proptest! {
    #[test]
    fn batches_come_back(batch in any_batch()) {
        let shard = ShardId::from_u64(9);
        let bytes = written(&records(shard, &batch));
        let (header, body) = read(&bytes).expect("own bytes");
        prop_assert_eq!((header.shard, header.synced, header.first), (shard, 4242, batch.first().get()));
        prop_assert_eq!(decode_records(&header, &body).expect("own bytes"), batch);
        for cut in 0..bytes.len() {
            prop_assert!(read(&bytes[..cut]).is_none(), "cut at {}", cut);
        }
        for cut in 0..body.len() {
            prop_assert!(decode_records(&header, &body.slice(..cut)).is_err() || body.len() - cut < ALIGN_BYTES);
        }
        prop_assert!(Header::decode(&bytes, SALT + 1).is_none(), "another file's salt");
    }

    #[test]
    fn every_flipped_bit_is_seen(batch in any_batch(), place: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = written(&records(ShardId::from_u64(1), &batch));
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(read(&bytes).is_none());
    }

    #[test]
    fn decisions_come_back(
        id: u64,
        ranges in prop::collection::vec((0u32..3, 0u64..1000, 1u64..9), 0..20),
        own in prop::collection::vec(any::<u8>(), 0..50),
        ids in prop::collection::vec(any::<u64>(), 0..9),
        numbers: [u32; 5],
    ) {
        let mut members = Members::new();
        for (index, from, length) in ranges {
            members.insert(index, Seq::new(from), Seq::new(from + length));
        }
        let shard = ShardId::from_u64(70_000);
        let made = Intent { shard, id, members, body: own.into() };
        let (header, body) = read(&written(&intent(&made))).expect("own bytes");
        prop_assert_eq!(decode_intent(&header, &body).expect("own bytes"), made);
        let [watermark, delivered, dropped, failed, quarantined] = numbers.map(u64::from);
        let counts = Counts { accepted: 0, delivered, dropped, failed, quarantined };
        let made = Commit { shard, intents: ids, watermark: Seq::new(watermark), counts };
        let (header, body) = read(&written(&commit(&made))).expect("own bytes");
        prop_assert_eq!(decode_commit(&header, &body).expect("own bytes"), made);
        for cut in 0..body.len() {
            prop_assert!(decode_commit(&header, &body[..cut]).is_err());
        }
    }

    #[test]
    fn foreign_bytes_are_refused_without_a_panic(kind in 1u8..8, count: u32, flags: u16, body in prop::collection::vec(any::<u8>(), 0..100)) {
        let header = Header {
            kind: Kind::from_byte(kind).unwrap(),
            flags, body_bytes: 0, body_crc: 0, shard: ShardId::from_u64(1), first: 0, count, synced: 0,
        };
        if let Ok(batch) = decode_records(&header, &Bytes::from(body.clone())) {
            prop_assert!(batch.len() <= body.len());
        }
        drop((decode_intent(&header, &body), decode_commit(&header, &body)));
        prop_assert!(Header::decode(&body, SALT).is_none());
    }
}
