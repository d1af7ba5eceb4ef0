//! The client behind the command line and the demo: one keep-alive HTTP/1.1 connection, requests
//! signed with SigV4 or carrying a bearer token.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use millrace_types::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;

use crate::named::Named;

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How requests are authorised.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// Any key does: a server in `--dev`.
    Dev,
    Keys {
        id: String,
        secret: String,
    },
    Token(String),
}

impl Credentials {
    /// From the variables that the client commands read.
    pub(crate) fn from_variables() -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        match (read("MILLRACE_TOKEN"), read("MILLRACE_ACCESS_KEY_ID"), read("MILLRACE_SECRET_ACCESS_KEY")) {
            (_, Some(id), Some(secret)) => Self::Keys { id, secret },
            (Some(token), _, _) => Self::Token(token),
            _ => Self::Dev,
        }
    }
}

/// A connection to one server.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    tasks: millrace_tasks::Tasks,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `X-Amz-Function-Error` was there: the body is a function's error.
    is_function_error: bool,
    pub(crate) body: Bytes,
}

impl Client {
    /// Connects to `endpoint`, `http://HOST:PORT` or `https://HOST:PORT`.
    pub(crate) async fn connect(endpoint: &str, credentials: Credentials, clock: Arc<dyn Clock>) -> Result<Self> {
        let uri: Uri = endpoint.parse().with_context(|| format!("the endpoint {endpoint} is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| anyhow!("the endpoint {endpoint} has no host"))?.to_string();
        let tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let refused = || {
            Named::new(
                "server.unreachable",
                format!(
                    "no server answers at {endpoint}: start one with `millrace serve --dev`, or name it with --endpoint"
                ),
            )
        };
        let stream = TcpStream::connect((host.as_str(), port)).await.with_context(refused)?;
        stream.set_nodelay(true)?;
        let tasks = millrace_tasks::Tasks::new();
        let sender = if tls {
            let name = ServerName::try_from(host)?;
            let stream = tls_connector()?.connect(name, stream).await.with_context(refused)?;
            handshake(TokioIo::new(stream), &tasks).await?
        } else {
            handshake(TokioIo::new(stream), &tasks).await?
        };
        Ok(Self { sender, authority, credentials, clock, tasks })
    }

    /// One Firehose operation; answers its output.
    pub(crate) async fn firehose(&mut self, operation: &str, body: Vec<u8>) -> Result<serde_json::Value> {
        let target = format!("Firehose_20150804.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let answer = self.send(Method::POST, "/", "firehose", &headers, body.into()).await?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            bail!("{operation}: {text}");
        }
        if text.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{operation} answered something else: {text:.200}"))
    }

    /// One request to a plain route; answers the JSON, or the server's sentence as an error.
    pub(crate) async fn plain(&mut self, method: Method, path: &str, body: Bytes) -> Result<serde_json::Value> {
        let headers = [("content-type", "application/octet-stream")];
        let answer = self.send(method, path, "millrace", &headers, body).await?;
        let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 200 {
            return Ok(value);
        }
        let error = &value["error"];
        match (error["code"].as_str(), error["message"].as_str()) {
            (slug, Some(message)) => Err(Named::new(slug.unwrap_or_default().to_owned(), message).into()),
            _ => bail!("the server answered {}: {:.300}", answer.status, String::from_utf8_lossy(&answer.body)),
        }
    }

    /// One event to a function over the Lambda API; answers what it answered, or the text of its error.
    ///
    /// # Errors
    /// No such function, or it could not be called: the server's sentence.
    pub(crate) async fn invoke(
        &mut self,
        function: &str,
        qualifier: Option<&str>,
        event: Bytes,
    ) -> Result<Result<Bytes, String>> {
        let qualifier = qualifier.map_or_else(String::new, |qualifier| format!("?Qualifier={qualifier}"));
        let path = format!("/2015-03-31/functions/{function}/invocations{qualifier}");
        let headers = [("content-type", "application/json")];
        let answer = self.send(Method::POST, &path, "lambda", &headers, event).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if answer.status != 200 {
            let message = value["Message"].as_str().or_else(|| value["message"].as_str());
            bail!("invoking {function}: {}", message.unwrap_or(&text));
        }
        if !answer.is_function_error {
            return Ok(Ok(answer.body));
        }
        Ok(Err(value["errorMessage"].as_str().map_or_else(|| text.clone().into_owned(), str::to_owned)))
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        service: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let mut all = HeaderMap::new();
        all.insert(HOST, HeaderValue::from_str(&self.authority)?);
        for (name, value) in headers {
            all.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        debug_assert!(all.contains_key(CONTENT_TYPE), "every request says what it carries");
        self.authorise(&method, path, service, &mut all, &body)?;
        let mut request = Request::builder().method(method).uri(path).body(Full::new(body))?;
        *request.headers_mut() = all;
        self.sender.ready().await.context("the server closed the connection")?;
        let response = self.sender.send_request(request).await.context("the server closed the connection")?;
        let status = response.status().as_u16();
        let is_function_error = response.headers().contains_key("x-amz-function-error");
        #[expect(clippy::disallowed_methods, reason = "bounded by ANSWER_BYTES_MAX")]
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|e| anyhow!("the answer could not be read: {e}"))?.to_bytes();
        Ok(Answer { status, is_function_error, body })
    }

    fn authorise(
        &self,
        method: &Method,
        path: &str,
        service: &str,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<()> {
        let (key_id, secret) = match &self.credentials {
            Credentials::Token(token) => {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
                return Ok(());
            }
            Credentials::Dev => ("dev", "dev"),
            Credentials::Keys { id, secret } => (id.as_str(), secret.as_str()),
        };
        let now_ms = self.clock.now_ms();
        let params = millrace_auth::SigningParams { key_id, secret, region: "us-east-1", service, now_ms };
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let hash = millrace_auth::body_sha256_hex(body);
        millrace_auth::sign(&params, method.as_str(), path, query, headers, &hash).map_err(|e| anyhow!("signing: {e}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The connection's task ends with its set.
        let _ = &self.tasks;
    }
}

async fn handshake<I>(io: TokioIo<I>, tasks: &millrace_tasks::Tasks) -> Result<SendRequest<Full<Bytes>>>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tasks.spawn("client-connection", async move {
        // An error here shows as one of the request under way.
        drop(connection.await);
    });
    Ok(sender)
}

/// Trusts the certificates of the file that `MILLRACE_CA` names.
fn tls_connector() -> Result<tokio_rustls::TlsConnector> {
    let path = std::env::var("MILLRACE_CA")
        .context("an https endpoint needs MILLRACE_CA: the PEM file of the authority to trust (for --tls-dev: DATA_DIR/tls/ca.pem)")?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&path).with_context(|| format!("reading {path}"))? {
        roots.add(certificate?)?;
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config)))
}
