//! The event that a handler is given: as many records of a batch as fit in one.

use std::io::Write as _;

use base64_simd::STANDARD;
use millrace_types::{Batch, RecordId};

use super::{ID_SUFFIX, push_string};
use crate::EVENT_BYTES_MAX;
use crate::call::BatchSource;

/// An event of some records of a batch.
#[derive(Debug)]
pub(crate) struct Request {
    /// The event.
    pub(crate) json: Vec<u8>,
    /// The index behind its last record in the batch; the first one's when that alone is too large.
    pub(crate) to: usize,
}

/// The event of records `from..` of `batch`, as many as fit.
pub(crate) fn request(batch: &Batch, from: usize, source: &BatchSource, invocation_id: &str) -> Request {
    const TAIL: &[u8] = b"]}";
    let mut json = Vec::with_capacity(1024 + (batch.payload().len() * 3 / 2).min(EVENT_BYTES_MAX));
    json.extend_from_slice(b"{\"invocationId\":");
    push_string(&mut json, invocation_id);
    json.extend_from_slice(b",\"deliveryStreamArn\":");
    push_string(&mut json, &source.stream_arn);
    json.extend_from_slice(b",\"region\":");
    push_string(&mut json, &source.region);
    json.extend_from_slice(b",\"records\":[");
    for at in from..batch.len() {
        let before = json.len();
        if at > from {
            json.push(b',');
        }
        // A record that is far too large is not encoded first.
        let fits = json.len() + batch.record(at).len().div_ceil(3) * 4 <= EVENT_BYTES_MAX;
        if fits {
            push_record(&mut json, batch, at, source);
        }
        if !fits || json.len() + TAIL.len() > EVENT_BYTES_MAX {
            json.truncate(before);
            json.extend_from_slice(TAIL);
            return Request { json, to: at };
        }
    }
    json.extend_from_slice(TAIL);
    Request { json, to: batch.len() }
}

fn push_record(json: &mut Vec<u8>, batch: &Batch, at: usize, source: &BatchSource) {
    let id = RecordId { shard: source.shard, seq: batch.first().plus(at as u64) };
    let arrival_ms = batch.arrivals_ms()[at];
    // A vector takes every byte.
    let written =
        write!(json, "{{\"recordId\":\"{id}{ID_SUFFIX}\",\"approximateArrivalTimestamp\":{arrival_ms},\"data\":\"");
    debug_assert!(written.is_ok(), "numbers became no text");
    STANDARD.encode_append(batch.record(at), json);
    json.extend_from_slice(b"\"}");
}
