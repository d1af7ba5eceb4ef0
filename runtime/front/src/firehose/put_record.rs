//! `PutRecord`: one record in, its id out.

use millrace_delivery::Appended;
use millrace_types::{Batch, RecordId};

use crate::error::ApiError;
use crate::firehose::members::{STREAM_NAME, required};
use crate::firehose::records::{Put, decode};
use crate::protocol::shape::{Member, Shape};

/// For the compatibility page; `records` reads the body.
pub(crate) static MEMBERS: [Member; 2] =
    [required("DeliveryStreamName", STREAM_NAME), required("Record", Shape::Structure(&RECORD))];

/// A record: base64 of 0 to 1,024,000 bytes.
pub(crate) static RECORD: [Member; 1] = [required("Data", Shape::Text { length: (0, 1_365_336), pattern: None })];

/// The stream's name and a batch of one.
///
/// # Errors
/// As [`decode`].
pub(crate) fn parse(body: &[u8], arrival_ms: i64) -> Result<(String, Batch), ApiError> {
    decode(body, Put::One, arrival_ms)
}

/// The answer. `Encrypted` tells of server-side encryption of the stream, which there is none.
pub(crate) fn answer(appended: Appended) -> String {
    let id = RecordId { shard: appended.shard, seq: appended.first };
    format!(r#"{{"RecordId":"{id}","Encrypted":false}}"#)
}
