//! Functions run natively, as their writers test them.

use millrace_sdk::guest::{bytes, each, json};
use millrace_sdk::{Batch, Context, Outcome, Output, Record, http, key_value};
use serde::{Deserialize, Serialize};

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

#[derive(Deserialize)]
struct Order<'a> {
    id: u64,
    note: &'a str,
}

#[derive(Serialize)]
struct Noted {
    id: u64,
    length: usize,
}

#[millrace_sdk::transform]
fn note(order: Order<'_>) -> Result<Noted, &'static str> {
    if order.note == "no" {
        return Err("refused");
    }
    Ok(Noted { id: order.id, length: order.note.len() })
}

#[millrace_sdk::transform]
fn route(order: Order) -> Outcome {
    match order.id {
        0 => Outcome::dropped(),
        id => Outcome::json(&Noted { id, length: 0 }).partition("note", order.note),
    }
}

#[test]
fn typed_records_are_read_and_written_as_json() {
    let batch = Batch::of([br#"{"id":1,"note":"abc"}"#.as_slice(), b"{}", br#"{"id":2,"note":"no"}"#]);
    let mut out = Output::for_batch(&batch);
    each(&batch, &mut out, note).unwrap();
    assert_eq!(out.len(), 1);
    assert_eq!(out.get(0), Some((br#"{"id":1,"length":3}"#.as_slice(), 0)));
    let failures = out.failures();
    assert_eq!(failures[0].0, 1);
    assert!(failures[0].1.starts_with("the record cannot be read: missing field `id`"), "{}", failures[0].1);
    assert_eq!(failures[1], (2, "refused".to_owned()));
}

#[test]
fn a_typed_record_may_become_any_outcome() {
    let batch = Batch::of([br#"{"id":0,"note":""}"#.as_slice(), br#"{"id":7,"note":"x"}"#]);
    let mut out = Output::for_batch(&batch);
    each(&batch, &mut out, route).unwrap();
    assert_eq!((out.len(), out.failures().len()), (1, 0));
    assert_eq!(out.get(0), Some((br#"{"id":7,"length":0}"#.as_slice(), 1)));
}

#[test]
fn what_cannot_be_written_as_json_fails_its_record() {
    let keyed = std::collections::BTreeMap::from([(vec![1], 2)]);
    let out = run(&[b"a"], |_| Outcome::json(&keyed));
    assert!(out.is_empty());
    assert!(out.failures()[0].1.starts_with("the record cannot be written: "));
}

#[millrace_sdk::handler]
fn reverse(event: &[u8]) -> Result<Vec<u8>, String> {
    if event.is_empty() { Err("nothing".to_owned()) } else { Ok(event.iter().rev().copied().collect()) }
}

#[millrace_sdk::handler]
fn describe(order: Order, context: &Context) -> Result<(u64, String), std::fmt::Error> {
    if order.note.is_empty() { Err(std::fmt::Error) } else { Ok((order.id, context.function_version.clone())) }
}

#[test]
fn handlers_answer_bytes_or_json() {
    assert_eq!(bytes(b"abc", reverse).unwrap(), b"cba");
    assert_eq!(bytes(b"", reverse).unwrap_err(), "nothing");
    let call = |event: &'static str| json(event.as_bytes(), |order| describe(order, &Context::default()));
    assert_eq!(call(r#"{"id":3,"note":"n"}"#).unwrap(), br#"[3,"$LATEST"]"#);
    assert_eq!(call(r#"{"id":3,"note":""}"#).unwrap_err(), std::fmt::Error.to_string());
    assert!(call("3").unwrap_err().starts_with("the event cannot be read: "));
}

#[test]
fn a_call_knows_what_time_it_has() {
    let mut context = Context::default();
    assert!((1..=5_000).contains(&context.remaining_ms()));
    context.deadline_ms = 1;
    assert_eq!(context.remaining_ms(), 0);
}

#[test]
fn stand_ins_answer_natively() {
    key_value::set("b/1", b"x").unwrap();
    key_value::set("b/2", b"y").unwrap();
    key_value::set("c", b"z").unwrap();
    assert_eq!(key_value::get("b/1").unwrap(), Some(b"x".to_vec()));
    assert_eq!(key_value::keys("b/", Some("b/1")).unwrap(), ["b/2"]);
    key_value::delete("b/1").unwrap();
    assert_eq!(key_value::get("b/1").unwrap(), None);

    let request = || http::Request::get("https://a.example/x").header("accept", "text/plain").timeout_ms(5);
    assert!(request().send().unwrap_err().contains("stand_in"));
    http::stand_in(|request| {
        assert_eq!((request.method.as_str(), request.timeout_ms), ("GET", Some(5)));
        let headers = vec![("etag".to_owned(), request.headers[0].1.clone())];
        Ok(http::Response { status: 200, headers, body: request.url.clone().into() })
    });
    let answer = request().send().unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"https://a.example/x".as_slice()));
    assert_eq!((answer.header("etag"), answer.header("age")), (Some(b"text/plain".as_slice()), None));
}
