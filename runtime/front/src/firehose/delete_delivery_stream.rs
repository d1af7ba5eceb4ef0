//! `DeleteDeliveryStream`: the name of the stream to delete.

use serde_json::Value;

use crate::error::ApiError;
use crate::firehose::members::{STREAM_NAME, required, shown};
use crate::protocol::shape::{Member, Shape, check};
use crate::protocol::view::View;

pub(crate) static MEMBERS: [Member; 2] = [
    required("DeliveryStreamName", STREAM_NAME),
    shown("AllowForceDelete", Shape::Boolean, "there are no KMS grants that could hold a deletion up"),
];

/// The stream's name.
///
/// # Errors
/// A broken constraint.
pub(crate) fn parse(request: &Value) -> Result<&str, ApiError> {
    check(&MEMBERS, request)?;
    Ok(View(request).text("DeliveryStreamName").unwrap_or_default())
}
