//! Exactly once across kills, small: the oracle in `tests/crash/` is the large one.

use std::time::Duration;

use millrace_tests::proxy::Faults;
use millrace_tests::{Destination, Keys, Proxy, wait};

use crate::world::World;

#[tokio::test]
async fn kills_between_puts_lose_and_double_nothing() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    world.stream("lines", |d| Destination { prefix: Some("lines/".to_owned()), window: (1, 1), ..d }).await?;
    world
        .stream("rows", |d| Destination { prefix: Some("rows/".to_owned()), parquet: Some("ZSTD".to_owned()), ..d })
        .await?;
    const CYCLES: u64 = 6;
    for cycle in 0..CYCLES {
        for stream in ["lines", "rows"] {
            world.put(stream, cycle * 500, (cycle + 1) * 500).await?;
        }
        // From at once to behind the cut of the window.
        tokio::time::sleep(Duration::from_millis(cycle * 70)).await;
        world.server.kill()?;
        world.server.restart().await?;
    }
    let all: Vec<u64> = (0..CYCLES * 500).collect();
    assert_eq!(world.delivered("out", "lines/").await?, all);
    assert_eq!(world.delivered("out", "rows/").await?, all);
    Ok(())
}

#[tokio::test]
async fn an_object_whose_put_was_never_answered_is_put_again_under_the_same_key() -> anyhow::Result<()> {
    let stored = store::Memory::start().await?;
    let proxy = Proxy::start(&stored.endpoint, 1).await?;
    proxy.set(Faults { cut_after_store: 1.0, ..Faults::default() });
    let mut world = World::start_with(|options| options.s3(proxy.endpoint(), &Keys::any())).await?;
    world.stream("s", |d| d).await?;
    world.put("s", 0, 100).await?;
    wait::until("the first ambiguous put", Duration::from_secs(30), || async { Ok((stored.puts() > 0).then_some(())) })
        .await?;
    world.server.kill()?;
    world.server.restart().await?;
    wait::until("another one", Duration::from_secs(30), || async { Ok((stored.puts() > 1).then_some(())) }).await?;
    proxy.set(Faults::default());
    millrace_tests::wait_drained(&world.server, crate::world::DRAIN).await?;
    let objects = stored.objects();
    assert_eq!(objects.len(), 1, "one decision, one key: {:?}", objects.keys());
    assert!(objects.values().all(|versions| versions.windows(2).all(|pair| pair[0] == pair[1])), "the same bytes");
    Ok(())
}

/// An S3 server in memory that keeps every version it was sent.
pub(crate) mod store {
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::sync::Arc;

    use bytes::Bytes;
    use http::{Method, Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use millrace_tests::http::read_body;
    use parking_lot::Mutex;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    type Versions = Arc<Mutex<BTreeMap<String, Vec<Bytes>>>>;

    pub(crate) struct Memory {
        pub(crate) endpoint: String,
        versions: Versions,
        _tasks: JoinSet<()>,
    }

    impl Memory {
        pub(crate) async fn start() -> anyhow::Result<Self> {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let endpoint = format!("http://{}", listener.local_addr()?);
            let versions = Versions::default();
            let mut tasks = JoinSet::new();
            let shared = versions.clone();
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = shared.clone();
                    let service = service_fn(move |request| answer(request, shared.clone()));
                    connections.spawn(async move {
                        let io = TokioIo::new(stream);
                        drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
                    });
                }
            });
            Ok(Self { endpoint, versions, _tasks: tasks })
        }

        /// Objects stored, each time counted.
        pub(crate) fn puts(&self) -> usize {
            self.versions.lock().values().map(Vec::len).sum()
        }

        pub(crate) fn objects(&self) -> BTreeMap<String, Vec<Bytes>> {
            self.versions.lock().clone()
        }
    }

    async fn answer(request: Request<Incoming>, versions: Versions) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = read_body(body).await.unwrap_or_default();
        let key = parts.uri.path().to_owned();
        let mut response = Response::new(Full::new(Bytes::new()));
        let headers = response.headers_mut();
        headers.insert("etag", http::HeaderValue::from_static("\"etag\""));
        headers.insert("last-modified", http::HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
        let mut versions = versions.lock();
        if parts.method == Method::PUT {
            versions.entry(key).or_default().push(body);
        } else if let Some(last) = versions.get(&key).and_then(|all| all.last()) {
            headers.insert("content-length", http::HeaderValue::from(last.len()));
            if parts.method == Method::GET {
                *response.body_mut() = Full::new(last.clone());
            }
        } else {
            *response.status_mut() = http::StatusCode::NOT_FOUND;
        }
        Ok(response)
    }
}
