//! `millrace deploy`, `functions` and `invoke`: deployed functions over the admin route.

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http::Method;

use super::names::FUNCTION;
use super::show::Rows;
use super::{Endpoint, key_values, outcome, read_file};

/// Bytes of a module.
const MODULE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of an input file.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// `millrace deploy`.
#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The function's name.
    name: String,
    /// The module or component.
    file: PathBuf,
    /// A setting that the function reads, as KEY=VALUE.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Memory of one instance at most, bytes (default 64 MiB).
    #[arg(long)]
    memory_bytes: Option<u64>,
    /// Time of one batch at most, milliseconds (default 5000).
    #[arg(long)]
    deadline_ms: Option<u32>,
    /// Keep instances between batches.
    #[arg(long)]
    warm: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Deploy {
    pub(super) async fn run(self) -> Result<()> {
        let module = read_file(&self.file, MODULE_BYTES_MAX)?;
        let mut query = Vec::new();
        for (key, value) in key_values("--set", &self.set)? {
            query.push(format!("setting.{}={}", escape(&key), escape(&value)));
        }
        query.extend(self.memory_bytes.map(|n| format!("memory-bytes={n}")));
        query.extend(self.deadline_ms.map(|n| format!("deadline-ms={n}")));
        query.extend(self.warm.then(|| "warm=true".to_owned()));
        let mut path = format!("/v1/functions/{}", escape(&self.name));
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let made = self.endpoint.connect().await?.plain(Method::PUT, &path, Bytes::from(module)).await?;
        println!("{} version {} deployed, {} bytes", self.name, made["version"], made["component_bytes"]);
        println!("name it in a stream: arn:aws:lambda:us-east-1:000000000000:function:{}", self.name);
        Ok(())
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn escape(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// `millrace functions`.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    endpoint: Endpoint,
}

impl List {
    pub(super) async fn run(self) -> Result<()> {
        let answer = self.endpoint.connect().await?.plain(Method::GET, "/v1/functions", Bytes::new()).await?;
        let functions = answer["functions"].as_array().cloned().unwrap_or_default();
        if functions.is_empty() {
            println!("no functions at {}; deploy one: millrace deploy NAME FILE.wasm", self.endpoint.endpoint);
            return Ok(());
        }
        let mut table = Rows::new(["function", "version", "bytes", "memory", "deadline", "imports"]);
        for function in &functions {
            let imports: Vec<_> =
                function["imports"].as_array().into_iter().flatten().filter_map(|i| i.as_str()).collect();
            table.push([
                function["name"].as_str().unwrap_or_default().to_owned(),
                function["version"].to_string(),
                function["component_bytes"].to_string(),
                format!("{} MiB", function["memory_bytes"].as_u64().unwrap_or(0) >> 20),
                format!("{} ms", function["deadline_ms"]),
                imports.join(", "),
            ]);
        }
        println!("{table}");
        Ok(())
    }
}

/// `millrace invoke`.
#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The function's name.
    name: String,
    /// Records, one a line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Its version (default: the newest).
    #[arg(long)]
    version: Option<u32>,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Invoke {
    pub(super) async fn run(self) -> Result<()> {
        let input = read_file(&self.input, INPUT_BYTES_MAX)?;
        let mut path = format!("/v1/functions/{}/invoke", escape(&self.name));
        if let Some(version) = self.version {
            path = format!("{path}?version={version}");
        }
        let mut client = self.endpoint.connect().await?;
        let answer = client.plain(Method::POST, &path, Bytes::from(input)).await;
        let answer = FUNCTION.answer(&mut client, &self.name, answer).await?;
        outcome::print(&answer);
        Ok(())
    }
}
