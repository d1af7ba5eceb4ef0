//! The Lambda API, version 2015-03-31, as REST with JSON: its operations are listed and run here.

mod account;
mod aliases;
pub(crate) mod backend;
pub(crate) mod backend_error;
mod code;
mod concurrency;
mod create_function;
mod event_config;
mod functions;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod invoke;
mod link;
mod members;
mod missing;
mod names;
mod operation;
mod package;
mod page;
mod patterns;
mod refusal;
mod request;
mod routes;
mod tags;
mod update_function;
mod versions;
mod view;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::body::Body;
use serde_json::{Map, Value};

use crate::access::Caller;
use crate::body::{Limit, Received, receive};
use crate::error::{ApiError, Code, Reply, reply};
use crate::header::single;
use crate::protocol::shape::{Voice, check_as, refuse_unsupported};
use crate::shared::Shared;
use backend::LambdaBackend;
use millrace_catalog::Place;

pub use create_function::VARIABLES_BYTES_MAX;
pub(crate) use create_function::check_settings;
pub(crate) use link::{Link, LinkKey};
pub(crate) use missing::MISSING;
pub(crate) use operation::Operation;
#[cfg(test)]
pub(crate) use routes::all as routes;
pub(crate) use routes::is_lambda;

/// Content type of every answer but that of a function.
const JSON: &str = "application/json";

/// What an operation is run with.
struct Call<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    operation: Operation,
    /// The id of the request: a UUID.
    request_id: &'a str,
}

impl<'a> Call<'a> {
    fn backend(&self) -> &'a dyn LambdaBackend {
        &*self.shared.lambda
    }

    fn place(&self) -> &'a Place {
        self.shared.backend.place()
    }
}

/// Runs the request; answers the operation's name, when there is one, and the reply.
pub(crate) async fn serve<B>(
    shared: &Shared,
    parts: &Parts,
    body: &mut B,
    request_id: &str,
) -> (&'static str, Result<Reply, ApiError>)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    match routes::find(&parts.method, parts.uri.path(), parts.uri.query()) {
        Err(error) => ("unknown", Err(error)),
        Ok(routes::Found::Missing(missing)) => (missing.name, Err(missing.refusal())),
        Ok(routes::Found::Here(operation, labels)) => {
            let call = Call { shared, parts, operation, request_id };
            (operation.name(), run(&call, labels, body).await)
        }
    }
}

async fn run<B>(call: &Call<'_>, labels: Vec<(&'static str, String)>, body: &mut B) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (shared, parts, operation) = (call.shared, call.parts, call.operation);
    let mut caller = Caller::lambda(&shared.policy, parts, shared.clock.now_ms())?;
    if let Some(encoding) = single(&parts.headers, &CONTENT_ENCODING)?.filter(|encoding| *encoding != "identity") {
        let encoding: String = String::from_utf8_lossy(encoding.as_bytes()).chars().take(40).collect();
        let message = format!("The Content-Encoding {encoding} is not supported: send the body as it is");
        return Err(ApiError::new(Code::Media, message));
    }
    let bytes_max = operation.body_bytes_max(&parts.headers);
    let too_large = || {
        let name = operation.name_in_errors();
        ApiError::new(
            Code::TooLarge,
            format!("Request must be smaller than {bytes_max} bytes for the {name} operation"),
        )
    };
    let budget = if operation.is_heavy() { &shared.module_bodies } else { &shared.bodies };
    let limit = Limit { bytes_max, budget, too_large: &too_large };
    let received = receive(shared, body, &limit, |chunk| caller.update(chunk)).await?;
    caller.finish()?;
    let Received { bytes, share } = received;
    // An event is handed on; of any other body the tree alone is kept.
    let (event, members) = match operation {
        Operation::Invoke => (bytes.into(), Map::new()),
        _ if operation.is_heavy() => (Bytes::new(), millrace_tasks::blocking(move || request::object(&bytes)).await?),
        _ => (Bytes::new(), request::object(&bytes)?),
    };
    let request = request::collect(operation, labels, parts, members)?;
    check_as(Voice::Quoting, operation.members(), &request)?;
    create_function::check_runtime(&request)?;
    refuse_unsupported(operation.members(), &request)?;
    let answered = dispatch(call, request, event).await;
    drop(share);
    answered
}

async fn dispatch(call: &Call<'_>, request: Value, event: Bytes) -> Result<Reply, ApiError> {
    let view = crate::protocol::view::View(&request);
    let answer = match call.operation {
        Operation::Invoke => return invoke::run(call, view, event).await,
        Operation::CreateFunction => create_function::run(call, request).await?,
        Operation::UpdateFunctionCode => update_function::code(call, request).await?,
        Operation::UpdateFunctionConfiguration => update_function::configuration(call, view).await?,
        Operation::GetFunction => functions::get(call, view)?,
        Operation::GetFunctionConfiguration => functions::configuration(call, view)?,
        Operation::GetFunctionCodeSigningConfig => functions::code_signing(call, view)?,
        Operation::ListFunctions => functions::list(call, view)?,
        Operation::DeleteFunction => functions::delete(call, view).await?,
        Operation::PublishVersion => versions::publish(call, view).await?,
        Operation::ListVersionsByFunction => versions::list(call, view)?,
        Operation::CreateAlias => aliases::create(call, view).await?,
        Operation::GetAlias => aliases::get(call, view)?,
        Operation::UpdateAlias => aliases::update(call, view).await?,
        Operation::DeleteAlias => aliases::delete(call, view).await?,
        Operation::ListAliases => aliases::list(call, view)?,
        Operation::PutFunctionEventInvokeConfig | Operation::UpdateFunctionEventInvokeConfig => {
            event_config::put(call, view).await?
        }
        Operation::GetFunctionEventInvokeConfig => event_config::get(call, view)?,
        Operation::DeleteFunctionEventInvokeConfig => event_config::delete(call, view).await?,
        Operation::ListFunctionEventInvokeConfigs => event_config::list(call, view)?,
        Operation::PutFunctionConcurrency => concurrency::put(call, view).await?,
        Operation::GetFunctionConcurrency => concurrency::get(call, view)?,
        Operation::DeleteFunctionConcurrency => concurrency::delete(call, view).await?,
        Operation::TagResource => tags::tag(call, view).await?,
        Operation::UntagResource => tags::untag(call, view).await?,
        Operation::ListTags => tags::list(call, view)?,
        Operation::GetAccountSettings => account::get(call),
    };
    let status = call.operation.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(empty(status));
    }
    Ok(reply(status, JSON, answer.to_string()))
}

/// An answer without a body.
fn empty(status: StatusCode) -> Reply {
    let mut reply = reply(status, JSON, Bytes::new());
    reply.headers_mut().remove(http::header::CONTENT_TYPE);
    reply
}

/// A header's value of what is ASCII by its making.
fn header_value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|error| ApiError::new(Code::Internal, error.to_string()))
}

/// The module that a link or a plain route names: `GET /v1/functions/{name}/code`.
///
/// # Errors
/// As [`names::target`], and what the backend says.
pub(crate) async fn code_of(shared: &Shared, name: &str, qualifier: Option<&str>) -> Result<Reply, ApiError> {
    let place = shared.backend.place();
    let (target, _) = names::target(place, name, qualifier)?;
    let module = shared.lambda.code(&target).await;
    let module = module.map_err(|error| refusal::of(place, &target, error))?;
    Ok(reply(StatusCode::OK, "application/wasm", module))
}
