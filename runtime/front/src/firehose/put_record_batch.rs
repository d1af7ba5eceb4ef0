//! `PutRecordBatch`: up to 500 records in, their ids out. The batch is taken whole or refused whole:
//! clients mishandle `FailedPutCount` (`expectations.md` section 6), and there is one journal.

use millrace_delivery::Appended;
use millrace_types::{Batch, RecordId};

use crate::error::ApiError;
use crate::firehose::members::{STREAM_NAME, required};
use crate::firehose::put_record::RECORD;
use crate::firehose::records::{BATCH_RECORDS_MAX, Put, decode};
use crate::protocol::shape::{Member, Shape};

/// For the compatibility page; `records` reads the body.
pub(crate) static MEMBERS: [Member; 2] = [
    required("DeliveryStreamName", STREAM_NAME),
    required("Records", Shape::List(1, BATCH_RECORDS_MAX, &Shape::Structure(&RECORD))),
];

/// Bytes of one entry of the answer, its comma counted.
const ENTRY_BYTES: usize = r#"{"RecordId":""},"#.len() + 56;

/// The stream's name and its batch.
///
/// # Errors
/// As [`decode`].
pub(crate) fn parse(body: &[u8], arrival_ms: i64) -> Result<(String, Batch), ApiError> {
    decode(body, Put::Batch, arrival_ms)
}

/// The answer, written by hand: ids differ in their last digits only, so one is counted up.
pub(crate) fn answer(appended: Appended, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(80 + count * ENTRY_BYTES);
    out.extend_from_slice(br#"{"FailedPutCount":0,"Encrypted":false,"RequestResponses":["#);
    let mut id = RecordId { shard: appended.shard, seq: appended.first }.to_string().into_bytes();
    for index in 0..count {
        if index > 0 {
            out.push(b',');
            count_up(&mut id);
        }
        out.extend_from_slice(br#"{"RecordId":""#);
        out.extend_from_slice(&id);
        out.extend_from_slice(br#""}"#);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Adds one to a decimal number.
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::{Lane, Seq, ShardId, StreamId};
    use proptest::prelude::*;
    use serde_json::Value;

    proptest! {
        #[test]
        fn ids_are_those_of_the_records(first in 0u64..u64::MAX - 600, count in 1usize..501) {
            let shard = ShardId::new(StreamId(7), Lane(2));
            let body: Value = serde_json::from_slice(&answer(Appended { shard, first: Seq::new(first) }, count)).expect("JSON");
            let ids = body["RequestResponses"].as_array().expect("a list");
            prop_assert_eq!(ids.len(), count);
            for (index, id) in ids.iter().enumerate() {
                let wanted = RecordId { shard, seq: Seq::new(first + index as u64) };
                prop_assert_eq!(id["RecordId"].as_str().expect("text"), wanted.to_string());
            }
        }
    }
}
