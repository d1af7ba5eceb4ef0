//! One delivery stream: its lanes, appends to them, its status. A quiet stream has one lane; one
//! whose lanes fall behind is widened up to the core count, and narrowed when it is quiet again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use millrace_catalog::Stream;
use millrace_log::ShardState;
use millrace_tasks::Tasks;
use millrace_types::{Batch, Counts, Lane, MIB, Seq, ShardId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::context::{LaneContext, Shared};
use crate::intent::Body;
use crate::lane::{Order, run};
use crate::status::{Gauges, StreamStatusReport};

/// A stream is widened when each of its lanes is this far behind, in payload bytes.
const WIDEN_UNREAD_BYTES: u64 = 32 * MIB as u64;
/// How long a stopped or deleted lane may take to end, beyond the grace time, before it is cut off.
pub(crate) const END_EXTRA: std::time::Duration = std::time::Duration::from_secs(5);

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The shard that took it.
    pub shard: ShardId,
    /// Sequence number of its first record; the others follow without a gap.
    pub first: Seq,
}

/// Why a batch was not taken. Nothing of it is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream is being deleted.
    #[error("the stream is being deleted")]
    Deleting,
    /// Back-pressure or trouble of the journal: `slug` names it (`journal.full`, `journal.fsync`,
    /// `stream.backlog`), the message says what to do.
    #[error("{message}")]
    Unavailable {
        /// Stable name of the condition.
        slug: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// One delivery stream.
#[derive(Debug)]
pub struct StreamHandle {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    gauges: Arc<Gauges>,
    orders: watch::Sender<Order>,
    lanes: Mutex<Vec<Arc<LaneContext>>>,
    /// Lanes that take appends: the first so many of `lanes`.
    active: AtomicUsize,
    turn: AtomicU64,
    deleting: AtomicBool,
    tasks: Tasks,
}

impl StreamHandle {
    pub(crate) fn start(shared: Arc<Shared>, stream: Arc<Stream>) -> Arc<Self> {
        let (orders, _) = watch::channel(Order::Run);
        let stored = shared.journal.shards().into_iter().filter(|s| s.stream() == stream.id);
        let count = stored.map(|s| usize::from(s.lane().0) + 1).max().unwrap_or(1);
        let handle = Arc::new(Self {
            shared,
            stream,
            gauges: Arc::default(),
            orders,
            lanes: Mutex::default(),
            active: AtomicUsize::new(1),
            turn: AtomicU64::new(0),
            deleting: AtomicBool::new(false),
            tasks: Tasks::new(),
        });
        for _ in 0..count {
            handle.add_lane();
        }
        handle
    }

    fn add_lane(&self) {
        let mut lanes = self.lanes.lock();
        let Ok(number) = u16::try_from(lanes.len()) else {
            return;
        };
        let shard = ShardId::new(self.stream.id, Lane(number));
        let lane = Arc::new(LaneContext {
            shared: Arc::clone(&self.shared),
            shard,
            name: self.stream.name.clone(),
            gauges: Arc::clone(&self.gauges),
            spill: Arc::new(Notify::new()),
            doubts: Mutex::default(),
            remaking: tokio::sync::Mutex::default(),
            unread_bytes: AtomicU64::new(0),
        });
        lanes.push(Arc::clone(&lane));
        self.tasks.spawn("lane", run(lane, self.orders.subscribe()));
    }

    /// The stream's configuration.
    #[must_use]
    pub fn config(&self) -> Arc<Stream> {
        self.shared.catalog.stream(&self.stream.name).unwrap_or_else(|| Arc::clone(&self.stream))
    }

    /// Appends a batch; durable when it answers.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is kept then.
    pub async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        if self.is_deleting() {
            return Err(AppendError::Deleting);
        }
        let lane = self.choose();
        let bytes = batch.payload().len() as u64;
        match self.shared.journal.append(lane.shard, batch).await {
            Ok(first) => {
                lane.unread_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.gauges.accepted_bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(Appended { shard: lane.shard, first })
            }
            Err(error) => Err(self.refusal(&error)),
        }
    }

    fn refusal(&self, error: &millrace_log::Error) -> AppendError {
        let mut message = format!("delivery stream {}: {error}", self.stream.name);
        if let (millrace_log::Error::ShardFull { .. }, Some(parked)) = (error, self.gauges.parked()) {
            message
                .push_str(&format!("; it is parked since its destination answers {}: {}", parked.code, parked.message));
        }
        AppendError::Unavailable { slug: error.slug(), message }
    }

    /// The lane for the next batch. Widens when all active lanes are far behind.
    fn choose(&self) -> Arc<LaneContext> {
        let lanes = self.lanes.lock();
        let active = self.active.load(Ordering::Relaxed).clamp(1, lanes.len());
        let unread = |lane: &Arc<LaneContext>| lane.unread_bytes.load(Ordering::Relaxed);
        if active > 1 && lanes.iter().all(|lane| unread(lane) == 0) {
            self.active.store(1, Ordering::Relaxed);
            return Arc::clone(&lanes[0]);
        }
        let behind = lanes[..active].iter().all(|lane| unread(lane) > WIDEN_UNREAD_BYTES);
        if behind && active < self.lanes_max() && self.gauges.parked().is_none() {
            self.active.store(active + 1, Ordering::Relaxed);
            if active == lanes.len() {
                drop(lanes);
                self.add_lane();
                return Arc::clone(&self.lanes.lock()[active]);
            }
            return Arc::clone(&lanes[active]);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&lanes[usize::try_from(turn % active as u64).unwrap_or(0)])
    }

    fn lanes_max(&self) -> usize {
        match self.shared.settings.lanes_max {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            lanes => usize::from(lanes),
        }
    }

    /// What became of its records.
    #[must_use]
    pub fn status(&self) -> StreamStatusReport {
        let lanes: Vec<_> = self.lanes.lock().clone();
        let mut counts = Counts::default();
        let (mut pending, mut backlog_bytes, mut oldest_ms) = (0, 0, None::<i64>);
        for lane in &lanes {
            let Some(ShardState { next, watermark, counts: own, backlog_bytes: bytes, oldest_arrival_ms, .. }) =
                self.shared.journal.shard(lane.shard)
            else {
                continue;
            };
            counts.add(&own);
            pending += next.since(watermark);
            backlog_bytes += bytes;
            if pending > 0 {
                oldest_ms = [oldest_ms, oldest_arrival_ms].into_iter().flatten().min();
            }
        }
        let age_ms = oldest_ms.map_or(0, |ms| (self.shared.clock.now_ms() - ms).max(0));
        let gauges = &self.gauges;
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        StreamStatusReport {
            name: self.stream.name.clone(),
            counts,
            pending,
            balance: signed(counts.accepted) - signed(counts.decided() + pending),
            oldest_pending_age_s: age_ms as f64 / 1000.0,
            backlog_bytes,
            accepted_bytes: gauges.accepted_bytes.load(Ordering::Relaxed),
            objects: gauges.objects.load(Ordering::Relaxed),
            object_bytes: gauges.object_bytes.load(Ordering::Relaxed),
            put_failures: gauges.put_failures.load(Ordering::Relaxed),
            lanes: u16::try_from(self.active.load(Ordering::Relaxed)).unwrap_or(u16::MAX),
            function_revisions: gauges.revisions(),
            parked: gauges.parked(),
        }
    }

    /// True once the stream is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deleting.load(Ordering::Acquire)
    }

    pub(crate) fn discard(&self) {
        self.deleting.store(true, Ordering::Release);
        self.orders.send_replace(Order::Discard);
    }

    pub(crate) fn stop(&self) {
        self.orders.send_replace(Order::Stop);
    }

    /// Waits until the lanes have ended.
    pub(crate) async fn ended(&self) {
        let late = self.tasks.join(self.shared.settings.stop_grace() + END_EXTRA).await;
        if late > 0 {
            tracing::warn!(
                stream = self.stream.name,
                late,
                "lanes did not end in time; the next start goes on from the journal"
            );
        }
    }
}

/// Forgets shards: their records, their intents, the bytes of those in the outbox.
pub(crate) async fn retire_shards(shared: &Arc<Shared>, shards: Vec<ShardId>) -> Result<(), String> {
    for shard in shards {
        let intents = shared.journal.open_intents(shard);
        shared.journal.retire(shard).await.map_err(|e| e.to_string())?;
        let shared = Arc::clone(shared);
        millrace_tasks::blocking(move || {
            for intent in intents {
                if let Ok(body) = Body::from_bytes(&intent.body) {
                    shared.outbox.release(&body.place);
                }
            }
        })
        .await;
    }
    Ok(())
}
