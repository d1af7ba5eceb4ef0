//! Each row of the reference's table of answers, and events that come back as the batch they were.

use millrace_types::{Batch, BatchBuilder, Lane, RecordId, Seq, ShardId, StreamId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::call::BatchSource;
use crate::{CallError, EVENT_BYTES_MAX, Failure, Output};

fn source() -> BatchSource {
    BatchSource {
        stream_arn: "arn:aws:firehose:eu-west-1:000000000000:deliverystream/clicks".into(),
        region: "eu-west-1".into(),
        shard: ShardId::new(StreamId(7), Lane(1)),
        ..BatchSource::default()
    }
}

fn batch(records: &[&[u8]]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (at, record) in (0..).zip(records) {
        builder.push(record, 1_510_109_208_016 + at).unwrap();
    }
    let mut batch = builder.finish();
    batch.set_first(Seq::new(42));
    batch
}

fn id(at: u64) -> String {
    format!("{}000000", RecordId { shard: source().shard, seq: Seq::new(42 + at) })
}

/// The answer of these records to an event of two.
fn answered(records: &Value) -> Answer {
    let answer = json!({ "records": records }).to_string();
    read(answer.as_bytes(), &batch(&[b"a", b"b"]), 0..2, &source()).unwrap()
}

/// How the second record fails in this answer, while the first is delivered.
fn second_fails(second: &[Value]) -> (&'static str, String) {
    let mut records = vec![json!({ "recordId": id(0), "result": "Ok", "data": "YWE=" })];
    records.extend_from_slice(second);
    let answer = answered(&Value::from(records));
    assert_eq!((&answer.output.payload[..], &answer.output.sources[..]), (&b"aa"[..], &[0][..]));
    let [(1, code, message)] = &answer.failures[..] else { panic!("{:?}", answer.failures) };
    (code, message.clone())
}

#[test]
fn an_event_has_the_services_shape() {
    let batch = batch(&[b"one", b""]);
    let Request { json, to } = request(&batch, 0, &source(), "an id");
    assert_eq!(to, 2);
    assert_eq!(
        String::from_utf8(json).unwrap(),
        format!(
            concat!(
                r#"{{"invocationId":"an id","#,
                r#""deliveryStreamArn":"arn:aws:firehose:eu-west-1:000000000000:deliverystream/clicks","#,
                r#""region":"eu-west-1","records":["#,
                r#"{{"recordId":"{}","approximateArrivalTimestamp":1510109208016,"data":"b25l"}},"#,
                r#"{{"recordId":"{}","approximateArrivalTimestamp":1510109208017,"data":""}}]}}"#
            ),
            id(0),
            id(1)
        )
    );
    assert!(id(0).len() == 62 && id(0).bytes().all(|b| b.is_ascii_digit()), "56 digits and a suffix");
}

#[test]
fn an_event_takes_as_many_records_as_fit() {
    // 2 MiB become 2.67 MiB of Base64: two of them fit, three do not.
    let record = vec![b'x'; 2 << 20];
    let batch = batch(&[&record, &record, &record]);
    let first = request(&batch, 0, &source(), "id");
    assert_eq!(first.to, 2);
    assert!(first.json.len() <= EVENT_BYTES_MAX);
    let given = event_to_batch(&first.json).unwrap();
    assert_eq!((given.batch.len(), given.batch.record(1)), (2, &record[..]));
    let second = request(&batch, 2, &source(), "id");
    assert_eq!(second.to, 3);
    assert_eq!(event_to_batch(&second.json).unwrap().ids, [id(2)]);
    let large = vec![b'x'; 5 << 20];
    assert_eq!(request(&self::batch(&[&large]), 0, &source(), "id").to, 0, "too large alone");
}

#[test]
fn an_event_may_be_full_to_the_byte() {
    let empty = request(&batch(&[b""]), 0, &source(), "id").json.len();
    let room = (EVENT_BYTES_MAX - empty) / 4 * 3;
    let fits = request(&batch(&[&vec![0; room]]), 0, &source(), "id");
    assert!(fits.to == 1 && EVENT_BYTES_MAX - fits.json.len() < 4, "{}", fits.json.len());
    assert_eq!(request(&batch(&[&vec![0; room + 1]]), 0, &source(), "id").to, 0);
}

#[test]
fn ok_dropped_and_failed_are_what_they_say() {
    let answer = answered(&json!([
        { "recordId": id(1), "result": "Ok", "data": "Yg==", "metadata": { "partitionKeys": { "k": "v" } } },
        { "recordId": id(0), "result": "Ok", "data": "YQ==" },
    ]));
    assert_eq!((&answer.output.payload[..], &answer.output.sources[..]), (&b"ab"[..], &[0, 1][..]), "in their order");
    assert_eq!(answer.output.partition_names, ["k"]);
    assert_eq!([answer.output.partition(0, 0), answer.output.partition(1, 0)], ["", "v"]);
    assert!(answer.failures.is_empty());
    let answer = answered(&json!([
        { "recordId": id(0), "result": "Dropped", "data": "YQ==" },
        { "recordId": id(1), "result": "ProcessingFailed", "data": "Yg==" },
    ]));
    assert!(answer.output.is_empty());
    let expected = (1, "Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record".to_owned());
    assert_eq!(answer.failures, [expected]);
}

#[test]
fn ok_needs_data() {
    for record in
        [json!({ "recordId": id(1), "result": "Ok" }), json!({ "recordId": id(1), "result": "Ok", "data": null })]
    {
        let (code, message) = second_fails(&[record]);
        assert_eq!(code, "Lambda.InvalidReturnFormat");
        assert!(message.starts_with("The data field cannot be null when the SourceType is DirectPut"), "{message}");
    }
    for data in [json!("no Base64!"), json!("YQ"), json!(5), json!({})] {
        let (code, message) = second_fails(&[json!({ "recordId": id(1), "result": "Ok", "data": data })]);
        assert_eq!(code, "Lambda.InvalidReturnFormat", "{message}");
    }
    let escaped = r#"{"records":[{"recordId":"ID","result":"Ok","data":"Pz8\/"}]}"#.replace("ID", &id(0));
    let answer = read(escaped.as_bytes(), &batch(&[b"a"]), 0..1, &source()).unwrap();
    assert_eq!(answer.output.payload, b"???");
}

#[test]
fn a_result_is_one_of_three() {
    for result in [json!("ok"), json!(""), json!(null)] {
        let (code, message) = second_fails(&[json!({ "recordId": id(1), "result": result, "data": "Yg==" })]);
        assert_eq!(
            (code, &*message),
            ("Lambda.InvalidReturnFormat", "The result must be Ok, Dropped or ProcessingFailed.")
        );
    }
}

#[test]
fn each_record_is_answered_once() {
    let (code, message) = second_fails(&[]);
    assert_eq!(code, "Lambda.MissingRecordId");
    assert!(message.starts_with("One or more record Ids were not returned."), "{message}");
    for again in [json!("Ok"), json!("Dropped"), json!("ProcessingFailed")] {
        let first = json!({ "recordId": id(1), "result": "Ok", "data": "Yg==" });
        let (code, _) = second_fails(&[first, json!({ "recordId": id(1), "result": again, "data": "Yg==" })]);
        assert_eq!(code, "Lambda.DuplicatedRecordId");
    }
}

#[test]
fn unknown_records_are_ignored() {
    let other = RecordId { shard: ShardId::new(StreamId(8), Lane(1)), seq: Seq::new(43) }.to_string() + "000000";
    let short = RecordId { shard: source().shard, seq: Seq::new(43) }.to_string();
    let before = RecordId { shard: source().shard, seq: Seq::new(41) }.to_string() + "000000";
    for unknown in [json!(id(2)), json!(before), json!(other), json!(short), json!(""), json!("x"), json!(null)] {
        let record = json!({ "recordId": unknown, "result": "Ok", "data": "Yg==" });
        assert_eq!(second_fails(&[record]).0, "Lambda.MissingRecordId");
    }
}

#[test]
fn partition_keys_are_strings_that_are_not_empty() {
    let keyed = |keys: Value| json!({ "recordId": id(1), "result": "Ok", "data": "Yg==", "metadata": { "partitionKeys": keys } });
    for empty in [json!({ "k": "" }), json!({ "k": null }), json!({ "a": "b", "k": "" })] {
        assert_eq!(
            second_fails(&[keyed(empty)]),
            (
                "DynamicPartitioning.MetadataExtractionFailed",
                "partitionKeys values must not be null or empty".to_owned()
            )
        );
    }
    for wrong in [json!({ "k": ["v"] }), json!({ "k": {} }), json!({ "": "v" }), json!({ "x".repeat(257): "v" })] {
        assert_eq!(second_fails(&[keyed(wrong)]).0, "Lambda.InvalidReturnFormat");
    }
    let answer = answered(&json!([keyed(json!({ "n": 1.50, "b": true, "s": "\u{e9}\"" })), keyed(json!(null))]));
    assert_eq!(answer.failures.len(), 2, "the first record is missing, the second came twice");
    let answer = answered(&json!([keyed(json!({ "n": 15, "b": true, "s": "\u{e9}\"" }))]));
    assert_eq!(answer.output.partition_names, ["b", "n", "s"]);
    assert_eq!([0, 1, 2].map(|name| answer.output.partition(0, name)), ["true", "15", "\u{e9}\""]);
    let none =
        answered(&json!([keyed(json!(null)), { "recordId": id(0), "result": "Ok", "data": "", "metadata": null }]));
    assert_eq!((none.output.len(), none.failures.len()), (2, 0));
    let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    let answer = json!({ "records": [keyed(many.into())] }).to_string();
    let refused = read(answer.as_bytes(), &batch(&[b"a", b"b"]), 0..2, &source()).unwrap_err();
    assert!(matches!(&refused, CallError::Invalid(text) if text.contains("51 partition names")), "{refused:?}");
}

#[test]
fn what_is_no_answer_fails_as_a_whole() {
    let refused = |answer: &[u8]| read(answer, &batch(&[b"a"]), 0..1, &source()).unwrap_err();
    for text in ["", "{", "nonsense", r#"{"records":[}"#, "{\"records\":[]} x"] {
        assert_eq!(refused(text.as_bytes()).kind(), "not-json", "{text}");
    }
    assert_eq!(refused(b"{\"records\":[{\"recordId\":\"\xff\"}]}").kind(), "not-json");
    for text in
        ["null", "[]", "5", "{}", r#"{"records":null}"#, r#"{"records":[5]}"#, r#"{"records":[{"recordId":5}]}"#]
    {
        assert_eq!(refused(text.as_bytes()).kind(), "invalid", "{text}");
    }
}

#[test]
fn an_answer_to_a_later_part_counts_from_there() {
    let batch = batch(&[b"a", b"b", b"c"]);
    let answer = json!({ "records": [{ "recordId": id(2), "result": "Ok", "data": "Yw==" }, { "recordId": id(0) }] });
    let answer = read(answer.to_string().as_bytes(), &batch, 1..3, &source()).unwrap();
    assert_eq!((&answer.output.sources[..], answer.failures[0].0), (&[1][..], 0));
}

#[test]
fn a_transforms_output_is_told_record_by_record() {
    let event = json!({ "records": [
        { "recordId": "w", "data": "YQ==", "approximateArrivalTimestamp": 5 },
        { "recordId": "x", "data": "Yg==" }, { "recordId": "y\"", "data": "Yw==" }, { "recordId": "z", "data": "ZA==" },
    ] });
    let records = event_to_batch(event.to_string().as_bytes()).unwrap();
    assert_eq!((records.batch.record(3), records.batch.arrivals_ms()), (&b"d"[..], &[5, 0, 0, 0][..]));
    let output = Output {
        payload: b"ABCD".to_vec(),
        ends: vec![1, 2, 4],
        sources: vec![0, 0, 3],
        failures: vec![Failure { index: 1, reason: "no \"b\"".into() }],
        partition_names: vec!["k".into(), "l".into()],
        partition_values: b"123".to_vec(),
        partition_ends: vec![1, 1, 1, 1, 2, 3],
    };
    let answer: Value = serde_json::from_slice(&outcome_to_event(&records, &output)).unwrap();
    let expected = json!({ "records": [
        { "recordId": "w", "result": "ProcessingFailed", "data": "YQ==",
          "errorMessage": "the function made 2 records of this one; the answer to an event holds one" },
        { "recordId": "x", "result": "ProcessingFailed", "data": "Yg==", "errorMessage": "no \"b\"" },
        { "recordId": "y\"", "result": "Dropped" },
        { "recordId": "z", "result": "Ok", "data": "Q0Q=", "metadata": { "partitionKeys": { "k": "2", "l": "3" } } },
    ] });
    assert_eq!(answer, expected);
}

#[test]
fn events_that_are_none_are_refused_in_words() {
    for event in ["", "{", "{}", r#"{"records":[{}]}"#, r#"{"records":[{"recordId":"a","data":"!"}]}"#] {
        let refused = event_to_batch(event.as_bytes()).unwrap_err();
        assert!(refused.contains("event"), "{refused}");
    }
    let keyed = r#"{"records":[{"recordId":"a","data":"","kinesisRecordMetadata":{"partitionKey":"p"}},{"recordId":"b","data":""}]}"#;
    let records = event_to_batch(keyed.as_bytes()).unwrap();
    assert_eq!((&records.batch.keys()[..], records.batch.key_ends()), (&b"p"[..], &[1, 1][..]));
}

proptest! {
    #[test]
    fn an_event_comes_back_as_its_batch(
        records in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), any::<i64>()), 1..20),
        invocation in ".{0,20}",
    ) {
        let mut builder = BatchBuilder::default();
        for (record, arrival_ms) in &records {
            builder.push(record, *arrival_ms).unwrap();
        }
        let mut batch = builder.finish();
        batch.set_first(Seq::new(42));
        let mut from = 0;
        while from < batch.len() {
            let request = request(&batch, from, &source(), &invocation);
            let event: Value = serde_json::from_slice(&request.json).unwrap();
            prop_assert_eq!(event["invocationId"].as_str(), Some(&*invocation));
            let back = event_to_batch(&request.json).unwrap();
            let part = batch.slice(from, request.to);
            prop_assert_eq!(back.batch.payload(), part.payload());
            prop_assert_eq!((back.batch.ends(), back.batch.arrivals_ms()), (part.ends(), part.arrivals_ms()));
            // And all the way: a transform that gives every record as it is, read as Firehose reads it.
            let output = Output {
                payload: part.payload().to_vec(),
                ends: part.ends().to_vec(),
                sources: (0..).take(part.len()).collect(),
                ..Output::default()
            };
            let answer = outcome_to_event(&back, &output);
            let answer = read(&answer, &batch, from..request.to, &source()).unwrap();
            prop_assert!(answer.failures.is_empty());
            prop_assert_eq!(answer.output, output);
            from = request.to;
        }
    }
}
