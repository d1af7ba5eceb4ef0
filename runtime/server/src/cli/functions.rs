//! `millrace functions` and `invoke`: deployed functions over the admin route.

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http::Method;

use super::names::FUNCTION;
use super::show::Rows;
use super::{Endpoint, outcome, read_file};

/// Bytes of an input file.
const INPUT_BYTES_MAX: u64 = 16 << 20;

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
    /// Its version, or an alias (default: the newest version).
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Invoke {
    pub(super) async fn run(self) -> Result<()> {
        let input = read_file(&self.input, INPUT_BYTES_MAX)?;
        let mut path = format!("/v1/functions/{}/invoke", escape(&self.name));
        if let Some(version) = &self.version {
            path = format!("{path}?version={}", escape(version));
        }
        let mut client = self.endpoint.connect().await?;
        let answer = client.plain(Method::POST, &path, Bytes::from(input)).await;
        let answer = FUNCTION.answer(&mut client, &self.name, answer).await?;
        outcome::print(&answer);
        Ok(())
    }
}
