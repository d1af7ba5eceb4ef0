//! What the admin routes reach: functions, tables, the key ring, the journal's numbers.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_catalog::{Catalog, FunctionVersion, Table};
use millrace_delivery::{DeployError, Deployment, Functions, Streams};
use millrace_encode::KeyRing;
use millrace_front::{Admin, AdminError, AdminErrorKind, DeployOptions, Metric};
use millrace_log::Journal;
use millrace_types::Batch;
use serde_json::{Value, json};

use crate::cli::describe;

/// The server behind the admin routes.
#[derive(Debug)]
pub(crate) struct ServerAdmin {
    pub(crate) functions: Arc<Functions>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) journal: Journal,
    pub(crate) streams: Streams,
    pub(crate) keys_path: PathBuf,
}

impl ServerAdmin {
    /// A look at the journal that may ask the disk.
    async fn look<T: Send + 'static>(&self, look: fn(&Journal) -> T) -> T {
        let journal = self.journal.clone();
        millrace_tasks::blocking(move || look(&journal)).await
    }
}

fn refused(kind: AdminErrorKind, slug: &'static str, message: impl Into<String>) -> AdminError {
    AdminError { kind, slug, message: message.into() }
}

fn kind_of(error: &millrace_transform::Error) -> AdminErrorKind {
    match error {
        millrace_transform::Error::TooLarge { .. } => AdminErrorKind::TooLarge,
        millrace_transform::Error::Io { .. } => AdminErrorKind::Unavailable,
        _ => AdminErrorKind::Invalid,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[async_trait]
impl Admin for ServerAdmin {
    async fn deploy(
        &self,
        name: &str,
        module: Bytes,
        options: DeployOptions,
    ) -> Result<Arc<FunctionVersion>, AdminError> {
        let deployment = Deployment {
            name: name.to_owned(),
            module: module.to_vec(),
            settings: options.settings,
            memory_bytes: options.memory_bytes,
            deadline_ms: options.deadline_ms,
            warm: options.warm,
        };
        let deployed = self.functions.deploy(deployment).await;
        deployed.inspect(|_| self.streams.configuration_changed()).map_err(|error| {
            let (kind, slug) = match &error {
                DeployError::Limits(_) => (AdminErrorKind::Invalid, "function.limits"),
                DeployError::Module { source, .. } => (kind_of(source), source.slug()),
                DeployError::Files(_) => (AdminErrorKind::Unavailable, "function.files"),
                DeployError::Catalog(_) => (AdminErrorKind::Internal, "catalog.write"),
            };
            refused(kind, slug, chain(&error))
        })
    }

    fn functions(&self) -> Vec<Arc<FunctionVersion>> {
        self.catalog.snapshot().functions().cloned().collect()
    }

    async fn invoke(&self, name: &str, version: Option<u32>, input: Batch) -> Result<Value, AdminError> {
        let ran = self.functions.invoke(name, version, input.clone()).await;
        let (found, ran) = ran.map_err(|(code, message)| {
            let missing = code == "Lambda.ResourceNotFoundException";
            let kind = if missing { AdminErrorKind::NotFound } else { AdminErrorKind::Invalid };
            refused(kind, if missing { "function.unknown" } else { "function.start" }, message)
        })?;
        let mut value = describe(&input, &ran);
        value["function"] = json!(found.name);
        value["version"] = json!(found.version);
        Ok(value)
    }

    async fn put_table(&self, database: &str, table: &str, definition: String) -> Result<Arc<Table>, AdminError> {
        millrace_encode::Table::parse(database, table, definition.as_bytes())
            .map_err(|text| refused(AdminErrorKind::Invalid, "schema.definition", text))?;
        let (catalog, database, table) = (Arc::clone(&self.catalog), database.to_owned(), table.to_owned());
        let put = millrace_tasks::blocking(move || catalog.put_table(&database, &table, definition)).await;
        put.inspect(|_| self.streams.configuration_changed())
            .map_err(|error| refused(AdminErrorKind::Internal, "catalog.write", chain(&error)))
    }

    fn tables(&self) -> Vec<Arc<Table>> {
        self.catalog.snapshot().tables().cloned().collect()
    }

    async fn journal_status(&self) -> Value {
        let status = self.look(Journal::status).await;
        let quarantined: Vec<_> = status
            .quarantined
            .iter()
            .map(|q| json!({ "shard": q.shard.map(|s| s.to_string()), "from": q.from.get(), "to": q.to.get(), "file": q.file, "offset": q.offset, "why": q.why }))
            .collect();
        json!({
            "segments": status.segments,
            "bytesOnDisk": status.bytes_on_disk,
            "limitBytes": status.limit_bytes,
            "freeBytes": status.free_bytes,
            "fsyncs": status.fsyncs,
            "fsyncSecondsTotal": status.fsync_total.as_secs_f64(),
            "fsyncSecondsMax": status.fsync_max.as_secs_f64(),
            "appendedRecords": status.appended_records,
            "appendedBytes": status.appended_bytes,
            "poisonedSegments": status.poisoned_segments,
            "refusing": status.refusing.map(|r| r.to_string()),
            "quarantined": quarantined,
            "tornBytesCutAtStart": status.torn_bytes,
        })
    }

    async fn metrics(&self) -> Vec<Metric> {
        let status = self.look(Journal::status).await;
        let metric = |name, help, counter, value| Metric { name, help, counter, labels: Vec::new(), value };
        vec![
            metric(
                "millrace_journal_used_bytes",
                "Bytes of the journal on disk, its spare segment among them.",
                false,
                status.bytes_on_disk as f64,
            ),
            metric("millrace_journal_free_bytes", "Free bytes of its file system.", false, status.free_bytes as f64),
            metric("millrace_journal_segments", "Segment files.", false, status.segments as f64),
            metric("millrace_journal_fsync_total", "Syncs of the journal.", true, status.fsyncs as f64),
            metric(
                "millrace_journal_fsync_seconds_total",
                "Time spent in them.",
                true,
                status.fsync_total.as_secs_f64(),
            ),
            metric(
                "millrace_journal_poisoned_segments_total",
                "Segments given up after a failed write or sync.",
                true,
                status.poisoned_segments as f64,
            ),
            metric(
                "millrace_journal_refusing",
                "1 while records are refused for want of room.",
                false,
                f64::from(u8::from(status.refusing.is_some())),
            ),
            metric(
                "millrace_corruption_detected_total",
                "Damaged ranges set aside.",
                true,
                status.quarantined_total as f64,
            ),
            metric(
                "millrace_window_memory_bytes",
                "Bytes of open objects in memory.",
                false,
                self.streams.window_bytes() as f64,
            ),
        ]
    }

    async fn key_ids(&self) -> Vec<String> {
        let path = self.keys_path.clone();
        let ring = millrace_tasks::blocking(move || KeyRing::load(&path)).await;
        ring.map(|ring| ring.ids().map(str::to_owned).collect()).unwrap_or_default()
    }

    async fn ready(&self) -> Result<(), String> {
        self.look(Journal::ready).await.map_err(|error| match &error {
            millrace_log::Error::DiskFull(refusal) => format!("journal.full: {refusal}; make room"),
            other => format!("{}: {}; restart the server", other.slug(), chain(other)),
        })
    }
}
