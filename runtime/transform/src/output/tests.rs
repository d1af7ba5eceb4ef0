//! Outputs that are taken, refused, and put together.

use proptest::prelude::*;

use super::*;
use crate::abi::RawFailure;

fn raw(records: &[(&str, u32)]) -> RawOutput {
    let mut raw = RawOutput::default();
    for (record, source) in records {
        raw.payload.extend_from_slice(record.as_bytes());
        raw.ends.push(as_u32(raw.payload.len()));
        raw.sources.push(*source);
    }
    raw
}

fn failure(index: u32) -> RawFailure {
    RawFailure { index, reason: format!("no {index}") }
}

#[test]
fn one_to_many_dropped_and_failed_are_taken() {
    let mut given = raw(&[("a", 0), ("b", 0), ("", 3)]);
    given.failures = vec![failure(4), failure(1)];
    let output = Output::check(given, 5).unwrap();
    assert_eq!(output.columns().iter().collect::<Vec<_>>(), [b"a".as_slice(), b"b", b""]);
    assert_eq!(output.failures.iter().map(|f| f.index).collect::<Vec<_>>(), [1, 4]);
    assert!(Output::check(RawOutput::default(), 5).unwrap().is_empty(), "all dropped");
}

#[test]
fn what_does_not_fit_is_refused_with_its_column() {
    type Spoil = fn(&mut RawOutput);
    let cases: [(Spoil, &str); 16] = [
        (|o| o.ends[1] = 9, "ends reach to 9"),
        (|o| o.ends = vec![2, 1], "ends decrease"),
        (|o| o.payload.push(0), "ends reach to 2, payload has 3"),
        (|o| o.ends.clear(), "ends reach to 0"),
        (|o| o.sources.truncate(1), "1 sources for 2 records"),
        (|o| o.sources = vec![1, 0], "sources are not in order"),
        (|o| o.sources[1] = 5, "a source is 5"),
        (|o| o.failures = vec![failure(5)], "failure of record 5"),
        (|o| o.failures = vec![failure(1)], "record 1 is a source and a failure"),
        (|o| o.failures = vec![failure(3), failure(3)], "record 3 failed twice"),
        (|o| o.partition_names = vec!["k".into()], "0 partition ends, expected 2"),
        (|o| o.partition_names = vec!["k".into(); 2], "`k` twice"),
        (|o| o.partition_names = vec![String::new()], "a partition name of 0 bytes"),
        (|o| o.partition_names = (0..51).map(|n| n.to_string()).collect(), "51 partition names"),
        (|o| o.partition_values = vec![1], "partition ends reach to 0"),
        (
            |o| {
                o.partition_names = vec!["k".into()];
                o.partition_values = "ü".into();
                o.partition_ends = vec![1, 2];
            },
            "inside a character",
        ),
    ];
    for (spoil, expected) in cases {
        let mut given = raw(&[("a", 0), ("b", 1)]);
        spoil(&mut given);
        let refused = Output::check(given, 5).unwrap_err();
        assert!(refused.contains(expected), "`{refused}` does not say `{expected}`");
    }
}

#[test]
fn long_reasons_are_cut() {
    let mut given = raw(&[]);
    given.failures = vec![RawFailure { index: 0, reason: "x".repeat(5000) }];
    assert_eq!(Output::check(given, 1).unwrap().failures[0].reason.len(), REASON_BYTES_MAX);
}

#[test]
fn parts_fit_while_their_partition_keys_do() {
    let keyed = |name: &str, bytes: usize| {
        let mut given = raw(&[("a", 0)]);
        given.partition_names = vec![name.to_owned()];
        given.partition_values = vec![b'v'; bytes];
        given.partition_ends = vec![as_u32(bytes)];
        Output::check(given, 1).unwrap()
    };
    let mut whole = keyed("a", PARTITION_BYTES_MAX / 2);
    assert!(whole.fits(&keyed("a", PARTITION_BYTES_MAX / 2 - 8)), "to the byte");
    assert!(!whole.fits(&keyed("a", PARTITION_BYTES_MAX / 2 - 7)), "values");
    assert!(!whole.fits(&keyed("b", PARTITION_BYTES_MAX / 2 - 8)), "another name makes a column of its own");
    whole.append(keyed("b", 1), 1);
    assert_eq!(whole.partition_ends.len(), 4);
}

/// A record of a part: its bytes, its source, and what it gives for some names.
type Given = (Vec<u8>, usize, Vec<(usize, String)>);

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn part(records: &[Given]) -> Output {
    let mut raw = RawOutput::default();
    // Some order that depends on what the part holds, as guests answer.
    let names: std::collections::BTreeSet<usize> =
        records.iter().flat_map(|(_, _, keys)| keys.iter().map(|(name, _)| *name)).collect();
    let mut names: Vec<usize> = names.into_iter().collect();
    let by = records.len() % names.len().max(1);
    names.rotate_left(by);
    for (bytes, source, keys) in records {
        raw.payload.extend_from_slice(bytes);
        raw.ends.push(as_u32(raw.payload.len()));
        raw.sources.push(as_u32(*source));
        for name in &names {
            let value = keys.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value);
            raw.partition_values.extend_from_slice(value.as_bytes());
            raw.partition_ends.push(as_u32(raw.partition_values.len()));
        }
    }
    raw.partition_names = names.iter().map(|name| NAMES[*name].to_owned()).collect();
    Output::check(raw, 10).unwrap()
}

proptest! {
    #[test]
    fn parts_put_together_are_the_whole(
        parts in prop::collection::vec(
            prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..5), 0_usize..10, prop::collection::vec((0_usize..4, "[a-zü]{0,3}"), 0..3)),
                0..5,
            ),
            0..5,
        ),
    ) {
        let mut whole = Output::default();
        let mut expected = Vec::new();
        for (at, mut records) in parts.into_iter().enumerate() {
            records.sort_by_key(|(_, source, _)| *source);
            let output = part(&records);
            prop_assert!(whole.fits(&output));
            whole.append(output, as_u32(at * 10));
            expected.extend(records.into_iter().map(|(bytes, source, keys)| (bytes, at * 10 + source, keys)));
        }
        prop_assert_eq!(whole.len(), expected.len());
        for (index, (bytes, source, keys)) in expected.iter().enumerate() {
            prop_assert_eq!(whole.columns().record(index), &bytes[..]);
            prop_assert_eq!(whole.sources[index] as usize, *source);
            for (at, name) in whole.partition_names.iter().enumerate() {
                let given = keys.iter().find(|(of, _)| NAMES[*of] == name).map_or("", |(_, value)| value);
                prop_assert_eq!(whole.partition(index, at), given);
            }
        }
    }
}
