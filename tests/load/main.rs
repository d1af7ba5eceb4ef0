//! The load runs: every row of the gates (Kinesis apart) on the real server, the floors of its parts
//! beside it, as a table for `docs/performance.md`.

mod boundary;
mod floors;
mod latency;
mod rows;
mod send;
mod size;
mod table;
mod workload;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use millrace_tests::store::{Kind, Store};
use millrace_tests::{Keys, conditions};

use crate::rows::{Conditions, Measured, ROWS, Row};
use crate::table::{Table, median, spread};
use crate::workload::{DISTINCT, Workload};

/// Runs of each row, of which the one in the middle counts; one with `--quick`.
const RUNS: usize = 3;

/// Measures the server against the gates and against its own parts.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Small sizes and one run of each row instead of three: a minute or two for everything.
    #[arg(long, global = true)]
    quick: bool,
    /// Write the table to this file as well.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
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
    /// Memory at rest with many functions, each called once.
    Functions {
        /// How many [default: 1,000, quick 100].
        #[arg(long)]
        count: Option<u32>,
    },
    /// The same load on 1 and on many streams.
    Streams {
        /// How many [default: 1,000, quick 200].
        #[arg(long)]
        count: Option<usize>,
    },
    /// The function boundary, beside the same columns copied there and back.
    Boundary,
    /// The empty server of the floors.
    #[command(hide = true)]
    Discard,
}

struct Run {
    workload: Workload,
    conditions: Conditions,
    quick: bool,
    runs: usize,
    table: Table,
    _store: Option<(Store, tempfile::TempDir)>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if matches!(arguments.what, What::Discard) {
        return floors::discard().await;
    }
    let mut run = Run::new(&arguments).await?;
    match &arguments.what {
        What::All => run.all().await,
        What::Row { name } => {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            let row = ROWS.iter().find(|row| row.name == name);
            let row = row.ok_or_else(|| anyhow::anyhow!("no row {name}; there are {}", names.join(", ")))?;
            run.row(row).await.map(|_| ())
        }
        What::Ack => run.ack().await,
        What::Backlog { backlog_mb } => run.backlog(*backlog_mb).await,
        What::Idle => run.idle().await,
        What::Functions { count } => run.functions(*count).await,
        What::Streams { count } => run.streams(*count).await,
        What::Boundary => run.boundary(),
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
            runs: if arguments.quick { 1 } else { RUNS },
            table: Table::begin(
                &command_line(arguments),
                &conditions::line(&std::env::temp_dir()),
                arguments.out.clone(),
            )?,
            _store: store,
        })
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        let mut rss_peak_bytes = 0;
        for row in ROWS {
            rss_peak_bytes = rss_peak_bytes.max(self.row(row).await?);
        }
        self.ack().await?;
        self.boundary()?;
        self.backlog(None).await?;
        self.idle().await?;
        let rss = format!("{:.0} MB, the most of all rows above", rss_peak_bytes as f64 / 1e6);
        self.table.row(&["resident memory, full load", "400 MB (200 MB)", &rss])?;
        self.streams(None).await
    }

    /// Answers the most resident memory of its runs, bytes.
    async fn row(&mut self, row: &Row) -> anyhow::Result<u64> {
        let mut runs = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            runs.push(rows::measure(row, &self.workload, &self.conditions).await?);
        }
        let rss_peak_bytes = runs.iter().map(|run| run.rss_peak_bytes).max().unwrap_or(0);
        let range = spread(&runs, Measured::mb_per_cpu_s, |mb| format!("{mb:.1}"));
        let run = median(runs, Measured::mb_per_cpu_s)?;
        let parts: Vec<String> = run.parts.iter().map(|(name, cpu)| format!("{name} {cpu:.2}")).collect();
        let measured = format!(
            "{:.1} MB a CPU s{range} ({:.0} MB in, {} objects, {:.0} MB out)",
            run.mb_per_cpu_s(),
            run.source_mb,
            run.objects,
            run.object_bytes as f64 / 1e6
        );
        self.table.row(&[
            row.what,
            &format!("{:.0} ({:.0}) MB", row.gate.0, row.gate.1),
            &measured,
            &format!("{:.2}", run.cpu_s),
            &format!("{:.1}", run.wall_s),
            &format!("{:.0} MB", rss_peak_bytes as f64 / 1e6),
            &parts.join(", "),
            &format!("{:.2}", run.ratio()),
        ])?;
        Ok(rss_peak_bytes)
    }

    async fn ack(&mut self) -> anyhow::Result<()> {
        let mut runs = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            runs.push(latency::measure(&self.workload, &self.conditions).await?);
        }
        let range = spread(&runs, |ack| ack.records_per_cpu_s, |records| format!("{:.0} k", records / 1e3));
        let ranged = spread(&runs, |ack| ack.put_ms.1, |ms| format!("{ms:.2}"));
        let ack = median(runs, |ack| ack.records_per_cpu_s)?;
        let of = |sync_ms: (f64, f64)| ack.put_ms.1 / sync_ms.1.max(0.001);
        let measured = format!(
            "{:.0} k records a CPU s{range}; {:.0} k a second",
            ack.records_per_cpu_s / 1e3,
            ack.records_per_s / 1e3
        );
        self.table.row(&["Firehose PutRecordBatch(500), ack only", "400 k (600 k) records", &measured])?;
        self.table.row(&[
            &format!("put latency at half load, {:.0} requests a second", ack.requests_per_s),
            "p99 ≤ 3 × fdatasync",
            &format!("p50 {:.2} ms, p99 {:.2} ms{ranged}", ack.put_ms.0, ack.put_ms.1),
            "",
            "",
            "",
            &format!(
                "fdatasync in the same seconds p50 {:.2} ms, p99 {:.2} ms; alone p50 {:.2} ms, p99 {:.2} ms",
                ack.sync_beside_ms.0, ack.sync_beside_ms.1, ack.sync_alone_ms.0, ack.sync_alone_ms.1
            ),
            &format!("{:.2}; alone {:.2} (p99)", of(ack.sync_beside_ms), of(ack.sync_alone_ms)),
        ])
    }

    fn boundary(&mut self) -> anyhow::Result<()> {
        let share = if self.quick { 0.1 } else { 1.0 };
        let runs = (0..self.runs).map(|_| boundary::measure(share)).collect::<anyhow::Result<Vec<_>>>()?;
        let range = spread(&runs, |run| run.fresh_ns - run.memcpy_ns, |ns| format!("{ns:.1}"));
        let run = median(runs, |run| run.fresh_ns - run.memcpy_ns)?;
        let measured = format!(
            "{:.1} ns a record over memcpy{range}; {:.1} ns in all, {:.1} ns warm",
            run.fresh_ns - run.memcpy_ns,
            run.fresh_ns,
            run.warm_ns
        );
        self.table.row(&[
            "function boundary, packed batch of 500 records of 100 bytes",
            "≤ 20 (10) ns over memcpy",
            &measured,
            "",
            "",
            "",
            &format!("memcpy {:.1} ns", run.memcpy_ns),
        ])
    }

    async fn backlog(&mut self, mb: Option<u64>) -> anyhow::Result<()> {
        let mb = mb.unwrap_or(if self.quick { 500 } else { 10_000 });
        let starts = size::backlog(&self.workload, mb * 1_000_000, self.runs).await?;
        let range = spread(&starts, |start| start.ready_s, |s| format!("{s:.2}"));
        let start = median(starts, |start| start.ready_s)?;
        self.table.row(&[
            &format!("start with a backlog of {:.1} GB", start.backlog_bytes as f64 / 1e9),
            "ready < 2 s (0.5 s), flat memory",
            &format!("ready in {:.2} s{range}", start.ready_s),
            "",
            "",
            &format!(
                "{:.0} MB when ready, {:.0} MB at most in the 5 s behind it",
                start.rss_ready_bytes as f64 / 1e6,
                start.rss_peak_bytes as f64 / 1e6
            ),
        ])
    }

    async fn idle(&mut self) -> anyhow::Result<()> {
        let mut runs = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            runs.push(size::idle(&self.conditions, 100).await?);
        }
        let range = spread(&runs, |run| run.0 as f64 / 1e6, |mb| format!("{mb:.0}"));
        let (rss, ready_s) = median(runs, |run| run.0 as f64)?;
        let measured = format!("{:.0} MB{range}; ready in {ready_s:.2} s", rss as f64 / 1e6);
        self.table.row(&["resident memory, idle with 100 streams", "80 MB (40 MB)", &measured])
    }

    async fn functions(&mut self, count: Option<u32>) -> anyhow::Result<()> {
        let count = count.unwrap_or(if self.quick { 100 } else { 1_000 });
        let seen = size::functions(&self.conditions, count).await?;
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let measured = format!(
            "{:.0} MB; behind the last call {:.0} MB, behind a start {:.0} MB, ready in {:.2} s; deployed in {:.0} s",
            mb(seen.rss_unused_bytes),
            mb(seen.rss_called_bytes),
            mb(seen.rss_started_bytes),
            seen.ready_s,
            seen.deployed_s
        );
        self.table.row(&[&format!("resident memory, idle with {count} functions"), "150 MB", &measured])
    }

    async fn streams(&mut self, count: Option<usize>) -> anyhow::Result<()> {
        let many = count.unwrap_or(if self.quick { 200 } else { 1_000 });
        let mut runs = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            let one = size::spread(&self.workload, &self.conditions, 1).await?;
            let spread = size::spread(&self.workload, &self.conditions, many).await?;
            runs.push((one, spread));
        }
        let ratio = |run: &(size::Spread, size::Spread)| run.1.cpu_s / run.0.cpu_s.max(0.01);
        let range = spread(&runs, ratio, |ratio| format!("{ratio:.2}"));
        let run = median(runs, ratio)?;
        self.table.row(&[
            &format!("1 → {many} streams, same total load"),
            "CPU ≤ 1.3 × (1.1 ×)",
            &format!("{:.2} ×{range} ({} → {} objects)", ratio(&run), run.0.objects, run.1.objects),
            &format!("{:.2} → {:.2}", run.0.cpu_s, run.1.cpu_s),
            &format!("{:.1} → {:.1}", run.0.wall_s, run.1.wall_s),
        ])
    }
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
        let takes_place = ["--minio", "--input", "--out"].contains(&word.as_str());
        skip_value = takes_place || word.starts_with("--s3-") && !word.contains('=');
        command.push(' ');
        command.push_str(&word);
    }
    if arguments.s3_endpoint.is_none() && arguments.minio.is_none() {
        command.push_str("   # local folder");
    }
    command
}
