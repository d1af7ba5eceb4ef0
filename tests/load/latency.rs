//! Acknowledgement alone: how many records a CPU second; and the latency of a put at half load, which
//! is half of what goes end to end (put, gzip, stored), beside that of an fdatasync: on the same disk in the
//! same seconds, and alone.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use millrace_tests::{Destination, Firehose, Keys, Server, process, wait, wait_drained};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::rows::{Conditions, fresh_bucket, serve};
use crate::send::{Api, CONNECTIONS, Connection, is_taken, send_all};
use crate::workload::Workload;

/// Nothing is delivered while the acknowledgement is measured: windows stay open, and this many
/// streams' windows take [`BYTES_MAX`].
const STREAMS: usize = 4;
const WINDOW: (u32, u32) = (128, 900);
/// Source bytes of the measurement: below what windows may hold in memory.
const BYTES_MAX: u64 = 200_000_000;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);
/// How long each latency is measured, seconds.
const SECONDS: f64 = 10.0;
/// Syncs a second beside the puts: enough for a p99, and a small part of what the disk has to do.
const BESIDE_PER_S: f64 = 50.0;

/// What the acknowledgement costs.
#[derive(Debug)]
pub(crate) struct Ack {
    pub(crate) records_per_cpu_s: f64,
    pub(crate) records_per_s: f64,
    /// Put latency at half load: median and p99, milliseconds.
    pub(crate) put_ms: (f64, f64),
    /// That load, requests a second.
    pub(crate) requests_per_s: f64,
    /// One fdatasync after an append of the same bytes, while the puts go on: median and p99, milliseconds.
    pub(crate) sync_beside_ms: (f64, f64),
    /// The same at the pace of the puts, alone.
    pub(crate) sync_alone_ms: (f64, f64),
}

/// Measures `PutRecordBatch` of 500 records.
pub(crate) async fn measure(workload: &Workload, conditions: &Conditions) -> anyhow::Result<Ack> {
    let dir = tempfile::Builder::new().prefix("load-ack-").tempdir()?;
    let bucket = fresh_bucket("ack");
    let (server, _) = serve(conditions, dir.path(), &bucket).await?;
    let destination =
        Destination { window: WINDOW, compression: "UNCOMPRESSED".to_owned(), ..Destination::gzip(&bucket) };
    let streams: Vec<String> = (0..STREAMS).map(|number| format!("ack-{number}")).collect();
    for stream in &streams {
        Firehose::new(server.base(), &Keys::any()).create(stream, &destination).await?;
    }
    let (bodies, bytes) = (workload.firehose(&streams), conditions.bytes.min(BYTES_MAX));
    let (cpu_before, from) = (process::cpu_s(server.pid())?, wait::now_s());
    let sent = send_all(Api::Firehose, server.base(), &streams, &bodies, bytes).await?;
    let (cpu_s, wall_s) = (process::cpu_s(server.pid())? - cpu_before, wait::now_s() - from);
    let body_bytes = usize::try_from(sent.source_bytes / sent.requests.max(1))?;
    drop(server);

    let dir = tempfile::Builder::new().prefix("load-put-").tempdir()?;
    let (server, _) = serve(conditions, dir.path(), &bucket).await?;
    let whole = vec!["whole".to_owned()];
    let destination = Destination { window: (15, 2), ..Destination::gzip(&bucket) };
    Firehose::new(server.base(), &Keys::any()).create(&whole[0], &destination).await?;
    let (bodies, from) = (workload.firehose(&whole), wait::now_s());
    let through = send_all(Api::Firehose, server.base(), &whole, &bodies, bytes).await?;
    wait_drained(&server, DRAIN_TIMEOUT).await?;
    let requests_per_s = through.requests as f64 / (wait::now_s() - from) / 2.0;
    let puts = paced_puts(&server, &bodies.0, requests_per_s);
    let (put, beside) = tokio::try_join!(puts, paced_syncs(dir.path(), body_bytes, BESIDE_PER_S))?;
    drop(server);
    let alone = paced_syncs(dir.path(), body_bytes, requests_per_s).await?;
    let of = |h: &Histogram<u64>| (h.value_at_quantile(0.5) as f64 / 1e3, h.value_at_quantile(0.99) as f64 / 1e3);
    Ok(Ack {
        records_per_cpu_s: sent.records as f64 / cpu_s.max(0.01),
        records_per_s: sent.records as f64 / wall_s,
        put_ms: of(&put),
        requests_per_s,
        sync_beside_ms: of(&beside),
        sync_alone_ms: of(&alone),
    })
}

/// Open loop: a put is due at fixed times, and its latency counts from when it was due.
async fn paced_puts(server: &Server, bodies: &[crate::workload::Body], per_s: f64) -> anyhow::Result<Histogram<u64>> {
    let histogram = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
    let mut connections = JoinSet::new();
    let start = wait::now_s() + 0.1;
    for number in 0..CONNECTIONS {
        let (histogram, connection) = (histogram.clone(), Connection::new(Api::Firehose, server.base()));
        let bodies: Vec<_> = bodies.iter().map(|body| body.bytes.clone()).collect();
        connections.spawn(async move {
            let mut turn = number;
            loop {
                let due = start + turn as f64 / per_s;
                if due - start > SECONDS {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_secs_f64((due - wait::now_s()).max(0.0))).await;
                let answer = connection.post("", bodies[turn % bodies.len()].clone()).await?;
                anyhow::ensure!(is_taken(&answer), "{}: {}", answer.status, answer.text());
                histogram.lock().record(micros(wait::now_s() - due))?;
                turn += CONNECTIONS;
            }
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    let histogram = histogram.lock().clone();
    Ok(histogram)
}

/// Appends to a bare file at fixed times, each synced.
async fn paced_syncs(dir: &Path, bytes: usize, per_s: f64) -> anyhow::Result<Histogram<u64>> {
    let file = Arc::new(File::create(dir.join("floor"))?);
    let chunk = Arc::new(vec![b'x'; bytes]);
    let mut histogram = Histogram::<u64>::new(3)?;
    let start = wait::now_s();
    let mut turn = 0u32;
    while wait::now_s() - start < SECONDS {
        let due = start + f64::from(turn) / per_s;
        tokio::time::sleep(Duration::from_secs_f64((due - wait::now_s()).max(0.0))).await;
        let (file, chunk) = (Arc::clone(&file), Arc::clone(&chunk));
        let took = millrace_tasks::blocking(move || {
            (&*file).write_all(&chunk)?;
            let from = wait::now_s();
            file.sync_data()?;
            std::io::Result::Ok(wait::now_s() - from)
        });
        histogram.record(micros(took.await?))?;
        turn += 1;
    }
    Ok(histogram)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "latencies are small and not negative")]
fn micros(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e6) as u64
}
