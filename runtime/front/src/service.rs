//! One request: route, caller, body, operation, answer; and no panic gets further than this.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use serde_json::Value;

use crate::access::Caller;
use crate::body::{Limit, Received, discard, receive};
use crate::budget::Budget;
use crate::error::{ApiError, Code, Dialect, Reply, reply};
use crate::lambda::Link;
use crate::metrics::Done;
use crate::protocol::json;
use crate::route::Route;
use crate::settings::{CONTROL_BODY_BYTES_MAX, INGEST_BODY_BYTES_MAX, MODULE_BYTES_MAX, SCHEMA_BYTES_MAX};
use crate::shared::Shared;
use crate::{admin, firehose, ingest, lambda, status};

const PLAIN_JSON: &str = "application/json";

/// Answers a request, whatever it is.
pub(crate) async fn answer<B>(shared: &Shared, request: Request<B>) -> Reply
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    let started = shared.clock.monotonic();
    let id = shared.entropy.uuid();
    let (parts, mut body) = request.into_parts();
    let served = AssertUnwindSafe(serve(shared, &parts, &mut body, &id)).catch_unwind().await;
    let (name, dialect, outcome) = served.unwrap_or_else(|_| {
        tracing::error!(request = id, method = %parts.method, path = parts.uri.path(), "a request's handler panicked");
        let error = ApiError::new(Code::Internal, format!("Millrace failed at this request; its log names it {id}"));
        ("panic", dialect_of(&parts), Err(error))
    });
    let failed = outcome.as_ref().err().map(|error| (error.code, error.slug));
    let mut reply = match outcome {
        Ok(reply) => reply,
        Err(error) => {
            log_refusal(&id, name, &error);
            // With Expect: 100-continue the client waits for this answer before it sends.
            if !body.is_end_stream() && !parts.headers.contains_key(EXPECT) {
                discard(&mut body).await;
            }
            error.reply(dialect)
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        reply.headers_mut().insert("x-amzn-requestid", value);
    }
    let took = shared.clock.monotonic().saturating_sub(started);
    shared.counters.done(&Done { name, status: reply.status(), failed, took });
    if parts.method == Method::HEAD {
        *reply.body_mut() = Full::default();
    }
    reply
}

fn log_refusal(id: &str, name: &str, error: &ApiError) {
    match error.code {
        Code::Internal => tracing::error!(request = id, operation = name, slug = error.slug, "{error}"),
        Code::ServiceUnavailable => tracing::warn!(request = id, operation = name, slug = error.slug, "{error}"),
        _ => tracing::debug!(request = id, operation = name, slug = error.slug, "{error}"),
    }
}

/// How a request's route speaks.
fn dialect_of(parts: &Parts) -> Dialect {
    match Route::find(&parts.method, parts.uri.path()) {
        Ok(Route::Aws) => Dialect::AwsJson,
        Ok(Route::Lambda) => Dialect::RestJson,
        _ => Dialect::Plain,
    }
}

/// The operation's name, how it speaks, and what came of it.
async fn serve<B>(
    shared: &Shared,
    parts: &Parts,
    body: &mut B,
    id: &str,
) -> (&'static str, Dialect, Result<Reply, ApiError>)
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    match Route::find(&parts.method, parts.uri.path()) {
        Err(error) => ("unknown", Dialect::Plain, Err(error)),
        Ok(Route::Aws) => {
            let (operation, outcome) = json::serve(shared, parts, body).await;
            (operation.map_or("unknown", firehose::Operation::name), Dialect::AwsJson, outcome)
        }
        Ok(Route::Lambda) => {
            let (name, outcome) = lambda::serve(shared, parts, body, id).await;
            (name, Dialect::RestJson, outcome)
        }
        Ok(route) => (route.name(), Dialect::Plain, plain(shared, route, parts, body).await),
    }
}

async fn plain<B>(shared: &Shared, route: Route<'_>, parts: &Parts, body: &mut B) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: std::fmt::Display,
{
    match route {
        Route::Live => return Ok(reply(StatusCode::OK, "text/plain", "live\n")),
        Route::Ready => return Ok(ready(shared).await),
        Route::Metrics => {
            let text = crate::metrics::render(shared).await;
            return Ok(reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text));
        }
        Route::Ingest(name) => return take(shared, name, parts, body).await,
        Route::Code(name) => return code(shared, name, parts, body).await,
        _ => {}
    }
    let (bytes_max, budget) = match route {
        Route::Deploy(_) => (MODULE_BYTES_MAX, &shared.module_bodies),
        Route::Invoke(_) => (INGEST_BODY_BYTES_MAX, &shared.module_bodies),
        Route::PutSchema(..) => (SCHEMA_BYTES_MAX, &shared.bodies),
        _ => (CONTROL_BODY_BYTES_MAX, &shared.bodies),
    };
    let received = known(shared, parts, body, bytes_max, budget).await?;
    if !route.has_query() {
        no_query(parts)?;
    }
    let admin = &*shared.admin;
    let answer: Value = match route {
        Route::Status(name) => return Ok(json_reply(status::answer(shared, name).await?)),
        Route::Functions => admin::list_functions(admin),
        Route::Deploy(name) => admin::deploy(admin, name, parts, received.bytes).await?,
        Route::Invoke(name) => {
            let now_ms = shared.clock.now_ms();
            admin::invoke(admin, name, parts.uri.query(), &received.bytes, now_ms).await?
        }
        Route::Function(_)
        | Route::Logs(_)
        | Route::Promote(_)
        | Route::RollBack(_)
        | Route::Shadow(_)
        | Route::SetShadow(_)
        | Route::EndShadow(_) => admin::answer_functions(admin, route, parts.uri.query()).await?,
        Route::Schemas => admin::list_schemas(admin)?,
        Route::PutSchema(database, table) => admin::put_schema(admin, database, table, received.bytes).await?,
        Route::Aws
        | Route::Lambda
        | Route::Ingest(_)
        | Route::Code(_)
        | Route::Live
        | Route::Ready
        | Route::Metrics => Value::Null,
    };
    Ok(json_reply(answer.to_string()))
}

/// With a line end, for those who read it in a terminal.
fn json_reply(json: String) -> Reply {
    reply(StatusCode::OK, PLAIN_JSON, json + "\n")
}

/// Reads the body and proves the caller of a plain route.
async fn known<B>(
    shared: &Shared,
    parts: &Parts,
    body: &mut B,
    bytes_max: usize,
    budget: &Budget,
) -> Result<Received, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut caller = Caller::plain(&shared.policy, parts, shared.clock.now_ms())?;
    let too_large = move || ApiError::new(Code::TooLarge, format!("The body is over {bytes_max} bytes"));
    let limit = Limit { bytes_max, budget, too_large: &too_large };
    let received = receive(shared, body, &limit, |chunk| caller.update(chunk)).await?;
    caller.finish()?;
    Ok(received)
}

async fn take<B>(shared: &Shared, name: &str, parts: &Parts, body: &mut B) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut caller = Caller::plain(&shared.policy, parts, shared.clock.now_ms())?;
    let kind = ingest::Kind::of(parts)?;
    let limit = Limit { bytes_max: INGEST_BODY_BYTES_MAX, budget: &shared.bodies, too_large: &ingest::too_large };
    let received = receive(shared, body, &limit, |chunk| caller.update(chunk)).await?;
    caller.finish()?;
    no_query(parts)?;
    let (batch, shares) = ingest::decode(shared, kind, received, shared.clock.now_ms()).await?;
    let count = batch.len();
    let appended = firehose::append(&*shared.backend, name, batch).await?;
    drop(shares);
    Ok(json_reply(ingest::answer(appended, count)))
}

/// A function's module, for whoever has a link to it or may use the plain routes.
async fn code<B>(shared: &Shared, name: &str, parts: &Parts, body: &mut B) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let link = Link::parse(parts.uri.query())?;
    if !shared.link_key.check(name, &link, shared.clock.now_ms())? {
        known(shared, parts, body, CONTROL_BODY_BYTES_MAX, &shared.bodies).await?;
    }
    lambda::code_of(shared, name, link.qualifier.as_deref()).await
}

/// Most routes have no parameters: one that is given is refused, not ignored.
fn no_query(parts: &Parts) -> Result<(), ApiError> {
    match parts.uri.query().unwrap_or_default().split(['=', '&']).next() {
        None | Some("") => Ok(()),
        Some(name) => Err(ApiError::invalid(format!("unknown query parameter {name:.80}: this route takes none"))),
    }
}

async fn ready(shared: &Shared) -> Reply {
    match shared.admin.ready().await {
        Ok(()) => reply(StatusCode::OK, "text/plain", "ready\n"),
        Err(why) => reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n")),
    }
}
