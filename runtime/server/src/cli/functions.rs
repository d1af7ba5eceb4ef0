//! `millrace functions` and `invoke`: deployed functions over the admin route.

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::names::FUNCTION;
use super::rollout::{percent, word};
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
        println!("{}", rows(&functions));
        Ok(())
    }
}

/// A row for each function: its newest version, and where its aliases point.
fn rows(functions: &[Value]) -> Rows {
    let mut table = Rows::new(["function", "version", "state", "aliases", "bytes", "memory", "deadline", "imports"]);
    for function in functions {
        let aliases = function["aliases"].as_object().into_iter().flatten();
        let imports = function["imports"].as_array().into_iter().flatten().map(word);
        table.push([
            word(&function["name"]),
            word(&function["version"]),
            word(&function["state"]),
            aliases.map(|(name, alias)| pointer(name, alias)).collect::<Vec<_>>().join(", "),
            word(&function["component_bytes"]),
            format!("{} MiB", function["memory_bytes"].as_u64().unwrap_or(0) >> 20),
            format!("{} ms", function["deadline_ms"]),
            imports.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.drop_if_empty(3);
    table
}

/// `live: 3`, or `live: 3 (4 at 10 %)` when a second version gets a share.
fn pointer(name: &str, alias: &Value) -> String {
    let canary = &alias["canary"];
    let share = if canary.is_null() {
        String::new()
    } else {
        format!(" ({} at {} %)", word(&canary["version"]), percent(&canary["share"]))
    };
    format!("{name}: {}{share}", word(&alias["version"]))
}

/// `millrace invoke`.
#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The function's name.
    name: String,
    /// Records, one a line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Its version, or an alias (default: $LATEST).
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_says_state_and_aliases() {
        let function = |version: Value, state: &str, aliases: Value| {
            json!({ "name": "f", "version": version, "state": state, "aliases": aliases, "component_bytes": 9,
                    "memory_bytes": 64 << 20, "deadline_ms": 5, "imports": ["a", "b"] })
        };
        let aliases = json!({
            "live": { "version": 3, "canary": { "version": 4, "share": 0.1 } }, "old": { "version": 1, "canary": null },
        });
        let all = [function(json!(4), "active", aliases), function(json!("$LATEST"), "pending", json!({}))];
        let shown = rows(&all).to_string();
        let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        let live =
            ["f", "4", "active", "live:", "3", "(4", "at", "10", "%),", "old:", "1", "9", "64", "MiB", "5", "ms"];
        assert_eq!(words[1][..live.len()], live, "{shown}");
        assert_eq!(words[2][..4], ["f", "$LATEST", "pending", "9"], "{shown}");
    }
}
