//! The port: accepts connections, speaks HTTP/1.1 and HTTP/2 on each, drains at a stop.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use millrace_auth::Policy;
use millrace_catalog::Catalog;
use millrace_delivery::Streams;
use millrace_tasks::{Shutdown, Tasks};
use millrace_types::{Clock, Entropy};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

use crate::admin::Admin;
use crate::backend::Live;
use crate::lambda::backend::LambdaBackend;
use crate::service;
use crate::settings::FrontSettings;
use crate::shared::Shared;

/// How long the port pauses when the system has no file descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const H2_PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// What the port is put together from.
#[derive(Debug)]
pub struct FrontParts {
    /// Limits.
    pub settings: FrontSettings,
    /// Who may do anything.
    pub policy: Policy,
    /// Configuration.
    pub catalog: Arc<Catalog>,
    /// Delivery.
    pub streams: Streams,
    /// The rest of the server.
    pub admin: Arc<dyn Admin>,
    /// Functions, for the Lambda API.
    pub lambda: Arc<dyn LambdaBackend>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for request ids.
    pub entropy: Arc<dyn Entropy>,
    /// TLS, see [`crate::tls_from_files`] and [`crate::tls_dev`]; plain TCP when `None`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Ends the port.
    pub shutdown: Shutdown,
}

/// The port.
#[derive(Debug)]
pub struct Front;

impl Front {
    /// Serves the listeners until shutdown, then lets the requests in flight end; returns when the
    /// last one has, or when the time for it is over.
    pub async fn serve(listeners: Vec<TcpListener>, parts: FrontParts) {
        let backend = Arc::new(Live { catalog: parts.catalog, streams: parts.streams });
        let FrontParts { settings, policy, admin, lambda, clock, entropy, .. } = parts;
        let mut shared = Shared::new(settings, policy, backend, admin, lambda, clock, entropy);
        shared.is_tls = parts.tls.is_some();
        serve(listeners, Arc::new(shared), parts.tls, parts.shutdown).await;
    }
}

/// [`Front::serve`] over any backend.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    tls: Option<Arc<rustls::ServerConfig>>,
    mut shutdown: Shutdown,
) {
    let connections = Arc::new(Tasks::new());
    let acceptors = Tasks::new();
    let port = Arc::new(Port {
        http: http(&shared.settings, &connections),
        tls: tls.map(TlsAcceptor::from),
        connections: Arc::clone(&connections),
        shared,
        shutdown: shutdown.clone(),
    });
    for listener in listeners {
        acceptors.spawn("accept", accept(Arc::clone(&port), listener));
    }
    shutdown.wait().await;
    acceptors.join(Duration::from_secs(1)).await;
    let late = connections.join(port.shared.settings.drain_time_max).await;
    if late > 0 {
        tracing::warn!(connections = late, "requests were still in flight at the stop; their clients will send again");
    }
}

struct Port {
    http: auto::Builder<OnTasks>,
    tls: Option<TlsAcceptor>,
    connections: Arc<Tasks>,
    shared: Arc<Shared>,
    shutdown: Shutdown,
}

/// Runs HTTP/2 streams as named tasks.
#[derive(Clone)]
struct OnTasks(Arc<Tasks>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OnTasks {
    fn execute(&self, future: F) {
        self.0.spawn("http2 stream", future);
    }
}

fn http(settings: &FrontSettings, tasks: &Arc<Tasks>) -> auto::Builder<OnTasks> {
    let mut http = auto::Builder::new(OnTasks(Arc::clone(tasks)));
    http.http1()
        .timer(TokioTimer::new())
        // Runs while a kept-alive connection waits as well, so it is the longer of the two times.
        .header_read_timeout(settings.idle_time_max.max(settings.header_time_max))
        .max_buf_size(settings.header_bytes_max.max(8 * 1024));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.h2_streams_max)
        .initial_stream_window_size(settings.h2_window_bytes)
        .initial_connection_window_size(settings.h2_window_bytes)
        .max_header_list_size(u32::try_from(settings.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(H2_PING.0)
        .keep_alive_timeout(H2_PING.1);
    http
}

async fn accept(port: Arc<Port>, listener: TcpListener) {
    let mut shutdown = port.shutdown.clone();
    loop {
        // The permit comes first: over the limit, connections wait in the kernel's queue.
        let permit = tokio::select! {
            permit = Arc::clone(&port.shared.connections).acquire_owned() => permit,
            () = shutdown.wait() => return,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.wait() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                port.connections.spawn("connection", connection(Arc::clone(&port), stream, permit));
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(port: Arc<Port>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "TCP_NODELAY could not be set");
    }
    let Some(tls) = &port.tls else { return run(&port, stream).await };
    let time_max = port.shared.settings.header_time_max;
    match tokio::time::timeout(time_max, tls.accept(stream)).await {
        Ok(Ok(stream)) => run(&port, stream).await,
        Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Serves one connection until it ends, is idle for too long, or the server stops. Whether it speaks
/// HTTP/1.1 or HTTP/2 is read from its first bytes, with or without ALPN: Java's Kinesis client
/// offers none.
async fn run<I>(port: &Port, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let service = service_fn(|request| {
        let (shared, activity) = (Arc::clone(&port.shared), Arc::clone(&activity));
        async move {
            let _running = activity.begin();
            Ok::<_, Infallible>(service::answer(&shared, request).await)
        }
    });
    let mut served = pin!(port.http.serve_connection(TokioIo::new(io), service));
    let mut shutdown = port.shutdown.clone();
    let settings = &port.shared.settings;
    let mut stopping = false;
    let mut seen = 0;
    let mut wait = settings.header_time_max;
    loop {
        tokio::select! {
            result = served.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error = &*error, "a connection ended with an error");
                }
                return;
            }
            () = shutdown.wait(), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(wait) => {
                match activity.since(seen) {
                    Some(begun) => seen = begun,
                    // It was told to end and did not.
                    None if stopping => return,
                    None => {
                        stopping = true;
                        served.as_mut().graceful_shutdown();
                    }
                }
                wait = if stopping { settings.header_time_max } else { settings.idle_time_max };
            }
        }
    }
}

/// Requests of one connection.
#[derive(Default)]
struct Activity {
    begun: AtomicU64,
    running: AtomicU64,
}

struct Running(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// How many requests have begun, if there were any beyond `seen` or some still run.
    fn since(&self, seen: u64) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        (begun > seen || self.running.load(Ordering::Relaxed) > 0).then_some(begun)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
