//! AWS JSON 1.1 on `POST /`: the target names the operation, the signature is proven by the body,
//! and nothing of the body is decoded before that.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::body::Body;

use crate::access::Caller;
use crate::body::{Limit, receive};
use crate::error::{AMZ_JSON, ApiError, Code, Reply, reply};
use crate::firehose::{self, Operation};
use crate::shared::Shared;

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
    match firehose::operation(target(&parts.headers)) {
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
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let encoding = String::from_utf8_lossy(encoding.as_bytes()).chars().take(40).collect::<String>();
        return Err(ApiError::new(
            Code::Serialization,
            format!("The Content-Encoding {encoding} is not supported on POST /: send the body as it is"),
        ));
    }
    let limit = Limit { bytes_max: operation.body_bytes_max(), too_large: &|| operation.too_large() };
    let received = receive(shared, body, &limit, |chunk| caller.update(chunk)).await?;
    caller.finish()?;
    let answer = firehose::run(shared, operation, &received.bytes).await;
    drop(received);
    Ok(reply(StatusCode::OK, AMZ_JSON, answer?))
}

fn target(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("x-amz-target").map(HeaderValue::as_bytes)
}
