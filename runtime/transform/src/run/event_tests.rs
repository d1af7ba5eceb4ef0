//! Batches for a handler: events, retries, and what becomes of every record.

use std::collections::BTreeMap;

use millrace_types::{BatchBuilder, MIB, RecordId, Seq};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Lines, Store, batch, handler, with_orders};
use crate::{KeyValue, Limits, LogSink, Setup};

fn id(at: u64) -> String {
    format!("{}000000", RecordId { shard: BatchSource::default().shard, seq: Seq::new(42 + at) })
}

fn answering(answer: &str) -> Function {
    handler(with_orders(&[('e', answer, "")]))
}

#[test]
fn records_go_as_an_event_and_come_back_by_id() {
    let lines = Arc::new(Lines::default());
    let answer = json!({ "records": [
        { "recordId": id(2), "result": "Ok", "data": "Qw==", "metadata": { "partitionKeys": { "k": "c" } } },
        { "recordId": id(0), "result": "Ok", "data": "QQ==", "metadata": { "partitionKeys": { "l": "a" } } },
        { "recordId": id(1), "result": "Dropped" },
        { "recordId": id(3), "result": "ProcessingFailed" },
    ] });
    let setup = with_orders(&[('L', "", ""), ('e', &answer.to_string(), "")]);
    let source = Arc::new(BatchSource {
        stream_arn: "arn:aws:firehose:eu-west-1:000000000000:deliverystream/s".into(),
        region: "eu-west-1".into(),
        ..BatchSource::default()
    });
    let function = handler(Setup { log: Arc::clone(&lines) as Arc<dyn LogSink>, ..setup });
    let ran = function.run_from(&batch(&["a", "b", "c", "d", "e"]), 3, &source);
    assert_eq!((&ran.output.payload[..], &ran.output.sources[..]), (&b"AC"[..], &[0, 2][..]));
    assert_eq!(ran.output.partition_names, ["l", "k"]);
    let codes: Vec<_> = ran.failures.iter().map(|f| (f.index, f.code, f.attempts)).collect();
    assert_eq!(codes, [(3, "Lambda.ProcessingFailedStatus", 1), (4, "Lambda.MissingRecordId", 1)]);
    assert_eq!((ran.dropped(5), ran.stats.calls, ran.stats.cold_starts), (1, 1, 1));
    let event: Value = serde_json::from_str(&lines.0.lock()[0]).unwrap();
    assert_eq!(event["deliveryStreamArn"], source.stream_arn);
    assert_eq!((event["region"].as_str(), event["records"][4]["data"].as_str()), (Some("eu-west-1"), Some("ZQ==")));
    assert_eq!(event["invocationId"].as_str().unwrap().len(), 36);
}

#[test]
fn an_error_is_retried_then_all_records_of_the_event_fail() {
    for (order, kind) in [('f', "returned"), ('t', "trap")] {
        let ran = handler(with_orders(&[(order, "a quirk", "")])).run(&batch(&["a", "b"]), 3);
        let failed: Vec<_> = ran.failures.iter().map(|f| (f.index, f.code, f.attempts)).collect();
        assert_eq!(failed, [(0, "Lambda.FunctionError", 4), (1, "Lambda.FunctionError", 4)], "retries + 1");
        assert!(ran.failures[0].message.starts_with(FUNCTION_ERROR), "{}", ran.failures[0].message);
        let by_kind: BTreeMap<_, _> = CallError::KINDS.into_iter().zip(ran.stats.failed_by_kind).collect();
        assert_eq!((by_kind[kind], ran.stats.failed_calls), (4, 4));
    }
    let long = "x".repeat(9_000);
    let ran = handler(with_orders(&[('f', &long, "")])).run(&batch(&["a"]), 0);
    assert_eq!(
        (ran.failures[0].attempts, ran.failures[0].message.len()),
        (1, FUNCTION_ERROR.len() + 1 + REASON_BYTES_MAX)
    );
}

#[test]
fn a_retry_may_go_well() {
    let answer = json!({ "records": [{ "recordId": id(0), "result": "Ok", "data": "QQ==" }] }).to_string();
    let store = Arc::new(Store { refuse_gets: 2.into(), refuse_commits: 1.into(), ..Store::default() });
    let setup = with_orders(&[('F', "x", ""), ('s', "key", "value"), ('e', &answer, "")]);
    let function = handler(Setup { key_value: Some(Arc::clone(&store) as Arc<dyn KeyValue>), ..setup });
    let ran = function.run(&batch(&["a"]), 3);
    assert_eq!((&ran.output.payload[..], ran.failures.len()), (&b"A"[..], 0));
    assert_eq!((ran.stats.calls, ran.stats.failed_calls), (4, 3), "two errors, and one commit that failed");
    assert_eq!(store.kept.lock().len(), 1);
}

#[test]
fn an_answer_that_is_none_is_not_retried_and_writes_nothing() {
    for (answer, code) in [("{", "Lambda.JsonProcessingException"), ("{}", "Lambda.InvalidReturnFormat")] {
        let store = Arc::new(Store::default());
        let setup = with_orders(&[('s', "key", "value"), ('e', answer, "")]);
        let function = handler(Setup { key_value: Some(Arc::clone(&store) as Arc<dyn KeyValue>), ..setup });
        let ran = function.run(&batch(&["a", "b"]), 3);
        let failed: Vec<_> = ran.failures.iter().map(|f| (f.index, f.code, f.attempts)).collect();
        assert_eq!(failed, [(0, code, 1), (1, code, 1)]);
        assert!(store.kept.lock().is_empty());
    }
}

#[test]
fn a_handler_that_never_ends_is_given_up() {
    let limits = Limits { deadline: Duration::from_millis(20), host_calls_max: u32::MAX, ..Limits::default() };
    let function = handler(Setup { limits, ..with_orders(&[('x', "", "")]) });
    let ran = function.run(&batch(&["a"]), 300);
    assert_eq!((ran.failures[0].code, ran.failures[0].attempts), ("Lambda.FunctionTimedOut", DEADLINES_MAX));
}

#[test]
fn a_batch_that_does_not_fit_goes_in_several_events() {
    let records: Vec<Vec<u8>> = [3 * MIB, 3 * MIB, 5 * MIB, 1].iter().map(|bytes| vec![b'x'; *bytes]).collect();
    let mut builder = BatchBuilder::default();
    for record in &records {
        builder.push(record, 0).unwrap();
    }
    let mut batch = builder.finish();
    batch.set_first(Seq::new(42));
    let all: Vec<Value> = (0..4).map(|at| json!({ "recordId": id(at), "result": "Ok", "data": "QQ==" })).collect();
    let ran = answering(&json!({ "records": all }).to_string()).run(&batch, 0);
    assert_eq!((ran.stats.calls, &ran.output.sources[..]), (3, &[0, 1, 3][..]), "ids of other events are unknown");
    let [failed] = &ran.failures[..] else { panic!("{:?}", ran.failures) };
    assert_eq!((failed.index, failed.code, failed.attempts), (2, "Lambda.FunctionError", 0));
    assert!(failed.message.contains("5242880 bytes does not fit"), "{}", failed.message);
}
