//! The throughput rows: a pipeline under the workload until every record lies in an object, and the
//! floors of its parts.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::{
    Bucket, Destination, Firehose, Keys, Plain, S3, Server, ServerOptions, decode, guests, process, status, wait,
    wait_drained,
};

use crate::floors;
use crate::send::{Api, send_all};
use crate::workload::{Bodies, Workload};

const DRAIN_TIMEOUT: Duration = Duration::from_secs(600);
/// Buffering hints: objects of 15 MiB of source, at the latest after two seconds.
const WINDOW: (u32, u32) = (15, 2);
/// The guest of the function rows.
const FUNCTION: &str = "access-log";
const STREAM: &str = "load";

/// What an object of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Zstd,
    Parquet,
}

/// One row of the gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) api: Api,
    pub(crate) function: bool,
    pub(crate) format: Format,
    /// MB of source per CPU second of the server: gate and stretch.
    pub(crate) gate: (f64, f64),
}

/// The throughput rows of the gates.
pub(crate) const ROWS: &[Row] = &[
    row("http-function-gzip", "HTTP → function → S3 gzip", Api::Http, true, Format::Gzip, (55.0, 70.0)),
    row("http-gzip", "HTTP → S3 gzip", Api::Http, false, Format::Gzip, (90.0, 120.0)),
    row("http-zstd", "HTTP → S3 zstd", Api::Http, false, Format::Zstd, (150.0, 200.0)),
    row("http-parquet", "HTTP → Parquet zstd", Api::Http, false, Format::Parquet, (80.0, 120.0)),
    row("http-function-parquet", "HTTP → function → Parquet zstd", Api::Http, true, Format::Parquet, (50.0, 70.0)),
    row("firehose-gzip", "Firehose API → S3 gzip", Api::Firehose, false, Format::Gzip, (70.0, 90.0)),
];

const fn row(
    name: &'static str,
    what: &'static str,
    api: Api,
    function: bool,
    format: Format,
    gate: (f64, f64),
) -> Row {
    Row { name, what, api, function, format, gate }
}

/// Where objects go, and the conditions of all rows.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    /// S3 endpoint and keys; the local folder without.
    pub(crate) s3: Option<(String, Keys)>,
    /// Source bytes of a row.
    pub(crate) bytes: u64,
    /// Further variables of the server.
    pub(crate) server_env: Vec<(String, String)>,
}

/// What a row came to.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) source_mb: f64,
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) rss_peak_bytes: u64,
    pub(crate) objects: u64,
    pub(crate) object_bytes: u64,
    /// CPU seconds of each part alone.
    pub(crate) parts: Vec<(&'static str, f64)>,
}

impl Measured {
    pub(crate) fn mb_per_cpu_s(&self) -> f64 {
        self.source_mb / self.cpu_s.max(0.01)
    }

    /// The whole over the sum of its parts.
    pub(crate) fn ratio(&self) -> f64 {
        self.cpu_s / self.parts.iter().map(|(_, cpu)| cpu).sum::<f64>().max(0.01)
    }
}

/// A server for one row, with a bucket of its own.
pub(crate) async fn serve(conditions: &Conditions, dir: &Path, bucket: &str) -> anyhow::Result<(Server, Bucket)> {
    let mut options = ServerOptions::dev(&dir.join("data")).env("MILLRACE_DELIVERY_PARQUET_ZSTD_LEVEL", "3");
    for (name, value) in &conditions.server_env {
        options = options.env(name, value);
    }
    let Some((endpoint, keys)) = &conditions.s3 else {
        let server = Server::start(options).await?;
        let folder = Bucket::Folder(server.bucket_dir(bucket));
        return Ok((server, folder));
    };
    let client = S3::new(endpoint, keys);
    client.create_bucket(bucket).await?;
    let server = Server::start(options.s3(endpoint, keys)).await?;
    Ok((server, Bucket::S3 { client: Box::new(client), name: bucket.to_owned() }))
}

/// The destination of a row.
pub(crate) fn destination(row: &Row, bucket: &str) -> Destination {
    Destination {
        compression: if row.format == Format::Zstd { "ZSTD" } else { "GZIP" }.to_owned(),
        parquet: (row.format == Format::Parquet).then(|| "ZSTD".to_owned()),
        function: row.function.then(|| FUNCTION.to_owned()),
        window: WINDOW,
        ..Destination::gzip(bucket)
    }
}

/// A bucket name that no run has used.
pub(crate) fn fresh_bucket(name: &str) -> String {
    format!("load-{name}-{:x}", wait::wall_ms())
}

/// Runs a row, then the floors of its parts.
pub(crate) async fn measure(row: &Row, workload: &Workload, conditions: &Conditions) -> anyhow::Result<Measured> {
    let dir = tempfile::Builder::new().prefix("load-").tempdir()?;
    let bucket_name = fresh_bucket(row.name);
    let (server, bucket) = serve(conditions, dir.path(), &bucket_name).await?;
    if row.function {
        let module = guests::module(FUNCTION)?;
        Plain::bearer(server.base(), "any").deploy(FUNCTION, module, &[]).await.context("deploy")?;
    }
    Firehose::new(server.base(), &Keys::any()).create(STREAM, &destination(row, &bucket_name)).await?;
    let bodies = match row.api {
        Api::Http => workload.lines(),
        Api::Firehose => workload.firehose(&[STREAM.to_owned()]),
    };
    let (cpu_before, from) = (process::cpu_s(server.pid())?, wait::now_s());
    let sent = send_all(row.api, server.base(), &[STREAM.to_owned()], &bodies, conditions.bytes).await?;
    wait_drained(&server, DRAIN_TIMEOUT).await?;
    let (cpu_s, wall_s) = (process::cpu_s(server.pid())? - cpu_before, wait::now_s() - from);
    let (_, rss_peak_bytes) = process::rss_bytes(server.pid())?;
    let (_, journal) = status::status(server.base()).await?;
    let syncs = journal["fsyncs"].as_u64().unwrap_or(sent.requests);
    drop(server);
    if sent.refused > 0 {
        eprintln!("{}: {} requests were refused and sent again", row.name, sent.refused);
    }
    let (objects, object_bytes) = count(&bucket, sent.records).await?;
    let parts = parts(row, workload, &bodies, conditions, syncs, dir.path()).await?;
    let source_mb = sent.source_bytes as f64 / 1e6;
    Ok(Measured { source_mb, cpu_s, wall_s, rss_peak_bytes, objects, object_bytes, parts })
}

/// Decompresses and counts everything; answers objects and their bytes.
async fn count(bucket: &Bucket, expected: u64) -> anyhow::Result<(u64, u64)> {
    let (mut records, mut objects, mut object_bytes) = (0, 0, 0);
    for key in bucket.list("").await? {
        let body = bucket.get(&key).await?;
        records += decode::count(&key, &body)?;
        object_bytes += body.len() as u64;
        objects += 1;
    }
    anyhow::ensure!(records == expected, "{expected} records were acknowledged, {records} lie in {objects} objects");
    Ok((objects, object_bytes))
}

async fn parts(
    row: &Row,
    workload: &Workload,
    bodies: &Bodies,
    conditions: &Conditions,
    syncs: u64,
    dir: &Path,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let bytes = conditions.bytes;
    let mut parts = vec![("hyper", floors::http(row.api, bodies, bytes).await?)];
    if row.api == Api::Firehose {
        parts.push(("sha256+json+base64", floors::signed_body(bodies, bytes)?));
    }
    parts.push(("file+fdatasync", floors::disk(workload, bytes, syncs, dir)?));
    if row.function {
        parts.push(("guest", floors::guest(workload, bytes, FUNCTION)?));
    }
    parts.push(match row.format {
        Format::Gzip => ("gzip-6", floors::compress(workload, bytes, true)?),
        Format::Zstd => ("zstd-3", floors::compress(workload, bytes, false)?),
        Format::Parquet => ("json+parquet", floors::parquet(workload, bytes)?),
    });
    Ok(parts)
}
