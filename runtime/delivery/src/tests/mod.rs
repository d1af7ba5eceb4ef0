//! Delivery on a fake disk with a scripted store and scripted functions: each life of a node runs in a
//! runtime of its own, and a crash drops it and opens what the disk kept.

mod budget;
mod claims;
mod differing;
mod faults;
mod lives;
mod parked;
mod partitions;
mod places;
mod remake;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use millrace_catalog::{
    Buffering, Catalog, Conversion, DynamicPartitioning, FunctionCall, InputFormat, NewStream, ObjectDestination,
    ParquetOutput, Place, SchemaChoice,
};
use millrace_log::{Disk, FakeDisk, Journal, JournalSettings};
use millrace_tasks::Workers;
use millrace_transform::{BatchSource, Output, Ran};
use millrace_types::{Batch, BatchBuilder, KIB, SeededEntropy, ShardId, SystemClock};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::DeliverySettings;
use crate::budget::Budget;
use crate::context::{LaneContext, Shared};
use crate::handle::StreamHandle;
use crate::intent::Body;
use crate::library::{Called, Library, Transform};
use crate::status::{StreamStatusReport, Trouble};
use crate::streams::{Streams, open_outbox};

use store::Store;

/// Everything that is to become true has so long; nothing is proved by it.
const PATIENCE: Duration = Duration::from_secs(60);
const WORKERS: usize = 2;
const GUESTS: usize = 2;

/// What outlives a node: its disk, its configuration, its store, its functions.
pub(super) struct World {
    pub(super) disk: FakeDisk,
    pub(super) store: Arc<Store>,
    pub(super) functions: Arc<Scripted>,
    pub(super) settings: DeliverySettings,
    pub(super) segment_bytes: u64,
    pub(super) guests: usize,
    catalog: Arc<Catalog>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { region: "us-east-1".to_owned(), account_id: "000000000000".to_owned() };
        let catalog = Catalog::open(&folder.path().join("catalog.redb"), place, Arc::new(SystemClock)).unwrap();
        Self {
            disk: FakeDisk::new(seed),
            store: Arc::default(),
            functions: Arc::default(),
            settings: DeliverySettings {
                interval_scale: 0.000_1,
                retry_cap_ms: 4,
                stop_grace_ms: 60_000,
                ..DeliverySettings::default()
            },
            segment_bytes: 64 * KIB as u64,
            guests: GUESTS,
            catalog: Arc::new(catalog),
            _folder: folder,
        }
    }

    /// A stream into the bucket `bucket`, changed as `change` says.
    pub(super) fn stream(&self, name: &str, change: impl FnOnce(&mut ObjectDestination)) {
        let mut destination = destination();
        change(&mut destination);
        self.catalog.create_stream(NewStream { name: name.to_owned(), tags: BTreeMap::new(), destination }).unwrap();
    }

    /// Starts a node on the disk as it is; `None` when the disk does not let it.
    pub(super) async fn start(&self) -> Option<Node> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (journal, _) =
            Journal::open(Arc::clone(&disk), "data/journal".into(), self.journal_settings(), Arc::new(SystemClock))
                .ok()?;
        let outbox = open_outbox(&journal, disk, outbox_dir()).ok()?;
        let shared = Arc::new(Shared {
            journal,
            outbox,
            catalog: Arc::clone(&self.catalog),
            keys_path: PathBuf::from("/nowhere/ring.json"),
            buckets: Arc::new(store::AllBuckets(Arc::clone(&self.store))),
            functions: Arc::clone(&self.functions) as Arc<dyn Library>,
            workers: Workers::start("work", WORKERS, 0).unwrap(),
            guests: Workers::start("guest", self.guests, 0).unwrap(),
            budget: Budget::new(self.settings.memory_bytes_max, WORKERS, self.guests),
            changed: tokio::sync::watch::Sender::new(()),
            settings: self.settings.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SeededEntropy::new(self.store.next_seed())),
        });
        let streams = Streams::run(Arc::clone(&shared)).await.ok()?;
        Some(Node { streams, shared })
    }

    /// Runs one life in a runtime of its own, which is gone with all its tasks when it answers.
    pub(super) fn life<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let answer = runtime.block_on(work);
        runtime.shutdown_timeout(PATIENCE);
        answer
    }

    /// Power cut now: the next life finds what the disk kept.
    pub(super) fn cut_power(&mut self, seed: u64) {
        self.disk = self.disk.crash(seed);
    }

    fn journal_settings(&self) -> JournalSettings {
        JournalSettings {
            segment_bytes: self.segment_bytes,
            tail_bytes: 16 * KIB,
            queue_bytes: 1024 * KIB,
            disk_bytes_max: None,
            headroom_bytes: 0,
            backlog_bytes_max: u64::MAX,
            lag_segments: 4,
            accept_loss: String::new(),
        }
    }

    pub(super) fn outbox_files(&self) -> Vec<String> {
        self.disk.list(&outbox_dir()).unwrap_or_default()
    }
}

pub(super) fn outbox_dir() -> PathBuf {
    PathBuf::from("data/outbox")
}

pub(super) fn outbox_file(name: &str) -> PathBuf {
    Path::new("data/outbox").join(name)
}

fn destination() -> ObjectDestination {
    ObjectDestination {
        extended: true,
        role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
        bucket_arn: "arn:aws:s3:::bucket".to_owned(),
        bucket: "bucket".to_owned(),
        prefix: String::new(),
        error_output_prefix: String::new(),
        file_extension: String::new(),
        custom_time_zone: "UTC".to_owned(),
        buffering: Buffering { size_mib: 1, interval_s: 0 },
        compression: "UNCOMPRESSED".to_owned(),
        kms_key_arn: None,
        function: None,
        delimiter: None,
        processing: None,
        conversion: None,
        dynamic_partitioning: None,
    }
}

/// Changes a destination to call the scripted function.
pub(super) fn with_function(destination: &mut ObjectDestination) {
    destination.function = Some(FunctionCall {
        arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
        name: "f".to_owned(),
        qualifier: None,
        retries: 0,
        buffer_bytes: 64 * KIB as u32,
        buffer_interval_s: 0,
    });
}

/// Changes a destination to convert to Parquet, without dictionaries and compression.
pub(super) fn with_parquet(destination: &mut ObjectDestination) {
    destination.conversion = Some(Conversion {
        enabled: true,
        input: InputFormat::Hive { timestamp_formats: Vec::new() },
        parquet: ParquetOutput {
            compression: "UNCOMPRESSED".to_owned(),
            block_bytes: None,
            page_bytes: None,
            dictionary: false,
            writer_v2: false,
        },
        schema: SchemaChoice::InferRelaxed,
        shown: serde_json::Value::Null,
    });
}

/// Changes a destination to sort by the partition key `p`.
pub(super) fn with_partitions(destination: &mut ObjectDestination) {
    with_function(destination);
    destination.prefix = "p=!{partitionKeyFromLambda:p}/".to_owned();
    destination.error_output_prefix = "errors/!{firehose:error-output-type}/".to_owned();
    destination.dynamic_partitioning = Some(DynamicPartitioning { enabled: true, retry_s: 0 });
}

/// A running node.
pub(super) struct Node {
    pub(super) streams: Streams,
    pub(super) shared: Arc<Shared>,
}

impl Node {
    pub(super) fn handle(&self, name: &str) -> Arc<StreamHandle> {
        self.streams.get(name).unwrap()
    }

    pub(super) fn status(&self, name: &str) -> StreamStatusReport {
        self.handle(name).status()
    }

    /// A lane of the stream `name` that nobody runs.
    pub(super) fn lane(&self, name: &str, shard: ShardId) -> Arc<LaneContext> {
        Arc::new(LaneContext {
            shared: Arc::clone(&self.shared),
            shard,
            name: name.to_owned(),
            gauges: Arc::default(),
            spill: Arc::default(),
            doubts: Mutex::default(),
            remaking: tokio::sync::Mutex::default(),
            unread_bytes: AtomicU64::new(0),
        })
    }

    /// Appends records; true when they were acknowledged.
    pub(super) async fn put<R: AsRef<[u8]>>(&self, name: &str, records: &[R]) -> bool {
        self.handle(name).append(batch(records)).await.is_ok()
    }

    /// Waits until all that the stream accepted is decided.
    pub(super) async fn drained(&self, name: &str) -> StreamStatusReport {
        until(&format!("{name} is drained"), || {
            let status = self.status(name);
            (status.pending == 0).then_some(status)
        })
        .await
    }

    /// A clean stop.
    pub(super) async fn stop(self) {
        self.streams.stop().await;
        self.shared.journal.close().await;
    }
}

pub(super) fn batch<R: AsRef<[u8]>>(records: &[R]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        builder.push(record.as_ref(), 1_000).unwrap();
    }
    builder.finish()
}

/// The decision about an object whose bytes are nowhere.
pub(super) fn lost_body(error_type: Option<String>, function: Option<(String, u32)>) -> Body {
    Body {
        bucket: "bucket".to_owned(),
        key: "k".to_owned(),
        place: crate::outbox::Place { file: String::new(), offset: 0, length: 0 },
        crc64: 0,
        content_encoding: None,
        metadata: Vec::new(),
        records: 0,
        error_type,
        partition: None,
        function,
        table_version: None,
    }
}

/// Waits for what becomes true by itself.
pub(super) async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

type Script = Box<dyn FnMut(&Batch) -> Ran + Send>;

/// Functions that do what a test says.
#[derive(Default)]
pub(super) struct Scripted {
    script: Mutex<Option<Script>>,
    calls: AtomicU64,
    /// Revisions that take turns, batch by batch; one when 0.
    pub(super) revisions: Mutex<u64>,
    /// Places of functions that have not as many as are asked for, by name.
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Waits for a place that have not ended.
    waiting: AtomicUsize,
}

/// Counts a wait for a place, until it ends or is given up.
struct Waits<'s>(&'s AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scripted {
    pub(super) fn set(&self, script: impl FnMut(&Batch) -> Ran + Send + 'static) {
        *self.script.lock() = Some(Box::new(script));
    }

    /// Calls wait until the gate is open, then give every record back.
    pub(super) fn set_gated(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        let held = Arc::clone(&gate);
        self.set(move |batch| {
            held.pass();
            echo(batch)
        });
        gate
    }

    /// Calls of the function `name` have `places` from now on.
    pub(super) fn limit(&self, name: &str, places: usize) -> Arc<Semaphore> {
        let own = Arc::new(Semaphore::new(places));
        self.places.lock().insert(name.to_owned(), Arc::clone(&own));
        own
    }

    /// Those that wait for a place.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    async fn place(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        let places = self.places.lock().get(name).cloned()?;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        places.acquire_owned().await.ok()
    }

    /// Calls that were begun; one runs at a time.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

/// Holds calls of a function up until it is opened.
#[derive(Default)]
pub(super) struct Gate {
    is_open: Mutex<bool>,
    bell: Condvar,
}

impl Gate {
    pub(super) fn open(&self) {
        *self.is_open.lock() = true;
        self.bell.notify_all();
    }

    fn pass(&self) {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.bell.wait(&mut is_open);
        }
    }
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

/// A function with its place, where places are counted.
#[derive(Debug)]
struct ScriptedFunction {
    scripted: Arc<Scripted>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Transform for ScriptedFunction {
    fn run(&self, batch: &Batch, _retries: u32, _source: &Arc<BatchSource>) -> Ran {
        self.scripted.calls.fetch_add(1, Ordering::SeqCst);
        let mut script = self.scripted.script.lock();
        let script = script.as_mut().expect("a stream with a function has a script");
        script(batch)
    }
}

#[async_trait::async_trait]
impl Library for Scripted {
    async fn get(self: Arc<Self>, name: &str, _qualifier: Option<&str>) -> Result<Called, Trouble> {
        let place = self.place(name).await;
        let revisions = *self.revisions.lock();
        let calls = self.calls.load(Ordering::SeqCst);
        let revision = u32::try_from(1 + calls % revisions.max(1)).expect("a few");
        Ok(Called { revision, function: Arc::new(ScriptedFunction { scripted: self, _place: place }) })
    }

    async fn again(self: Arc<Self>, name: &str, _revision: u32) -> Result<Called, Trouble> {
        self.get(name, None).await
    }

    fn shadow(self: Arc<Self>, _name: &str, _batch: &Batch, _ran: &Arc<Ran>, _source: &Arc<BatchSource>) {}
}

/// Gives every record back as it is.
pub(super) fn echo(batch: &Batch) -> Ran {
    let mut ran = Ran::default();
    for (source, record) in (0u32..).zip(batch.columns().iter()) {
        answer(&mut ran.output, source, record, None);
    }
    ran
}

/// Appends an output of input `source` with the value of partition key `p` (none when empty).
pub(super) fn answer(output: &mut Output, source: u32, payload: &[u8], partition: Option<&str>) {
    output.payload.extend_from_slice(payload);
    output.ends.push(u32::try_from(output.payload.len()).unwrap());
    output.sources.push(source);
    if let Some(value) = partition {
        output.partition_names = vec!["p".to_owned()];
        output.partition_values.extend_from_slice(value.as_bytes());
        output.partition_ends.push(u32::try_from(output.partition_values.len()).unwrap());
    }
}
