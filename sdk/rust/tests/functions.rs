//! Functions run natively, as their writers test them.

use millrace_sdk::{Batch, Outcome, Output, Record, guest::each};

fn run(records: &[&[u8]], function: impl Fn(Record<'_>) -> Outcome) -> Output {
    let batch = Batch::of(records.iter().copied());
    let mut out = Output::for_batch(&batch);
    each(&batch, &mut out, function).unwrap();
    out
}

#[millrace_sdk::transform]
fn classify(record: Record) -> Result<Outcome, std::num::ParseIntError> {
    let number: i64 = String::from_utf8_lossy(record.bytes()).parse()?;
    Ok(match number {
        0 => Outcome::dropped(),
        1 => Outcome::kept(),
        2 => Outcome::many(["a", "b"]),
        _ => Outcome::changed(number.to_string() + "!"),
    })
}

#[test]
fn outcomes_become_columns() {
    let batch = Batch::of([b"0".as_slice(), b"1", b"2", b"x", b"3"]);
    let mut out = Output::for_batch(&batch);
    each(&batch, &mut out, classify).unwrap();
    let records: Vec<_> = (0..out.len()).map(|at| out.get(at).unwrap()).collect();
    assert_eq!(records, [(b"1".as_slice(), 1), (b"a", 2), (b"b", 2), (b"3!", 4)]);
    assert_eq!(out.failures().len(), 1);
    assert_eq!(out.failures()[0].0, 3);
    assert!(out.get(4).is_none());
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let batch = Batch::of([b"abc".as_slice()]);
    let mut out = Output::for_batch(&batch);
    for record in batch.iter() {
        let failed = out.write(record, |buffer| {
            buffer.extend_from_slice(b"half");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        out.write(record, |buffer| {
            buffer.extend_from_slice(b"whole");
            Ok::<(), ()>(())
        })
        .unwrap();
    }
    assert_eq!(out.get(0), Some((b"whole".as_slice(), 0)));
}

#[test]
fn dropped_needs_nothing() {
    assert!(run(&[b"a", b"b"], |_| Outcome::dropped()).is_empty());
}
