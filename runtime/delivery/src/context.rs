//! What the parts of delivery share: the node's services, and one lane's own facts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_catalog::Catalog;
use millrace_log::Journal;
use millrace_sink::Buckets;
use millrace_tasks::Workers;
use millrace_types::{Clock, Entropy, ShardId};
use tokio::sync::Notify;

use crate::budget::Budget;
use crate::functions::Functions;
use crate::outbox::Outbox;
use crate::settings::DeliverySettings;
use crate::status::{Gauges, Trouble};

/// The node's services.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) outbox: Outbox,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) keys_path: PathBuf,
    pub(crate) buckets: Arc<dyn Buckets>,
    pub(crate) functions: Arc<Functions>,
    /// Formats and compression: one thread for each core.
    pub(crate) workers: Workers,
    /// Functions, on threads of their own: one that spins keeps a thread, not the node.
    pub(crate) guests: Workers,
    pub(crate) budget: Budget,
    pub(crate) settings: DeliverySettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// One delivery shard.
#[derive(Debug)]
pub(crate) struct LaneContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shard: ShardId,
    /// The stream's name.
    pub(crate) name: String,
    pub(crate) gauges: Arc<Gauges>,
    /// Asks the lane to spill its largest window.
    pub(crate) spill: Arc<Notify>,
    /// Objects are made again one at a time: each needs the records of a whole window.
    pub(crate) remaking: tokio::sync::Mutex<()>,
    /// Payload bytes appended since the start and not yet read by the lane: how far it is behind.
    pub(crate) unread_bytes: AtomicU64,
}

impl LaneContext {
    /// Shows why `owner` stands still; logs a reason that is new for the stream.
    pub(crate) fn park(&self, owner: u64, trouble: &Trouble) {
        if self.gauges.park(owner, trouble, self.shared.clock.now_ms()) {
            tracing::warn!(stream = self.name, code = trouble.code, "parked: {}", trouble.message);
        }
    }

    /// `owner` goes on.
    pub(crate) fn unpark(&self, owner: u64) {
        if self.gauges.unpark(owner) {
            tracing::info!(stream = self.name, "no longer parked");
        }
    }

    /// The lane has read `bytes` of payload.
    pub(crate) fn has_read(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.unread_bytes.update(Ordering::Relaxed, Ordering::Relaxed, |unread| unread.saturating_sub(bytes));
    }
}
