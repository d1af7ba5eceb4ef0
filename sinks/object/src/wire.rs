//! The HTTP client below every remote store: time limits by size, bounded answers, and refusals as
//! typed errors (`object_store` itself keeps status and body in a type that it does not export).

use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::StreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use object_store::{Certificate, ClientOptions, HeaderMap, HeaderValue};

use crate::{ObjectError, TransportSettings};

/// Largest answer in bytes that is read: a put, its parts and its completion answer with a few hundred.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Longest text of a refusal that is passed on, in characters.
pub(crate) const MESSAGE_CHARS_MAX: usize = 300;
/// Longest error code that is believed, in bytes.
pub(crate) const CODE_BYTES_MAX: usize = 64;
/// A kept connection is given up after this long without use: servers close theirs after 20 s or more.
const IDLE: Duration = Duration::from_secs(15);
/// Largest certificate file in bytes.
const CA_BYTES_MAX: u64 = 1 << 20;
const USER_AGENT: &str = concat!("millrace/", env!("CARGO_PKG_VERSION"));

/// A store that answered, with something other than success.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("HTTP {status} {code} {message}")]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The store's own code, `NoSuchBucket`; empty where it gave none.
    pub(crate) code: String,
    /// The store's own words, cut; may be empty.
    pub(crate) message: String,
    /// Where the bucket is, when the store says so.
    pub(crate) region: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
#[error("no whole answer within {0:?}")]
struct Late(Duration);

#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
struct Long;

/// Makes the client of one store; its connections are shared by all of the store's buckets.
pub(crate) fn client(table: &str, endpoint: &str, transport: &TransportSettings) -> Result<HttpClient, ObjectError> {
    let refuse = |setting, why: String| ObjectError::Setting { store: table.to_owned(), setting, why };
    let mut options = ClientOptions::new()
        .with_allow_http(endpoint.starts_with("http://"))
        .with_user_agent(HeaderValue::from_static(USER_AGENT))
        .with_connect_timeout(Duration::from_millis(transport.connect_timeout_ms))
        .with_timeout_disabled() // a limit by size is kept by `Wire`
        .with_pool_idle_timeout(IDLE);
    if let Some(file) = &transport.ca_file {
        let unusable = |why: String| refuse("ca_file", format!("{}: {why}", file.display()));
        let length = std::fs::metadata(file).map_err(|e| unusable(e.to_string()))?.len();
        if length > CA_BYTES_MAX {
            return Err(unusable(format!("is longer than {CA_BYTES_MAX} bytes")));
        }
        let pem = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("holds no certificate in PEM form".to_owned()));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    let inner = ReqwestConnector::default()
        .connect(&options)
        .map_err(|error| refuse("transport", format!("gives no HTTP client: {error}")))?;
    Ok(HttpClient::new(Wire { inner, transport: transport.clone() }))
}

/// Hands the one client to the builders of `object_store`.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) HttpClient);

impl HttpConnector for Shared {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

#[derive(Debug)]
struct Wire {
    inner: HttpClient,
    transport: TransportSettings,
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let allowed = self.transport.whole(request.body().content_length());
        tokio::time::timeout(allowed, self.exchange(request))
            .await
            .unwrap_or_else(|_| Err(HttpError::new(HttpErrorKind::Timeout, Late(allowed))))
    }
}

impl Wire {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_head = request.method().as_str() == "HEAD";
        let response = self.inner.execute(request).await?;
        let success = response.status().is_success();
        if is_head && success {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = read(body).await?;
        let text = String::from_utf8_lossy(&body);
        // S3 may answer 200 and report an error in the body, when completing a multipart upload.
        if success && !text.contains("<Error>") {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        let refusal = refusal(parts.status.as_u16(), &parts.headers, &text);
        Err(HttpError::new(HttpErrorKind::Unknown, refusal))
    }
}

async fn read(body: HttpResponseBody) -> Result<bytes::Bytes, HttpError> {
    let mut stream = body.bytes_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| HttpError::new(error.kind(), error))?;
        if whole.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(HttpError::new(HttpErrorKind::Decode, Long));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

pub(crate) fn refusal(status: u16, headers: &HeaderMap, body: &str) -> Refusal {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_code =
        |code: &&str| (1..=CODE_BYTES_MAX).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = element(body, "Code").filter(is_code);
    let code = code.or_else(|| header("x-ms-error-code").filter(is_code)).unwrap_or_default();
    let message = element(body, "Message").unwrap_or_default();
    Refusal {
        status,
        code: code.to_owned(),
        message: message.chars().take(MESSAGE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect(),
        region: header("x-amz-bucket-region")
            .or_else(|| element(body, "Region"))
            .filter(|r| r.len() <= CODE_BYTES_MAX && r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            .map(str::to_owned),
        retry_after: header("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs),
    }
}

/// The text of the first `<name>…</name>`. Error bodies are a handful of flat elements.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_and_cut() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        headers.insert("x-amz-bucket-region", HeaderValue::from_static("eu-west-1"));
        let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please\nreduce</Message></Error>";
        assert_eq!(
            refusal(503, &headers, body),
            Refusal {
                status: 503,
                code: "SlowDown".to_owned(),
                message: "Please reduce".to_owned(),
                region: Some("eu-west-1".to_owned()),
                retry_after: Some(Duration::from_secs(7)),
            }
        );
        let long = format!("<Code>{}</Code><Message>{}</Message>", "x".repeat(65), "ü".repeat(1000));
        let cut = refusal(500, &HeaderMap::new(), &long);
        assert_eq!((cut.code.as_str(), cut.message.chars().count()), ("", MESSAGE_CHARS_MAX));
        assert_eq!(refusal(404, &HeaderMap::new(), "<html>"), Refusal { status: 404, ..Refusal::default() });
        for damaged in ["<Code>", "<Code>x", "</Code>", "<Code></Code>", "<Code>a b</Code>"] {
            assert_eq!(refusal(400, &HeaderMap::new(), damaged).code, "", "{damaged}");
        }
    }

    #[test]
    fn azure_codes_come_in_a_header() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-error-code", HeaderValue::from_static("ContainerNotFound"));
        assert_eq!(refusal(404, &headers, "").code, "ContainerNotFound");
    }
}
