//! Streams and admin in memory, and a client that sends one request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use millrace_auth::{AccessKeys, Policy};
use millrace_catalog::{NewStream, Place, Stream, StreamStatus, Table};
use millrace_delivery::{AppendError, Appended, DeleteError, StreamStatusReport};
use millrace_types::{Batch, Clock, Counts, ManualClock, SeededEntropy, Seq, ShardId, StreamId};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::functions::Functions;
use crate::admin::{Admin, AdminError, AdminErrorKind, DeployOptions, Metric, MetricKind, ShadowOptions};
use crate::backend::Backend;
use crate::lambda::backend::LambdaBackend;
use crate::settings::FrontSettings;
use crate::shared::Shared;

/// 2026-11-24T00:00:00Z.
pub(super) const NOW_MS: i64 = 1_795_478_400_000;
pub(super) const KEY: (&str, &str) = ("AKIDEXAMPLE", "a-secret-for-tests");
pub(super) const TOKEN: &str = "a-token-for-tests";

type Kept = (Arc<Stream>, Vec<Batch>);

/// Streams in memory.
#[derive(Debug)]
pub(super) struct Memory {
    place: Place,
    pub(super) streams: Mutex<BTreeMap<String, Kept>>,
    /// What the next appends answer instead.
    pub(super) trouble: Mutex<Option<&'static str>>,
}

impl Default for Memory {
    fn default() -> Self {
        let place = Place { region: "us-east-1".into(), account_id: "000000000000".into() };
        Self { place, streams: Mutex::default(), trouble: Mutex::default() }
    }
}

impl Memory {
    pub(super) fn records(&self, name: &str) -> Vec<Vec<u8>> {
        let streams = self.streams.lock();
        streams[name].1.iter().flat_map(|b| b.columns().iter().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
    }
}

#[async_trait]
impl Backend for Memory {
    fn place(&self) -> &Place {
        &self.place
    }

    fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.lock().get(name).map(|(stream, _)| Arc::clone(stream))
    }

    fn names(&self) -> Vec<String> {
        self.streams.lock().keys().cloned().collect()
    }

    fn has_table(&self, _database: &str, _table: &str, _version: Option<u32>) -> bool {
        false
    }

    async fn create(&self, new: NewStream) -> Result<Arc<Stream>, millrace_catalog::Error> {
        let mut streams = self.streams.lock();
        if streams.contains_key(&new.name) {
            return Err(millrace_catalog::Error::StreamExists { name: new.name });
        }
        let stream = Arc::new(Stream {
            id: StreamId(7),
            arn: format!("arn:aws:firehose:us-east-1:000000000000:deliverystream/{}", new.name),
            name: new.name.clone(),
            created_ms: NOW_MS,
            version: 1,
            status: StreamStatus::Active,
            tags: new.tags,
            destination: new.destination,
        });
        streams.insert(new.name, (Arc::clone(&stream), Vec::new()));
        Ok(stream)
    }

    async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        self.streams.lock().remove(name).map(drop).ok_or(DeleteError::NotFound)
    }

    async fn append(&self, name: &str, batch: Batch) -> Option<Result<Appended, AppendError>> {
        match *self.trouble.lock() {
            Some("panic") => panic!("on purpose"),
            Some(slug) => {
                return Some(Err(AppendError::Unavailable { slug, message: "The disk is full".into() }));
            }
            None => {}
        }
        let mut streams = self.streams.lock();
        let (_, batches) = streams.get_mut(name)?;
        let first = Seq::new(batches.iter().map(|b| b.len() as u64).sum());
        batches.push(batch);
        Some(Ok(Appended { shard: ShardId::from_u64(7 << 16), first }))
    }

    fn status(&self, name: Option<&str>) -> Vec<StreamStatusReport> {
        let names = self.names();
        let names = names.into_iter().filter(|other| name.is_none_or(|name| name == other));
        names
            .map(|name| StreamStatusReport {
                counts: Counts { accepted: self.records(&name).len() as u64, ..Counts::default() },
                name,
                pending: 0,
                balance: 0,
                oldest_pending_age_s: 0.0,
                backlog_bytes: 0,
                accepted_bytes: 0,
                objects: 0,
                object_bytes: 0,
                put_failures: 0,
                lanes: 1,
                function_revisions: Vec::new(),
                parked: None,
            })
            .collect()
    }
}

/// Admin in memory.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) deployed: Mutex<Vec<(String, Bytes, DeployOptions)>>,
    pub(super) not_ready: Mutex<Option<String>>,
}

#[async_trait]
impl Admin for Desk {
    async fn deploy(&self, name: &str, module: Bytes, options: DeployOptions) -> Result<Value, AdminError> {
        if module.is_empty() {
            let message = "The module is empty".to_owned();
            return Err(AdminError { kind: AdminErrorKind::Invalid, slug: "function.module", message });
        }
        let mut deployed = self.deployed.lock();
        deployed.push((name.to_owned(), module, options));
        Ok(json!({ "name": name, "version": deployed.len(), "component_bytes": 1 }))
    }

    fn functions(&self) -> Vec<Value> {
        Vec::new()
    }

    fn function(&self, name: &str, settings: bool) -> Result<Value, AdminError> {
        Ok(json!({ "name": name, "settings": settings }))
    }

    async fn invoke(&self, name: &str, qualifier: Option<&str>, input: Batch) -> Result<Value, AdminError> {
        Ok(json!({ "name": name, "version": qualifier, "records": input.len() }))
    }

    async fn logs(&self, name: &str, after: u64, wait: Duration) -> Result<Value, AdminError> {
        Ok(json!({ "name": name, "after": after, "wait": wait.as_millis() as u64 }))
    }

    async fn promote(&self, name: &str, alias: &str) -> Result<Value, AdminError> {
        Ok(json!({ "name": name, "alias": alias }))
    }

    async fn roll_back(&self, name: &str, alias: &str, to: Option<u32>) -> Result<Value, AdminError> {
        Ok(json!({ "name": name, "alias": alias, "to": to }))
    }

    async fn set_shadow(&self, name: &str, shadow: Option<ShadowOptions>) -> Result<Value, AdminError> {
        Ok(json!({ "name": name, "shadow": shadow.map(|s| json!([s.version, s.share])) }))
    }

    fn shadow(&self, name: &str) -> Result<Value, AdminError> {
        Ok(json!({ "name": name }))
    }

    async fn put_table(&self, database: &str, table: &str, definition: String) -> Result<Arc<Table>, AdminError> {
        Ok(Arc::new(Table { database: database.into(), name: table.into(), version: 1, definition }))
    }

    fn tables(&self) -> Vec<Arc<Table>> {
        Vec::new()
    }

    async fn journal_status(&self) -> Value {
        json!({ "segments": 1 })
    }

    async fn metrics(&self) -> Vec<Metric> {
        let metric = |name, kind| Metric { name, help: "Some.", kind, labels: vec![], value: 9.0 };
        vec![
            metric("millrace_wal_used_bytes", MetricKind::Gauge),
            metric("millrace_calls_seconds", MetricKind::Histogram("_count")),
        ]
    }

    async fn key_ids(&self) -> Vec<String> {
        Vec::new()
    }

    async fn ready(&self) -> Result<(), String> {
        self.not_ready.lock().clone().map_or(Ok(()), Err)
    }
}

/// A front in memory, and what lies behind it.
pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    pub(super) memory: Arc<Memory>,
    pub(super) desk: Arc<Desk>,
    pub(super) functions: Arc<Functions>,
    pub(super) clock: Arc<ManualClock>,
}

pub(super) fn keys() -> Policy {
    let pair = (KEY.0.to_owned(), KEY.1.to_owned());
    Policy::Keys(AccessKeys::new([pair], [TOKEN.to_owned()]).expect("good keys"))
}

pub(super) fn world(policy: Policy) -> World {
    let settings = FrontSettings {
        budget_wait_max: Duration::from_millis(50),
        body_pause_max: Duration::from_millis(50),
        header_time_max: Duration::from_secs(5),
        ..FrontSettings::default()
    };
    let (memory, desk) = (Arc::new(Memory::default()), Arc::new(Desk::default()));
    let functions = Arc::new(Functions::default());
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let shared = Shared::new(
        settings,
        policy,
        Arc::clone(&memory) as Arc<dyn Backend>,
        Arc::clone(&desk) as Arc<dyn Admin>,
        Arc::clone(&functions) as Arc<dyn LambdaBackend>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(SeededEntropy::new(1)),
    );
    World { shared: Arc::new(shared), memory, desk, functions, clock }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl World {
    /// Sends a request past the sockets.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = crate::service::answer(&self.shared, request).await.into_parts();
        #[expect(clippy::disallowed_methods, reason = "our own answer, in memory")]
        let body = body.collect().await.expect("in memory").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends an AWS operation without credentials.
    pub(super) async fn call(&self, operation: &str, body: &Value) -> Answer {
        self.send(aws(operation, body.to_string())).await
    }
}

/// An AWS request without credentials.
pub(super) fn aws(operation: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/")
        .header("host", "localhost")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("Firehose_20150804.{operation}"))
        .body(Full::new(body.into()))
        .expect("a request")
}

/// The body that creates the stream `s`.
pub(super) fn create() -> Value {
    json!({ "DeliveryStreamName": "s", "ExtendedS3DestinationConfiguration": {
        "RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::b",
    } })
}
