//! `ListDeliveryStreams`: names in ASCII order, page by page.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::firehose::members::{STREAM_NAME, STREAM_TYPE, optional};
use crate::protocol::shape::{Member, Shape, check};
use crate::protocol::view::View;

/// Names a page has when no `Limit` is given.
const LIMIT: usize = 10;

pub(crate) static MEMBERS: [Member; 3] = [
    optional("Limit", Shape::Integer(1, 10_000)),
    optional("DeliveryStreamType", STREAM_TYPE),
    optional("ExclusiveStartDeliveryStreamName", STREAM_NAME),
];

/// Answers the page; `names` come in order.
///
/// # Errors
/// A broken constraint.
pub(crate) fn answer(request: &Value, names: impl Iterator<Item = String>) -> Result<Value, ApiError> {
    check(&MEMBERS, request)?;
    let view = View(request);
    let limit = view.number("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT);
    // A start name that is not there is a position, not an error.
    let after = view.text("ExclusiveStartDeliveryStreamName");
    let direct_put = view.text("DeliveryStreamType").is_none_or(|kind| kind == "DirectPut");
    let mut rest = names.filter(|name| direct_put && after.is_none_or(|after| name.as_str() > after));
    let page: Vec<String> = rest.by_ref().take(limit).collect();
    Ok(json!({ "DeliveryStreamNames": page, "HasMoreDeliveryStreams": rest.next().is_some() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(request: &Value) -> Value {
        answer(request, (10..25).map(|i| format!("s{i}"))).expect("a page")
    }

    #[test]
    fn pages_follow_one_another() {
        let first = page(&json!({}));
        assert_eq!(first["DeliveryStreamNames"].as_array().map(Vec::len), Some(10));
        assert_eq!(first["HasMoreDeliveryStreams"], true);
        let second = page(&json!({ "ExclusiveStartDeliveryStreamName": "s19" }));
        assert_eq!(
            second,
            json!({ "DeliveryStreamNames": ["s20", "s21", "s22", "s23", "s24"], "HasMoreDeliveryStreams": false })
        );
        let between = page(&json!({ "ExclusiveStartDeliveryStreamName": "s195", "Limit": 1 }));
        assert_eq!(between["DeliveryStreamNames"], json!(["s20"]));
        assert_eq!(page(&json!({ "DeliveryStreamType": "MSKAsSource" }))["DeliveryStreamNames"], json!([]));
        assert_eq!(page(&json!({ "Limit": 15 }))["HasMoreDeliveryStreams"], false);
    }

    #[test]
    fn limits_are_checked() {
        for request in [json!({ "Limit": 0 }), json!({ "Limit": 10_001 }), json!({ "Next": "x" })] {
            assert!(answer(&request, std::iter::empty()).is_err(), "{request}");
        }
    }
}
