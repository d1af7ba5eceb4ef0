//! What the admin routes reach: functions, tables, the key ring, the journal's numbers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_catalog::{Alias, BuildState, Catalog, Configuration, Function, Revision, Shadow, Table};
use millrace_delivery::Streams;
use millrace_encode::KeyRing;
use millrace_front::MetricKind::{Counter, Gauge};
use millrace_front::{Admin, AdminError, AdminErrorKind, DeployOptions, Metric, ShadowOptions};
use millrace_functions::{Deployment, Error, Functions, LATEST, Upload};
use millrace_log::Journal;
use millrace_types::{Batch, chain};
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

/// Memory and time of a function when a deploy names none.
const MEMORY_BYTES: u64 = 64 << 20;
const DEADLINE_MS: u32 = 5_000;

impl ServerAdmin {
    /// A function as the list shows it: its newest version, or what is not published.
    fn function_json(&self, function: &Function) -> Option<Value> {
        let mut shown = revision_json(&*self.newest(function)?);
        let version = function.versions.last_key_value();
        shown["version"] = version.map_or_else(|| json!(LATEST), |(number, _)| json!(number));
        let aliases: serde_json::Map<String, Value> =
            function.aliases.iter().map(|(name, alias)| (name.clone(), alias_json(alias))).collect();
        shown["aliases"] = Value::Object(aliases);
        Some(shown)
    }

    /// The revision of a function's newest version, or what is not published.
    fn newest(&self, function: &Function) -> Option<Arc<Revision>> {
        let newest = function.versions.last_key_value();
        let number = newest.map_or(function.latest, |(_, published)| published.revision);
        self.functions.revision(&function.name, number)
    }

    /// A look at the journal that may ask the disk.
    async fn look<T: Send + 'static>(&self, look: fn(&Journal) -> T) -> T {
        let journal = self.journal.clone();
        millrace_tasks::blocking(move || look(&journal)).await
    }
}

fn refused(kind: AdminErrorKind, slug: &'static str, message: impl Into<String>) -> AdminError {
    AdminError { kind, slug, message: message.into() }
}

fn refused_by_functions(error: &Error) -> AdminError {
    let kind = match error {
        Error::NotFound(_) | Error::VersionNotFound(_) | Error::AliasNotFound(_) | Error::EventConfigNotFound(_) => {
            AdminErrorKind::NotFound
        }
        Error::FunctionExists(_)
        | Error::AliasExists(_)
        | Error::VersionInUse { .. }
        | Error::UpdateInProgress(_)
        | Error::CodeMismatch(_)
        | Error::Precondition
        | Error::Pending(_) => AdminErrorKind::Conflict,
        Error::Throttled(_) | Error::AliasLimit(_) | Error::Catalog(millrace_catalog::Error::Limit { .. }) => {
            AdminErrorKind::Throttled
        }
        Error::Module { source: millrace_transform::Error::TooLarge { .. }, .. } | Error::TooLarge(_) => {
            AdminErrorKind::TooLarge
        }
        Error::Module { source: millrace_transform::Error::Io { .. }, .. } | Error::Files(_) => {
            AdminErrorKind::Unavailable
        }
        Error::Catalog(_) => AdminErrorKind::Internal,
        _ => AdminErrorKind::Invalid,
    };
    refused(kind, error.slug(), chain(error))
}

/// A revision; of its settings the names, as the values may be secrets.
fn revision_json(revision: &Revision) -> Value {
    let config = &revision.config;
    let (state, reason) = match &revision.state {
        BuildState::Building => ("pending", None),
        BuildState::Active => ("active", None),
        BuildState::Failed(failure) => ("failed", Some(&failure.reason)),
    };
    json!({
        "name": revision.function,
        "revision": revision.number,
        "created_ms": revision.created_ms,
        "sha256": revision.code.sha256,
        "component_bytes": revision.code.component_bytes,
        "world": revision.code.world,
        "imports": revision.code.imports,
        "settings": config.settings.keys().collect::<Vec<_>>(),
        "memory_bytes": config.memory_bytes,
        "deadline_ms": config.timeout_ms,
        "warm": config.warm,
        "grants": { "http": config.http_hosts, "key_value": config.key_value },
        "state": state,
        "reason": reason,
    })
}

fn alias_json(alias: &Alias) -> Value {
    json!({
        "version": alias.version,
        "canary": alias.canary.map(|(version, share)| json!({ "version": version, "share": share })),
        "before": alias.before,
    })
}

#[async_trait]
impl Admin for ServerAdmin {
    async fn deploy(&self, name: &str, module: Bytes, options: DeployOptions) -> Result<Value, AdminError> {
        // What a deploy cannot name stays: description, role, log group.
        let old = self.functions.function(name).ok().and_then(|f| self.functions.revision(name, f.latest));
        let deployment = Deployment {
            name: name.to_owned(),
            upload: Upload::bare(module.to_vec()),
            config: Configuration {
                settings: options.settings,
                memory_bytes: options.memory_bytes.unwrap_or(MEMORY_BYTES),
                timeout_ms: options.deadline_ms.unwrap_or(DEADLINE_MS),
                warm: options.warm.unwrap_or(false),
                http_hosts: options.http_hosts,
                key_value: options.key_value,
                ..old.map_or_else(Configuration::default, |old| old.config.clone())
            },
            alias: options.alias,
            weight: options.weight,
        };
        let deployed = self.functions.deploy(deployment).await.map_err(|e| refused_by_functions(&e))?;
        self.streams.configuration_changed();
        let mut shown = revision_json(&deployed.revision);
        shown["version"] = json!(deployed.version);
        shown["alias"] = json!(deployed.alias.as_ref().map(alias_json));
        Ok(shown)
    }

    fn functions(&self) -> Vec<Value> {
        let all = self.functions.list();
        all.iter().filter_map(|function| self.function_json(function)).collect()
    }

    fn function(&self, name: &str, settings: bool) -> Result<Value, AdminError> {
        let function = self.functions.function(name).map_err(|e| refused_by_functions(&e))?;
        let mut shown = self.function_json(&function).unwrap_or_default();
        if settings {
            shown["settings"] = json!(self.newest(&function).map(|revision| revision.config.settings.clone()));
        }
        let versions: Vec<Value> = function
            .versions
            .iter()
            .filter_map(|(number, published)| {
                let revision = self.functions.revision(name, published.revision)?;
                let mut shown = revision_json(&revision);
                shown["version"] = json!(number);
                shown["published_ms"] = json!(published.created_ms);
                shown["description"] = json!(published.description);
                Some(shown)
            })
            .collect();
        shown["versions"] = json!(versions);
        shown["arn"] = json!(function.arn);
        Ok(shown)
    }

    async fn invoke(&self, name: &str, qualifier: Option<&str>, input: Batch) -> Result<Value, AdminError> {
        let tried = self.functions.try_batch(name, qualifier, input.clone()).await;
        let (resolved, ran) = tried.map_err(|error| match error {
            Error::NotFound(_) => {
                let what = match qualifier {
                    None => String::new(),
                    Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => format!(" version {number}"),
                    Some(alias) => format!(" alias {alias}"),
                };
                let text = format!("the function {name}{what} is not deployed: `millrace deploy {name} FILE.wasm`");
                refused(AdminErrorKind::NotFound, "function.unknown", text)
            }
            other => refused_by_functions(&other),
        })?;
        let mut value = describe(&input, &ran);
        value["function"] = json!(name);
        value["version"] = json!(resolved.version);
        Ok(value)
    }

    async fn logs(&self, name: &str, after: u64, wait: Duration) -> Result<Value, AdminError> {
        self.functions.function(name).map_err(|e| refused_by_functions(&e))?;
        Ok(json!(self.functions.logs(name, after, wait).await))
    }

    async fn promote(&self, name: &str, alias: &str) -> Result<Value, AdminError> {
        let alias = self.functions.promote(name, alias).await.map_err(|e| refused_by_functions(&e))?;
        self.streams.configuration_changed();
        Ok(alias_json(&alias))
    }

    async fn roll_back(&self, name: &str, alias: &str, to: Option<u32>) -> Result<Value, AdminError> {
        let alias = self.functions.rollback(name, alias, to).await.map_err(|e| refused_by_functions(&e))?;
        self.streams.configuration_changed();
        Ok(alias_json(&alias))
    }

    async fn set_shadow(&self, name: &str, shadow: Option<ShadowOptions>) -> Result<Value, AdminError> {
        let shadow = shadow.map(|shadow| Shadow { version: shadow.version, share: shadow.share });
        self.functions.set_shadow(name, shadow).await.map_err(|e| refused_by_functions(&e))?;
        self.shadow(name)
    }

    fn shadow(&self, name: &str) -> Result<Value, AdminError> {
        let function = self.functions.function(name).map_err(|e| refused_by_functions(&e))?;
        let mut shown = json!(self.functions.shadow_report(name));
        shown["function"] = json!(name);
        shown["running"] = json!(function.shadow.is_some());
        if let Some(shadow) = &function.shadow {
            shown["version"] = json!(shadow.version);
            shown["share"] = json!(shadow.share);
        }
        Ok(shown)
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
        let metric = |name, help, kind, value| Metric { name, help, kind, labels: Vec::new(), value };
        let mut metrics = vec![
            metric(
                "millrace_journal_used_bytes",
                "Bytes of the journal on disk, its spare segment among them.",
                Gauge,
                status.bytes_on_disk as f64,
            ),
            metric("millrace_journal_free_bytes", "Free bytes of its file system.", Gauge, status.free_bytes as f64),
            metric("millrace_journal_segments", "Segment files.", Gauge, status.segments as f64),
            metric("millrace_journal_fsync_total", "Syncs of the journal.", Counter, status.fsyncs as f64),
            metric(
                "millrace_journal_fsync_seconds_total",
                "Time spent in them.",
                Counter,
                status.fsync_total.as_secs_f64(),
            ),
            metric(
                "millrace_journal_poisoned_segments_total",
                "Segments given up after a failed write or sync.",
                Counter,
                status.poisoned_segments as f64,
            ),
            metric(
                "millrace_journal_refusing",
                "1 while records are refused for want of room.",
                Gauge,
                f64::from(u8::from(status.refusing.is_some())),
            ),
            metric(
                "millrace_corruption_detected_total",
                "Damaged ranges set aside.",
                Counter,
                status.quarantined_total as f64,
            ),
            metric(
                "millrace_window_memory_bytes",
                "Bytes of open objects in memory.",
                Gauge,
                self.streams.window_bytes() as f64,
            ),
        ];
        metrics.extend(crate::metrics::of_functions(&self.functions.metered()));
        metrics
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
