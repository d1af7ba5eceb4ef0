//! Bodies of puts: what goes in comes out; the hostile ones are refused in the service's words.

use millrace_types::Batch;
use proptest::prelude::*;

use super::records::{BATCH_BYTES_MAX, Put, decode};
use crate::error::Code;
use crate::settings::RECORD_BYTES_MAX;

fn base64(record: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(record)
}

fn batch_body(records: &[Vec<u8>]) -> String {
    let records: Vec<String> = records.iter().map(|r| format!(r#"{{"Data":"{}"}}"#, base64(r))).collect();
    format!(r#"{{"DeliveryStreamName":"s","Records":[{}]}}"#, records.join(","))
}

fn records(batch: &Batch) -> Vec<Vec<u8>> {
    batch.columns().iter().map(<[u8]>::to_vec).collect()
}

fn refused(put: Put, body: &str) -> (Code, String) {
    let error = decode(body.as_bytes(), put, 0).expect_err(&body.chars().take(80).collect::<String>());
    (error.code, error.message)
}

proptest! {
    #[test]
    fn records_come_back(
        sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..40),
        escaped: bool,
        name_last: bool,
    ) {
        let mut body = batch_body(&sent);
        if escaped {
            body = body.replace('/', "\\/").replace('+', "\\u002b");
        }
        if name_last {
            body = body.replace(r#""DeliveryStreamName":"s","#, "");
            body.truncate(body.len() - 1);
            body.push_str(r#","DeliveryStreamName":"s"}"#);
        }
        let (name, batch) = decode(body.as_bytes(), Put::Batch, 99).expect("own body");
        prop_assert_eq!(name, "s");
        prop_assert_eq!(&records(&batch), &sent);
        prop_assert!(batch.arrivals_ms().iter().all(|t| *t == 99));

        let one = format!(r#"{{"Record":{{"Data":"{}"}},"DeliveryStreamName":"s"}}"#, base64(&sent[0]));
        let (_, batch) = decode(one.as_bytes(), Put::One, 99).expect("own body");
        prop_assert_eq!(records(&batch), sent[..1].to_vec());
    }

    #[test]
    fn cut_bodies_are_refused(sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..4)) {
        let body = batch_body(&sent);
        for cut in 0..body.len() {
            prop_assert!(decode(&body.as_bytes()[..cut], Put::Batch, 0).is_err());
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(body in prop::collection::vec(any::<u8>(), 0..80)) {
        for put in [Put::One, Put::Batch] {
            if let Ok((_, batch)) = decode(&body, put, 0) {
                prop_assert!(!batch.is_empty());
            }
        }
    }
}

#[test]
fn constraints_are_named() {
    let finding = |path: &str, what: &str| {
        format!("1 validation error detected: Value at '{path}' failed to satisfy constraint: Member {what}")
    };
    let null = "must not be null";
    let table = [
        (Put::Batch, r#"{"Records":[{"Data":""}]}"#, finding("deliveryStreamName", null)),
        (Put::Batch, r#"{"DeliveryStreamName":"s"}"#, finding("records", null)),
        (Put::Batch, r#"{"DeliveryStreamName":"s","Records":null}"#, finding("records", null)),
        (
            Put::Batch,
            r#"{"DeliveryStreamName":"s","Records":[]}"#,
            finding("records", "must have length greater than or equal to 1"),
        ),
        (Put::Batch, r#"{"DeliveryStreamName":"s","Records":[{}]}"#, finding("records.1.member.data", null)),
        (Put::Batch, r#"{"DeliveryStreamName":"s","Records":[null]}"#, finding("records.1.member", null)),
        (
            Put::Batch,
            r#"{"DeliveryStreamName":"s","Records":[{"Data":"","Key":[{}]}]}"#,
            finding("records.1.member.key", "is not known to this operation"),
        ),
        (
            Put::Batch,
            r#"{"DeliveryStreamName":"s","Records":[{"Data":""}],"Record":1}"#,
            finding("record", "is not known to this operation"),
        ),
        (
            Put::Batch,
            r#"{"DeliveryStreamName":"a b","Records":[{"Data":""}]}"#,
            finding("deliveryStreamName", "must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
        ),
        (Put::One, r#"{"DeliveryStreamName":"s"}"#, finding("record", null)),
        (Put::One, r#"{"DeliveryStreamName":"s","Record":null}"#, finding("record", null)),
        (Put::One, r#"{"DeliveryStreamName":"s","Record":{"Data":null}}"#, finding("record.data", null)),
    ];
    for (put, body, wanted) in table {
        assert_eq!(refused(put, body), (Code::Validation, wanted), "{body}");
    }
}

#[test]
fn what_is_no_request_is_a_serialization_error() {
    let deep = format!(r#"{{"DeliveryStreamName":"s","Records":{}"#, r#"[{"Data":"#.repeat(100_000));
    for body in [
        "",
        "[]",
        "null",
        "{",
        r#"{"DeliveryStreamName":7,"Records":[{"Data":""}]}"#,
        r#"{"DeliveryStreamName":"s","Records":{}}"#,
        r#"{"DeliveryStreamName":"s","Records":["aGk="]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":7}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":["aGk="]}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"aGk"}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"a Gk="}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"_-8="}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"ä"}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"","Data":""}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":""}],"Records":[{"Data":""}]}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":""}]} x"#,
        deep.as_str(),
    ] {
        assert_eq!(refused(Put::Batch, body).0, Code::Serialization, "{body:.90}");
    }
}

#[test]
fn a_member_that_stands_twice_is_named_whatever_its_value() {
    for (put, name, body) in [
        (Put::Batch, "DeliveryStreamName", r#"{"DeliveryStreamName":"s","Records":[],"DeliveryStreamName":"s"}"#),
        (Put::Batch, "DeliveryStreamName", r#"{"DeliveryStreamName":null,"DeliveryStreamName":"s"}"#),
        (Put::Batch, "Records", r#"{"Records":null,"Records":[{"Data":""}],"DeliveryStreamName":"s"}"#),
        (Put::Batch, "Data", r#"{"DeliveryStreamName":"s","Records":[{"Data":null,"Data":"YQ=="}]}"#),
        (Put::Batch, "Data", r#"{"DeliveryStreamName":"s","Records":[{"Data":"","D\u0061ta":""}]}"#),
        (Put::One, "Record", r#"{"DeliveryStreamName":"s","Record":null,"Record":{"Data":""}}"#),
        (Put::One, "Record", r#"{"DeliveryStreamName":"s","Record":{"Data":""},"Record":{"Data":""}}"#),
        (Put::One, "Data", r#"{"DeliveryStreamName":"s","Record":{"Data":"YQ==","Data":"YQ=="}}"#),
    ] {
        let (code, message) = refused(put, body);
        assert_eq!(code, Code::Serialization, "{body}");
        assert!(message.starts_with(&format!("The member {name} is given twice in one object")), "{message}");
    }
}

#[test]
fn sizes_are_limited_exactly() {
    let longest = vec![7u8; RECORD_BYTES_MAX];
    let (_, batch) = decode(batch_body(std::slice::from_ref(&longest)).as_bytes(), Put::Batch, 0).expect("fits");
    assert_eq!(batch.payload().len(), RECORD_BYTES_MAX);
    for extra in 1..4 {
        let longer = vec![7u8; RECORD_BYTES_MAX + extra];
        let wanted = "1 validation error detected: Value at 'records.2.member.data' failed to satisfy constraint: \
                      Member must have length less than or equal to 1024000";
        assert_eq!(refused(Put::Batch, &batch_body(&[Vec::new(), longer])), (Code::Validation, wanted.to_owned()));
    }

    let full: Vec<Vec<u8>> =
        (0..4).map(|_| vec![1u8; BATCH_BYTES_MAX / 5]).chain([vec![1u8; BATCH_BYTES_MAX / 5 + 4]]).collect();
    assert_eq!(full.iter().map(Vec::len).sum::<usize>(), BATCH_BYTES_MAX);
    assert!(decode(batch_body(&full).as_bytes(), Put::Batch, 0).is_ok());
    let over: Vec<Vec<u8>> = full.into_iter().chain([vec![1]]).collect();
    assert_eq!(
        refused(Put::Batch, &batch_body(&over)),
        (Code::InvalidArgument, "Records size exceeds 4 MB limit".to_owned())
    );

    let many = vec![vec![1u8]; 500];
    assert_eq!(decode(batch_body(&many).as_bytes(), Put::Batch, 0).expect("fits").1.len(), 500);
    let wanted = "1 validation error detected: Value at 'records' failed to satisfy constraint: \
                  Member must have length less than or equal to 500";
    assert_eq!(refused(Put::Batch, &batch_body(&vec![vec![1u8]; 501])), (Code::Validation, wanted.to_owned()));
}

#[test]
fn a_deep_member_that_is_not_known_costs_no_stack() {
    let deep = format!(r#"{{"DeliveryStreamName":"s","X":{}{}}}"#, "[".repeat(2_000_000), "]".repeat(2_000_000));
    assert_eq!(refused(Put::Batch, &deep).0, Code::Validation);
}

#[test]
fn a_hostile_body_has_a_short_answer() {
    let body = format!(r#"{{"DeliveryStreamName":"s","Records":[{}{{}}]}}"#, "{},".repeat(100_000));
    assert!(refused(Put::Batch, &body).1.len() < 4000);
    let body = format!(r#"{{"{}":1}}"#, "x".repeat(1_000_000));
    assert!(refused(Put::Batch, &body).1.len() < 4000);
}
