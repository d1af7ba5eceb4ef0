//! Sending: keep-alive connections that post bodies as fast as answers come, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millrace_tests::http::Answer;
use millrace_tests::{Firehose, Keys, Plain};
use tokio::task::JoinSet;

use crate::workload::{Bodies, Body};

/// Keep-alive connections of the workload.
pub(crate) const CONNECTIONS: usize = 4;
/// Pause after a refusal, milliseconds.
const PAUSE_MS: u64 = 5;
/// Refusals in a row after which a run is given up.
const REFUSALS_MAX: u32 = 4_000;

/// Over which API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// NDJSON on the plain route, with a bearer token.
    Http,
    /// Signed `PutRecordBatch`.
    Firehose,
}

/// What was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Bytes of the records themselves.
    pub(crate) source_bytes: u64,
    /// Bytes of the bodies.
    pub(crate) body_bytes: u64,
    /// Records.
    pub(crate) records: u64,
    /// Requests that were taken.
    pub(crate) requests: u64,
    /// Requests that were refused and sent again.
    pub(crate) refused: u64,
}

/// One connection of a producer.
#[derive(Debug)]
pub(crate) enum Connection {
    Http(Plain),
    Firehose(Firehose),
}

impl Connection {
    pub(crate) fn new(api: Api, base: &str) -> Self {
        match api {
            Api::Http => Self::Http(Plain::bearer(base, "any")),
            Api::Firehose => Self::Firehose(Firehose::new(base, &Keys::any())),
        }
    }

    /// Posts one body. A Firehose body names its stream itself.
    pub(crate) async fn post(&self, stream: &str, body: Bytes) -> anyhow::Result<Answer> {
        match self {
            Self::Http(client) => client.put_lines(stream, body).await,
            Self::Firehose(client) => client.call_raw("PutRecordBatch", body).await,
        }
    }
}

/// Whether all records of a request were taken.
pub(crate) fn is_taken(answer: &Answer) -> bool {
    answer.status == 200 && !answer.body.windows(11).any(|part| part == b"\"ErrorCode\"")
}

/// Sends bodies, around and around, until `bytes` of records are acknowledged. Request `n` goes to
/// stream `n` modulo their number.
pub(crate) async fn send_all(
    api: Api,
    base: &str,
    streams: &[String],
    bodies: &Bodies,
    bytes: u64,
) -> anyhow::Result<Sent> {
    let mut left = bytes;
    let bodies_of_run: Vec<Body> = bodies
        .0
        .iter()
        .cycle()
        .map_while(|body| {
            let goes = left > 0;
            left = left.saturating_sub(body.source_bytes);
            goes.then(|| body.clone())
        })
        .collect();
    let queue = Arc::new(bodies_of_run);
    let next = Arc::new(AtomicU64::new(0));
    let refused = Arc::new(AtomicU64::new(0));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (queue, next, refused) = (queue.clone(), next.clone(), refused.clone());
        let (connection, streams) = (Connection::new(api, base), streams.to_vec());
        connections.spawn(async move {
            loop {
                let number = usize::try_from(next.fetch_add(1, Ordering::Relaxed))?;
                let Some(body) = queue.get(number) else { return anyhow::Ok(()) };
                post_until_taken(&connection, &streams[number % streams.len()], body, &refused).await?;
            }
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    let mut sent = Sent { refused: refused.load(Ordering::Relaxed), ..Sent::default() };
    for body in queue.iter() {
        sent.source_bytes += body.source_bytes;
        sent.body_bytes += body.bytes.len() as u64;
        sent.records += body.records;
        sent.requests += 1;
    }
    Ok(sent)
}

async fn post_until_taken(
    connection: &Connection,
    stream: &str,
    body: &Body,
    refused: &AtomicU64,
) -> anyhow::Result<()> {
    for _ in 0..REFUSALS_MAX {
        let answer = connection.post(stream, body.bytes.clone()).await?;
        if is_taken(&answer) {
            return Ok(());
        }
        anyhow::ensure!(answer.status >= 500 || answer.status == 200, "{}: {}", answer.status, answer.text());
        refused.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
    }
    anyhow::bail!("refused {REFUSALS_MAX} times in a row")
}
