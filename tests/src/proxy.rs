//! A proxy before an S3 server that misbehaves on demand: errors, cut connections, slowness, refusal.
//!
//! The request goes on with its own `Host` header, so that its signature still holds.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use millrace_types::{Entropy as _, SeededEntropy};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::http::read_body;

/// Pause after a connection that could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What goes wrong, for each request that writes (PUT and POST), unless said otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Share (0 to 1) answered 500 or 503 without reaching the store.
    pub errors: f64,
    /// Share that the store takes, after which the connection is cut instead of answered.
    pub cut_after_store: f64,
    /// Share whose connection is cut before the store sees anything.
    pub cut_before_store: f64,
    /// Time each request waits first, milliseconds.
    pub slow_ms: u64,
    /// Every request of any method is answered with this status.
    pub always: Option<u16>,
}

/// What the proxy did.
#[derive(Debug, Default)]
pub struct Done {
    /// Requests seen.
    pub requests: AtomicU64,
    /// Writes seen.
    pub writes: AtomicU64,
    /// Writes answered 500 or 503.
    pub errors: AtomicU64,
    /// Requests answered with the status that is set for all.
    pub always: AtomicU64,
    /// Connections cut after the store had stored.
    pub cut_after_store: AtomicU64,
    /// Connections cut before.
    pub cut_before_store: AtomicU64,
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    endpoint: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
    faults: Mutex<Faults>,
    entropy: SeededEntropy,
    done: Done,
}

/// The answer is a cut connection.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut on purpose")
    }
}

impl std::error::Error for Cut {}

type Body = BoxBody<Bytes, Infallible>;

impl Proxy {
    /// Starts a proxy before `upstream` on a free loopback port, with no faults.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: &str, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream: upstream.trim_end_matches('/').to_owned(),
            pool: Pool::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http(),
            faults: Mutex::new(Faults::default()),
            entropy: SeededEntropy::new(seed),
            done: Done::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Ok(Self { endpoint, shared, _tasks: tasks })
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sets what goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock() = faults;
    }

    /// What it did.
    #[must_use]
    pub fn done(&self) -> &Done {
        &self.shared.done
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, or a client that has gone: a proxy that ended here would look like a dead store.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, shared.clone()));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| handle(request, shared.clone()));
    // An error here is a cut of our own or the client's going away.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Cut> {
    let faults = *shared.faults.lock();
    let done = &shared.done;
    done.requests.fetch_add(1, Ordering::Relaxed);
    let writes = matches!(*request.method(), Method::PUT | Method::POST);
    if writes {
        done.writes.fetch_add(1, Ordering::Relaxed);
    }
    if faults.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.slow_ms)).await;
    }
    if let Some(status) = faults.always {
        done.always.fetch_add(1, Ordering::Relaxed);
        drop(read_body(request.into_body()).await);
        return Ok(refusal(status));
    }
    let chance = |share: f64| writes && share > 0.0 && shared.random() < share;
    if chance(faults.cut_before_store) {
        done.cut_before_store.fetch_add(1, Ordering::Relaxed);
        return Err(Cut);
    }
    if chance(faults.errors) {
        done.errors.fetch_add(1, Ordering::Relaxed);
        drop(read_body(request.into_body()).await);
        return Ok(refusal(if shared.random() < 0.5 { 500 } else { 503 }));
    }
    let cut_after = chance(faults.cut_after_store);
    let answer = forward(request, &shared).await?;
    if cut_after && answer.status().is_success() {
        done.cut_after_store.fetch_add(1, Ordering::Relaxed);
        return Err(Cut);
    }
    Ok(answer)
}

async fn forward(request: Request<Incoming>, shared: &Shared) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    let head_only = parts.method == Method::HEAD;
    let body = read_body(body).await.map_err(|_| Cut)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = Request::builder().method(parts.method).uri(format!("{}{path}", shared.upstream));
    if let Some(headers) = onward.headers_mut() {
        *headers = end_to_end(parts.headers);
    }
    let onward = onward.body(Full::new(body)).map_err(|_| Cut)?;
    let Ok(response) = shared.pool.request(onward).await else { return Ok(refusal(502)) };
    let (parts, body) = response.into_parts();
    let body = if head_only { Bytes::new() } else { read_body(body).await.map_err(|_| Cut)? };
    let mut back = Response::new(Full::new(body).boxed());
    *back.status_mut() = parts.status;
    *back.headers_mut() = end_to_end(parts.headers);
    Ok(back)
}

/// Without the headers that belong to one connection.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT, header::UPGRADE] {
        headers.remove(name);
    }
    headers
}

fn refusal(status: u16) -> Response<Body> {
    let code = match status {
        403 => "AccessDenied",
        404 => "NoSuchBucket",
        503 => "SlowDown",
        _ => "InternalError",
    };
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
    response
}

impl Shared {
    /// Evenly between 0 and 1.
    fn random(&self) -> f64 {
        (self.entropy.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Client;

    /// A store that counts what it is sent.
    async fn store(stored: Arc<AtomicU64>) -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let stored = stored.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let stored = stored.clone();
                        async move {
                            let body = read_body(request.into_body()).await.unwrap();
                            stored.fetch_add(body.len() as u64, Ordering::SeqCst);
                            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"stored"))))
                        }
                    });
                    let io = TokioIo::new(stream);
                    drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
                });
            }
        });
        (endpoint, tasks)
    }

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        let stored = Arc::new(AtomicU64::new(0));
        let (upstream, _store) = store(stored.clone()).await;
        let proxy = Proxy::start(&upstream, 1).await.unwrap();
        let client = Client::new(proxy.endpoint());

        let fine = client.send("PUT", "/b/k", &[], "12345").await.unwrap();
        assert_eq!((fine.status, fine.text().as_str()), (200, "stored"));
        assert_eq!(stored.load(Ordering::SeqCst), 5);

        proxy.set(Faults { cut_after_store: 1.0, ..Faults::default() });
        assert!(client.send("PUT", "/b/k", &[], "12345").await.is_err());
        assert_eq!(stored.load(Ordering::SeqCst), 10, "the store has it all the same");

        proxy.set(Faults { cut_before_store: 1.0, ..Faults::default() });
        assert!(client.send("PUT", "/b/k", &[], "12345").await.is_err());
        proxy.set(Faults { errors: 1.0, ..Faults::default() });
        let answer = client.send("PUT", "/b/k", &[], "12345").await.unwrap();
        assert!(matches!(answer.status, 500 | 503));
        assert_eq!(client.send("GET", "/b/k", &[], "").await.unwrap().status, 200, "reads go through");
        proxy.set(Faults { always: Some(404), ..Faults::default() });
        assert_eq!(client.send("GET", "/b/k", &[], "").await.unwrap().status, 404);
        assert_eq!(stored.load(Ordering::SeqCst), 10);
    }
}
