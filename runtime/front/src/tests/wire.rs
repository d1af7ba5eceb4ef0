//! The port on loopback: both protocols, TLS with and without ALPN, limits, the drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use millrace_auth::Policy;
use millrace_tasks::{ShutdownTrigger, Tasks};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::fake::{World, aws, create, world};
use crate::tls::tls_dev;

struct Port {
    address: SocketAddr,
    trigger: ShutdownTrigger,
    tasks: Arc<Tasks>,
    world: World,
}

async fn open(tls: Option<Arc<rustls::ServerConfig>>) -> Port {
    let world = world(Policy::Dev);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (trigger, shutdown) = ShutdownTrigger::new();
    let tasks = Arc::new(Tasks::new());
    tasks.spawn("front", crate::serve::serve(vec![listener], Arc::clone(&world.shared), tls, shutdown));
    Port { address, trigger, tasks, world }
}

impl Port {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    async fn http1<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        io: I,
    ) -> http1::SendRequest<Full<Bytes>> {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.expect("HTTP/1.1");
        self.tasks.spawn("client", async { drop(connection.await) });
        sender
    }

    async fn http2<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        io: I,
    ) -> http2::SendRequest<Full<Bytes>> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.expect("HTTP/2");
        self.tasks.spawn("client", async { drop(connection.await) });
        sender
    }

    async fn stop(self) {
        self.trigger.shut_down();
        assert_eq!(self.tasks.join(Duration::from_secs(20)).await, 0, "all tasks ended");
    }
}

fn list() -> Request<Full<Bytes>> {
    aws("ListDeliveryStreams", "{}")
}

fn ok(response: &Response<Incoming>) {
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn both_protocols_on_one_port() {
    let port = open(None).await;
    let mut one = port.http1(port.connect().await).await;
    for _ in 0..3 {
        one.ready().await.expect("kept alive");
        ok(&one.send_request(list()).await.expect("answered"));
    }
    let mut two = port.http2(port.connect().await).await;
    let request = || {
        let mut request = list();
        *request.uri_mut() = "http://localhost/".parse().expect("a URI");
        request.headers_mut().remove("host");
        request
    };
    let (a, b) = (two.send_request(request()), two.clone().send_request(request()));
    ok(&a.await.expect("answered"));
    ok(&b.await.expect("answered"));
    drop((one, two));
    port.stop().await;
}

#[tokio::test]
async fn tls_with_and_without_alpn() {
    let dir = tempfile::tempdir().expect("a folder");
    let dev = tls_dev(dir.path(), None).expect("made");
    let port = open(Some(dev.config)).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&dev.ca_path).expect("the CA")).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (alpn, http2) in
        [(vec![], false), (vec![], true), (vec![b"h2".to_vec()], true), (vec![b"http/1.1".to_vec()], false)]
    {
        let mut client = client.clone();
        client.alpn_protocols = alpn;
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let io = connector.connect(name, port.connect().await).await.expect("TLS");
        let response = if http2 {
            let mut request = list();
            *request.uri_mut() = "https://localhost/".parse().expect("a URI");
            port.http2(io).await.send_request(request).await
        } else {
            port.http1(io).await.send_request(list()).await
        };
        ok(&response.expect("answered"));
    }
    port.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_too_much_still_reads_the_answer() {
    let port = open(None).await;
    let mut one = port.http1(port.connect().await).await;
    let response = one.send_request(aws("PutRecordBatch", vec![b' '; 8 << 20])).await.expect("answered");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    port.stop().await;
}

#[tokio::test]
async fn expect_continue_is_answered() {
    let port = open(None).await;
    let mut io = port.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: Firehose_20150804.ListDeliveryStreams\r\n\
                content-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
    io.write_all(head.as_bytes()).await.expect("sent");
    let mut interim = [0; 25];
    io.read_exact(&mut interim).await.expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    io.write_all(b"{}").await.expect("sent");
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    port.stop().await;
}

#[tokio::test]
async fn nonsense_and_long_heads_end_the_connection_alone() {
    let port = open(None).await;
    for bytes in [
        b"\x16\x03\x01\x02\x00nonsense\r\n\r\n".to_vec(),
        [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 1 << 20]].concat(),
    ] {
        let mut io = port.connect().await;
        // The server may close while we still send.
        drop(io.write_all(&bytes).await);
        let mut answer = Vec::new();
        drop((&mut io).take(4096).read_buf(&mut answer).await);
        assert!(!answer.starts_with(b"HTTP/1.1 2"));
    }
    ok(&port.http1(port.connect().await).await.send_request(list()).await.expect("answered"));
    port.stop().await;
}

#[tokio::test]
async fn a_stop_lets_a_request_in_flight_end() {
    let port = open(None).await;
    port.world.call("CreateDeliveryStream", &create()).await;
    let mut io = port.connect().await;
    let body = r#"{"DeliveryStreamName":"s","Record":{"Data":"aGk="}}"#;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: Firehose_20150804.PutRecord\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        body.len()
    );
    io.write_all(head.as_bytes()).await.expect("sent");
    let mut interim = [0; 25];
    io.read_exact(&mut interim).await.expect("the body is awaited");
    port.trigger.shut_down();
    // The port is closed to others while this request ends.
    while TcpStream::connect(port.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    io.write_all(body.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.expect("an answer and the end");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(port.world.memory.records("s"), [b"hi"]);
    port.stop().await;
}
