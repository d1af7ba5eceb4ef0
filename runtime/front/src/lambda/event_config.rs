//! The operations on how events that are kept are run.

use serde_json::Value;

use super::backend::{EventConfig, LambdaBackend, Target};
use super::backend_error::LambdaError;
use super::functions::named;
use super::members::{NAMESPACED, QUALIFIER};
use super::{Call, Operation, page, patterns, refusal, versions, view};
use crate::error::ApiError;
use crate::protocol::member::{only, optional, required, text};
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

pub(super) static PUT: [Member; 5] = [
    required("FunctionName", NAMESPACED),
    optional("Qualifier", QUALIFIER),
    optional("MaximumRetryAttempts", Shape::Integer(0, 2)),
    optional("MaximumEventAgeInSeconds", Shape::Integer(60, 21_600)),
    optional("DestinationConfig", Shape::Structure(&DESTINATIONS)),
];

pub(super) static LIST: [Member; 3] = [
    required("FunctionName", NAMESPACED),
    page::marker(),
    // The model's range is another one here.
    optional("MaxItems", Shape::Integer(1, 50)),
];

static DESTINATIONS: [Member; 2] =
    [optional("OnSuccess", Shape::Structure(&ON_SUCCESS)), optional("OnFailure", Shape::Structure(&ON_FAILURE))];

static ON_SUCCESS: [Member; 1] = [only(
    "Destination",
    text(0, 350, &patterns::DESTINATION),
    &[""],
    "only events that were given up are sent on; leave it out, and let the function send its result",
)];

static ON_FAILURE: [Member; 1] = [optional("Destination", text(0, 350, &patterns::DESTINATION))];

/// `PutFunctionEventInvokeConfig` sets all of it, `UpdateFunctionEventInvokeConfig` what is given.
pub(super) async fn put(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let (target, _) = named(call, view)?;
    let of_target = |error| refusal::of(call.place(), &target, error);
    let destination = view.structure("DestinationConfig").and_then(|config| config.structure("OnFailure"));
    let destination = destination.and_then(|config| config.text("Destination"));
    let mut config = if call.operation == Operation::UpdateFunctionEventInvokeConfig {
        there(call.backend(), &target).map_err(of_target)?
    } else {
        EventConfig { retries_max: None, age_max_s: None, on_failure: None }
    };
    config.retries_max = view.number32("MaximumRetryAttempts").or(config.retries_max);
    config.age_max_s = view.number32("MaximumEventAgeInSeconds").or(config.age_max_s);
    if let Some(arn) = destination {
        config.on_failure = Some(arn.to_owned()).filter(|arn| !arn.is_empty());
    }
    let info = call.backend().put_event_config(&target, config).await.map_err(of_target)?;
    Ok(view::event_config(call.place(), &info))
}

fn there(backend: &dyn LambdaBackend, target: &Target) -> Result<EventConfig, LambdaError> {
    backend.event_config(target).map(|info| info.config)
}

pub(super) fn get(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let (target, _) = named(call, view)?;
    let found = call.backend().event_config(&target);
    let info = found.map_err(|error| refusal::of(call.place(), &target, error))?;
    Ok(view::event_config(call.place(), &info))
}

pub(super) async fn delete(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let (target, _) = named(call, view)?;
    let deleted = call.backend().delete_event_config(&target).await;
    deleted.map_err(|error| refusal::of(call.place(), &target, error))?;
    Ok(Value::Null)
}

/// One function has few of them; a marker is the ARN of the last one that was shown.
pub(super) fn list(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = versions::name(call, view)?;
    let all = call.backend().event_configs(&name).map_err(|error| refusal::of_name(call.place(), &name, error))?;
    let keyed = all.iter().map(|info| (refusal::event_arn(call.place(), &info.target), info));
    let marker = view.text("Marker").filter(|marker| !marker.is_empty());
    let mut rest: Vec<_> = keyed.collect();
    if let Some(at) = marker.and_then(|marker| rest.iter().position(|(key, _)| key == marker)) {
        rest.drain(..=at);
    }
    let items = rest.into_iter().map(|(key, info)| (key, view::event_config(call.place(), info)));
    Ok(page::answer("FunctionEventInvokeConfigs", view, items))
}
