//! A plain HTTP/1.1 client with keep-alive whose answers are bounded, and which never sends a
//! request twice: a judge must know what it sent.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// Bytes of a body that the harness takes in.
pub const BODY_BYTES_MAX: usize = 1 << 30;
/// How long one request may take. Longer than any timeout of the server's own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one server. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: String,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Client {
    /// A client of `base`, such as `http://127.0.0.1:4573`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new()).retry_canceled_requests(false).build(connector);
        Self { pool, base: base.trim_end_matches('/').to_owned() }
    }

    /// The address it was made with.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Host and port, as the `Host` header shows them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, rest)| rest)
    }

    /// Sends one request; `path` begins with a slash and may hold a query.
    ///
    /// # Errors
    /// When no whole answer came: whether the server acted on the request is unknown then.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body.into())).context("request")?;
        let exchange = async {
            let response = self.pool.request(request).await.context("no answer")?;
            whole(response).await
        };
        tokio::time::timeout(REQUEST_TIMEOUT, exchange).await.context("no answer in time")?
    }
}

impl Answer {
    /// The body as text, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none; the text is in the error.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{}: {}", self.status, self.text()))
    }

    /// The answer when its status is 2xx.
    ///
    /// # Errors
    /// Status and body otherwise.
    pub fn ok(self) -> anyhow::Result<Self> {
        anyhow::ensure!((200..300).contains(&self.status), "status {}: {}", self.status, self.text());
        Ok(self)
    }
}

async fn whole(response: Response<Incoming>) -> anyhow::Result<Answer> {
    let (parts, body) = response.into_parts();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: read_body(body).await? })
}

/// Reads a body to its end, under [`BODY_BYTES_MAX`].
///
/// # Errors
/// When the connection ends early or the limit is reached.
pub async fn read_body(mut body: Incoming) -> anyhow::Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("the body ended early")?.into_data() {
            anyhow::ensure!(bytes.len() + data.len() <= BODY_BYTES_MAX, "body over {BODY_BYTES_MAX} bytes");
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}
