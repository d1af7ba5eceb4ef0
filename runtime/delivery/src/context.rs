//! What the parts of delivery share: the node's services, and one lane's own facts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace_catalog::Catalog;
use millrace_log::Journal;
use millrace_sink::Buckets;
use millrace_tasks::Workers;
use millrace_types::{Clock, Entropy, ShardId};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::budget::Budget;
use crate::library::Library;
use crate::outbox::{Outbox, Place};
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
    pub(crate) functions: Arc<dyn Library>,
    /// Formats and compression: one thread for each core.
    pub(crate) workers: Workers,
    /// Functions, on threads of their own: one that spins keeps a thread, not the node.
    pub(crate) guests: Workers,
    pub(crate) budget: Arc<Budget>,
    /// Told when the configuration has changed: whoever waits for its next attempt makes it now.
    pub(crate) changed: watch::Sender<()>,
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
    /// Bytes in the outbox of ships that were stopped while their intent was on its way.
    pub(crate) doubts: Mutex<Vec<Place>>,
    /// Its objects are made again one at a time.
    pub(crate) remaking: tokio::sync::Mutex<()>,
    /// Payload bytes appended since the start and not yet read by the lane: how far it is behind.
    pub(crate) unread_bytes: AtomicU64,
}

/// Runs `work` on a worker thread; a panic in it is a trouble of the stream, not the end of the process.
pub(crate) async fn caught<T: Send + 'static>(
    workers: &Workers,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    let done = workers.run(move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))).await;
    done.map_err(|e| Trouble::new("internal.workers", e.to_string()))?
        .map_err(|_| Trouble::new("internal.panic", "the work on a batch panicked; it is tried again"))
}

/// Waits for the next attempt: `wait`, or until the configuration changes, which may be what it needs. A
/// change behind the last look of `changed` ends it at once.
pub(crate) async fn pause(wait: Duration, changed: &mut watch::Receiver<()>) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        Ok(()) = changed.changed() => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_change_ends_every_wait_and_one_during_the_attempt_the_next_wait() {
        let news = watch::Sender::new(());
        let (mut one, mut two) = (news.subscribe(), news.subscribe());
        let waits = async { tokio::join!(pause(DAY, &mut one), pause(DAY, &mut two)) };
        let told = async {
            tokio::task::yield_now().await;
            news.send_replace(());
        };
        let both = async { tokio::join!(waits, told) };
        tokio::time::timeout(PATIENCE, both).await.expect("both are woken");
        news.send_replace(());
        tokio::time::timeout(PATIENCE, pause(DAY, &mut one)).await.expect("it was told while nobody waited");
        pause(Duration::ZERO, &mut one).await;
        drop(news);
        pause(Duration::ZERO, &mut one).await;
    }
}
