//! An S3 server for the tests: keeps objects in memory, records requests, and misbehaves on demand.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Largest request body in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;

/// How one request goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An answer instead of what was asked for.
    Answer(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// The connection is cut before anything is done.
    Cut,
    /// The connection is cut after the object was stored.
    StoreAndCut,
    /// Half of the body is stored, and 200 answered.
    StoreHalf,
    /// Nothing is stored, and 200 answered.
    StoreNothing,
    /// HEAD answers this length.
    Lie(u64),
    /// No answer at all.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query, as on the wire.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<String, (Bytes, HeaderMap)>,
    uploads: HashMap<String, (String, BTreeMap<u32, Bytes>, HeaderMap)>,
    seen: Vec<Seen>,
    /// For requests of that method and a target that contains the text, in order.
    faults: VecDeque<(Method, &'static str, Fault)>,
}

/// The server; ends when dropped.
#[derive(Debug)]
pub(crate) struct FakeS3 {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

enum Outcome {
    Answer(Response<Full<Bytes>>),
    Cut,
    Hang,
}

impl FakeS3 {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&state)));
        Self { endpoint, state, _serving: serving }
    }

    /// The next request of `method` whose target contains `text` goes wrong.
    pub(crate) fn plan(&self, method: Method, text: &'static str, fault: Fault) {
        self.state.lock().faults.push_back((method, text, fault));
    }

    /// The bytes under a key of a bucket.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.state.lock().objects.get(&format!("{bucket}/{key}")).map(|(bytes, _)| bytes.to_vec())
    }

    /// The headers that came with an object.
    pub(crate) fn headers(&self, bucket: &str, key: &str) -> HeaderMap {
        self.state.lock().objects[&format!("{bucket}/{key}")].1.clone()
    }

    /// Requests so far; forgets them.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().seen)
    }

    /// Uploads in parts that are neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.state.lock().uploads.len()
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = hyper::service::service_fn(|request| serve(Arc::clone(&state), request));
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error is a connection that was cut on purpose.
            drop(served.await);
        });
    }
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(std::io::Error::other)?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        assert!(bytes.len() <= BODY_BYTES_MAX);
    }
    let target = parts.uri.path_and_query().unwrap().to_string();
    let seen = Seen { method: parts.method, target, headers: parts.headers, body_bytes: bytes.len() };
    let outcome = {
        let mut state = state.lock();
        state.seen.push(seen.clone());
        state.handle(&seen, Bytes::from(bytes))
    };
    match outcome {
        Outcome::Answer(response) => Ok(response),
        Outcome::Cut => Err(std::io::Error::other("cut")),
        Outcome::Hang => std::future::pending::<Result<_, Infallible>>().await.map_err(|never| match never {}),
    }
}

impl State {
    fn handle(&mut self, seen: &Seen, body: Bytes) -> Outcome {
        let planned = self.faults.iter().position(|(m, text, _)| *m == seen.method && seen.target.contains(text));
        match planned.and_then(|at| self.faults.remove(at)).map(|(_, _, fault)| fault) {
            None => Outcome::Answer(self.act(seen, body)),
            Some(Fault::Answer(status, headers, text)) => {
                let mut response = answer(status, text);
                for (name, value) in headers {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                Outcome::Answer(response)
            }
            Some(Fault::Cut) => Outcome::Cut,
            Some(Fault::StoreAndCut) => {
                drop(self.act(seen, body));
                Outcome::Cut
            }
            Some(Fault::StoreHalf) => Outcome::Answer(self.act(seen, body.slice(..body.len() / 2))),
            Some(Fault::StoreNothing) => Outcome::Answer(tagged("")),
            Some(Fault::Lie(length)) => {
                let mut response = answer(200, "");
                response.headers_mut().insert("content-length", length.into());
                Outcome::Answer(response)
            }
            Some(Fault::Hang) => Outcome::Hang,
        }
    }

    fn act(&mut self, seen: &Seen, body: Bytes) -> Response<Full<Bytes>> {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let name = decode(path.strip_prefix('/').unwrap());
        let query: HashMap<&str, &str> =
            query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let upload = query.get("uploadId").map(|id| (*id).to_owned());
        match (seen.method.as_str(), upload) {
            ("PUT", None) => {
                self.objects.insert(name, (body, seen.headers.clone()));
                tagged("")
            }
            ("HEAD", None) => match self.objects.get(&name) {
                Some((bytes, _)) => {
                    let mut response = tagged("");
                    response.headers_mut().insert("content-length", bytes.len().into());
                    response
                }
                None => answer(404, ""),
            },
            ("POST", None) if query.contains_key("uploads") => {
                let id = format!("upload{}", self.seen.len());
                self.uploads.insert(id.clone(), (name, BTreeMap::new(), seen.headers.clone()));
                answer(
                    200,
                    &format!(
                        "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                    ),
                )
            }
            ("PUT", Some(id)) => match self.uploads.get_mut(&id) {
                Some((_, parts, _)) => {
                    parts.insert(query["partNumber"].parse().unwrap(), body);
                    tagged("")
                }
                None => answer(404, "<Error><Code>NoSuchUpload</Code></Error>"),
            },
            ("POST", Some(id)) => match self.uploads.remove(&id) {
                Some((key, parts, headers)) => {
                    let whole: Vec<u8> = parts.into_values().flatten().collect();
                    self.objects.insert(key, (whole.into(), headers));
                    tagged("<CompleteMultipartUploadResult><ETag>\"parts\"</ETag></CompleteMultipartUploadResult>")
                }
                None => answer(404, "<Error><Code>NoSuchUpload</Code></Error>"),
            },
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                answer(204, "")
            }
            _ => answer(405, "<Error><Code>MethodNotAllowed</Code></Error>"),
        }
    }
}

fn answer(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn tagged(text: &str) -> Response<Full<Bytes>> {
    let mut response = answer(200, text);
    response.headers_mut().insert("etag", "\"tag\"".parse().unwrap());
    response
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
