//! `PublishVersion`, `ListVersionsByFunction`.

use base64_simd::STANDARD;
use serde_json::Value;

use super::backend::Publish;
use super::functions::position;
use super::members::{DESCRIPTION, FUNCTION_NAME, NAMESPACED, NO_PUBLISH_TO, TEXT};
use super::names::{qualified_arn, whole};
use super::{Call, page, refusal, view};
use crate::error::ApiError;
use crate::protocol::member::{optional, refused, required};
use crate::protocol::shape::Member;
use crate::protocol::view::View;

pub(super) static PUBLISH: [Member; 5] = [
    required("FunctionName", FUNCTION_NAME),
    optional("CodeSha256", TEXT),
    optional("Description", DESCRIPTION),
    optional("RevisionId", TEXT),
    refused("PublishTo", NO_PUBLISH_TO),
];

pub(super) static LIST: [Member; 3] = [required("FunctionName", NAMESPACED), page::marker(), page::max_items()];

/// The name of the whole function that a request is about.
///
/// # Errors
/// As [`whole`].
pub(super) fn name(call: &Call<'_>, view: View<'_>) -> Result<String, ApiError> {
    whole(call.place(), view.text("FunctionName").unwrap_or_default(), call.operation.name())
}

pub(super) async fn publish(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let publish = Publish {
        code_sha256: view.text("CodeSha256").filter(|text| !text.is_empty()).map(digest).transpose()?,
        description: view.text("Description").map(str::to_owned),
        revision_id: revision_id(view),
    };
    let published = call.backend().publish(&name, publish).await;
    let info = published.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(view::function(&info, &qualified_arn(call.place(), &name, &view::version(info.version))))
}

/// `RevisionId`; an empty one is none.
pub(super) fn revision_id(view: View<'_>) -> Option<String> {
    view.text("RevisionId").filter(|text| !text.is_empty()).map(str::to_owned)
}

fn digest(text: &str) -> Result<[u8; 32], ApiError> {
    let decoded = STANDARD.decode_to_vec(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    decoded.ok_or_else(|| ApiError::invalid("CodeSha256 is not the base64 of a SHA-256, which has 32 bytes"))
}

pub(super) fn list(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let behind = view.text("Marker").and_then(position);
    let versions = call.backend().versions(&name).map_err(|error| refusal::of_name(call.place(), &name, error))?;
    let rest = versions.into_iter().filter(|info| behind.is_none_or(|behind| info.version.unwrap_or(0) > behind));
    let items = rest.map(|info| {
        let version = view::version(info.version);
        let arn = qualified_arn(call.place(), &name, &version);
        (version, view::function(&info, &arn))
    });
    Ok(page::answer("Versions", view, items))
}
