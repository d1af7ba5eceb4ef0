//! The operations on tags: those of whole functions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::members::{RESOURCE, TAG_KEY, TAGS};
use super::names::{not_found, resource, target};
use super::{Call, refusal};
use crate::error::ApiError;
use crate::protocol::member::required;
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

/// Tags of one function.
const TAGS_MAX: usize = 50;

pub(super) static NAMED: [Member; 1] = [required("Resource", RESOURCE)];

pub(super) static TAG: [Member; 2] = [required("Resource", RESOURCE), required("Tags", TAGS)];

pub(super) static UNTAG: [Member; 2] =
    [required("Resource", RESOURCE), required("TagKeys", Shape::List(0, usize::MAX, &TAG_KEY))];

/// The function that the ARN names.
fn name(call: &Call<'_>, view: View<'_>) -> Result<String, ApiError> {
    let arn = view.text("Resource").unwrap_or_default();
    match resource(arn) {
        Some(Some(parsed)) if parsed.qualifier.is_some() => Err(ApiError::invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        )),
        Some(Some(_)) => Ok(target(call.place(), arn, None)?.0.name),
        // Other kinds of resources are not here.
        _ => Err(not_found(arn)),
    }
}

/// `Tags` of a checked request.
///
/// # Errors
/// More than a function may have.
pub(super) fn tags(view: View<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let pairs = view.get("Tags").and_then(Value::as_object).into_iter().flatten();
    let tags: BTreeMap<String, String> =
        pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    if tags.len() > TAGS_MAX {
        return Err(ApiError::invalid(format!("Number of tags exceeds resource tag limit of {TAGS_MAX}.")));
    }
    Ok(tags)
}

pub(super) async fn tag(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let tags = tags(view)?;
    if tags.is_empty() {
        return Err(ApiError::invalid("Tags is empty: give at least one"));
    }
    let tagged = call.backend().tag(&name, tags).await;
    tagged.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(Value::Null)
}

pub(super) async fn untag(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let keys = view.list("TagKeys").filter_map(|key| key.0.as_str()).map(str::to_owned).collect();
    let untagged = call.backend().untag(&name, keys).await;
    untagged.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(Value::Null)
}

pub(super) fn list(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let tags = call.backend().tags(&name).map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(json!({ "Tags": tags }))
}
