//! The record of an event that was given up, as AWS documents it.

use jiff::Timestamp;
use millrace_catalog::QueuedEvent;
use serde_json::{Value, json};

use super::EVENT_BYTES_MAX;
use crate::Invoked;

/// Members that a record can do without, in the order in which they are left out.
const PAYLOADS: [&str; 2] = ["responsePayload", "requestPayload"];

/// The record of `event`, which ended at `ended_ms` by `condition`; `last` is the answer of its last invocation. It
/// has no more bytes than an event: what it is too long with is left out, and `leftOut` says so.
pub(super) fn record(
    event: &QueuedEvent,
    function_arn: &str,
    ended_ms: i64,
    condition: &str,
    last: Option<&Invoked>,
) -> String {
    let json_or_text = |bytes: &[u8]| {
        serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
    };
    let qualifier = if event.qualifier.is_empty() { crate::LATEST } else { &event.qualifier };
    let mut record = json!({
        "version": "1.0",
        "timestamp": timestamp(ended_ms, "%Y-%m-%dT%H:%M:%S.%3fZ"),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": format!("{function_arn}:{qualifier}"),
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": json_or_text(&event.payload),
    });
    if let Some(last) = last {
        let mut context = json!({ "statusCode": 200, "executedVersion": last.version });
        if last.failed {
            context["functionError"] = "Unhandled".into();
        }
        record["responseContext"] = context;
        record["responsePayload"] = json_or_text(&last.payload);
    }
    let mut text = record.to_string();
    let mut left_out = Vec::new();
    for member in PAYLOADS {
        if text.len() <= EVENT_BYTES_MAX {
            break;
        }
        if record.as_object_mut().is_some_and(|members| members.remove(member).is_some()) {
            left_out.push(member);
            let why = format!("a record has at most {EVENT_BYTES_MAX} bytes");
            record["leftOut"] = json!({ "members": left_out, "reason": why });
            text = record.to_string();
        }
    }
    text
}

/// A time as `pattern` has it, UTC.
pub(super) fn timestamp(ms: i64, pattern: &str) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(request: &str, response: &str) -> Value {
        let event = QueuedEvent {
            function: "f".to_owned(),
            qualifier: String::new(),
            request_id: "r".to_owned(),
            accepted_ms: 0,
            attempts: 3,
            client_context: None,
            hops: 0,
            record: None,
            ended_ms: None,
            payload: request.as_bytes().to_vec(),
        };
        let last =
            Invoked { version: "1".to_owned(), payload: response.as_bytes().to_vec(), failed: true, log: Vec::new() };
        let text = record(&event, "arn", 1_700_000_000_000, "RetriesExhausted", Some(&last));
        assert!(text.len() <= EVENT_BYTES_MAX, "{}", text.len());
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn a_record_is_no_longer_than_an_event() {
        let record = record_of("{\"n\":1}", "no JSON");
        assert_eq!(record["timestamp"], "2023-11-14T22:13:20.000Z");
        assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!((&record["requestPayload"]["n"], &record["responsePayload"]), (&json!(1), &json!("no JSON")));
        assert!(record.get("leftOut").is_none());
        let half = format!("\"{}\"", "x".repeat(EVENT_BYTES_MAX / 2));
        let record = record_of(&half, &half);
        assert_eq!(record["leftOut"]["members"], json!(["responsePayload"]));
        assert_eq!(record["requestPayload"].as_str().map(str::len), Some(half.len() - 2));
        let whole = format!("\"{}\"", "x".repeat(EVENT_BYTES_MAX - 2));
        let record = record_of(&whole, "{}");
        assert_eq!(record["leftOut"]["members"], json!(["responsePayload", "requestPayload"]));
        assert!(record.get("requestPayload").is_none() && record["responseContext"]["statusCode"] == 200);
    }
}
