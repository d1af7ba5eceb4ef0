//! Memory and start: a start with a backlog, memory at rest with many streams and with many functions, and
//! the cost of many streams at the same total load.

use std::time::Duration;

use millrace_tests::proxy::Faults;
use millrace_tests::{Destination, Firehose, Keys, Proxy, Server, ServerOptions, process, wait, wait_drained};

use crate::rows::{Conditions, fresh_bucket, serve};
use crate::send::{Api, send_all};
use crate::workload::Workload;

/// Streams among which a backlog is shared: each stays below the disk share of one.
const BACKLOG_STREAMS: usize = 10;
const SETTLE: Duration = Duration::from_secs(5);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(600);

/// A start with a backlog.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) backlog_bytes: u64,
    pub(crate) ready_s: f64,
    /// Resident bytes when it was ready.
    pub(crate) rss_ready_bytes: u64,
    /// The most that were resident in the seconds of delivery, to a store that does not answer, that followed.
    pub(crate) rss_peak_bytes: u64,
}

/// Fills a data directory while the store is gone; then kills the server and starts it again, `starts` times.
pub(crate) async fn backlog(workload: &Workload, bytes: u64, starts: usize) -> anyhow::Result<Vec<Backlog>> {
    let dir = tempfile::Builder::new().prefix("load-backlog-").tempdir()?;
    let proxy = Proxy::start("http://127.0.0.1:9", 1).await?;
    proxy.set(Faults { always: Some(503), ..Faults::default() });
    let options = ServerOptions::dev(&dir.path().join("data")).s3(proxy.endpoint(), &Keys::any());
    let mut server = Server::start(options).await?;
    let streams = create(&server, BACKLOG_STREAMS, "backlog").await?;
    send_all(Api::Http, server.base(), &streams, &workload.lines(), bytes).await?;
    let mut measured = Vec::with_capacity(starts);
    for _ in 0..starts {
        let backlog_bytes = process::dir_bytes(server.data_dir());
        server.kill()?;
        server.restart().await?;
        let (rss_ready_bytes, _) = process::rss_bytes(server.pid())?;
        tokio::time::sleep(SETTLE).await;
        let (_, rss_peak_bytes) = process::rss_bytes(server.pid())?;
        measured.push(Backlog { backlog_bytes, ready_s: server.ready_s(), rss_ready_bytes, rss_peak_bytes });
    }
    Ok(measured)
}

/// Resident bytes of a server that has `count` streams and nothing to do; and its seconds to ready.
pub(crate) async fn idle(conditions: &Conditions, count: usize) -> anyhow::Result<(u64, f64)> {
    let dir = tempfile::Builder::new().prefix("load-idle-").tempdir()?;
    let (mut server, _) = serve(conditions, dir.path(), &fresh_bucket("idle")).await?;
    create(&server, count, "idle").await?;
    server.stop().await?;
    server.restart().await?;
    tokio::time::sleep(SETTLE).await;
    Ok((process::rss_bytes(server.pid())?.0, server.ready_s()))
}

/// Time behind its last call after which a function has left the memory, and a while.
const UNUSED: Duration = Duration::from_secs(80);

/// Resident bytes of a server with `count` functions, each a module of its own that was called once.
#[derive(Debug)]
pub(crate) struct Functions {
    /// Seconds to deploy all of them, one behind the other.
    pub(crate) deployed_s: f64,
    /// Behind the last call.
    pub(crate) rss_called_bytes: u64,
    /// When nobody has called one for a while.
    pub(crate) rss_unused_bytes: u64,
    /// Behind a start.
    pub(crate) rss_started_bytes: u64,
    pub(crate) ready_s: f64,
}

/// Measures it.
pub(crate) async fn functions(conditions: &Conditions, count: u32) -> anyhow::Result<Functions> {
    let dir = tempfile::Builder::new().prefix("load-functions-").tempdir()?;
    let (mut server, _) = serve(conditions, dir.path(), &fresh_bucket("functions")).await?;
    let client = millrace_tests::http::Client::new(server.base());
    let module = millrace_tests::guests::module("access-log")?;
    let from = wait::now_s();
    for number in 0..count {
        // A custom section makes another module of it, which is compiled and stored by itself.
        let section = [[0, 6, 1, b'n'], number.to_le_bytes()].concat();
        let own = [&module[..], &section[..]].concat();
        client.send("PUT", &format!("/v1/functions/f{number}"), &[], own).await?.ok()?;
    }
    let deployed_s = wait::now_s() - from;
    for number in 0..count {
        client.send("POST", &format!("/v1/functions/f{number}/invoke"), &[], "{}").await?.ok()?;
    }
    let rss_called_bytes = process::rss_bytes(server.pid())?.0;
    tokio::time::sleep(UNUSED).await;
    let rss_unused_bytes = process::rss_bytes(server.pid())?.0;
    server.stop().await?;
    server.restart().await?;
    tokio::time::sleep(SETTLE).await;
    let rss_started_bytes = process::rss_bytes(server.pid())?.0;
    Ok(Functions { deployed_s, rss_called_bytes, rss_unused_bytes, rss_started_bytes, ready_s: server.ready_s() })
}

/// What the same load over `count` streams came to.
#[derive(Debug)]
pub(crate) struct Spread {
    /// CPU seconds of the server, drain included.
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    /// Objects put: streams that all close their windows every two seconds put many.
    pub(crate) objects: u64,
}

/// The same load over `count` streams.
pub(crate) async fn spread(workload: &Workload, conditions: &Conditions, count: usize) -> anyhow::Result<Spread> {
    let dir = tempfile::Builder::new().prefix("load-spread-").tempdir()?;
    let bucket = fresh_bucket("spread");
    let (server, _) = serve(conditions, dir.path(), &bucket).await?;
    let streams = create(&server, count, &bucket).await?;
    let (before, from) = (process::cpu_s(server.pid())?, wait::now_s());
    send_all(Api::Http, server.base(), &streams, &workload.lines(), conditions.bytes).await?;
    let drained = wait_drained(&server, DRAIN_TIMEOUT).await?;
    let (cpu_s, wall_s) = (process::cpu_s(server.pid())? - before, wait::now_s() - from);
    Ok(Spread { cpu_s, wall_s, objects: drained.iter().map(|stream| stream.objects).sum() })
}

async fn create(server: &Server, count: usize, bucket: &str) -> anyhow::Result<Vec<String>> {
    let firehose = Firehose::new(server.base(), &Keys::any());
    let destination = Destination { window: (15, 2), ..Destination::gzip(bucket) };
    let mut names = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("stream-{number:04}");
        firehose.create(&name, &destination).await?;
        names.push(name);
    }
    Ok(names)
}
