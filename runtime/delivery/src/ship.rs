//! Shipping one object: outbox, intent, put. Its commit is the lane's. Steps are tried again until they
//! succeed; nothing is ever dropped because a destination says no.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::Intent;
use millrace_sink::{Advice, Content, Object, SinkError};
use millrace_types::{Backoff, Members};

use crate::context::LaneContext;
use crate::intent::Body;
use crate::outbox::{Place, digest};
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
        write_intent(&lane, id, &members, &body).await;
    }
    Ok(deliver(lane, id, members, body, memory).await)
}

/// An intent that was open when the lane started: its object is put again.
pub(crate) async fn ship_again(lane: Arc<LaneContext>, id: u64, members: Members, body: Body) -> Shipped {
    deliver(lane, id, members, body, None).await
}

/// Puts until the destination has proved that it has the object. Bytes that come from the outbox are
/// verified first; where they are gone or damaged the object is made again, under the same key.
async fn deliver(
    lane: Arc<LaneContext>,
    id: u64,
    members: Members,
    mut body: Body,
    mut memory: Option<Bytes>,
) -> Shipped {
    let mut retry = Retry::new(&lane);
    loop {
        if memory.is_none() && !is_whole(&lane, &body).await {
            match make_again(&lane, id, &members, &body).await {
                Ok((new, bytes)) => (body, memory) = (new, Some(bytes)),
                Err(trouble) => {
                    retry.wait(&trouble, None).await;
                    continue;
                }
            }
        }
        let Err(error) = attempt(&lane, &body, memory.take()).await else { break };
        lane.gauges.put_failed();
        let after = match error.advice {
            Advice::Retry { after } => after,
            Advice::Operator => None,
        };
        retry.wait(&Trouble::new(error.code, error.message), after).await;
    }
    drop(retry);
    Shipped { id, members, body }
}

async fn is_whole(lane: &Arc<LaneContext>, body: &Body) -> bool {
    let (shared, place, crc64) = (Arc::clone(&lane.shared), body.place.clone(), body.crc64);
    millrace_tasks::blocking(move || shared.outbox.is_whole(&place, crc64)).await
}

/// Makes the object again, stores it, and records where it lies now: the same intent, so the same
/// decision.
async fn make_again(
    lane: &Arc<LaneContext>,
    id: u64,
    members: &Members,
    body: &Body,
) -> Result<(Body, Bytes), Trouble> {
    let _one = lane.remaking.lock().await;
    tracing::warn!(stream = lane.name, key = body.key, "the outbox file is gone or damaged: the object is made again");
    let (bytes, metadata) = crate::remake::remake(lane, members, body).await?;
    let mut crc = digest();
    crc.update(&bytes);
    let place = store(lane, Bulk::Memory(bytes.clone())).await.map_err(|Lost(trouble)| trouble)?;
    let body = Body { place, crc64: crc.finalize(), metadata, ..body.clone() };
    write_intent(lane, id, members, &body).await;
    Ok((body, bytes))
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

async fn write_intent(lane: &Arc<LaneContext>, id: u64, members: &Members, body: &Body) {
    let mut retry = Retry::new(lane);
    loop {
        let intent = Intent { shard: lane.shard, id, members: members.clone(), body: body.to_bytes() };
        match lane.shared.journal.intent(intent).await {
            Ok(()) => return,
            Err(error) => retry.wait(&Trouble::new("journal.intent", error.to_string()), None).await,
        }
    }
}

async fn attempt(lane: &LaneContext, body: &Body, memory: Option<Bytes>) -> Result<(), SinkError> {
    let sink = lane.shared.buckets.open(&body.bucket)?;
    let content: Arc<dyn Content> = match memory {
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

/// Waits between attempts and shows why, until it is dropped.
struct Retry<'l> {
    lane: &'l LaneContext,
    owner: u64,
    backoff: Backoff,
    failures: u32,
}

impl<'l> Retry<'l> {
    fn new(lane: &'l LaneContext) -> Self {
        let base = Duration::from_millis(RETRY_BASE_MS);
        let backoff = Backoff { base, cap: lane.shared.settings.retry_cap() };
        Self { lane, owner: lane.gauges.owner(), backoff, failures: 0 }
    }

    async fn wait(&mut self, trouble: &Trouble, after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.lane.park(self.owner, trouble);
        let own = self.backoff.delay(self.failures, &*self.lane.shared.entropy);
        let wait = after.map_or(own, |asked| asked.max(own).min(self.backoff.cap));
        tokio::time::sleep(wait).await;
    }
}

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        self.lane.unpark(self.owner);
    }
}
