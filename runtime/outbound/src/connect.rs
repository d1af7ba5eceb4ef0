//! From a granted target to a connection: look-up, the judge, TCP to the judged address, TLS.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use millrace_tasks::Tasks;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsConnector;

use crate::error::{OutboundError, SetupError};
use crate::grant::Allowed;
use crate::target::{Host, Scheme, Target};
use crate::{ADDRESSES_MAX, CONNECT_MS_MAX, HEADER_BYTES_MAX, HEADERS_MAX, LOOKUPS_MAX};

/// A file of certificates at most, bytes.
const CA_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Buffer of a connection, bytes: the head of a response must fit, with its separators.
const BUFFER_BYTES: usize = 2 * HEADER_BYTES_MAX;

/// Looks names up. It may block: it is called where that does no harm.
pub trait Resolver: Send + Sync + Debug {
    /// All addresses of `name`.
    ///
    /// # Errors
    /// When there is none, or the look-up failed.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's resolver.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // The port is not looked up: it only makes the pair that the standard library wants.
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// An open connection. When it is dropped its task ends, and the socket is closed.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    pub(crate) peer: IpAddr,
    _alive: oneshot::Sender<()>,
}

pub(crate) struct Connector {
    resolver: Arc<dyn Resolver>,
    lookups: Arc<Semaphore>,
    tls: TlsConnector,
    tasks: Arc<Tasks>,
}

impl Connector {
    pub(crate) fn new(
        resolver: Arc<dyn Resolver>,
        ca_file: Option<&Path>,
        tasks: Arc<Tasks>,
    ) -> Result<Self, SetupError> {
        let tls = TlsConnector::from(Arc::new(tls(ca_file)?));
        Ok(Self { resolver, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), tls, tasks })
    }

    /// Connects to `target`, which `allowed` covers, within [`CONNECT_MS_MAX`].
    pub(crate) async fn connect(&self, target: &Target, allowed: &Allowed) -> Result<Connection, OutboundError> {
        let whole = Duration::from_millis(CONNECT_MS_MAX);
        match tokio::time::timeout(whole, self.open(target, allowed)).await {
            Ok(connected) => connected,
            Err(_) => Err(refused(target, format!("not within {CONNECT_MS_MAX} ms"))),
        }
    }

    async fn open(&self, target: &Target, allowed: &Allowed) -> Result<Connection, OutboundError> {
        let addresses = self.judged(target, allowed).await?;
        // Each address has its part of the time, so that one that does not answer leaves some for the next.
        let parts = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
        let part = Duration::from_millis(CONNECT_MS_MAX) / parts;
        let mut last = "it has no address".to_owned();
        for address in addresses {
            match tokio::time::timeout(part, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Only a delay is lost when the system cannot.
                    drop(stream.set_nodelay(true));
                    return self.speak(target, stream, address.ip()).await;
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("no answer within {} ms", part.as_millis()),
            }
        }
        Err(refused(target, last))
    }

    /// All addresses of the target's host. One that may not be connected to refuses the whole name: what
    /// mixes public and private answers is not to be trusted with a choice.
    async fn judged(&self, target: &Target, allowed: &Allowed) -> Result<Vec<SocketAddr>, OutboundError> {
        let mut addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.lookup(name).await?,
        };
        for address in &addresses {
            allowed
                .judge(target, *address)
                .map_err(|kind| OutboundError::Address { host: target.host.to_string(), kind })?;
        }
        addresses.truncate(ADDRESSES_MAX);
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, OutboundError> {
        let Ok(place) = self.lookups.clone().acquire_owned().await else { return Err(OutboundError::Stopping) };
        let (resolver, asked) = (self.resolver.clone(), name.to_owned());
        let found = millrace_tasks::blocking(move || {
            let found = resolver.addresses(&asked);
            // Given back by the look-up, not by who waits for it: it cannot be stopped.
            drop(place);
            found
        });
        let failed = |why: String| OutboundError::Lookup { host: name.to_owned(), why };
        let addresses = found.await.map_err(|error| failed(error.to_string()))?;
        if addresses.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(addresses) }
    }

    async fn speak(&self, target: &Target, stream: TcpStream, peer: IpAddr) -> Result<Connection, OutboundError> {
        match target.scheme {
            Scheme::Http => self.handshake(target, stream, peer).await,
            Scheme::Https => {
                let name = match &target.host {
                    Host::Address(address) => ServerName::from(*address),
                    Host::Name(name) => {
                        ServerName::try_from(name.clone()).map_err(|error| refused(target, format!("TLS: {error}")))?
                    }
                };
                let stream = self.tls.connect(name, stream).await;
                let stream = stream.map_err(|error| refused(target, format!("TLS: {error}")))?;
                self.handshake(target, stream, peer).await
            }
        }
    }

    async fn handshake<S>(&self, target: &Target, stream: S, peer: IpAddr) -> Result<Connection, OutboundError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| refused(target, error.to_string()))?;
        let (alive, dropped) = oneshot::channel::<()>();
        self.tasks.spawn("outbound connection", async move {
            tokio::select! {
                // Its error reaches who waits for the response.
                _ = connection => {}
                _ = dropped => {}
            }
        });
        Ok(Connection { sender, peer, _alive: alive })
    }
}

fn refused(target: &Target, why: String) -> OutboundError {
    OutboundError::Connect { host: target.authority(), why }
}

/// Roots are the system's, and those of the file. HTTP/1.1 is all that is offered.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore::empty();
    // A machine without roots speaks to no server over TLS, and that is what its requests then say.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let unusable = |why: String| SetupError::CaFile { path: path.to_owned(), why };
        let length = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?.len();
        if length > CA_BYTES_MAX {
            return Err(unusable(format!("is longer than {CA_BYTES_MAX} bytes")));
        }
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = certificates.map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("holds no certificate in PEM form".to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncReadExt, DuplexStream, ReadBuf};

    use super::*;
    use crate::request::{Checked, OutboundRequest};

    /// A stream that never gets to its end, as TLS to a peer that does not read.
    struct Deaf(DuplexStream);

    impl AsyncRead for Deaf {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Deaf {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, data)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_dropped_is_closed_whatever_its_peer_does() {
        let tasks = Arc::new(Tasks::new());
        let connector = Connector::new(Arc::new(SystemResolver), None, tasks).expect("connector");
        let request = OutboundRequest { method: "GET".into(), url: "http://10.0.0.1/".into(), ..Default::default() };
        let request = Checked::new(request).expect("request");
        let (near, far) = tokio::io::duplex(4);
        let peer = IpAddr::from([10, 0, 0, 1]);
        let mut connection = connector.handshake(&request.target, Deaf(near), peer).await.expect("connection");
        let brief = Duration::from_millis(20);
        let sent = connection.sender.try_send_request(request.message());
        assert!(tokio::time::timeout(brief, sent).await.is_err(), "the peer does not read");
        drop(connection);
        let mut rest = String::new();
        let closed = tokio::time::timeout(Duration::from_secs(60), far.take(1024).read_to_string(&mut rest)).await;
        closed.expect("closed").expect("its end");
    }
}
