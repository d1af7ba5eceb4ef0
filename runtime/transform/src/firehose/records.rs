//! The other side: a function of world `transform` that is invoked with Firehose's event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64_simd::STANDARD;
use millrace_types::{Batch, BatchBuilder, BatchFull};
use serde::Deserialize;

use super::push_string;
use crate::Output;

/// The records of an event.
#[derive(Debug, Clone)]
pub struct EventRecords {
    /// Their bytes, arrival times and, from a Kinesis stream, partition keys. They count from
    /// sequence number 0: an event names records by ids alone.
    pub batch: Batch,
    /// Their ids, as the event gave them.
    pub ids: Vec<String>,
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow)]
    records: Vec<RawRecord<'a>>,
}

#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(rename = "recordId")]
    id: String,
    #[serde(rename = "approximateArrivalTimestamp", default)]
    arrival_ms: i64,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(rename = "kinesisRecordMetadata", borrow)]
    kinesis: Option<RawKinesis<'a>>,
}

#[derive(Deserialize)]
struct RawKinesis<'a> {
    #[serde(rename = "partitionKey", borrow, default)]
    key: Cow<'a, str>,
}

enum Refused {
    Base64,
    Full(BatchFull),
}

impl From<BatchFull> for Refused {
    fn from(full: BatchFull) -> Self {
        Self::Full(full)
    }
}

/// The batch of `event`, Firehose's JSON for a transformation. Members that say nothing of the records
/// (`invocationId`, the stream's ARN) are not looked at.
///
/// # Errors
/// A sentence: what of it is no such event.
pub fn event_to_batch(event: &[u8]) -> Result<EventRecords, String> {
    let raw: RawEvent<'_> = serde_json::from_slice(event)
        .map_err(|error| format!("the event is not Firehose's JSON for a transformation: {error}"))?;
    let keyed = raw.records.iter().any(|record| record.kinesis.is_some());
    let mut batch = BatchBuilder::with_capacity(raw.records.len(), event.len() * 3 / 4);
    let mut ids = Vec::with_capacity(raw.records.len());
    for record in raw.records {
        let decode = |payload: &mut Vec<u8>| {
            STANDARD.decode_append(record.data.as_bytes(), payload).map_err(|_| Refused::Base64)
        };
        let pushed = if keyed {
            let key = record.kinesis.as_ref().map_or("", |kinesis| &kinesis.key);
            batch.push_keyed(record.arrival_ms, key.as_bytes(), decode)
        } else {
            batch.push_with(record.arrival_ms, decode)
        };
        pushed.map_err(|refused| match refused {
            Refused::Base64 => format!("the data of record {} in the event is not Base64", record.id),
            Refused::Full(full) => full.to_string(),
        })?;
        ids.push(record.id);
    }
    Ok(EventRecords { batch: batch.finish(), ids })
}

/// Firehose's JSON answer for what a function of world `transform` made of an event's records, in their
/// order. A record that became several cannot be told in it: its result is `ProcessingFailed`, and the
/// member `errorMessage`, which Firehose does not read, says so; so it does for records that the
/// function failed.
#[must_use]
pub fn outcome_to_event(records: &EventRecords, output: &Output) -> Vec<u8> {
    let failures: BTreeMap<u32, &str> = output.failures.iter().map(|f| (f.index, f.reason.as_str())).collect();
    let mut json = Vec::with_capacity(32 + output.payload.len() * 4 / 3 + records.ids.len() * 128);
    json.extend_from_slice(b"{\"records\":[");
    let mut next = 0;
    for (at, id) in (0_u32..).zip(&records.ids) {
        let count = output.sources[next..].iter().take_while(|source| **source == at).count();
        if at > 0 {
            json.push(b',');
        }
        json.extend_from_slice(b"{\"recordId\":");
        push_string(&mut json, id);
        match (failures.get(&at), count) {
            (Some(reason), _) => push_failed(&mut json, records.batch.record(at as usize), reason),
            (None, 0) => json.extend_from_slice(b",\"result\":\"Dropped\"}"),
            (None, 1) => push_delivered(&mut json, output, next),
            (None, many) => {
                let reason = format!("the function made {many} records of this one; the answer to an event holds one");
                push_failed(&mut json, records.batch.record(at as usize), &reason);
            }
        }
        next += count;
    }
    json.extend_from_slice(b"]}");
    json
}

fn push_delivered(json: &mut Vec<u8>, output: &Output, at: usize) {
    json.extend_from_slice(b",\"result\":\"Ok\",\"data\":\"");
    STANDARD.encode_append(output.columns().record(at), json);
    json.push(b'"');
    let names = output.partition_names.iter().enumerate();
    let mut keys = names.map(|(name, text)| (text, output.partition(at, name))).filter(|(_, value)| !value.is_empty());
    if let Some(first) = keys.next() {
        json.extend_from_slice(b",\"metadata\":{\"partitionKeys\":{");
        push_pair(json, first);
        for pair in keys {
            json.push(b',');
            push_pair(json, pair);
        }
        json.extend_from_slice(b"}}");
    }
    json.push(b'}');
}

fn push_pair(json: &mut Vec<u8>, (name, value): (&String, &str)) {
    push_string(json, name);
    json.push(b':');
    push_string(json, value);
}

fn push_failed(json: &mut Vec<u8>, record: &[u8], reason: &str) {
    json.extend_from_slice(b",\"result\":\"ProcessingFailed\",\"data\":\"");
    STANDARD.encode_append(record, json);
    json.extend_from_slice(b"\",\"errorMessage\":");
    push_string(json, reason);
    json.push(b'}');
}
