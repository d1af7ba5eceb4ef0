//! The operations on aliases, with the weights of their routing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::backend::{Alias, AliasChange};
use super::members::{ALIAS, DESCRIPTION, FUNCTION_NAME, TEXT, VERSION, alias_version};
use super::names::{not_found, number, qualified_arn};
use super::versions::{name, revision_id};
use super::{Call, page, patterns, refusal, view};
use crate::error::ApiError;
use crate::protocol::member::{optional, required};
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

/// A function and one of its aliases.
pub(super) static NAMED: [Member; 2] = [required("FunctionName", FUNCTION_NAME), required("Name", ALIAS)];

pub(super) static CREATE: [Member; 5] = [
    required("FunctionName", FUNCTION_NAME),
    required("Name", ALIAS),
    alias_version(true),
    optional("Description", DESCRIPTION),
    optional("RoutingConfig", Shape::Structure(&ROUTING)),
];

pub(super) static UPDATE: [Member; 6] = [
    required("FunctionName", FUNCTION_NAME),
    required("Name", ALIAS),
    alias_version(false),
    optional("Description", DESCRIPTION),
    optional("RoutingConfig", Shape::Structure(&ROUTING)),
    optional("RevisionId", TEXT),
];

pub(super) static LIST: [Member; 4] =
    [required("FunctionName", FUNCTION_NAME), optional("FunctionVersion", VERSION), page::marker(), page::max_items()];

static ROUTING: [Member; 1] =
    [optional("AdditionalVersionWeights", Shape::TextMap(&ADDITIONAL_VERSION, &Shape::Number(0.0, 1.0)))];
static ADDITIONAL_VERSION: Shape = Shape::Text { length: (1, 1024), pattern: Some(&patterns::ADDITIONAL_VERSION) };

fn alias_name<'a>(view: View<'a>) -> &'a str {
    view.text("Name").unwrap_or_default()
}

fn shown(call: &Call<'_>, name: &str, alias: &Alias) -> Value {
    view::alias(alias, &qualified_arn(call.place(), name, &alias.name))
}

pub(super) async fn create(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    // The table lets no request without a version through, nor $LATEST.
    let version = version(call, &name, view)?.unwrap_or_default();
    let weights = weights(call, &name, view)?.unwrap_or_default();
    check_weights(version, &weights)?;
    let alias = Alias {
        name: alias_name(view).to_owned(),
        version,
        weights,
        description: view.text_or_empty("Description"),
        revision_id: String::new(),
    };
    let made = call.backend().create_alias(&name, alias).await;
    let alias = made.map_err(|error| refusal::of_alias(call.place(), &name, alias_name(view), error))?;
    Ok(shown(call, &name, &alias))
}

pub(super) fn get(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let found = call.backend().alias(&name, alias_name(view));
    let alias = found.map_err(|error| refusal::of_alias(call.place(), &name, alias_name(view), error))?;
    Ok(shown(call, &name, &alias))
}

pub(super) async fn update(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let of_alias = |error| refusal::of_alias(call.place(), &name, alias_name(view), error);
    let change = AliasChange {
        version: version(call, &name, view)?,
        weights: weights(call, &name, view)?,
        description: view.text("Description").map(str::to_owned),
        revision_id: revision_id(view),
    };
    let old = call.backend().alias(&name, alias_name(view)).map_err(of_alias)?;
    let weights = change.weights.as_ref().unwrap_or(&old.weights);
    check_weights(change.version.unwrap_or(old.version), weights)?;
    let alias = call.backend().update_alias(&name, alias_name(view), change).await.map_err(of_alias)?;
    Ok(shown(call, &name, &alias))
}

pub(super) async fn delete(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let deleted = call.backend().delete_alias(&name, alias_name(view)).await;
    deleted.map_err(|error| refusal::of_alias(call.place(), &name, alias_name(view), error))?;
    Ok(Value::Null)
}

pub(super) fn list(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let no_alias_leads_there = view.text("FunctionVersion") == Some("$LATEST");
    let wanted = if no_alias_leads_there { None } else { version(call, &name, view)? };
    let aliases = call.backend().aliases(&name).map_err(|error| refusal::of_name(call.place(), &name, error))?;
    let after = view.text("Marker");
    let rest = aliases.into_iter().filter(|alias| {
        // A version is one that the alias leads to, by its pointer or by a weight.
        let leads = |number: u32| alias.version == number || alias.weights.contains_key(&number);
        !no_alias_leads_there && after.is_none_or(|after| alias.name.as_str() > after) && wanted.is_none_or(leads)
    });
    let items = rest.map(|alias| {
        let shown = shown(call, &name, &alias);
        (alias.name, shown)
    });
    Ok(page::answer("Aliases", view, items))
}

/// `FunctionVersion`, unless absent.
fn version(call: &Call<'_>, name: &str, view: View<'_>) -> Result<Option<u32>, ApiError> {
    // Versions that cannot be here are not found like those that are not.
    let found = |text| number(text).ok_or_else(|| not_found(&qualified_arn(call.place(), name, text)));
    view.text("FunctionVersion").map(found).transpose()
}

fn weights(call: &Call<'_>, name: &str, view: View<'_>) -> Result<Option<BTreeMap<u32, f64>>, ApiError> {
    let Some(routing) = view.structure("RoutingConfig") else { return Ok(None) };
    let mut weights = BTreeMap::new();
    for (text, weight) in routing.get("AdditionalVersionWeights").and_then(Value::as_object).into_iter().flatten() {
        let number = number(text).ok_or_else(|| not_found(&qualified_arn(call.place(), name, text)))?;
        weights.insert(number, weight.as_f64().unwrap_or_default());
    }
    Ok(Some(weights))
}

fn check_weights(version: u32, weights: &BTreeMap<u32, f64>) -> Result<(), ApiError> {
    if weights.len() > 1 {
        return Err(ApiError::invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
    }
    if weights.contains_key(&version) {
        return Err(ApiError::invalid(format!(
            "Invalid function version {version}. Function version {version} is already included in routing \
             configuration."
        )));
    }
    Ok(())
}
