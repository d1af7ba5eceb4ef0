//! Shipping one object: outbox, intent, put. Its commit is the lane's. Steps are tried again until they
//! succeed; nothing is ever dropped because a destination says no.
//!
//! A decision whose bytes are gone is carried out anew from the journal. What its function does not give
//! this time is taken back from the decision, durably, and the lane starts again: those outputs are
//! undecided then, and `claims` says what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::Intent;
use millrace_sink::{Advice, Content, Object, SinkError};
use millrace_types::{Backoff, Members};
use tokio::sync::watch;

use crate::budget::Hold;
use crate::context::{LaneContext, pause};
use crate::intent::Body;
use crate::outbox::Place;
use crate::status::Trouble;
use crate::window::Bulk;

/// First wait behind a failed attempt.
const RETRY_BASE_MS: u64 = 100;
/// An object up to this size is put from memory: at its first attempt it is not read back from the outbox,
/// and later in one piece.
const FROM_MEMORY_BYTES_MAX: u64 = 16 << 20;

/// An object that is stored at its destination.
#[derive(Debug)]
pub(crate) struct Shipped {
    pub(crate) id: u64,
    pub(crate) members: Members,
    pub(crate) body: Body,
}

/// The lane has to start again from the journal: the bytes are gone before they were durable, or the
/// decision was taken back in part.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) Trouble);

/// A cut window on its way.
pub(crate) struct Shipment {
    pub(crate) id: u64,
    pub(crate) members: Members,
    pub(crate) bulk: Bulk,
    /// What `bulk` takes of the memory budget.
    pub(crate) hold: Hold,
    /// `place` is filled in by [`ship`].
    pub(crate) body: Body,
}

/// An object that lies in the outbox, until it is sure that an intent names it. When the ship is
/// stopped before, the bytes are released: at once, or once the lane knows whether the intent is open.
#[derive(Debug)]
pub(crate) struct Stored {
    lane: Arc<LaneContext>,
    place: Option<Place>,
    /// What the intent named before; released once it names `place`.
    before: Option<Place>,
    /// The intent that names it is on its way.
    pub(crate) asked: bool,
}

impl Stored {
    fn new(lane: &Arc<LaneContext>, place: Place) -> Self {
        Self { lane: Arc::clone(lane), place: Some(place), before: None, asked: false }
    }

    /// The intent names it durably; answers what it named before.
    fn decided(mut self) -> Option<Place> {
        self.place = None;
        self.before.take()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if self.asked {
            self.lane.doubts.lock().extend(self.place.take().into_iter().chain(self.before.take()));
        } else if let Some(place) = self.place.take() {
            self.lane.shared.outbox.release(&place);
        }
    }
}

/// Takes a cut window to its destination.
pub(crate) async fn ship(lane: Arc<LaneContext>, shipment: Shipment) -> Result<Shipped, Lost> {
    let Shipment { id, members, bulk, hold, body } = shipment;
    let bytes = match &bulk {
        Bulk::Memory(bytes) if bytes.len() as u64 <= FROM_MEMORY_BYTES_MAX => Some(bytes.clone()),
        _ => None,
    };
    let stored = store(&lane, bulk).await?;
    let body = decide(&lane, id, &members, body, stored).await;
    // From here on a copy in memory only saves reading: it is the first thing to go.
    let memory = bytes.filter(|_| lane.shared.budget.has_room()).map(|bytes| (bytes, hold));
    deliver(lane, id, members, body, memory).await
}

/// An intent that was open when the lane started: its object is put again.
pub(crate) async fn ship_again(lane: Arc<LaneContext>, id: u64, members: Members, body: Body) -> Result<Shipped, Lost> {
    deliver(lane, id, members, body, None).await
}

/// Puts until the destination has proved that it has the object. Bytes that come from the outbox are
/// verified first; where they are gone or damaged the object is made again, under the same key.
async fn deliver(
    lane: Arc<LaneContext>,
    id: u64,
    members: Members,
    mut body: Body,
    mut memory: Option<(Bytes, Hold)>,
) -> Result<Shipped, Lost> {
    let mut retry = Retry::new(&lane);
    loop {
        let (content, hold) = match memory.take() {
            Some((bytes, hold)) => (Some(Arc::new(bytes) as Arc<dyn Content>), Some(hold)),
            None => (verified(&lane, &body).await, None),
        };
        let Some(content) = content else {
            match make_again(&lane, &retry, id, &members, &body).await {
                Ok(new) => body = new,
                Err(Again::Later(trouble)) => retry.wait(&trouble, None).await,
                Err(Again::Changed(trouble)) => return Err(Lost(trouble)),
            }
            continue;
        };
        let Err(error) = attempt(&lane, &body, content).await else { break };
        drop(hold);
        lane.gauges.put_failed();
        let after = match error.advice {
            Advice::Retry { after } => after,
            Advice::Operator => None,
        };
        retry.wait(&Trouble::new(error.code, error.message), after).await;
    }
    drop(retry);
    if crate::planted("no-intent") {
        // This bug shows only where a kill falls between a put and its commit.
        tokio::time::sleep(Duration::from_millis(RETRY_BASE_MS)).await;
    }
    Ok(Shipped { id, members, body })
}

/// The bytes in the outbox, proved to be those of the decision; `None` when they are gone or damaged. What is
/// small is proved as it is read for the put; what is large is read again in parts.
async fn verified(lane: &Arc<LaneContext>, body: &Body) -> Option<Arc<dyn Content>> {
    let (shared, place, crc64) = (Arc::clone(&lane.shared), body.place.clone(), body.crc64);
    let found = millrace_tasks::blocking(move || -> Option<Arc<dyn Content>> {
        if place.length <= FROM_MEMORY_BYTES_MAX {
            return Some(Arc::new(shared.outbox.read(&place, crc64)?));
        }
        if !shared.outbox.is_whole(&place, crc64) {
            return None;
        }
        Some(Arc::new(shared.outbox.content(&place).ok()?))
    });
    found.await
}

/// Why an object that was to be made again is not there.
enum Again {
    /// Something is in the way that may pass.
    Later(Trouble),
    /// It is there, and holds less than was decided.
    Changed(Trouble),
}

/// Makes the object again, stores it, and records where it lies now and what it holds: the same intent,
/// so the same decision.
async fn make_again(
    lane: &Arc<LaneContext>,
    retry: &Retry<'_>,
    id: u64,
    members: &Members,
    body: &Body,
) -> Result<Body, Again> {
    retry.show(&Trouble::new(
        "delivery.remake",
        format!(
            "the object {} was lost or damaged in the outbox; it is made again from the journal, or waits while \
             another of its shard is",
            body.key
        ),
    ));
    let (finished, hold) = {
        // Held while it is made alone: storing may have to wait.
        let _one = lane.remaking.lock().await;
        crate::remake::remake(lane, members, body).await.map_err(Again::Later)?
    };
    let gone = members.count() - finished.members.count();
    let body = Body {
        crc64: finished.crc64,
        metadata: finished.metadata(lane.shard),
        records: finished.records,
        ..body.clone()
    };
    let mut stored = store(lane, finished.bulk).await.map_err(|Lost(trouble)| Again::Later(trouble))?;
    drop(hold);
    stored.before = Some(body.place.clone());
    let body = decide(lane, id, &finished.members, body, stored).await;
    if gone == 0 {
        retry.done();
        return Ok(body);
    }
    Err(Again::Changed(Trouble::new(
        "delivery.changed",
        format!(
            "the object {} was lost and is made again without {gone} of its outputs, which the function does not \
             give any more or which cannot be read; what becomes of these records is decided anew",
            body.key
        ),
    )))
}

pub(crate) async fn store(lane: &Arc<LaneContext>, bulk: Bulk) -> Result<Stored, Lost> {
    let mut retry = Retry::new(lane);
    let bytes = match bulk {
        Bulk::Memory(bytes) => bytes,
        Bulk::Spilled(spill) => {
            let own = Arc::clone(lane);
            return millrace_tasks::blocking(move || Ok(Stored::new(&own, own.shared.outbox.finish_spill(spill)?)))
                .await
                .map_err(|error: std::io::Error| Lost(outbox_trouble(lane, &error)));
        }
    };
    loop {
        // Made where it is written: when nobody waits any more, dropping it releases the bytes.
        let (own, copy) = (Arc::clone(lane), bytes.clone());
        let stored =
            millrace_tasks::blocking(move || own.shared.outbox.store(&copy).map(|place| Stored::new(&own, place)));
        match stored.await {
            Ok(stored) => return Ok(stored),
            Err(error) => retry.wait(&outbox_trouble(lane, &error), None).await,
        }
    }
}

/// Makes the decision durable; the body says where the bytes lie.
async fn decide(lane: &Arc<LaneContext>, id: u64, members: &Members, mut body: Body, mut stored: Stored) -> Body {
    if let Some(place) = &stored.place {
        body.place = place.clone();
    }
    stored.asked = true;
    if !crate::planted("no-intent") {
        write_intent(lane, id, members, &body).await;
    }
    if let Some(before) = stored.decided() {
        let shared = Arc::clone(&lane.shared);
        millrace_tasks::blocking(move || shared.outbox.release(&before)).await;
    }
    body
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

async fn attempt(lane: &LaneContext, body: &Body, content: Arc<dyn Content>) -> Result<(), SinkError> {
    let sink = lane.shared.buckets.open(&body.bucket)?;
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
    changed: watch::Receiver<()>,
}

impl<'l> Retry<'l> {
    fn new(lane: &'l LaneContext) -> Self {
        let base = Duration::from_millis(RETRY_BASE_MS);
        let backoff = Backoff { base, cap: lane.shared.settings.retry_cap() };
        let changed = lane.shared.changed.subscribe();
        Self { lane, owner: lane.gauges.owner(), backoff, failures: 0, changed }
    }

    /// Shows what stands still, until it is done or there is something else to show.
    fn show(&self, trouble: &Trouble) {
        self.lane.park(self.owner, trouble);
    }

    fn done(&self) {
        self.lane.unpark(self.owner);
    }

    async fn wait(&mut self, trouble: &Trouble, after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.show(trouble);
        let own = self.backoff.delay(self.failures, &*self.lane.shared.entropy);
        let wait = after.map_or(own, |asked| asked.max(own).min(self.backoff.cap));
        pause(wait, &mut self.changed).await;
    }
}

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        self.done();
    }
}
