//! What a record became, against what was expected of it.

use std::collections::BTreeMap;

use base64_simd::STANDARD;
use millrace_transform::Ran;
use millrace_types::Batch;
use serde_json::{Value, json};

use super::file::{Answer, Expect, Outcome, Output, Payload};
use crate::cli::show::printable;

/// Bytes that are shown of a record.
const SHOWN_BYTES_MAX: usize = 200;

/// What a record became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) result: Outcome,
    pub(super) outputs: Vec<GotOutput>,
    /// Why it failed; empty when it did not.
    pub(super) reason: String,
}

/// One output record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GotOutput {
    pub(super) data: Vec<u8>,
    pub(super) partition_keys: BTreeMap<String, String>,
}

/// What each record of `batch` became.
pub(super) fn got(batch: &Batch, ran: &Ran) -> Vec<Got> {
    let output = &ran.output;
    let mut at = 0;
    let mut failures = ran.failures.iter().peekable();
    let mut all = Vec::with_capacity(batch.len());
    for nth in 0..batch.len() {
        let mut outputs = Vec::new();
        while output.sources.get(at).is_some_and(|source| *source as usize == nth) {
            let keys = output.partition_names.iter().enumerate().map(|(n, name)| (name, output.partition(at, n)));
            outputs.push(GotOutput {
                data: output.columns().record(at).to_vec(),
                // An empty value stands for none.
                partition_keys: keys.filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.clone(), v.to_owned())).collect(),
            });
            at += 1;
        }
        all.push(match failures.next_if(|failed| failed.index as usize == nth) {
            Some(failed) => {
                let reason = format!("{}: {}", failed.code, failed.message);
                Got { result: Outcome::ProcessingFailed, outputs, reason }
            }
            None if outputs.is_empty() => Got { result: Outcome::Dropped, outputs, reason: String::new() },
            None => Got { result: Outcome::Ok, outputs, reason: String::new() },
        });
    }
    all
}

/// One way in which a record is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// Which record of the test, from 0; none when it is over an event.
    pub(super) record: Option<usize>,
    /// What of it, such as `result` or `data`.
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) got: String,
}

impl Difference {
    pub(super) fn lines(&self) -> String {
        let Self { record, what, expected, got } = self;
        let record = record.map_or_else(String::new, |record| format!("record {record}: "));
        format!("  {record}{what}\n    expected  {expected}\n    got       {got}")
    }

    pub(super) fn json(&self) -> Value {
        json!({ "record": self.record, "what": self.what, "expected": self.expected, "got": self.got })
    }
}

/// What is different of record `record`; at most one thing, the first that explains the others.
pub(super) fn compare(record: usize, expect: &Expect, got: &Got) -> Option<Difference> {
    let different = |what: &str, expected: String, got: String| {
        Some(Difference { record: Some(record), what: what.to_owned(), expected, got })
    };
    if expect.result != got.result {
        let told = |word: &str, more: String| if more.is_empty() { word.to_owned() } else { format!("{word}: {more}") };
        let more = match got.result {
            Outcome::Ok => got.outputs.first().map_or_else(String::new, |output| shown(&output.data)),
            _ => printable(&got.reason),
        };
        return different("result", expect.result.word().to_owned(), told(got.result.word(), more));
    }
    if let Some(reason) = expect.reason.as_ref().filter(|reason| !got.reason.contains(reason.as_str())) {
        return different("reason", format!("… {} …", printable(reason)), printable(&got.reason));
    }
    let outputs = expect.outputs.as_ref()?;
    if outputs.len() != got.outputs.len() {
        let shown: Vec<_> = got.outputs.iter().map(|output| shown(&output.data)).collect();
        return different(
            "number of outputs",
            outputs.len().to_string(),
            format!("{}: {}", shown.len(), cut(&shown.join(", "))),
        );
    }
    let several = outputs.len() > 1;
    outputs.iter().zip(&got.outputs).enumerate().find_map(|(nth, (expect, got))| {
        let (what, expected, got) = compare_output(expect, got)?;
        let what = if several { format!("output {nth}: {what}") } else { what.to_owned() };
        different(&what, expected, got)
    })
}

/// What is different of the answer to an event: its bytes, or the text of the error.
pub(super) fn compare_answer(expect: &Answer, got: &Result<impl AsRef<[u8]>, String>) -> Option<Difference> {
    let (what, expected, got) = match (expect, got) {
        (Answer::Payload(payload), Ok(answer)) => compare_payload(payload, answer.as_ref())?,
        (Answer::Error(text), Err(error)) if error.contains(text.as_str()) => return None,
        (Answer::Error(text), Err(error)) => ("error", format!("… {} …", printable(text)), printable(error)),
        (Answer::Error(text), Ok(answer)) => ("error", printable(text), format!("answer: {}", shown(answer.as_ref()))),
        (Answer::Payload(_), Err(error)) => ("answer", "an answer".to_owned(), format!("error: {}", printable(error))),
    };
    Some(Difference { record: None, what: what.to_owned(), expected, got })
}

fn compare_payload(expect: &Payload, got: &[u8]) -> Option<(&'static str, String, String)> {
    match expect {
        Payload::Bytes(bytes) if *bytes == got => None,
        Payload::Bytes(bytes) => Some(("data", shown(bytes), shown(got))),
        Payload::Json(json) if serde_json::from_slice::<Value>(got).is_ok_and(|value| is_same(&value, json)) => None,
        Payload::Json(json) => Some(("json", cut(&json.to_string()), shown(got))),
    }
}

/// Whether two values are the same JSON, where 10 and 10.0 are one number: languages write them as they like.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => one == other,
    }
}

fn compare_output(expect: &Output, got: &GotOutput) -> Option<(&'static str, String, String)> {
    if let Some(different) = expect.payload.as_ref().and_then(|payload| compare_payload(payload, &got.data)) {
        return Some(different);
    }
    let keys = expect.partition_keys.as_ref().filter(|keys| **keys != got.partition_keys)?;
    let list = |keys: &BTreeMap<String, String>| {
        let pairs = keys.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
        if pairs.is_empty() { "none".to_owned() } else { printable(&pairs) }
    };
    Some(("partition keys", list(keys), list(&got.partition_keys)))
}

/// The beginning of a record: text as it is, other bytes in base64.
pub(super) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok("") => "(empty)".to_owned(),
        Ok(text) => cut(text),
        Err(_) => {
            let head = bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes);
            let more = if head.len() < bytes.len() { "…" } else { "" };
            format!("base64 {}{more}", STANDARD.encode_to_string(head))
        }
    }
}

/// At most [`SHOWN_BYTES_MAX`] bytes of a text, on one line.
fn cut(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        if kept.len() + c.len_utf8() > SHOWN_BYTES_MAX {
            kept.push('…');
            break;
        }
        kept.push(c);
    }
    // Ends of lines are part of what is compared.
    kept.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file::Record;
    use super::super::subject;
    use super::*;

    #[test]
    fn a_record_has_the_outputs_keys_and_failure_that_are_its_own() {
        let batch =
            subject::batch(&["a", "b", "c", "d"].map(|text| Record { data: text.into(), key: None, arrival_ms: 0 }));
        let output = millrace_transform::Output {
            payload: b"AA2D".to_vec(),
            ends: vec![1, 3, 4],
            sources: vec![0, 0, 3],
            partition_names: vec!["x".to_owned(), "y".to_owned()],
            partition_values: b"123".to_vec(),
            partition_ends: vec![1, 1, 1, 2, 2, 3],
            ..millrace_transform::Output::default()
        };
        let message = "no".into();
        let failures = vec![millrace_transform::Failed { index: 2, code: "Lambda.X", message, attempts: 1 }];
        let ran = Ran { output, failures, ..Ran::default() };
        let out = |data: &str, keys: &[(&str, &str)]| GotOutput {
            data: data.into(),
            partition_keys: keys.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let became = |result, outputs, reason: &str| Got { result, outputs, reason: reason.to_owned() };
        assert_eq!(
            got(&batch.expect("fits"), &ran),
            [
                became(Outcome::Ok, vec![out("A", &[("x", "1")]), out("A2", &[("y", "2")])], ""),
                became(Outcome::Dropped, Vec::new(), ""),
                became(Outcome::ProcessingFailed, Vec::new(), "Lambda.X: no"),
                became(Outcome::Ok, vec![out("D", &[("y", "3")])], ""),
            ]
        );
    }

    fn ok(outputs: Option<Vec<Output>>) -> Expect {
        Expect { result: Outcome::Ok, outputs, reason: None }
    }

    fn bytes(text: &str) -> Output {
        Output { payload: Some(Payload::Bytes(text.into())), partition_keys: None }
    }

    fn became(texts: &[&str]) -> Got {
        let outputs = texts.iter().map(|text| GotOutput {
            data: text.as_bytes().to_vec(),
            partition_keys: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        });
        Got { result: Outcome::Ok, outputs: outputs.collect(), reason: String::new() }
    }

    fn said(expect: &Expect, got: &Got) -> String {
        compare(3, expect, got).map_or_else(String::new, |d| format!("{} / {} / {}", d.what, d.expected, d.got))
    }

    #[test]
    fn what_is_not_asked_for_may_be_anything() {
        for texts in [&["a"] as &[&str], &["a", "b"]] {
            assert_eq!(compare(0, &ok(None), &became(texts)), None);
        }
        assert_eq!(compare(0, &ok(Some(vec![bytes("a")])), &became(&["a"])), None, "keys are not looked at");
        let json = Output { payload: Some(Payload::Json(json!({ "a": 1, "b": [] }))), partition_keys: None };
        assert_eq!(compare(0, &ok(Some(vec![json])), &became(&[" {\"b\":[],\"a\":1}\n"])), None);
    }

    #[test]
    fn numbers_are_compared_by_value() {
        let same = |one: &str, other: &str| {
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            assert_eq!(is_same(&read(one), &read(other)), is_same(&read(other), &read(one)));
            is_same(&read(one), &read(other))
        };
        assert!(same("10", "10.0") && same("[{\"a\":-1}]", "[{\"a\":-1e0}]") && same("0.5", "5e-1"));
        for (one, other) in
            [("10", "10.5"), ("1", "\"1\""), ("[1]", "[1,1]"), ("{\"a\":1}", "{\"b\":1}"), ("0", "null")]
        {
            assert!(!same(one, other), "{one} {other}");
        }
        assert!(!same("9007199254740993", "9007199254740992"), "whole numbers are exact");
    }

    #[test]
    fn the_first_difference_is_told() {
        let failed =
            Got { result: Outcome::ProcessingFailed, outputs: Vec::new(), reason: "Lambda.X: no number".into() };
        assert_eq!(said(&ok(None), &failed), "result / Ok / ProcessingFailed: Lambda.X: no number");
        let expect = Expect { result: Outcome::ProcessingFailed, outputs: None, reason: Some("name".into()) };
        assert_eq!(said(&expect, &failed), "reason / … name … / Lambda.X: no number");
        assert_eq!(said(&expect, &became(&["x\n"])), "result / ProcessingFailed / Ok: x\\n");
        assert_eq!(said(&ok(Some(vec![bytes("a")])), &became(&["a\n"])), "data / a / a\\n");
        assert_eq!(said(&ok(Some(vec![bytes("a")])), &became(&["a", "b"])), "number of outputs / 1 / 2: a, b");
        assert_eq!(said(&ok(Some(vec![bytes("a"), bytes("c")])), &became(&["a", "b"])), "output 1: data / c / b");
        let keys = Output { payload: None, partition_keys: Some(BTreeMap::new()) };
        assert_eq!(said(&ok(Some(vec![keys])), &became(&["a"])), "partition keys / none / k=v");
        let json = Output { payload: Some(Payload::Json(json!({ "a": 1 }))), partition_keys: None };
        assert_eq!(said(&ok(Some(vec![json])), &became(&["{"])), "json / {\"a\":1} / {");
    }

    #[test]
    fn an_event_is_answered_or_fails() {
        let payload = |text: &str| Answer::Payload(Payload::Bytes(text.into()));
        let said = |expect: &Answer, got: Result<&[u8], &str>| {
            let difference = compare_answer(expect, &got.map_err(str::to_owned));
            difference.map_or_else(String::new, |d| format!("{} / {} / {}", d.what, d.expected, d.got))
        };
        assert_eq!(said(&payload("a"), Ok(b"a")), "");
        assert_eq!(said(&Answer::Error("no".to_owned()), Err("now")), "");
        assert_eq!(said(&payload("a"), Ok(b"b")), "data / a / b");
        assert_eq!(said(&payload("a"), Err("no")), "answer / an answer / error: no");
        assert_eq!(said(&Answer::Error("no".to_owned()), Ok(b"b")), "error / no / answer: b");
        assert_eq!(said(&Answer::Error("no".to_owned()), Err("x")), "error / … no … / x");
    }

    #[test]
    fn long_records_are_cut_and_bytes_are_base64() {
        assert_eq!(shown(&vec![b'x'; 300]).len(), SHOWN_BYTES_MAX + "…".len());
        assert_eq!((shown(b""), shown(&[0xff, 0])), ("(empty)".to_owned(), "base64 /wA=".to_owned()));
    }
}
