//! `millrace status`: the sums of each stream, and why one stands still.

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;

use super::Endpoint;
use super::explain::hint;
use super::names::STREAM;
use super::show::{Rows, count, printable};

/// `millrace status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// One stream only.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    stream: Option<String>,
    /// The server's JSON as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Status {
    pub(super) async fn run(self) -> Result<()> {
        let path = match &self.stream {
            Some(stream) => format!("/v1/status/{}", super::functions::escape(stream)),
            None => "/v1/status".to_owned(),
        };
        let mut client = self.endpoint.connect().await?;
        let answer = client.plain(Method::GET, &path, Bytes::new()).await;
        let answer = STREAM.answer(&mut client, self.stream.as_deref().unwrap_or_default(), answer).await?;
        if self.json {
            println!("{answer:#}");
            return Ok(());
        }
        let streams = answer["streams"].as_array().cloned().unwrap_or_default();
        if streams.is_empty() {
            println!("no delivery streams at {}", self.endpoint.endpoint);
            return Ok(());
        }
        println!("{}", table(&streams));
        for stream in &streams {
            let parked = &stream["parked"];
            if let (Some(name), Some(code)) = (stream["name"].as_str(), parked["code"].as_str()) {
                println!(
                    "{name} is parked ({}): {code}: {}{}",
                    count(parked["attempts"].as_u64().unwrap_or_default(), "attempt"),
                    printable(parked["message"].as_str().unwrap_or_default()),
                    hint(code)
                );
            }
        }
        if streams.iter().any(|s| s["balance"].as_i64() != Some(0)) {
            bail!("the balance of a stream is not zero: report it, with the output of `millrace journal verify`");
        }
        Ok(())
    }
}

pub(super) fn table(streams: &[serde_json::Value]) -> Rows {
    let mut table = Rows::new([
        "stream",
        "accepted",
        "delivered",
        "dropped",
        "failed",
        "quarantined",
        "pending",
        "balance",
        "oldest",
        "objects",
    ]);
    for stream in streams {
        let number = |name: &str| stream[name].to_string();
        table.push([
            stream["name"].as_str().unwrap_or_default().to_owned(),
            number("accepted"),
            number("delivered"),
            number("dropped"),
            number("failed"),
            number("quarantined"),
            number("pending"),
            number("balance"),
            format!("{:.1} s", stream["oldest_pending_age_s"].as_f64().unwrap_or(0.0)),
            number("objects"),
        ]);
    }
    table
}
