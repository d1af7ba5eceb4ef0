//! `ListTagsForDeliveryStream`: the tags that a stream was made with, in order of their keys, page by page.

use millrace_catalog::Stream;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::firehose::members::{STREAM_NAME, optional, required, text};
use crate::protocol::patterns;
use crate::protocol::shape::{Member, Shape, check};
use crate::protocol::view::View;

/// Tags a page has when no `Limit` is given.
const LIMIT: usize = 50;

pub(crate) static MEMBERS: [Member; 3] = [
    required("DeliveryStreamName", STREAM_NAME),
    optional("ExclusiveStartTagKey", text(1, 128, &patterns::TAG_KEY)),
    optional("Limit", Shape::Integer(1, 50)),
];

/// The stream's name.
///
/// # Errors
/// A broken constraint.
pub(crate) fn parse(request: &Value) -> Result<&str, ApiError> {
    check(&MEMBERS, request)?;
    Ok(View(request).text("DeliveryStreamName").unwrap_or_default())
}

/// Answers the page that a checked `request` asks for.
pub(crate) fn answer(request: &Value, stream: &Stream) -> Value {
    let view = View(request);
    let limit = view.number("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT);
    let after = view.text("ExclusiveStartTagKey");
    let mut rest = stream.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let page: Vec<Value> = rest.by_ref().take(limit).map(|(key, value)| tag(key, value)).collect();
    json!({ "Tags": page, "HasMoreTags": rest.next().is_some() })
}

/// A tag that was made without a value is shown without one.
fn tag(key: &str, value: &str) -> Value {
    if value.is_empty() { json!({ "Key": key }) } else { json!({ "Key": key, "Value": value }) }
}
