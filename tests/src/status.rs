//! What the server says about its streams, and waiting until all is delivered.

use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use crate::http::Client;
use crate::{Keys, Plain, Server, wait};

/// A stream's line of `/v1/status`.
#[derive(Debug, Clone, Deserialize)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Records acknowledged.
    pub accepted: u64,
    /// Records in committed objects.
    pub delivered: u64,
    /// Records that the function dropped.
    pub dropped: u64,
    /// Records in committed error objects.
    pub failed: u64,
    /// Records in damaged frames.
    #[serde(default)]
    pub quarantined: u64,
    /// Records not decided.
    pub pending: u64,
    /// Must be 0.
    pub balance: i64,
    /// Seconds.
    #[serde(default)]
    pub oldest_pending_age_s: f64,
    /// Bytes on disk.
    #[serde(default)]
    pub backlog_bytes: u64,
    /// Objects committed since start.
    #[serde(default)]
    pub objects: u64,
    /// Why it is parked.
    pub parked: Option<Parked>,
}

/// Why a stream is parked.
#[derive(Debug, Clone, Deserialize)]
pub struct Parked {
    /// Stable code.
    pub code: String,
    /// Sentence for the operator.
    pub message: String,
}

/// The whole of `/v1/status`: the streams, and what it says of the journal.
///
/// # Errors
/// When the server does not answer or the answer has another shape.
pub async fn status(base: &str) -> anyhow::Result<(Vec<StreamStatus>, Value)> {
    let mut value = Plain::signed(base, &Keys::any()).send("GET", "/v1/status", &[], "").await?.ok()?.json()?;
    let streams = serde_json::from_value(value["streams"].take()).context("streams of the status")?;
    Ok((streams, value["journal"].take()))
}

/// The status of one stream.
///
/// # Errors
/// When there is none.
pub async fn status_of(base: &str, stream: &str) -> anyhow::Result<StreamStatus> {
    let (streams, _) = status(base).await?;
    streams.into_iter().find(|s| s.name == stream).with_context(|| format!("no stream {stream} in the status"))
}

/// Waits until no stream has pending records; answers the status then.
///
/// # Errors
/// When `within` is over, with the streams that hold records back, and when a balance is not 0.
pub async fn wait_drained(server: &Server, within: Duration) -> anyhow::Result<Vec<StreamStatus>> {
    let start = wait::now_s();
    loop {
        let (streams, _) = status(server.base()).await?;
        for stream in &streams {
            anyhow::ensure!(stream.balance == 0, "the balance of {} is {}", stream.name, stream.balance);
        }
        let behind: Vec<&StreamStatus> = streams.iter().filter(|s| s.pending > 0).collect();
        if behind.is_empty() {
            return Ok(streams);
        }
        anyhow::ensure!(
            wait::now_s() - start < within.as_secs_f64(),
            "not drained within {within:?}: {behind:?}\n{}",
            server.log_tail()
        );
        // A look at a thousand streams is work of the server: it is not asked for twenty times a second.
        tokio::time::sleep(LOOK_EVERY + LOOK_EVERY * u32::try_from(streams.len() / 100)?).await;
    }
}

/// Between two looks at up to a hundred streams; as much again for each further hundred.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The value of a metric without labels, or the sum over its labels.
///
/// # Errors
/// When the server does not answer or has no such metric.
pub async fn metric(base: &str, name: &str) -> anyhow::Result<f64> {
    let page = Client::new(base).send("GET", "/metrics", &[], "").await?.ok()?.text();
    let values: Vec<f64> = page
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    anyhow::ensure!(!values.is_empty(), "no metric {name}");
    Ok(values.iter().sum())
}
