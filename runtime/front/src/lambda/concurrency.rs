//! The operations on reserved concurrency.

use serde_json::{Value, json};

use super::members::FUNCTION_NAME;
use super::{Call, refusal, versions};
use crate::error::ApiError;
use crate::protocol::member::required;
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

/// A whole function.
pub(super) static NAMED: [Member; 1] = [required("FunctionName", FUNCTION_NAME)];

pub(super) static PUT: [Member; 2] = [
    required("FunctionName", FUNCTION_NAME),
    required("ReservedConcurrentExecutions", Shape::Integer(0, i32::MAX as i64)),
];

const RESERVED: &str = "ReservedConcurrentExecutions";

pub(super) async fn put(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = versions::name(call, view)?;
    let reserved = view.number32(RESERVED).unwrap_or_default();
    let put = call.backend().put_concurrency(&name, Some(reserved)).await;
    put.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(json!({ RESERVED: reserved }))
}

pub(super) fn get(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = versions::name(call, view)?;
    let found = call.backend().concurrency(&name).map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(found.map_or_else(|| json!({}), |reserved| json!({ RESERVED: reserved })))
}

pub(super) async fn delete(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = versions::name(call, view)?;
    let deleted = call.backend().put_concurrency(&name, None).await;
    deleted.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(Value::Null)
}
