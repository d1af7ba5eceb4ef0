//! Sending: one request of a guest's thread, from its check to the whole response.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use millrace_tasks::Tasks;
use millrace_types::{Clock, chain};
use tokio::runtime::Handle;

use crate::connect::{Connection, Connector, Resolver, SystemResolver};
use crate::error::{OutboundError, SetupError};
use crate::grant::Allowed;
use crate::pool::{Key, Pool};
use crate::request::{Checked, OutboundRequest, OutboundResponse, is_ours};
use crate::{HEADER_BYTES_MAX, RESPONSE_BYTES_MAX};

/// How much later than its time a request's end may be told, milliseconds: only a runtime that has
/// no thread to spare is later, and the guest does not wait for it.
const TELL_MS_MAX: u64 = 1_000;

/// What the operator may set.
#[derive(Debug, Clone, Default)]
pub struct OutboundSettings {
    /// Certificates in PEM form that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Sends the requests of all functions.
pub struct Outbound {
    runtime: Handle,
    tasks: Arc<Tasks>,
    inner: Arc<Inner>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

pub(crate) struct Inner {
    connector: Connector,
    pub(crate) pool: Pool,
}

impl Outbound {
    /// A client whose connections live on `runtime`. Reads the system's certificates from the disk.
    ///
    /// # Errors
    /// When the file of certificates cannot be used.
    pub fn new(settings: &OutboundSettings, runtime: Handle, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        Self::with_resolver(settings, runtime, clock, Arc::new(SystemResolver))
    }

    /// As [`Outbound::new`], with another way to look names up. What it answers is judged all the same.
    ///
    /// # Errors
    /// When the file of certificates cannot be used.
    pub fn with_resolver(
        settings: &OutboundSettings,
        runtime: Handle,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, SetupError> {
        let tasks = Arc::new(Tasks::new());
        let connector = Connector::new(resolver, settings.ca_file.as_deref(), tasks.clone())?;
        Ok(Self { runtime, tasks, inner: Arc::new(Inner { connector, pool: Pool::new(clock) }) })
    }

    /// Sends `request` where `allowed` lets it go, and waits for the whole response, at most `timeout`.
    /// Blocks: for the threads of guests, never for those of the async runtime. Redirects are responses.
    /// A request is sent once, but for methods that may be repeated (`GET`, `HEAD`, `OPTIONS`, `PUT`,
    /// `DELETE`) when a connection that was reused turns out to be closed.
    ///
    /// # Errors
    /// What was refused or failed; its text is for the function.
    pub fn send(
        &self,
        request: OutboundRequest,
        allowed: &Allowed,
        timeout: Duration,
    ) -> Result<OutboundResponse, OutboundError> {
        let request = Checked::new(request)?;
        if !allowed.covers(&request.target) {
            let target = &request.target;
            let origin = format!("{}://{}", target.scheme.text(), target.authority());
            return Err(OutboundError::NotGranted(origin));
        }
        let late = OutboundError::Timeout(timeout.as_millis());
        let (tell, told) = sync_channel(1);
        let (inner, allowed, ended) = (self.inner.clone(), allowed.clone(), late.clone());
        let _within = self.runtime.enter();
        self.tasks.spawn("outbound request", async move {
            let whole = Box::pin(inner.exchange(&request, &allowed));
            let result = tokio::time::timeout(timeout, whole).await.unwrap_or(Err(ended));
            // Nobody listens when the guest did not wait any longer.
            drop(tell.try_send(result));
        });
        match told.recv_timeout(timeout.saturating_add(Duration::from_millis(TELL_MS_MAX))) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(late),
            Err(RecvTimeoutError::Disconnected) => Err(OutboundError::Stopping),
        }
    }

    #[cfg(test)]
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

/// An attempt that failed, and whether the request may be sent again.
struct Failed {
    error: OutboundError,
    again: bool,
}

impl Inner {
    async fn exchange(&self, request: &Checked, allowed: &Allowed) -> Result<OutboundResponse, OutboundError> {
        let key = Key::new(&request.target, allowed);
        let _places = self.pool.enter(&key).await?;
        while let Some(mut connection) = self.pool.take(&key) {
            // Grants may have changed since it was made.
            if allowed.judge(&request.target, connection.peer).is_err() || connection.sender.ready().await.is_err() {
                continue;
            }
            match self.attempt(request, &key, connection).await {
                Err(failed) if failed.again => {}
                done => return done.map_err(|failed| failed.error),
            }
        }
        let connection = self.connector.connect(&request.target, allowed).await?;
        self.attempt(request, &key, connection).await.map_err(|failed| failed.error)
    }

    async fn attempt(
        &self,
        request: &Checked,
        key: &Key,
        mut connection: Connection,
    ) -> Result<OutboundResponse, Failed> {
        let host = request.target.authority();
        let response = match connection.sender.try_send_request(request.message()).await {
            Ok(response) => response,
            Err(mut refused) => {
                let unsent = refused.take_message().is_some();
                // The server closed what it had kept open: an end, a reset, a broken pipe. A bad answer is none of them.
                let closed = !refused.error().is_parse();
                let again = unsent || (request.method.is_idempotent() && closed);
                let error = OutboundError::Exchange { host, why: chain(refused.error()) };
                return Err(Failed { error, again });
            }
        };
        let response = read(response, host).await.map_err(|error| Failed { error, again: false })?;
        self.pool.give(key, connection);
        Ok(response)
    }
}

async fn read(response: http::Response<Incoming>, host: String) -> Result<OutboundResponse, OutboundError> {
    let (head, mut body) = response.into_parts();
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        let why = "the server changed the protocol without being asked".to_owned();
        return Err(OutboundError::Exchange { host, why });
    }
    let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(OutboundError::ResponseTooLong { host, max: HEADER_BYTES_MAX, unit: "bytes of headers" });
    }
    let long = |host| OutboundError::ResponseTooLong { host, max: RESPONSE_BYTES_MAX, unit: "bytes" };
    // What the server promises is refused before it is read; room is made only for what arrives.
    if body.size_hint().lower() > RESPONSE_BYTES_MAX as u64 {
        return Err(long(host));
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let why = format!("the response was cut off after {} bytes: {}", whole.len(), chain(&error));
            OutboundError::Exchange { host: host.clone(), why }
        })?;
        let Ok(data) = frame.into_data() else { continue }; // trailers
        if whole.len() + data.len() > RESPONSE_BYTES_MAX {
            return Err(long(host));
        }
        whole.extend_from_slice(&data);
    }
    let headers = head.headers.iter().filter(|(name, _)| !is_ours(name.as_str()));
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    Ok(OutboundResponse { status: head.status.as_u16(), headers, body: whole })
}
