//! Shipping one object: outbox, intent, put. Its commit is the lane's. Steps are tried again until they
//! succeed; nothing is ever dropped because a destination says no.

use std::sync::Arc;

use bytes::Bytes;
use millrace_log::Intent;
use millrace_sink::{Advice, Content, Object, SinkError};
use millrace_types::{Backoff, Members};

use crate::context::LaneContext;
use crate::intent::Body;
use crate::outbox::Place;
use crate::status::Trouble;
use crate::window::Bulk;

/// First wait behind a failed attempt.
const RETRY_BASE_MS: u64 = 100;
/// An object up to this size is put from memory at its first attempt, not read back from the outbox.
const FROM_MEMORY_BYTES_MAX: u64 = 16 << 20;

/// An object that is stored at its destination.
#[derive(Debug)]
pub(crate) struct Shipped {
    pub(crate) id: u64,
    pub(crate) members: Members,
    pub(crate) body: Body,
}

/// The bytes are gone before they were durable: the lane starts again from the journal.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) Trouble);

/// A cut window on its way.
pub(crate) struct Shipment {
    pub(crate) id: u64,
    pub(crate) members: Members,
    pub(crate) bulk: Bulk,
    /// `place` is filled in by [`ship`].
    pub(crate) body: Body,
}

/// Takes a cut window to its destination.
pub(crate) async fn ship(lane: Arc<LaneContext>, shipment: Shipment) -> Result<Shipped, Lost> {
    let Shipment { id, members, bulk, mut body } = shipment;
    let memory = match &bulk {
        Bulk::Memory(bytes) if bytes.len() as u64 <= FROM_MEMORY_BYTES_MAX => Some(bytes.clone()),
        _ => None,
    };
    body.place = store(&lane, bulk).await?;
    if !crate::planted("no-intent") {
        let intent = Intent { shard: lane.shard, id, members: members.clone(), body: body.to_bytes() };
        write_intent(&lane, intent).await;
    }
    put(&lane, &body, memory).await;
    Ok(Shipped { id, members, body })
}

/// An intent that was open when the server started: its object is put again, or made again first.
pub(crate) async fn ship_again(lane: Arc<LaneContext>, id: u64, members: Members, body: Body) -> Shipped {
    let (checked, place, crc64) = (Arc::clone(&lane), body.place.clone(), body.crc64);
    let whole = millrace_tasks::blocking(move || checked.shared.outbox.is_whole(&place, crc64)).await;
    if whole {
        put(&lane, &body, None).await;
        return Shipped { id, members, body };
    }
    tracing::warn!(stream = lane.name, key = body.key, "the outbox file is gone or damaged: the object is made again");
    let mut retry = Retry::new(&lane);
    loop {
        match crate::remake::remake(&lane, &members, &body).await {
            Ok(bytes) => {
                put(&lane, &body, Some(bytes)).await;
                return Shipped { id, members, body };
            }
            Err(trouble) => retry.wait(&trouble, None).await,
        }
    }
}

async fn store(lane: &Arc<LaneContext>, bulk: Bulk) -> Result<Place, Lost> {
    let mut retry = Retry::new(lane);
    let bytes = match bulk {
        Bulk::Memory(bytes) => bytes,
        Bulk::Spilled(spill) => {
            let shared = Arc::clone(&lane.shared);
            return millrace_tasks::blocking(move || shared.outbox.finish_spill(spill))
                .await
                .map_err(|error| Lost(outbox_trouble(lane, &error)));
        }
    };
    loop {
        let (shared, copy) = (Arc::clone(&lane.shared), bytes.clone());
        match millrace_tasks::blocking(move || shared.outbox.store(&copy)).await {
            Ok(place) => return Ok(place),
            Err(error) => retry.wait(&outbox_trouble(lane, &error), None).await,
        }
    }
}

fn outbox_trouble(lane: &LaneContext, error: &std::io::Error) -> Trouble {
    let dir = lane.shared.outbox.dir().display();
    Trouble::new(
        "outbox.write",
        format!("an object could not be written to the outbox {dir}: {error}; make room or mend the disk"),
    )
}

async fn write_intent(lane: &Arc<LaneContext>, intent: Intent) {
    let mut retry = Retry::new(lane);
    while let Err(error) = lane.shared.journal.intent(intent.clone()).await {
        retry.wait(&Trouble::new("journal.intent", error.to_string()), None).await;
    }
}

/// Puts until the destination has proved that it has the object.
async fn put(lane: &Arc<LaneContext>, body: &Body, mut memory: Option<Bytes>) {
    let mut retry = Retry::new(lane);
    loop {
        match attempt(lane, body, &mut memory).await {
            Ok(()) => {
                if retry.failures > 0 {
                    lane.gauges.unpark();
                    tracing::info!(stream = lane.name, bucket = body.bucket, "the destination takes objects again");
                }
                return;
            }
            Err(error) => {
                lane.gauges.put_failed();
                let after = match error.advice {
                    Advice::Retry { after } => after,
                    Advice::Operator => None,
                };
                retry.wait(&Trouble::new(error.code, error.message), after).await;
            }
        }
    }
}

async fn attempt(lane: &LaneContext, body: &Body, memory: &mut Option<Bytes>) -> Result<(), SinkError> {
    let sink = lane.shared.buckets.open(&body.bucket)?;
    let content: Arc<dyn Content> = match memory.take() {
        Some(bytes) => Arc::new(bytes),
        None => {
            let stored = lane.shared.outbox.content(&body.place);
            Arc::new(stored.map_err(|e| SinkError::retry("outbox.read", format!("{}: {e}", body.place.file)))?)
        }
    };
    let object = Object {
        key: body.key.clone(),
        content,
        content_type: "application/octet-stream",
        content_encoding: body.static_encoding(),
        metadata: body.metadata.clone(),
    };
    sink.put(&object).await.map(drop)
}

/// Waits between attempts and shows why.
struct Retry<'l> {
    lane: &'l LaneContext,
    backoff: Backoff,
    failures: u32,
}

impl<'l> Retry<'l> {
    fn new(lane: &'l LaneContext) -> Self {
        let base = std::time::Duration::from_millis(RETRY_BASE_MS);
        Self { lane, backoff: Backoff { base, cap: lane.shared.settings.retry_cap() }, failures: 0 }
    }

    async fn wait(&mut self, trouble: &Trouble, after: Option<std::time::Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.lane.park(trouble);
        let own = self.backoff.delay(self.failures, &*self.lane.shared.entropy);
        let wait = after.map_or(own, |asked| asked.max(own).min(self.backoff.cap));
        tokio::time::sleep(wait).await;
    }
}
