//! AWS JSON 1.1 on `POST /`: the target names the operation, the signature is proven by the body,
//! and nothing of the body is decoded before that.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use http::request::Parts;
use hyper::body::Body;

use crate::access::Caller;
use crate::body::{Limit, receive};
use crate::error::{AMZ_JSON, ApiError, Code, Reply, reply};
use crate::firehose::{self, Operation};
use crate::header::single;
use crate::shared::Shared;

/// The header that names the operation.
static TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Runs the request; answers the operation, when there is one, and the reply.
pub(crate) async fn serve<B>(
    shared: &Shared,
    parts: &Parts,
    body: &mut B,
) -> (Option<Operation>, Result<Reply, ApiError>)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let target = single(&parts.headers, &TARGET).map(|target| target.map(HeaderValue::as_bytes));
    match target.and_then(firehose::operation) {
        Err(error) => (None, Err(error)),
        Ok(operation) => (Some(operation), run(shared, operation, parts, body).await),
    }
}

async fn run<B>(shared: &Shared, operation: Operation, parts: &Parts, body: &mut B) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut caller = Caller::aws(&shared.policy, parts, shared.clock.now_ms())?;
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(ApiError::new(Code::Serialization, "POST / takes no query: the body says everything"));
    }
    if let Some(encoding) = single(&parts.headers, &CONTENT_ENCODING)?.filter(|encoding| *encoding != "identity") {
        let encoding = String::from_utf8_lossy(encoding.as_bytes()).chars().take(40).collect::<String>();
        return Err(ApiError::new(
            Code::Serialization,
            format!("The Content-Encoding {encoding} is not supported on POST /: send the body as it is"),
        ));
    }
    let (bytes_max, budget) = (operation.body_bytes_max(), &shared.bodies);
    let limit = Limit { bytes_max, budget, too_large: &|| operation.too_large() };
    let received = receive(shared, body, &limit, |chunk| caller.update(chunk)).await?;
    caller.finish()?;
    let answer = firehose::run(shared, operation, &received.bytes).await;
    drop(received);
    Ok(reply(StatusCode::OK, AMZ_JSON, answer?))
}
