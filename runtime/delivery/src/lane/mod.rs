//! The lane: owner task of one delivery shard. It follows the shard's reader, has the work done on
//! worker threads, ships what is cut, commits what is stored. All its state is rebuilt from the
//! journal at its start, so trouble inside it ends in a new start and never in a loss.

mod start;
mod stop;

pub(crate) use start::plan;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use millrace_log::{Commit, Read, Reader};
use millrace_tasks::Tasks;
use millrace_transform::Ran;
use millrace_types::{Backoff, Batch, Counts, Seq};
use tokio::sync::{mpsc, watch};

use crate::budget::{Reading, SQUEEZED_BYTES};
use crate::context::{LaneContext, Shared, caught, pause};
use crate::cut::Reason;
use crate::intent::Body;
use crate::library::Called;
use crate::plan::Plan;
use crate::ready::{Ready, Wanted};
use crate::ship::{Lost, Shipment, Shipped, ship};
use crate::status::{RevisionSince, Trouble};
use crate::window::{self, Finished, Kind};
use crate::work::Work;

/// Objects of one lane that are on their way at once; more wait in their windows.
pub(crate) const SHIPS_MAX: usize = 4;
/// Records between watermark and reading position; above it all windows are cut, so that a slow
/// partition does not hold the rest back in memory and in the journal's done set.
const SPAN_RECORDS_MAX: usize = 4_000_000;
/// How long progress without an object (all dropped) may wait for its commit.
const QUIET_COMMIT: Duration = Duration::from_secs(1);
/// Records of one call of a function: each may end as a failure with a text.
pub(crate) const CALL_RECORDS_MAX: usize = 16_384;
/// First wait between two starts of a lane that fails.
const RESTART_BASE: Duration = Duration::from_millis(200);

/// What the owner of the streams tells a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Run,
    /// Cut all, ship what can be shipped in the time given, end.
    Stop,
    /// The stream is deleted: end at once.
    Discard,
}

/// Why one life of the lane ended.
enum Ending {
    Ordered,
    Restart(Trouble),
}

/// Runs the lane until it is told to end.
pub(crate) async fn run(lane: Arc<LaneContext>, mut orders: watch::Receiver<Order>) {
    let owner = lane.gauges.owner();
    let restart = Backoff { base: RESTART_BASE, cap: lane.shared.settings.retry_cap() };
    let mut failures = 0;
    let mut changed = lane.shared.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let ended = match start::start(&lane, owner).await {
            Ok(mut life) => {
                let ending = life.live(&mut orders).await;
                // What is still on its way must not write behind the next start's back.
                life.ships.abort().await;
                if life.committed {
                    failures = 0;
                }
                ending
            }
            Err(trouble) => Ending::Restart(trouble),
        };
        lane.shared.budget.forget(lane.shard);
        let Ending::Restart(trouble) = ended else {
            return;
        };
        failures += 1;
        lane.park(owner, &trouble);
        let wait = restart.delay(failures, &*lane.shared.entropy);
        tokio::select! {
            () = pause(wait, &mut changed) => {}
            _ = orders.wait_for(|order| *order != Order::Run) => return,
        }
    }
}

/// A wait for what a chunk needs.
type Coming = Pin<Box<dyn Future<Output = Result<Ready, Trouble>> + Send>>;

/// One life of a lane.
struct Life {
    lane: Arc<LaneContext>,
    plan: Arc<Plan>,
    reader: Reader,
    /// `None` only while a worker thread has it.
    work: Option<Work>,
    /// What the next chunk needs, on its way: events in between do not send the lane back to the end.
    coming: Option<Coming>,
    ships: Tasks,
    under_way: usize,
    arrivals: mpsc::Receiver<Result<Shipped, Lost>>,
    landing: mpsc::Sender<Result<Shipped, Lost>>,
    next_intent: u64,
    /// Counts of records that the tracker has decided and no commit has told yet.
    untold: Counts,
    quiet_since: Option<Duration>,
    /// Revisions of the function as they were last shown.
    revisions: Vec<(u32, Seq)>,
    /// Who parks the stream for the lane itself.
    owner: u64,
    /// A commit has been made since the start: what an earlier life was parked for is over.
    committed: bool,
}

/// What the lane waited for.
enum Event {
    Order(Order),
    Shipped(Box<Result<Shipped, Lost>>),
    Due,
    Spill,
    /// There is memory again, for what the reader has.
    Room,
    /// The reader has something, and here is what its work needs.
    Readable(Result<Ready, Trouble>),
}

impl Life {
    async fn live(&mut self, orders: &mut watch::Receiver<Order>) -> Ending {
        loop {
            let event = self.wait(orders).await;
            let handled = match event {
                Event::Order(Order::Run) => Ok(()),
                Event::Order(Order::Discard) => return Ending::Ordered,
                Event::Order(Order::Stop) => {
                    self.stop().await;
                    return Ending::Ordered;
                }
                Event::Shipped(shipped) => self.shipped(*shipped).await,
                Event::Due => self.turn(None, false).await,
                Event::Spill => self.spill().await,
                Event::Room => Ok(()),
                Event::Readable(ready) => match self.step(ready).await {
                    Ok(true) => Ok(()),
                    Ok(false) => return Ending::Ordered,
                    Err(trouble) => Err(trouble),
                },
            };
            if let Err(trouble) = handled {
                return Ending::Restart(trouble);
            }
        }
    }

    /// Reads and works, with a share of the node's memory; false when nothing more will come.
    async fn step(&mut self, ready: Result<Ready, Trouble>) -> Result<bool, Trouble> {
        let Ready { called, reading, _step } = ready?;
        let bytes = match reading {
            Reading::Free => self.plan.chunk_bytes,
            Reading::Squeezed => self.plan.chunk_bytes.min(SQUEEZED_BYTES),
            // Others have taken it meanwhile.
            Reading::Wait => return Ok(true),
        };
        match self.reader.next(bytes).await {
            Ok(Read::Batch(batch)) => self.batch(batch, called).await?,
            Ok(Read::Gap { from, to, why }) => self.gap(from, to, &why).await?,
            Ok(Read::Closed) => return Ok(false),
            Err(error) => return Err(Trouble::new("journal.read", error.to_string())),
        }
        Ok(true)
    }

    /// Waits for what the next chunk needs. A wait that is given up goes on where it was.
    async fn ready(coming: &mut Option<Coming>, lane: &LaneContext, plan: &Plan) -> Result<Ready, Trouble> {
        // A stream keeps its function as long as it is.
        let wanted = || match &plan.function {
            None => Wanted::Nothing,
            Some(call) => Wanted::Named(call.name.clone(), call.qualifier.clone()),
        };
        let get = || Box::pin(Ready::get(Arc::clone(&lane.shared), lane.shard, wanted()));
        let ready = coming.get_or_insert_with(|| get()).await;
        *coming = None;
        ready
    }

    async fn wait(&mut self, orders: &mut watch::Receiver<Order>) -> Event {
        let room = self.under_way < SHIPS_MAX;
        let work = self.work.as_ref();
        // With no room to ship, reading goes on until a window is full; with something stuck, until
        // the span is at its limit. The journal holds the rest.
        let full = work.is_some_and(Work::has_full_window);
        let may_read = (room || !full) && work.is_some_and(|w| w.tracker.span() < SPAN_RECORDS_MAX);
        let due = work.and_then(Work::next_due).filter(|_| room);
        let quiet =
            self.quiet_since.map(|since| (since + QUIET_COMMIT).saturating_sub(self.lane.shared.clock.monotonic()));
        let sleep = [due, quiet].into_iter().flatten().min();
        let freed = self.lane.shared.budget.room(self.plan.function.is_some());
        let memory = self.lane.shared.budget.reading(self.lane.shard) != Reading::Wait;
        if !may_read || !memory {
            // Who cannot read keeps no place among the calls of a function from those who can.
            self.coming = None;
        }
        let readable = async {
            self.reader.ready().await;
            if memory {
                return Event::Readable(Self::ready(&mut self.coming, &self.lane, &self.plan).await);
            }
            freed.await;
            Event::Room
        };
        tokio::select! {
            biased;
            order = orders.wait_for(|order| *order != Order::Run) => Event::Order(order.map_or(Order::Stop, |o| *o)),
            Some(shipped) = self.arrivals.recv() => Event::Shipped(Box::new(shipped)),
            () = self.lane.spill.notified() => Event::Spill,
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => Event::Due,
            event = readable, if may_read => event,
        }
    }

    async fn batch(&mut self, batch: Batch, mut called: Option<Called>) -> Result<(), Trouble> {
        self.lane.has_read(batch.payload().len());
        if self.plan.is_outdated(&self.lane.shared.catalog) {
            self.plan = Arc::new(plan(&self.lane, None).await?);
            if let Some(work) = &mut self.work {
                work.follow(&self.plan);
            }
        }
        if called.is_none() {
            return self.turn(Some((batch, None)), false).await;
        }
        for from in (0..batch.len()).step_by(CALL_RECORDS_MAX) {
            let to = batch.len().min(from + CALL_RECORDS_MAX);
            // The last call gives the place back as soon as it ends.
            let called = if to < batch.len() { called.clone() } else { called.take() };
            self.turn(Some((batch.slice(from, to), called)), false).await?;
        }
        Ok(())
    }

    async fn gap(&mut self, from: Seq, to: Seq, why: &str) -> Result<(), Trouble> {
        tracing::error!(stream = self.lane.name, %from, %to, why, "records cannot be read; set aside, not deleted");
        if let Some(work) = &mut self.work {
            work.take_gap(from, to);
        }
        self.turn(None, false).await
    }

    /// One turn: run a batch's function, if it has one; on a worker thread take the batch, cut what is due; then
    /// ship and commit.
    async fn turn(&mut self, batch: Option<(Batch, Option<Called>)>, all: bool) -> Result<(), Trouble> {
        let worked = batch.is_some();
        let (batch, function) = batch.map_or((None, None), |(batch, called)| (Some(batch), called));
        let slots = if all { usize::MAX } else { SHIPS_MAX.saturating_sub(self.under_way) };
        let mut work = self.work.take().ok_or_else(|| Trouble::new("internal.lane", "a turn inside a turn"))?;
        let all = all || work.tracker.span() >= SPAN_RECORDS_MAX;
        let ran = match (&batch, function) {
            (Some(batch), Some(function)) => {
                let (shared, plan) = (Arc::clone(&self.lane.shared), Arc::clone(&self.plan));
                Some(run_function(&shared, &plan, batch, function).await?)
            }
            _ => None,
        };
        let done = caught(&self.lane.shared.workers, move || {
            match (&batch, &ran) {
                (Some(batch), Some((ran, revision))) => work.take_ran(batch, ran, *revision)?,
                (Some(batch), None) => work.take(batch)?,
                (None, _) => {}
            }
            Ok((work.cut(all, slots)?, work))
        });
        let (cut, work) = done.await?.map_err(|error: window::Error| Trouble::new("delivery.encode", chain(&error)))?;
        self.tell_revisions(&work);
        self.work = Some(work);
        for (finished, reason) in cut {
            self.send(finished, reason);
        }
        self.report();
        if worked {
            // What the lane was parked for is over, though its objects may still be under way.
            self.lane.unpark(self.owner);
        }
        self.commit_progress(Vec::new(), false).await
    }

    /// Shows, and says in the log, which revisions of the function are at work and from which record on.
    fn tell_revisions(&mut self, work: &Work) {
        if work.revisions() == self.revisions {
            return;
        }
        for (revision, from) in work.revisions().iter().filter(|one| !self.revisions.contains(one)) {
            tracing::info!(stream = self.lane.name, shard = %self.lane.shard, revision, %from, "a revision of the function is at work");
        }
        self.revisions = work.revisions().to_vec();
        let lane = self.lane.shard.lane().0;
        let told = self.revisions.iter().map(|(revision, from)| RevisionSince {
            lane,
            revision: *revision,
            from_sequence: from.get(),
        });
        self.lane.gauges.work_by(lane, told.collect());
    }

    fn send(&mut self, finished: Finished, reason: Reason) {
        let body = self.body(&finished);
        tracing::debug!(stream = self.lane.name, key = body.key, ?reason, records = body.records, "cut");
        let id = self.next_intent;
        self.next_intent += 1;
        let hold = self.lane.shared.budget.hold(self.lane.shard, finished.bulk.memory_bytes(), &self.lane.spill);
        let shipment = Shipment { id, members: finished.members, bulk: finished.bulk, hold, body };
        if crate::planted("commit-before-put") {
            let counts = Counts::default();
            let watermark = shipment.members.span().map_or(Seq::ZERO, |(_, last)| last.plus(1));
            let (lane, commit) =
                (Arc::clone(&self.lane), Commit { shard: self.lane.shard, intents: vec![], watermark, counts });
            self.ships.spawn("planted", async move { drop(lane.shared.journal.commit(commit).await) });
        }
        let (lane, landing) = (Arc::clone(&self.lane), self.landing.clone());
        self.under_way += 1;
        self.ships.spawn("ship", async move {
            let shipped = ship(lane, shipment).await;
            // The lane may have ended: then the next one finds the intent.
            drop(landing.send(shipped).await);
        });
    }

    fn body(&self, finished: &Finished) -> Body {
        let key = self.plan.key(finished, &*self.lane.shared.entropy);
        let (error_type, partition) = match &finished.kind {
            Kind::Data(partition) => (None, partition.as_ref().map(|p| p.prefix.clone())),
            Kind::Error(folder) => (Some((*folder).to_owned()), None),
        };
        Body {
            bucket: self.plan.stream.destination.bucket.clone(),
            key,
            place: crate::outbox::Place { file: String::new(), offset: 0, length: finished.length },
            crc64: finished.crc64,
            content_encoding: finished.content_encoding.map(str::to_owned),
            metadata: finished.metadata(self.lane.shard),
            records: finished.records,
            error_type,
            partition,
            function: self.plan.function.as_ref().map(|f| (f.name.clone(), finished.revision)),
            table_version: finished.table_version,
        }
    }

    async fn shipped(&mut self, shipped: Result<Shipped, Lost>) -> Result<(), Trouble> {
        self.under_way -= 1;
        let mut landed = vec![shipped.map_err(|Lost(trouble)| trouble)?];
        // What has landed meanwhile shares the commit.
        while let Ok(more) = self.arrivals.try_recv() {
            self.under_way -= 1;
            landed.push(more.map_err(|Lost(trouble)| trouble)?);
        }
        self.lane.shared.budget.able(self.lane.shard);
        if let Some(work) = &mut self.work {
            for one in &landed {
                work.tracker.settle(&one.members);
            }
        }
        let ids = landed.iter().map(|s| s.id).collect();
        self.commit_progress(ids, true).await?;
        for one in &landed {
            self.lane.gauges.object_committed(one.body.place.length);
        }
        let shared = Arc::clone(&self.lane.shared);
        millrace_tasks::blocking(move || landed.iter().for_each(|one| shared.outbox.release(&one.body.place))).await;
        Ok(())
    }

    /// Commits closed intents and the watermark; without intents only when asked or when it has
    /// waited long enough.
    async fn commit_progress(&mut self, intents: Vec<u64>, now: bool) -> Result<(), Trouble> {
        let Some(work) = &mut self.work else {
            return Ok(());
        };
        self.untold.add(&work.tracker.advance());
        let watermark = work.tracker.watermark();
        work.trim_claims();
        if intents.is_empty() && self.untold == Counts::default() {
            self.quiet_since = None;
            return Ok(());
        }
        let clock = self.lane.shared.clock.monotonic();
        let since = *self.quiet_since.get_or_insert(clock);
        if intents.is_empty() && !now && clock.saturating_sub(since) < QUIET_COMMIT {
            return Ok(());
        }
        let commit = Commit { shard: self.lane.shard, intents, watermark, counts: self.untold };
        self.lane.shared.journal.commit(commit).await.map_err(|e| Trouble::new("journal.commit", e.to_string()))?;
        self.untold = Counts::default();
        self.quiet_since = None;
        if !std::mem::replace(&mut self.committed, true) {
            self.lane.unpark(self.owner);
        }
        Ok(())
    }

    /// Frees memory: spills finished output; where there is none to spill, cuts the largest window.
    async fn spill(&mut self) -> Result<(), Trouble> {
        // It holds nothing (any more): it was woken to read.
        let Some(mut work) = self.work.take_if(|work| work.memory_bytes() > 0) else {
            return Ok(());
        };
        let shared = Arc::clone(&self.lane.shared);
        let (freed, work) = millrace_tasks::blocking(move || (work.spill(&shared.outbox), work)).await;
        self.work = Some(work);
        if freed.map_err(|e| Trouble::new("outbox.write", chain(&e)))? > 0 {
            self.report();
            return Ok(());
        }
        let room = self.under_way < SHIPS_MAX;
        let Some(window) = self.work.as_mut().filter(|_| room).and_then(Work::take_largest) else {
            self.lane.shared.budget.spent(self.lane.shard);
            return Ok(());
        };
        let finished = caught(&self.lane.shared.workers, move || window.finish()).await?;
        self.send(finished.map_err(|e| Trouble::new("delivery.encode", chain(&e)))?, Reason::Memory);
        self.report();
        Ok(())
    }

    fn report(&self) {
        let bytes = self.work.as_ref().map_or(0, Work::memory_bytes);
        self.lane.shared.budget.report(self.lane.shard, bytes, &self.lane.spill);
    }
}

/// Runs the function over a batch, on a thread for guests; answers what it made of it, and which revision did.
async fn run_function(
    shared: &Arc<Shared>,
    plan: &Plan,
    batch: &Batch,
    called: Called,
) -> Result<(Arc<Ran>, u32), Trouble> {
    let Some(call) = &plan.function else { return Err(Trouble::new("internal.lane", "no function")) };
    let (retries, revision) = (call.retries, called.revision);
    let (given, source) = (batch.clone(), Arc::clone(&plan.source));
    // With the call's end its place among the calls is free again.
    let ran = Arc::new(caught(&shared.guests, move || called.function.run(&given, retries, &source)).await?);
    Arc::clone(&shared.functions).shadow(&call.name, batch, &ran, &plan.source);
    Ok((ran, revision))
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
