//! `Invoke`: an event in, an answer out, or an event that is kept, or only a look.

use base64_simd::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use millrace_types::KIB;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::backend::{Invocation, Invoked, Target};
use super::functions::named;
use super::members::{NAMESPACED, QUALIFIER, TEXT};
use super::{Call, JSON, empty, header_value, refusal, view};
use crate::error::{ApiError, Code, Reply, reply};
use crate::protocol::member::{optional, refused, required};
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

/// The header of `InvocationType`.
pub(super) const TYPE_HEADER: &str = "x-amz-invocation-type";
/// Bytes of the end of a log that an answer shows.
const LOG_TAIL_BYTES_MAX: usize = 4 * KIB;
/// Bytes of a client context in base64.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3583;

pub(super) static MEMBERS: [Member; 7] = [
    required("FunctionName", NAMESPACED),
    optional("InvocationType", Shape::Enum { values: &["Event", "RequestResponse", "DryRun"], extensions: &[] }),
    optional("LogType", Shape::Enum { values: &["None", "Tail"], extensions: &[] }),
    optional("ClientContext", TEXT),
    refused("DurableExecutionName", "use InvocationType Event, whose events are kept and tried again"),
    optional("Qualifier", QUALIFIER),
    refused("TenantId", "instances are not kept apart by tenants; deploy a function for each"),
];

pub(super) async fn run(call: &Call<'_>, view: View<'_>, event: Bytes) -> Result<Reply, ApiError> {
    let (target, _) = named(call, view)?;
    let of_target = |target: &Target, error| refusal::of(call.place(), target, error);
    let kind = view.text("InvocationType").unwrap_or("RequestResponse");
    if kind == "DryRun" {
        call.backend().check_invocation(&target).await.map_err(|error| of_target(&target, error))?;
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let invocation = Invocation {
        payload: checked(event)?,
        client_context: view.text("ClientContext").map(client_context).transpose()?,
        request_id: call.request_id.to_owned(),
        log_tail: kind != "Event" && view.text("LogType") == Some("Tail"),
        target: target.clone(),
    };
    if kind == "Event" {
        call.backend().enqueue(invocation).await.map_err(|error| of_target(&target, error))?;
        return Ok(empty(StatusCode::ACCEPTED));
    }
    let wants_log = invocation.log_tail;
    let invoked = call.backend().invoke(invocation).await.map_err(|error| of_target(&target, error))?;
    answer(invoked, wants_log)
}

fn answer(invoked: Invoked, wants_log: bool) -> Result<Reply, ApiError> {
    let Invoked { version, payload, function_error, log } = invoked;
    let mut reply = reply(StatusCode::OK, JSON, payload);
    let headers = reply.headers_mut();
    headers.insert("x-amz-executed-version", header_value(&view::version(version))?);
    if function_error {
        headers.insert("x-amz-function-error", header_value("Unhandled")?);
    }
    if wants_log {
        let tail = log.get(log.len().saturating_sub(LOG_TAIL_BYTES_MAX)..).unwrap_or_default();
        headers.insert("x-amz-log-result", header_value(&STANDARD.encode_to_string(tail))?);
    }
    Ok(reply)
}

/// The event; none at all is the empty object.
fn checked(event: Bytes) -> Result<Bytes, ApiError> {
    if event.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(&event) {
        Ok(IgnoredAny) => Ok(event),
        Err(error) => {
            Err(ApiError::new(Code::RequestContent, format!("Could not parse request body into json: {error}")))
        }
    }
}

/// A JSON object in base64.
fn client_context(text: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::new(Code::RequestContent, "Client context must be a valid Base64-encoded JSON object.");
    if text.len() > CLIENT_CONTEXT_BYTES_MAX {
        let message = format!("Client context must be at most {CLIENT_CONTEXT_BYTES_MAX} bytes in length.");
        return Err(ApiError::new(Code::RequestContent, message));
    }
    let decoded =
        STANDARD.decode_to_vec(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    match serde_json::from_str(&decoded) {
        Ok(Value::Object(_)) => Ok(decoded),
        _ => Err(wrong()),
    }
}
