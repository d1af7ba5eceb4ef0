//! The floors: what each part costs alone, over the same bytes, in the same minute. CPU seconds, user
//! and system.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libdeflater::{CompressionLvl, Compressor};
use millrace_tests::process::cpu_s;
use millrace_tests::{guests, wait};
use millrace_transform::{DeployLimits, Function, Host, HostSettings, Limits, NoLog, componentize};
use millrace_types::{BatchBuilder, SystemClock, SystemEntropy};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::send::{Api, send_all};
use crate::workload::{Bodies, Workload};

/// Source bytes of one object of lines, as the streams of the load runs cut them.
const OBJECT_BYTES: u64 = 15 << 20;
/// Source bytes of one Parquet object: the API takes no smaller window with format conversion.
const PARQUET_OBJECT_BYTES: u64 = 64 << 20;
/// Bytes of a column's dictionary behind which it goes on without one, as the server sets it for zstd.
const DICTIONARY_BYTES: usize = 128 * 1024;
/// Memory behind which a row group ends, as in the server.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Source bytes of one gzip member.
const MEMBER_BYTES: usize = 1 << 20;

/// CPU time of this process while `work` runs, seconds. The caller runs nothing beside it.
pub(crate) fn own_cpu_s<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let before = cpu_s(std::process::id())?;
    let value = work()?;
    Ok((cpu_s(std::process::id())? - before, value))
}

/// An empty hyper server in a process of its own, which takes the same bodies and discards them.
pub(crate) async fn http(api: Api, bodies: &Bodies, bytes: u64) -> anyhow::Result<f64> {
    let mut server = Discarding::start()?;
    let base = server.base.clone();
    send_all(api, &base, &["s".to_owned()], bodies, bytes).await?;
    let cpu = cpu_s(server.child.id())?;
    server.child.kill()?;
    server.child.wait()?;
    Ok(cpu)
}

struct Discarding {
    child: Child,
    base: String,
}

impl Discarding {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("discard")
            .stdout(Stdio::piped())
            .spawn()
            .context("the discarding server does not start")?;
        let mut base = String::new();
        BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut base)?;
        Ok(Self { child, base: base.trim().to_owned() })
    }
}

impl Drop for Discarding {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The discarding server itself: prints its address and serves until it is killed.
pub(crate) async fn discard() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async move {
                let mut body = request.into_body();
                while let Some(Ok(frame)) = body.frame().await {
                    drop(frame);
                }
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
            });
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// The same bytes appended to a bare file with the same number of fdatasyncs.
pub(crate) fn disk(workload: &Workload, bytes: u64, syncs: u64, dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("floor");
    let mut file = File::create(&path)?;
    // Made before the clock starts, as the bodies of the whole are.
    let (chunks, mut count, mut left) = (workload.lines().0, 0, bytes);
    for chunk in chunks.iter().cycle() {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(chunk.source_bytes);
        count += 1;
    }
    let (cpu, ()) = own_cpu_s(|| {
        let mut synced = 0;
        for (index, chunk) in chunks.iter().cycle().take(count).enumerate() {
            file.write_all(&chunk.bytes)?;
            // As evenly spread as whole writes allow.
            while synced < (index as u64 + 1) * syncs / count.max(1) as u64 {
                file.sync_data()?;
                synced += 1;
            }
        }
        Ok(())
    })?;
    std::fs::remove_file(path)?;
    Ok(cpu)
}

/// SHA-256, JSON and base64 of the bodies: what a signed put cannot do without.
pub(crate) fn signed_body(bodies: &Bodies, bytes: u64) -> anyhow::Result<f64> {
    #[derive(serde::Deserialize)]
    struct Put<'a> {
        #[serde(borrow, rename = "Records")]
        records: Vec<Record<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Record<'a> {
        #[serde(borrow, rename = "Data")]
        data: &'a str,
    }
    let mut left = bytes;
    let (cpu, _) = own_cpu_s(|| {
        let mut payload: Vec<u8> = Vec::new();
        let mut seen = 0;
        for body in bodies.0.iter().cycle() {
            if left == 0 {
                break;
            }
            seen += millrace_auth::body_sha256_hex(&body.bytes).len();
            payload.clear();
            for record in serde_json::from_slice::<Put<'_>>(&body.bytes)?.records {
                base64_simd::STANDARD.decode_append(record.data, &mut payload)?;
            }
            seen += payload.len();
            left = left.saturating_sub(body.source_bytes);
        }
        Ok(seen)
    })?;
    Ok(cpu)
}

/// The same compressor over the same bytes, in objects of the same size.
pub(crate) fn compress(workload: &Workload, bytes: u64, gzip: bool) -> anyhow::Result<f64> {
    let objects = objects(workload, bytes, OBJECT_BYTES);
    let mut deflate = Compressor::new(CompressionLvl::new(6).map_err(|_| anyhow::anyhow!("level"))?);
    let (cpu, _) = own_cpu_s(|| {
        let mut size = 0;
        for object in &objects {
            size += if gzip {
                gzip_members(&mut deflate, object)?
            } else {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
                encoder.include_checksum(true)?;
                encoder.write_all(object)?;
                encoder.finish()?.len()
            };
        }
        Ok(size)
    })?;
    Ok(cpu)
}

/// gzip in members of [`MEMBER_BYTES`], as the server writes it; answers their bytes.
fn gzip_members(deflate: &mut Compressor, object: &[u8]) -> anyhow::Result<usize> {
    let mut out = Vec::new();
    let mut size = 0;
    for part in object.chunks(MEMBER_BYTES) {
        out.resize(deflate.gzip_compress_bound(part.len()), 0);
        size += deflate.gzip_compress(part, &mut out)?;
    }
    Ok(size)
}

fn objects(workload: &Workload, bytes: u64, object_bytes: u64) -> Vec<Vec<u8>> {
    let mut objects = vec![Vec::new()];
    for chunk in workload.source(bytes) {
        if objects.last().is_some_and(|object| object.len() as u64 >= object_bytes) {
            objects.push(Vec::new());
        }
        if let Some(object) = objects.last_mut() {
            object.extend_from_slice(&chunk);
        }
    }
    objects
}

/// JSON to Arrow to Parquet with zstd level 3 and the server's limits, nothing around it.
pub(crate) fn parquet(workload: &Workload, bytes: u64) -> anyhow::Result<f64> {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![
        text("timestamp"),
        text("remote_addr"),
        text("method"),
        text("path"),
        number("status"),
        number("bytes"),
        text("referer"),
        text("user_agent"),
        text("request_id"),
        number("duration_ms"),
        text("host"),
    ]));
    let objects = objects(workload, bytes, PARQUET_OBJECT_BYTES);
    let (cpu, _) = own_cpu_s(|| {
        let mut size = 0;
        for object in &objects {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
                .set_dictionary_page_size_limit(DICTIONARY_BYTES)
                .build();
            let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
            for batch in ReaderBuilder::new(schema.clone()).with_batch_size(8_192).build(object.as_slice())? {
                writer.write(&batch?)?;
                if writer.memory_size() >= ROW_GROUP_BYTES {
                    writer.flush()?;
                }
            }
            size += writer.into_inner()?.len();
        }
        Ok(size)
    })?;
    Ok(cpu)
}

/// The same guest called in a loop, batch by batch, with nothing around it but the host's call.
pub(crate) fn guest(workload: &Workload, bytes: u64, name: &str) -> anyhow::Result<f64> {
    let host = Host::new(&HostSettings::default(), Arc::new(SystemClock), Arc::new(SystemEntropy))?;
    let component = componentize(&guests::module(name)?, &DeployLimits::default())?;
    let module = host.load_component(&component.bytes)?;
    let function = Function::new(module, BTreeMap::new(), Limits::default(), Arc::new(NoLog));
    let mut batches = Vec::new();
    let mut left = bytes;
    for records in workload.batches.iter().cycle() {
        if left == 0 {
            break;
        }
        let size = records.iter().map(Vec::len).sum();
        let mut builder = BatchBuilder::with_capacity(records.len(), size);
        for record in records {
            builder.push(record, wait::wall_ms())?;
        }
        batches.push(builder.finish());
        left = left.saturating_sub(size as u64);
    }
    let (cpu, _) = own_cpu_s(|| {
        let mut records = 0;
        for batch in &batches {
            records += function.call(batch).output.context("the guest failed")?.ends.len();
        }
        Ok(records)
    })?;
    Ok(cpu)
}
