//! The load runs: every row of the gates (Kinesis apart) on the real server, the floors of its parts
//! beside it, as a table for `docs/performance.md`.

mod floors;
mod latency;
mod rows;
mod send;
mod size;
mod workload;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use millrace_tests::Keys;
use millrace_tests::store::{Kind, Store};

use crate::rows::{Conditions, Measured, ROWS, Row};
use crate::workload::{DISTINCT, Workload};

/// Measures the server against the gates and against its own parts.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Small sizes: a minute or two for everything.
    #[arg(long, global = true)]
    quick: bool,
    /// Source megabytes (10^6 bytes) of a throughput row [default: 600, quick 100].
    #[arg(long, global = true)]
    mb: Option<u64>,
    /// A file of records (NDJSON, may be .zst or .gz) instead of the access log.
    #[arg(long, global = true)]
    input: Option<PathBuf>,
    /// Seed of the access log.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// An S3 server that runs already.
    #[arg(long, global = true)]
    s3_endpoint: Option<String>,
    /// Its access key id.
    #[arg(long, global = true, default_value = "millrace")]
    s3_access_key_id: String,
    /// Its secret access key.
    #[arg(long, global = true, default_value = "millrace", hide_default_value = true)]
    s3_secret_access_key: String,
    /// MinIO's program: started for the run.
    #[arg(long, global = true)]
    minio: Option<PathBuf>,
    /// Further variables of the server, NAME=VALUE.
    #[arg(long = "server-env", global = true)]
    server_env: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything, as one table.
    All,
    /// One throughput row, by name.
    Row {
        /// Such as `http-gzip`; a wrong name lists them.
        name: String,
    },
    /// Acknowledgement alone: records a CPU second, put latency at half load.
    Ack,
    /// A start with a backlog.
    Backlog {
        /// Megabytes of backlog [default: 10,000, quick 500].
        #[arg(long)]
        backlog_mb: Option<u64>,
    },
    /// Memory at rest with 100 streams.
    Idle,
    /// The same load on 1 and on 1,000 streams.
    Streams,
    /// The empty server of the floors.
    #[command(hide = true)]
    Discard,
}

struct Run {
    workload: Workload,
    conditions: Conditions,
    quick: bool,
    command: String,
    _store: Option<(Store, tempfile::TempDir)>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if matches!(arguments.what, What::Discard) {
        return floors::discard().await;
    }
    let run = Run::new(&arguments).await?;
    println!("`{}`\n", run.command);
    println!("| path | gate (stretch) | measured | CPU s | wall s | peak RSS | parts, CPU s | whole / parts |");
    println!("|---|---|---|---|---|---|---|---|");
    match &arguments.what {
        What::All => run.all().await,
        What::Row { name } => {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            let row = ROWS.iter().find(|row| row.name == name);
            let row = row.ok_or_else(|| anyhow::anyhow!("no row {name}; there are {}", names.join(", ")))?;
            run.row(row).await
        }
        What::Ack => run.ack().await,
        What::Backlog { backlog_mb } => run.backlog(*backlog_mb).await,
        What::Idle => run.idle().await,
        What::Streams => run.streams().await,
        What::Discard => Ok(()),
    }
}

impl Run {
    async fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let mb = arguments.mb.unwrap_or(if arguments.quick { 100 } else { 600 });
        let workload = match &arguments.input {
            Some(path) => Workload::file(path)?,
            None => Workload::access_log(DISTINCT, arguments.seed),
        };
        let mut s3 = arguments
            .s3_endpoint
            .clone()
            .map(|endpoint| (endpoint, Keys::new(&arguments.s3_access_key_id, &arguments.s3_secret_access_key)));
        let mut store = None;
        if let Some(program) = &arguments.minio {
            let dir = tempfile::Builder::new().prefix("load-minio-").tempdir()?;
            let minio = Store::start(Kind::Minio, program, dir.path()).await?;
            s3 = Some((minio.endpoint(), minio.keys().clone()));
            store = Some((minio, dir));
        }
        let pairs = arguments.server_env.iter().filter_map(|pair| pair.split_once('='));
        let server_env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self {
            workload,
            conditions: Conditions { s3, bytes: mb * 1_000_000, server_env },
            quick: arguments.quick,
            command: command_line(arguments),
            _store: store,
        })
    }

    async fn all(&self) -> anyhow::Result<()> {
        for row in ROWS {
            self.row(row).await?;
        }
        self.ack().await?;
        self.backlog(None).await?;
        self.idle().await?;
        self.streams().await
    }

    async fn row(&self, row: &Row) -> anyhow::Result<()> {
        print_row(row, &rows::measure(row, &self.workload, &self.conditions).await?);
        Ok(())
    }

    async fn ack(&self) -> anyhow::Result<()> {
        let ack = latency::measure(&self.workload, &self.conditions).await?;
        println!(
            "| Firehose PutRecordBatch(500), ack only | 400 k (600 k) records | {:.0} k records a CPU s, {:.0} k a second | | | | | |",
            ack.records_per_cpu_s / 1e3,
            ack.records_per_s / 1e3
        );
        println!(
            "| put latency at half load, {:.0} requests a second | p99 ≤ 3 × fdatasync | p50 {:.2} ms, p99 {:.2} ms | | | | fdatasync p50 {:.2} ms, p99 {:.2} ms | {:.2} (p99) |",
            ack.requests_per_s,
            ack.put_ms.0,
            ack.put_ms.1,
            ack.sync_ms.0,
            ack.sync_ms.1,
            ack.put_ms.1 / ack.sync_ms.1.max(0.001)
        );
        Ok(())
    }

    async fn backlog(&self, mb: Option<u64>) -> anyhow::Result<()> {
        let mb = mb.unwrap_or(if self.quick { 500 } else { 10_000 });
        let measured = size::backlog(&self.workload, mb * 1_000_000).await?;
        println!(
            "| start with a backlog of {:.1} GB | ready < 2 s (0.5 s), flat memory | ready in {:.2} s | | | {:.0} MB, later {:.0} MB | | |",
            measured.backlog_bytes as f64 / 1e9,
            measured.ready_s,
            measured.rss_ready_bytes as f64 / 1e6,
            measured.rss_later_bytes as f64 / 1e6
        );
        Ok(())
    }

    async fn idle(&self) -> anyhow::Result<()> {
        let (rss, ready_s) = size::idle(&self.conditions, 100).await?;
        println!(
            "| resident memory, idle with 100 streams | 80 MB (40 MB) | {:.0} MB, ready in {ready_s:.2} s | | | | | |",
            rss as f64 / 1e6
        );
        Ok(())
    }

    async fn streams(&self) -> anyhow::Result<()> {
        let many = if self.quick { 200 } else { 1_000 };
        let one = size::spread(&self.workload, &self.conditions, 1).await?;
        let spread = size::spread(&self.workload, &self.conditions, many).await?;
        println!(
            "| 1 → {many} streams, same total load | CPU ≤ 1.3 × (1.1 ×) | {:.2} × | {one:.2} → {spread:.2} | | | | |",
            spread / one.max(0.01)
        );
        Ok(())
    }
}

fn print_row(row: &Row, measured: &Measured) {
    let parts: Vec<String> = measured.parts.iter().map(|(name, cpu)| format!("{name} {cpu:.2}")).collect();
    println!(
        "| {} | {:.0} ({:.0}) MB | {:.1} MB a CPU s ({:.0} MB in, {} objects, {:.0} MB out) | {:.2} | {:.1} | {:.0} MB | {} | {:.2} |",
        row.what,
        row.gate.0,
        row.gate.1,
        measured.mb_per_cpu_s(),
        measured.source_mb,
        measured.objects,
        measured.object_bytes as f64 / 1e6,
        measured.cpu_s,
        measured.wall_s,
        measured.rss_peak_bytes as f64 / 1e6,
        parts.join(", "),
        measured.ratio()
    );
}

/// The command to run it again, without keys and places.
fn command_line(arguments: &Arguments) -> String {
    let mut command = String::from("target/release/load");
    let mut skip_value = false;
    for word in std::env::args().skip(1) {
        if skip_value {
            skip_value = false;
            command.push_str(" …");
            continue;
        }
        skip_value = word.starts_with("--s3-") && !word.contains('=') || word == "--minio" || word == "--input";
        command.push(' ');
        command.push_str(&word);
    }
    if arguments.s3_endpoint.is_none() && arguments.minio.is_none() {
        command.push_str("   # local folder");
    }
    command
}
