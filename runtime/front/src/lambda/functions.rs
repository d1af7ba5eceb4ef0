//! `GetFunction`, `GetFunctionConfiguration`, `ListFunctions`, `DeleteFunction`.

use serde_json::{Value, json};

use super::backend::{FunctionInfo, Qualifier, Target};
use super::members::{NAMESPACED, QUALIFIER};
use super::names::{arn, qualified_arn, target, target_arn};
use super::{Call, page, refusal, versions, view};
use crate::error::{ApiError, Code};
use crate::protocol::member::{optional, refused, required};
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

/// A function and which of its versions.
pub(super) static NAMED: [Member; 2] = [required("FunctionName", NAMESPACED), optional("Qualifier", QUALIFIER)];

pub(super) static LIST: [Member; 4] = [
    refused("MasterRegion", "functions are not replicated to other regions; leave it out"),
    optional("FunctionVersion", Shape::Enum { values: &["ALL"], extensions: &[] }),
    page::marker(),
    page::max_items(),
];

/// Whose code signing is asked for.
pub(super) static SIGNING: [Member; 1] = [required("FunctionName", NAMESPACED)];

/// What a request's `FunctionName` and `Qualifier` stand for, and whether a qualifier was given.
///
/// # Errors
/// As [`target`].
pub(super) fn named(call: &Call<'_>, view: View<'_>) -> Result<(Target, bool), ApiError> {
    target(call.place(), view.text("FunctionName").unwrap_or_default(), view.text("Qualifier"))
}

fn find(call: &Call<'_>, view: View<'_>) -> Result<(Target, FunctionInfo, String), ApiError> {
    let (target, is_qualified) = named(call, view)?;
    let info = call.backend().function(&target).map_err(|error| refusal::of(call.place(), &target, error))?;
    let arn = match target.qualifier {
        Qualifier::Latest if is_qualified => qualified_arn(call.place(), &target.name, "$LATEST"),
        _ => target_arn(call.place(), &target),
    };
    Ok((target, info, arn))
}

pub(super) fn configuration(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let (_, info, arn) = find(call, view)?;
    Ok(view::function(&info, &arn))
}

pub(super) fn get(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let (target, info, arn) = find(call, view)?;
    let of_name = |error| refusal::of_name(call.place(), &target.name, error);
    let tags = call.backend().tags(&target.name).map_err(of_name)?;
    let reserved = call.backend().concurrency(&target.name).map_err(of_name)?;
    let location = call.shared.link_key.location(call, &target.name, &view::version(info.version));
    let mut shown = json!({
        "Configuration": view::function(&info, &arn),
        "Code": { "RepositoryType": "Millrace", "Location": location },
    });
    if let Some(members) = shown.as_object_mut() {
        if !tags.is_empty() {
            members.insert("Tags".to_owned(), json!(tags));
        }
        if let Some(reserved) = reserved {
            members.insert("Concurrency".to_owned(), json!({ "ReservedConcurrentExecutions": reserved }));
        }
    }
    Ok(shown)
}

/// `GetFunctionCodeSigningConfig`: no function has any. Terraform asks whenever it looks at one.
pub(super) fn code_signing(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = versions::name(call, view)?;
    let target = Target { name, qualifier: Qualifier::Latest };
    call.backend().function(&target).map_err(|error| refusal::of(call.place(), &target, error))?;
    Ok(json!({ "FunctionName": target.name }))
}

/// Functions in order of their names; with `FunctionVersion` `ALL` each with all its versions.
pub(super) fn list(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let marker = view.text("Marker").unwrap_or_default();
    let is_all = view.text("FunctionVersion").is_some();
    let (after, version_after) = marker.split_once(':').map_or((marker, ""), |(name, version)| (name, version));
    let names = call.backend().names().into_iter();
    // With ALL the marker's own function may have versions left.
    let names = names.filter(|name| if is_all { name.as_str() >= after } else { name.as_str() > after });
    if !is_all {
        // One that was deleted meanwhile is left out.
        let found = names.filter_map(|name| {
            let target = Target { name, qualifier: Qualifier::Latest };
            let info = call.backend().function(&target).ok()?;
            let shown = view::function(&info, &arn(call.place(), &target.name));
            Some((target.name, shown))
        });
        return Ok(page::answer("Functions", view, found));
    }
    let found = names.flat_map(|name| {
        let behind = if name == after { position(version_after) } else { None };
        let versions = call.backend().versions(&name).unwrap_or_default().into_iter();
        versions.filter(move |info| behind.is_none_or(|behind| info.version.unwrap_or(0) > behind)).map(move |info| {
            let version = view::version(info.version);
            let arn = qualified_arn(call.place(), &name, &version);
            (format!("{name}:{version}"), view::function(&info, &arn))
        })
    });
    Ok(page::answer("Functions", view, found))
}

/// The place of a version's text in the order of versions: `$LATEST` is first.
pub(super) fn position(version: &str) -> Option<u32> {
    if version == "$LATEST" { Some(0) } else { version.parse().ok() }
}

pub(super) async fn delete(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let (target, is_qualified) = named(call, view)?;
    let deleted = match &target.qualifier {
        Qualifier::Latest if is_qualified => {
            return Err(ApiError::invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        Qualifier::Latest => call.backend().delete(&target.name).await,
        Qualifier::Version(number) => call.backend().delete_version(&target.name, *number).await,
        Qualifier::Alias(alias) => {
            return Err(ApiError::new(
                Code::InvalidArgument,
                format!("Deletion of aliases is not currently supported: use DeleteAlias for {alias}"),
            ));
        }
    };
    deleted.map_err(|error| refusal::of(call.place(), &target, error))?;
    Ok(Value::Null)
}
