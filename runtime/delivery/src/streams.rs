//! All delivery streams of the process: made, found, appended to, shown and deleted here.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use millrace_catalog::{Catalog, NewStream, Stream, StreamStatus};
use millrace_log::{Disk, Journal};
use millrace_sink::Buckets;
use millrace_tasks::{Tasks, Workers};
use millrace_types::{Clock, Entropy, ShardId};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::budget::Budget;
use crate::context::Shared;
use crate::handle::{END_EXTRA, StreamHandle, retire_shards};
use crate::intent::Body;
use crate::outbox::Outbox;
use crate::settings::DeliverySettings;
use crate::status::StreamStatusReport;
use millrace_functions::Functions;

/// How much compression and the functions of streams give way (nice value).
const NICE: i32 = 10;

/// Why a stream could not be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// No such stream.
    #[error("no such stream")]
    NotFound,
    /// It is being deleted already.
    #[error("the stream is being deleted already")]
    InProgress,
    /// The catalog or the journal refused; the deletion goes on at the next start.
    #[error("{0}")]
    Storage(String),
}

/// Why delivery could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The outbox folder cannot be read or cleaned.
    #[error("the outbox cannot be opened")]
    Outbox(#[source] std::io::Error),
    /// The worker threads cannot be started.
    #[error("the worker threads cannot be started")]
    Threads(#[source] std::io::Error),
    /// A stored intent does not read.
    #[error("an intent of shard {shard} does not read")]
    Intent {
        /// Its shard.
        shard: ShardId,
        /// What the reader said.
        #[source]
        source: serde_json::Error,
    },
    /// The journal has records of a stream that the catalog does not know.
    #[error(
        "the journal holds records of shard {0}, but the catalog has never made its stream: catalog.redb is lost or \
         older than the journal; put the right one back, or move journal/ and journal.mark away to start empty"
    )]
    CatalogLost(ShardId),
    /// A stream that was being deleted could not be deleted.
    #[error("a deletion could not be finished: {0}")]
    Deletion(String),
}

/// What delivery is built from.
#[derive(Debug)]
pub struct Parts {
    /// The journal, open.
    pub journal: Journal,
    /// The disk under the outbox.
    pub disk: Arc<dyn Disk>,
    /// The outbox folder.
    pub outbox_dir: PathBuf,
    /// The key ring's file.
    pub keys_path: PathBuf,
    /// The catalog, open.
    pub catalog: Arc<Catalog>,
    /// Finds the sink of a bucket.
    pub buckets: Arc<dyn Buckets>,
    /// Functions by name.
    pub functions: Arc<Functions>,
    /// Settings.
    pub settings: DeliverySettings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// The outbox with what open intents name.
pub(crate) fn open_outbox(journal: &Journal, disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Outbox, StartError> {
    let mut places = Vec::new();
    for shard in journal.shards() {
        for intent in journal.open_intents(shard) {
            let body = Body::from_bytes(&intent.body).map_err(|source| StartError::Intent { shard, source })?;
            places.push(body.place);
        }
    }
    Outbox::open(disk, dir, places.iter()).map_err(StartError::Outbox)
}

/// All delivery streams of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    handles: RwLock<BTreeMap<String, Arc<StreamHandle>>>,
    /// Creations and deletions one at a time: the catalog and the map change together.
    changing: tokio::sync::Mutex<()>,
    tasks: Tasks,
}

impl Streams {
    /// Starts delivery of all streams in the catalog; finishes deletions that a stop interrupted.
    /// Call it inside the async runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let (threads, guests) = (parts.settings.encode_threads(), parts.settings.guest_threads());
        let budget = Budget::new(parts.settings.memory_bytes_max, threads, guests);
        let workers = Workers::start("millrace-work", threads, NICE).map_err(StartError::Threads)?;
        let guests = Workers::start("millrace-guest", guests, NICE).map_err(StartError::Threads)?;
        let outbox = open_outbox(&parts.journal, parts.disk, parts.outbox_dir)?;
        let shared = Arc::new(Shared {
            journal: parts.journal,
            outbox,
            catalog: parts.catalog,
            keys_path: parts.keys_path,
            buckets: parts.buckets,
            functions: parts.functions,
            workers,
            guests,
            budget,
            changed: watch::Sender::new(()),
            settings: parts.settings,
            clock: parts.clock,
            entropy: parts.entropy,
        });
        Self::run(shared).await
    }

    pub(crate) async fn run(shared: Arc<Shared>) -> Result<Self, StartError> {
        let streams = Self(Arc::new(Inner {
            shared,
            handles: RwLock::default(),
            changing: tokio::sync::Mutex::new(()),
            tasks: Tasks::new(),
        }));
        streams.recover().await?;
        Ok(streams)
    }

    async fn recover(&self) -> Result<(), StartError> {
        let shared = &self.0.shared;
        let snapshot = shared.catalog.snapshot();
        let known: HashSet<_> = snapshot.streams().map(|s| s.id).collect();
        let orphans: Vec<_> = shared.journal.shards().into_iter().filter(|s| !known.contains(&s.stream())).collect();
        // A shard of a stream that the catalog has never made means that the catalog is lost or old:
        // its records are somebody's, and are left alone.
        if let Some(foreign) = orphans.iter().find(|s| s.stream() >= shared.catalog.next_stream_id()) {
            return Err(StartError::CatalogLost(*foreign));
        }
        // The others are leftovers of deletions that a kill interrupted.
        retire_shards(shared, orphans).await.map_err(StartError::Deletion)?;
        for stream in snapshot.streams() {
            if stream.status == StreamStatus::Deleting {
                self.finish_delete(stream).await.map_err(StartError::Deletion)?;
            } else {
                self.open(stream);
            }
        }
        Ok(())
    }

    fn open(&self, stream: &Arc<Stream>) -> Arc<StreamHandle> {
        let handle = StreamHandle::start(Arc::clone(&self.0.shared), Arc::clone(stream));
        self.0.handles.write().insert(stream.name.clone(), Arc::clone(&handle));
        handle
    }

    /// The stream `name`, if there is one (also while it is being deleted).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<StreamHandle>> {
        self.0.handles.read().get(name).cloned()
    }

    /// Makes durable in the catalog what was checked, and starts delivery.
    ///
    /// # Errors
    /// When the name is taken, the limit of streams is reached, or the catalog fails.
    pub async fn create(&self, stream: NewStream) -> Result<Arc<Stream>, millrace_catalog::Error> {
        let _one = self.0.changing.lock().await;
        let catalog = Arc::clone(&self.0.shared.catalog);
        let made = millrace_tasks::blocking(move || catalog.create_stream(stream)).await?;
        self.open(&made);
        Ok(made)
    }

    /// Deletes the stream and its undelivered records. Answers when that is durable; the space is
    /// freed behind it.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        let _one = self.0.changing.lock().await;
        let handle = self.get(name).ok_or(DeleteError::NotFound)?;
        if handle.is_deleting() {
            return Err(DeleteError::InProgress);
        }
        let (catalog, owned) = (Arc::clone(&self.0.shared.catalog), name.to_owned());
        let stream = millrace_tasks::blocking(move || catalog.mark_deleting(&owned))
            .await
            .map_err(|e| DeleteError::Storage(millrace_types::chain(&e)))?;
        let pending = handle.status().pending;
        if pending > 0 {
            tracing::warn!(stream = name, pending, "deleted with records that were not delivered: they are discarded");
        }
        handle.discard();
        let streams = self.clone();
        self.0.tasks.spawn("delete-stream", async move {
            handle.ended().await;
            let _one = streams.0.changing.lock().await;
            if let Err(error) = streams.finish_delete(&stream).await {
                tracing::error!(stream = stream.name, error, "the deletion is finished at the next start");
            }
        });
        Ok(())
    }

    async fn finish_delete(&self, stream: &Arc<Stream>) -> Result<(), String> {
        let shared = &self.0.shared;
        let shards = shared.journal.shards().into_iter().filter(|s| s.stream() == stream.id).collect();
        retire_shards(shared, shards).await?;
        let (catalog, name) = (Arc::clone(&shared.catalog), stream.name.clone());
        millrace_tasks::blocking(move || catalog.remove_stream(&name)).await.map_err(|e| millrace_types::chain(&e))?;
        self.0.handles.write().remove(&stream.name);
        Ok(())
    }

    /// Parked streams make their next attempt now: a function was deployed or a table put, which may be
    /// what they wait for.
    pub fn configuration_changed(&self) {
        self.0.shared.changed.send_replace(());
    }

    /// Status of one stream, or of all in order of their names.
    #[must_use]
    pub fn status(&self, name: Option<&str>) -> Vec<StreamStatusReport> {
        let handles: Vec<_> = match name {
            Some(name) => self.get(name).into_iter().collect(),
            None => self.0.handles.read().values().cloned().collect(),
        };
        handles.iter().map(|handle| handle.status()).collect()
    }

    /// Bytes that open windows and finished objects hold in memory, on the whole node.
    #[must_use]
    pub fn window_bytes(&self) -> usize {
        self.0.shared.budget.total_bytes()
    }

    /// Cuts all windows, ships what can be shipped in the grace time, ends all lanes: all streams at
    /// once, so that those that are stuck cost one grace time and not one each.
    pub async fn stop(&self) {
        let handles: Vec<_> = self.0.handles.read().values().cloned().collect();
        for handle in &handles {
            handle.stop();
        }
        let ends = Tasks::new();
        for handle in handles {
            ends.spawn("stop-stream", async move { handle.ended().await });
        }
        ends.join(self.0.shared.settings.stop_grace() + 2 * END_EXTRA).await;
    }
}
