//! What the admin routes need of the rest of the server: functions, tables, keys, the journal.
//! The server crate implements it; nothing here knows wasmtime or the journal.

mod functions;
mod schemas;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_catalog::{SettingNames, Table};
use millrace_types::Batch;

use crate::error::{ApiError, Code};

#[cfg(any(test, feature = "fuzz"))]
pub(crate) use functions::options;
pub(crate) use functions::{answer as answer_functions, deploy, invoke, list as list_functions};
pub(crate) use schemas::{list as list_schemas, put as put_schema};

/// How a function is to run; `None` takes the server's default.
#[derive(Clone, Default, PartialEq)]
pub struct DeployOptions {
    /// What the guest reads through the settings interface.
    pub settings: BTreeMap<String, String>,
    /// Memory of one instance at most, bytes.
    pub memory_bytes: Option<u64>,
    /// Time of one batch at most, milliseconds.
    pub deadline_ms: Option<u32>,
    /// Keep instances between batches.
    pub warm: Option<bool>,
    /// Hosts that it may send requests to.
    pub http_hosts: Vec<String>,
    /// It may keep state.
    pub key_value: bool,
    /// The alias that gets the new version.
    pub alias: Option<String>,
    /// Its share of the alias's calls, above 0 and below 1; all of them when `None`.
    pub weight: Option<f64>,
}

impl std::fmt::Debug for DeployOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { settings, memory_bytes, deadline_ms, warm, http_hosts, key_value, alias, weight } = self;
        f.debug_struct("DeployOptions")
            .field("settings", &SettingNames(settings))
            .field("memory_bytes", memory_bytes)
            .field("deadline_ms", deadline_ms)
            .field("warm", warm)
            .field("http_hosts", http_hosts)
            .field("key_value", key_value)
            .field("alias", alias)
            .field("weight", weight)
            .finish()
    }
}

/// A version on a share of the live batches, unseen.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowOptions {
    /// The version; `$LATEST` when `None`.
    pub version: Option<u32>,
    /// Share of the batches, above 0 and up to 1.
    pub share: f64,
}

/// What kind of refusal an [`AdminError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminErrorKind {
    /// The request is wrong: 400.
    Invalid,
    /// No such function, version or table: 404.
    NotFound,
    /// A limit of sizes or numbers: 413.
    TooLarge,
    /// What is there is another thing than was thought: 409.
    Conflict,
    /// Too much at once: 429.
    Throttled,
    /// Try again: 503.
    Unavailable,
    /// The server's own trouble: 500.
    Internal,
}

/// Why an admin request was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct AdminError {
    /// Decides the HTTP status.
    pub kind: AdminErrorKind,
    /// Stable name of the condition.
    pub slug: &'static str,
    /// What is wrong, with the user's own names, and what to do.
    pub message: String,
}

/// What a number for `/metrics` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A part of a histogram: `_bucket` (with the label `le`, and all below it counted), `_sum` or `_count`.
    Histogram(&'static str),
}

/// A number for `/metrics` that only the server knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its full name, `millrace_…`, with its unit; `_total` for counters; a histogram's without the suffix of its part.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

/// The server behind the admin routes.
#[async_trait]
pub trait Admin: Send + Sync + std::fmt::Debug {
    /// Checks, compiles and stores `module` as the next version of the function `name`; answers what is live.
    async fn deploy(&self, name: &str, module: Bytes, options: DeployOptions) -> Result<serde_json::Value, AdminError>;

    /// All functions by name, each as JSON.
    fn functions(&self) -> Vec<serde_json::Value>;

    /// A function with its versions and aliases; `settings` says whether the values of its settings are wanted, which
    /// may be secrets, beside their names.
    fn function(&self, name: &str, settings: bool) -> Result<serde_json::Value, AdminError>;

    /// Runs `input` through a version or an alias of the function `name` (`$LATEST` when `None`), delivers
    /// nothing, and answers the table of outcomes as JSON.
    async fn invoke(&self, name: &str, qualifier: Option<&str>, input: Batch) -> Result<serde_json::Value, AdminError>;

    /// Log lines of a function behind number `after`; waits for one up to `wait`.
    async fn logs(&self, name: &str, after: u64, wait: Duration) -> Result<serde_json::Value, AdminError>;

    /// Makes an alias's second version its only one.
    async fn promote(&self, name: &str, alias: &str) -> Result<serde_json::Value, AdminError>;

    /// Takes an alias back to the version before, or to `to`.
    async fn roll_back(&self, name: &str, alias: &str, to: Option<u32>) -> Result<serde_json::Value, AdminError>;

    /// Starts or ends a function's shadow.
    async fn set_shadow(&self, name: &str, shadow: Option<ShadowOptions>) -> Result<serde_json::Value, AdminError>;

    /// What a function's shadow has shown.
    fn shadow(&self, name: &str) -> Result<serde_json::Value, AdminError>;

    /// Checks and stores the definition of a table as its next version.
    async fn put_table(&self, database: &str, table: &str, definition: String) -> Result<Arc<Table>, AdminError>;

    /// All registered tables.
    fn tables(&self) -> Vec<Arc<Table>>;

    /// The journal for `/v1/status`: a JSON object.
    async fn journal_status(&self) -> serde_json::Value;

    /// Numbers for `/metrics`: the journal, the functions, memory.
    async fn metrics(&self) -> Vec<Metric>;

    /// Names of the keys in the key ring; none when it does not read.
    async fn key_ids(&self) -> Vec<String>;

    /// Whether records can be taken durably, by a look at this moment; else why not.
    async fn ready(&self) -> Result<(), String>;
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let code = match error.kind {
            AdminErrorKind::Invalid => Code::InvalidArgument,
            AdminErrorKind::NotFound => Code::NotFound,
            AdminErrorKind::TooLarge => Code::TooLarge,
            AdminErrorKind::Conflict => Code::ResourceInUse,
            AdminErrorKind::Throttled => Code::LimitExceeded,
            AdminErrorKind::Unavailable => Code::ServiceUnavailable,
            AdminErrorKind::Internal => Code::Internal,
        };
        Self::slugged(code, error.slug, error.message)
    }
}
