//! The client against servers on loopback that answer well and badly, and against a resolver that lies.

use std::future::Future;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use millrace_types::{ManualClock, SystemClock};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::*;
use crate::pool::{Key, Pool};
use crate::target::Target;

/// For exchanges that are to end by themselves.
const AMPLE: Duration = Duration::from_secs(60);
/// For exchanges that are not.
const BRIEF: Duration = Duration::from_millis(50);

/// A server that counts its connections and hands each to `serve` on a thread of its own.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(serve: impl Fn(&mut BufReader<TcpStream>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, serve) = (connections.clone(), Arc::new(serve));
        millrace_tasks::thread("test server", move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (serve, mut stream) = (serve.clone(), BufReader::new(stream.expect("connection")));
                millrace_tasks::thread("test connection", move || serve(&mut stream)).expect("thread");
            }
        })
        .expect("thread");
        Self { port, connections }
    }

    /// Answers every request of every connection with `answer`.
    fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |stream| while head(stream).is_some() && stream.get_mut().write_all(&answer).is_ok() {})
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn allowed(&self) -> Allowed {
        self.allowed_to("f")
    }

    fn allowed_to(&self, owner: &str) -> Allowed {
        Allowed::parse(owner, &[format!("http://127.0.0.1:{}", self.port)]).expect("grant")
    }

    fn get(&self) -> OutboundRequest {
        get(&format!("http://127.0.0.1:{}/path", self.port))
    }
}

/// Reads one request with its body; `None` at the connection's end.
fn head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("length"))];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

fn get(url: &str) -> OutboundRequest {
    OutboundRequest { method: "GET".into(), url: url.into(), ..Default::default() }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime")
}

fn client(runtime: &Runtime) -> Outbound {
    Outbound::new(&OutboundSettings::default(), runtime.handle().clone(), Arc::new(SystemClock)).expect("client")
}

/// Answers from a list, one entry for each look-up, the last one for ever.
#[derive(Debug)]
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().expect("address")).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Scripted {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers.get(asked).or_else(|| self.answers.last()).expect("an answer").clone())
    }
}

fn client_with(runtime: &Runtime, resolver: Arc<dyn Resolver>) -> Outbound {
    let settings = OutboundSettings::default();
    Outbound::with_resolver(&settings, runtime.handle().clone(), Arc::new(SystemClock), resolver).expect("client")
}

#[test]
fn a_request_arrives_whole_and_so_does_its_response() {
    let (seen, see) = bounded(1);
    let server = Server::start(move |stream| {
        seen.send(head(stream).expect("request")).expect("test waits");
        let answer = "HTTP/1.1 201 Created\r\nX-B: c\r\nset-cookie: a=1\r\ntransfer-encoding: chunked\r\n\r\n\
                      3\r\nabc\r\n2\r\nde\r\n0\r\nlate: 1\r\n\r\n";
        stream.get_mut().write_all(answer.as_bytes()).expect("answer");
    });
    let runtime = runtime();
    let request = OutboundRequest {
        method: "POST".into(),
        url: format!("http://127.0.0.1:{}/a?b=%20c", server.port),
        headers: vec![("X-A".into(), b"1".to_vec())],
        body: b"hello".to_vec(),
    };
    let response = client(&runtime).send(request, &server.allowed(), AMPLE).expect("response");
    let expected = format!(
        "POST /a?b=%20c HTTP/1.1\r\nx-a: 1\r\nhost: 127.0.0.1:{}\r\ncontent-length: 5\r\n\r\nhello",
        server.port
    );
    assert_eq!(see.recv().expect("seen"), expected, "and nothing that the function did not ask for");
    assert_eq!((response.status, response.body.as_slice()), (201, b"abcde".as_slice()));
    let headers = [("x-b".to_owned(), b"c".to_vec()), ("set-cookie".to_owned(), b"a=1".to_vec())];
    assert_eq!(response.headers, headers, "without those about the connection");
}

#[test]
fn a_redirect_is_an_answer() {
    let server = Server::answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let runtime = runtime();
    let response = client(&runtime).send(server.get(), &server.allowed(), AMPLE).expect("response");
    assert_eq!((response.status, server.connections()), (302, 1));
}

#[test]
fn what_is_not_granted_is_not_connected_to() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let runtime = runtime();
    let client = client(&runtime);
    for grants in [&[][..], &["http://127.0.0.1"], &["127.0.0.1"], &["http://127.0.0.2"], &["*.example.com"]] {
        let error =
            client.send(server.get(), &Allowed::parse("f", grants).expect("grants"), AMPLE).expect_err("refused");
        assert_eq!(error, OutboundError::NotGranted(format!("http://127.0.0.1:{}", server.port)));
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_name_that_resolves_to_this_machine_is_refused_before_a_connection() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let runtime = runtime();
    let url = format!("http://rebind.example.com:{}/", server.port);
    let allowed = Allowed::parse("f", &[format!("http://rebind.example.com:{}", server.port)]).expect("grants");
    for answer in [&["127.0.0.1"][..], &["::ffff:127.0.0.1"], &["8.8.8.8", "127.0.0.1"], &["::1"], &["169.254.169.254"]]
    {
        let error =
            client_with(&runtime, Scripted::new(&[answer])).send(get(&url), &allowed, AMPLE).expect_err("refused");
        let OutboundError::Address { host, .. } = &error else { panic!("{answer:?}: {error}") };
        assert_eq!(host, "rebind.example.com");
    }
    assert_eq!(server.connections(), 0);
    let none = client_with(&runtime, Scripted::new(&[&[]])).send(get(&url), &allowed, AMPLE).expect_err("no address");
    assert!(matches!(none, OutboundError::Lookup { .. }), "{none}");
}

/// A second answer of the name server has no say: the connection goes to the address that was judged.
#[test]
fn a_name_is_looked_up_once_for_a_connection() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let runtime = runtime();
    let resolver = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = client_with(&runtime, resolver.clone());
    let url = format!("http://rebind.example.com:{}/", server.port);
    let name = format!("http://rebind.example.com:{}", server.port);
    let literal = format!("http://127.0.0.1:{}", server.port);
    let both = Allowed::parse("f", &[name.as_str(), literal.as_str()]).expect("grants");
    client.send(get(&url), &both, AMPLE).expect("the address is named by a grant");
    assert_eq!((resolver.asked.load(Ordering::SeqCst), server.connections()), (1, 1));
    // The grant of the address is gone: the connection that is kept was made under it and is not reused.
    let error = client.send(get(&url), &Allowed::parse("f", &[name]).expect("grants"), AMPLE).expect_err("refused");
    assert!(matches!(error, OutboundError::Address { .. }), "{error}");
    assert_eq!((resolver.asked.load(Ordering::SeqCst), server.connections()), (2, 1));
}

#[test]
fn responses_that_are_too_long_are_not_taken() {
    let runtime = runtime();
    let client = client(&runtime);
    let promised = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1);
    let endless = Server::start(|stream| {
        head(stream).expect("request");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
        let mut written = stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while written.is_ok() {
            written = stream.get_mut().write_all(chunk.as_bytes());
        }
    });
    for server in [Server::answering(promised), endless] {
        let error = client.send(server.get(), &server.allowed(), AMPLE).expect_err("long");
        assert!(matches!(error, OutboundError::ResponseTooLong { max: RESPONSE_BYTES_MAX, .. }), "{error}");
    }
    let mut whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {RESPONSE_BYTES_MAX}\r\n\r\n").into_bytes();
    whole.resize(whole.len() + RESPONSE_BYTES_MAX, b'x');
    let server = Server::answering(whole);
    let response = client.send(server.get(), &server.allowed(), AMPLE).expect("as long as may be");
    assert_eq!(response.body.len(), RESPONSE_BYTES_MAX);

    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
    let wide = format!("HTTP/1.1 200 OK\r\na: {}\r\ncontent-length: 0\r\n\r\n", "b".repeat(HEADER_BYTES_MAX));
    let endless = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(10 * HEADER_BYTES_MAX));
    for answer in [many, wide, endless] {
        let server = Server::answering(answer);
        let error = client.send(server.get(), &server.allowed(), AMPLE).expect_err("long head");
        assert!(matches!(error, OutboundError::ResponseTooLong { .. } | OutboundError::Exchange { .. }), "{error}");
    }
}

#[test]
fn broken_answers_are_errors_and_their_connections_are_not_reused() {
    let runtime = runtime();
    let client = client(&runtime);
    for (answer, word) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789", "cut off after 10 bytes"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "cut off after 2 bytes"),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "changed the protocol"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "failed"),
        ("", "failed"),
    ] {
        let server = Server::start(move |stream| {
            head(stream).expect("request");
            stream.get_mut().write_all(answer.as_bytes()).expect("answer");
        });
        for _ in 0..2 {
            let error = client.send(server.get(), &server.allowed(), AMPLE).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(server.connections(), 2, "{word}");
    }
    assert_eq!(client.inner().pool.known(), (0, 0));
}

/// A server that answers nothing, and one whose answer does not end, hold nobody beyond the time.
#[test]
fn a_silent_server_ends_with_the_time_and_is_left() {
    let runtime = runtime();
    let client = client(&runtime);
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1"] {
        let (left, leaves) = bounded(1);
        let server = Server::start(move |stream| {
            head(stream).expect("request");
            stream.get_mut().write_all(answer.as_bytes()).expect("answer");
            // The end of the connection, which the client brings about.
            left.send(stream.read(&mut [0]).unwrap_or(0)).expect("test waits");
        });
        let error = client.send(server.get(), &server.allowed(), BRIEF).expect_err("late");
        assert_eq!(error, OutboundError::Timeout(BRIEF.as_millis()));
        assert_eq!(leaves.recv().expect("left"), 0);
    }
}

#[test]
fn a_connection_is_reused_by_its_owner_alone_and_for_a_time() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let runtime = runtime();
    let clock = Arc::new(ManualClock::at(0));
    let client = Outbound::new(&OutboundSettings::default(), runtime.handle().clone(), clock.clone()).expect("client");
    let send = |owner| client.send(server.get(), &server.allowed_to(owner), AMPLE).expect("response");
    send("f");
    send("f");
    assert_eq!((server.connections(), client.inner().pool.known()), (1, (1, 1)));
    send("g");
    assert_eq!((server.connections(), client.inner().pool.known()), (2, (2, 2)));
    clock.advance(Duration::from_millis(IDLE_MS_MAX));
    assert_eq!(client.inner().pool.known(), (0, 0), "closed and forgotten");
    send("f");
    assert_eq!(server.connections(), 3);
}

/// The server closes after its first answer without a word: what may be repeated is, on a new connection.
#[test]
fn a_connection_that_was_closed_meanwhile_costs_nothing() {
    let server = Server::start(|stream| {
        head(stream).expect("request");
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answer");
    });
    let runtime = runtime();
    let client = client(&runtime);
    for round in 1..=20 {
        client.send(server.get(), &server.allowed(), AMPLE).expect("response");
        assert_eq!(server.connections(), round);
    }
}

#[test]
fn a_post_is_not_sent_twice() {
    let server = Server::start(|stream| {
        head(stream).expect("request");
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answer");
        // The second one is read and never answered.
        head(stream);
    });
    let runtime = runtime();
    let client = client(&runtime);
    let post = OutboundRequest { method: "POST".into(), body: b"pay".to_vec(), ..server.get() };
    client.send(post.clone(), &server.allowed(), AMPLE).expect("response");
    let error = client.send(post, &server.allowed(), AMPLE).expect_err("not answered");
    assert!(matches!(error, OutboundError::Exchange { .. }), "{error}");
    assert_eq!(server.connections(), 1);
    client.send(server.get(), &server.allowed(), AMPLE).expect("first on its connection");
    client.send(server.get(), &server.allowed(), AMPLE).expect("a GET is sent again on a new one");
    assert_eq!(server.connections(), 3);
}

/// Whether `future` is done at its first poll.
fn is_ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn requests_that_run_at_once_are_bounded_for_a_host_and_in_all() {
    let pool = Pool::new(Arc::new(SystemClock));
    let key = |host: usize| {
        let target = Target::parse(&format!("https://h{host}.example.com/")).expect("url");
        Key::new(&target, &Allowed::new("f", Vec::new()))
    };
    let enter = |host: usize| is_ready(pool.enter(&key(host))).map(|places| places.expect("open"));
    let mut places: Vec<_> = (0..REQUESTS_PER_HOST_MAX).map(|_| enter(0).expect("a place")).collect();
    assert!(enter(0).is_none(), "the host's places are taken");
    let hosts = REQUESTS_MAX / REQUESTS_PER_HOST_MAX;
    places.extend(
        (1..hosts).flat_map(|host| (0..REQUESTS_PER_HOST_MAX).map(move |_| host)).map(|h| enter(h).expect("place")),
    );
    assert!(enter(hosts).is_none(), "all places are taken");
    assert_eq!(pool.known(), (hosts, 0), "who gave up is forgotten");
    drop(places);
    assert_eq!(pool.known(), (0, 0));
    enter(0).expect("free again");
}

#[derive(Debug)]
struct Stuck {
    asked: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Resolver for Stuck {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.send(()).expect("test waits");
        let ended = self.go_on.lock().recv();
        Err(io::Error::other(format!("{ended:?}")))
    }
}

/// A look-up that hangs keeps its place though nobody waits for it any longer, so that threads are bounded.
#[test]
fn lookups_that_hang_are_bounded() {
    let (asked, asks) = bounded(LOOKUPS_MAX + 1);
    let (go, go_on) = bounded::<()>(0);
    let runtime = runtime();
    let client = client_with(&runtime, Arc::new(Stuck { asked, go_on: Mutex::new(go_on) }));
    let allowed = Allowed::parse("f", &["*.example.com"]).expect("grant");
    for n in 0..LOOKUPS_MAX {
        let error = client.send(get(&format!("https://n{n}.example.com/")), &allowed, BRIEF).expect_err("hangs");
        assert!(matches!(error, OutboundError::Timeout(_)), "{error}");
        asks.recv().expect("asked");
    }
    client.send(get("https://more.example.com/"), &allowed, BRIEF).expect_err("waits for a place");
    let further = asks.len();
    drop(go);
    assert_eq!(further, 0, "and is not looked up");
    let error = client.send(get("https://more.example.com/"), &allowed, AMPLE).expect_err("answers");
    assert!(matches!(error, OutboundError::Lookup { .. }), "{error}");
}

#[test]
fn tls_needs_a_certificate_that_is_trusted_and_names_the_host() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("certificate");
    let folder = tempfile::tempdir().expect("folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).expect("file");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("server");
    let config = Arc::new(config);
    let server = Server::start(move |stream| {
        let tls = rustls::ServerConnection::new(config.clone()).expect("tls");
        let mut stream = BufReader::new(rustls::StreamOwned::new(tls, stream.get_ref().try_clone().expect("socket")));
        if head(&mut stream).is_some() {
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("answer");
        }
    });
    let runtime = runtime();
    let grants = [format!("127.0.0.1:{}", server.port), format!("other.example.com:{}", server.port)];
    let allowed = Allowed::parse("f", &grants).expect("grants");
    let url = format!("https://127.0.0.1:{}/", server.port);
    let error = client(&runtime).send(get(&url), &allowed, AMPLE).expect_err("not trusted").to_string();
    assert!(error.contains("TLS") && error.contains("certificate"), "{error}");

    let trusting = |resolver| {
        let settings = OutboundSettings { ca_file: Some(ca.clone()) };
        Outbound::with_resolver(&settings, runtime.handle().clone(), Arc::new(SystemClock), resolver).expect("client")
    };
    let client = trusting(Scripted::new(&[&["127.0.0.1"]]));
    assert_eq!(client.send(get(&url), &allowed, AMPLE).expect("trusted").body, b"ok");
    let other = format!("https://other.example.com:{}/", server.port);
    let error = client.send(get(&other), &allowed, AMPLE).expect_err("another name").to_string();
    assert!(error.contains("TLS") && error.contains("name"), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("ca.pem");
    let runtime = runtime();
    let open = || {
        let settings = OutboundSettings { ca_file: Some(file.clone()) };
        Outbound::new(&settings, runtime.handle().clone(), Arc::new(SystemClock)).expect_err("refused").to_string()
    };
    assert!(open().contains("ca.pem"), "there is no file");
    std::fs::write(&file, "nothing").expect("file");
    assert!(open().contains("holds no certificate"));
}

#[test]
fn a_runtime_that_has_ended_answers_as_a_stop() {
    let server = Server::answering("");
    let runtime = runtime();
    let client = client(&runtime);
    runtime.shutdown_background();
    assert_eq!(client.send(server.get(), &server.allowed(), AMPLE), Err(OutboundError::Stopping));
}
