//! `millrace demo`: real records through a real server of its own, and what came out of it.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64_simd::STANDARD;
use bytes::Bytes;
use clap::Args;
use http::Method;
use millrace_log::{Disk, RealDisk};
use millrace_types::{Clock, SystemClock};
use serde_json::{Value, json};

use super::fixture::Lines;
use super::show::printable;
use super::{guest, status};
use crate::client::{Client, Credentials};
use crate::signal::Stops;

/// File in a demo's folder that says whose it is.
const MARKER: &str = ".millrace-demo";
/// Records of one request (`reference/firehose.md` section 3).
const BATCH_RECORDS: usize = 500;
/// Record bytes of one request: below 4 MiB with room for the names.
const BATCH_BYTES: usize = 4_000_000;
/// How long the objects may take.
const WAIT_MAX: Duration = Duration::from_secs(120);
const STREAMS: [(&str, &str); 2] = [("demo-json", "JSON lines, zstd"), ("demo-parquet", "Parquet, zstd")];
/// Rows of the Parquet object that are shown.
const PREVIEW_ROWS: usize = 5;
const ROLE: &str = "arn:aws:iam::000000000000:role/millrace";

/// `millrace demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Send these records instead: NDJSON, plain or compressed (.zst, .gz).
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Leave the server running behind it until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Where the demo's server keeps its data; the folder of an earlier demo is deleted.
    #[arg(long, value_name = "DIR", default_value = "millrace-data/demo")]
    data_dir: PathBuf,
}

/// The demo's server; killed when the demo ends in any way.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Demo {
    pub(super) fn run(self) -> Result<()> {
        super::client(self.steps())
    }

    async fn steps(self) -> Result<()> {
        let clock = SystemClock;
        let begun = clock.monotonic();
        // Opened before anything is built or started: a wrong name costs nothing.
        let mut lines = match &self.input {
            Some(path) => Lines::of(path)?,
            None => Lines::flights()?,
        };
        // The flights' own function knows flights only; other records pass unchanged.
        let function = if self.input.is_some() { "identity" } else { "flights" };
        println!("1. building the example function `{function}` (Rust to WebAssembly)");
        let (module, way) = guest::build(function)?;
        let bytes = std::fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
        println!("   {} KiB, with {way}", bytes.len() / 1024);

        let mut server = self.start()?;
        println!("2. server at {}, data in {} until the next demo", server.url, self.data_dir.display());
        let mut client = Client::connect(&server.url, Credentials::Dev, Arc::new(SystemClock)).await?;
        client.plain(Method::PUT, &format!("/v1/functions/{function}"), Bytes::from(bytes)).await?;
        println!("3. function deployed: compiled in a child process, loaded in a sandbox");
        for (name, what) in STREAMS {
            create(&mut client, name, function).await?;
            println!("   delivery stream {name}: {what}");
        }
        let sent = send(&mut client, &mut lines).await?;
        println!("5. waiting for the objects");
        let streams = wait(&mut client, &clock).await?;
        let wall = clock.monotonic().saturating_sub(begun);
        self.report(&mut server, sent, &streams, wall)?;
        if self.keep {
            println!("\nthe server goes on at {} until Ctrl-C", server.url);
            Stops::listen()?.next().await;
        }
        Ok(())
    }

    fn start(&self) -> Result<Server> {
        prepare(&self.data_dir)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--set", "log=warn", "--data-dir"])
            .arg(&self.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the server")?;
        let stdout = child.stdout.take().context("the server's output")?;
        let mut server = Server { child, url: String::new() };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        match line.trim().strip_prefix("millrace: listening on ") {
            Some(url) => url.clone_into(&mut server.url),
            None => bail!("the server did not start"),
        }
        Ok(server)
    }

    fn report(&self, server: &mut Server, sent: u64, streams: &[Value], wall: Duration) -> Result<()> {
        println!("\n{sent} records in, to each of two streams\n{}", status::table(streams));
        println!("objects");
        let (mut first_parquet, mut first_failed) = (None, None);
        for path in files(&self.data_dir.join("objects"))? {
            println!("  {:>10} bytes  {}", std::fs::metadata(&path)?.len(), path.display());
            if first_failed.is_none() && path.to_string_lossy().contains("-failed/") {
                first_failed = Some(path);
            } else if first_parquet.is_none() && path.extension().is_some_and(|e| e == "parquet") {
                first_parquet = Some(path);
            }
        }
        if let Some(path) = first_failed {
            println!("\nthe first failure, {}\n  {}", path.display(), failure(&path)?);
        }
        if let Some(path) = first_parquet {
            let bytes = Bytes::from(std::fs::read(&path)?);
            println!(
                "\nfirst rows of {}\n{}",
                path.file_name().unwrap_or_default().to_string_lossy(),
                millrace_encode::preview(bytes, PREVIEW_ROWS)?
            );
        }
        println!(
            "\nserver CPU {:.2} s, wall {:.2} s with building and starting",
            cpu_seconds(server.child.id())?,
            wall.as_secs_f64()
        );
        let exe = std::env::current_exe()?;
        println!("\nnext\n{}", next(&exe.display().to_string(), &server.url, self));
        Ok(())
    }
}

/// Code and message of the first line of an error object.
fn failure(path: &Path) -> Result<String> {
    let line = Lines::of(path)?.next()?.unwrap_or_default();
    let told: Value = serde_json::from_slice(&line).with_context(|| format!("reading {}", path.display()))?;
    // Lines of functions and of format conversion name them differently (`reference/firehose.md` section 6).
    let text = |names: [&str; 2]| printable(names.iter().find_map(|name| told[*name].as_str()).unwrap_or_default());
    Ok(format!("{}: {}", text(["errorCode", "lastErrorCode"]), text(["errorMessage", "lastErrorMessage"])))
}

/// Sends every line to each stream; answers how many.
async fn send(client: &mut Client, lines: &mut Lines) -> Result<u64> {
    let terminal = std::io::stdout().is_terminal();
    let mut sent = 0;
    loop {
        let (mut records, mut bytes) = (Vec::with_capacity(BATCH_RECORDS), 0);
        while records.len() < BATCH_RECORDS && bytes < BATCH_BYTES - 1_024_000 {
            let Some(line) = lines.next()? else { break };
            bytes += line.len();
            records.push(json!({ "Data": STANDARD.encode_to_string(&line) }));
        }
        if records.is_empty() {
            break;
        }
        sent += records.len() as u64;
        for (name, _) in STREAMS {
            let body = json!({ "DeliveryStreamName": name, "Records": records });
            let answer = client.firehose("PutRecordBatch", serde_json::to_vec(&body)?).await?;
            if answer["FailedPutCount"] != 0 {
                bail!("{name} refused records: {answer:.300}");
            }
        }
        if terminal {
            print!("\r4. sent {sent} records to each stream");
            std::io::stdout().flush()?;
        }
    }
    let end = if terminal { "\r" } else { "" };
    println!("{end}4. sent {sent} records to each stream, signed, in batches of {BATCH_RECORDS}");
    Ok(sent)
}

async fn create(client: &mut Client, name: &str, function: &str) -> Result<()> {
    let parquet = name.ends_with("parquet");
    let mut destination = json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::demo",
        "Prefix": format!("{name}/"),
        "BufferingHints": { "SizeInMBs": if parquet { 64 } else { 5 }, "IntervalInSeconds": 1 },
        "CompressionFormat": if parquet { "UNCOMPRESSED" } else { "ZSTD" },
        "ProcessingConfiguration": { "Enabled": true, "Processors": [
            { "Type": "Lambda", "Parameters": [
                { "ParameterName": "LambdaArn", "ParameterValue": format!("arn:aws:lambda:us-east-1:000000000000:function:{function}") },
            ]},
            { "Type": "AppendDelimiterToRecord", "Parameters": [{ "ParameterName": "Delimiter", "ParameterValue": "\\n" }]},
        ]},
    });
    if parquet {
        destination["DataFormatConversionConfiguration"] = json!({
            "Enabled": true,
            "InputFormatConfiguration": { "Deserializer": { "OpenXJsonSerDe": {} } },
            "OutputFormatConfiguration": { "Serializer": { "ParquetSerDe": { "Compression": "ZSTD" } } },
        });
    }
    let body = json!({ "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination });
    client.firehose("CreateDeliveryStream", serde_json::to_vec(&body)?).await.map(drop)
}

/// What to type next: about the server that stays, or, when it ends with the demo, how to have one that does.
fn next(millrace: &str, url: &str, demo: &Demo) -> String {
    let input = demo.input.as_ref().map_or_else(String::new, |path| format!(" --input {}", path.display()));
    let lines = if demo.keep {
        [
            (format!("{millrace} status --endpoint {url}"), "what became of the records of each stream"),
            (format!("{millrace} functions --endpoint {url}"), "what is deployed"),
            (format!("any AWS client with the endpoint {url}"), "and any credentials"),
        ]
    } else {
        [
            (format!("{millrace} demo --keep{input}"), "the same, and the server stays"),
            (format!("{millrace} demo --input YOUR.ndjson"), "your own records"),
            (format!("{millrace} serve --dev"), "then any AWS client at http://127.0.0.1:4573"),
        ]
    };
    let width = lines.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    lines.map(|(command, what)| format!("  {command:width$}  # {what}")).join("\n")
}

/// Waits until no record is pending.
async fn wait(client: &mut Client, clock: &dyn Clock) -> Result<Vec<Value>> {
    let until = clock.monotonic() + WAIT_MAX;
    loop {
        let answer = client.plain(Method::GET, "/v1/status", Bytes::new()).await?;
        let streams = answer["streams"].as_array().cloned().unwrap_or_default();
        if streams.iter().all(|s| s["pending"] == 0) {
            return Ok(streams);
        }
        if clock.monotonic() > until {
            bail!("records are still pending after {} s:\n{}", WAIT_MAX.as_secs(), status::table(&streams));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All objects below `dir`, sorted; names that begin with a dot are not objects.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
            let path = entry?.path();
            let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
            match path.is_dir() {
                _ if hidden => {}
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// User and system time of a process and its ended children so far, seconds (proc(5): stat fields
/// 14 to 17, in ticks of 1/100 s).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("reading the server's CPU time")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|f| f.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}

/// Makes the folder of a demo anew. Only what an earlier demo has marked as its own is deleted, and only
/// while no server holds it.
fn prepare(dir: &Path) -> Result<()> {
    let shown = dir.display();
    if dir.join(MARKER).is_file() {
        let lock = dir.join("journal").join("lock");
        if lock.is_file() {
            drop(RealDisk.lock(&lock).with_context(|| format!("{shown} is in use by a server: stop it first"))?);
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("removing {shown}"))?;
    } else if dir.exists() && std::fs::read_dir(dir)?.next().is_some() {
        bail!("{shown} is not empty and not a demo's: name another folder with --data-dir");
    }
    std::fs::create_dir_all(dir).with_context(|| format!("making {shown}"))?;
    std::fs::write(dir.join(MARKER), "").with_context(|| format!("marking {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_next_names_the_server_that_stays() {
        let demo = |keep| Demo { input: Some("my.ndjson".into()), keep, data_dir: "d".into() };
        let kept = next("millrace", "http://127.0.0.1:9", &demo(true));
        assert!(kept.lines().all(|line| line.contains("http://127.0.0.1:9")), "{kept}");
        let gone = next("millrace", "http://127.0.0.1:9", &demo(false));
        assert!(!gone.contains("http://127.0.0.1:9") && gone.contains("demo --keep --input my.ndjson "), "{gone}");
    }

    #[tokio::test]
    async fn records_that_cannot_be_read_stop_the_demo_before_it_begins() {
        let temp = tempfile::tempdir().expect("a folder");
        let data_dir = temp.path().join("data");
        for input in [temp.path().join("none.ndjson"), temp.path().to_owned()] {
            let shown = input.display().to_string();
            let demo = Demo { input: Some(input), keep: false, data_dir: data_dir.clone() };
            let error = format!("{:#}", demo.steps().await.expect_err("no records"));
            assert!(error.starts_with(&format!("--input {shown}: ")), "{error}");
            assert!(!data_dir.exists(), "nothing was started");
        }
    }

    #[test]
    fn a_folder_that_is_not_a_demos_or_is_in_use_survives() {
        let dir = tempfile::tempdir().expect("a folder");
        let own = dir.path().join("data");
        std::fs::create_dir_all(own.join("journal")).expect("made");
        std::fs::write(own.join("catalog.redb"), "somebody's").expect("written");
        assert!(prepare(&own).is_err());
        assert!(own.join("catalog.redb").is_file());

        let demo = dir.path().join("demo");
        prepare(&demo).expect("a new one");
        std::fs::create_dir_all(demo.join("journal")).expect("made");
        std::fs::write(demo.join("left"), "").expect("written");
        let held = RealDisk.lock(&demo.join("journal").join("lock")).expect("free");
        assert!(prepare(&demo).is_err(), "in use");
        assert!(demo.join("left").is_file());
        drop(held);
        prepare(&demo).expect("an earlier demo's");
        assert!(!demo.join("left").exists());
    }
}
