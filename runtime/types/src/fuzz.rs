//! Fuzz targets of this crate: stored members and record ids, from any bytes.

use crate::mutate::Target;
use crate::{Members, RecordId, Seq, ShardId};

/// Stored members: what is read costs no more than its bytes, and comes back when it is written.
pub fn members(data: &[u8]) {
    let mut rest = data;
    let Ok(members) = Members::decode(&mut rest) else { return };
    assert!(data.ends_with(rest), "reads from the head on");
    assert!(members.range_count() <= data.len(), "a range costs bytes");
    let mut bytes = Vec::new();
    members.encode(&mut bytes);
    let mut own = &bytes[..];
    assert_eq!(Members::decode(&mut own), Ok(members.clone()));
    assert!(own.is_empty(), "reads all that was written");
    assert!(members.count() >= members.iter().count() as u64);
    if let Some((first, last)) = members.span() {
        assert!(first <= last);
        let mut all = Members::new();
        all.merge(&members);
        assert_eq!(all, members);
        all.trim(last);
        assert!(all.range_count() <= members.range_count());
    }
}

/// Record ids: what is read is what is written.
pub fn record_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<RecordId>() {
        assert_eq!(id.to_string(), text);
    }
}

fn some_members() -> Vec<Vec<u8>> {
    let mut members = Members::new();
    let mut seeds = Vec::new();
    for (index, from, to) in [(0, 5, 9), (0, 11, 12), (3, 1 << 40, (1 << 40) + 7), (u32::MAX / 2, 0, 1)] {
        members.insert(index, Seq::new(from), Seq::new(to));
        members.insert_total(Seq::new(from), 4);
        let mut bytes = Vec::new();
        members.encode(&mut bytes);
        seeds.push(bytes);
    }
    seeds
}

fn some_ids() -> Vec<Vec<u8>> {
    let id = |shard, seq| RecordId { shard: ShardId::from_u64(shard), seq: Seq::new(seq) }.to_string().into_bytes();
    vec![id(0, 0), id(7 << 16, 12_345), id(u64::MAX, u64::MAX)]
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "members",
            run: members,
            seeds: some_members,
            words: &["\u{1}\u{1}", "\u{0}", "\u{7f}\u{7f}"],
            rounds: 20_000,
        },
        Target {
            name: "record_id",
            run: record_id,
            seeds: some_ids,
            words: &["49", "99999999999999999999"],
            rounds: 5_000,
        },
    ]
}

#[test]
fn targets_hold() {
    crate::mutate::drive(&targets());
}
