//! The work on one shard's records: from a batch (and what the function made of it) into windows.
//! Synchronous and CPU only; runs on a worker thread. Its owner is the lane.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_encode::Rejected;
use millrace_transform::{Failed, Ran};
use millrace_types::{Batch, Clock, Columns, Entropy, Seq};

use crate::claims::Claims;
use crate::cut::{Look, Reason, decide};
use crate::failure::{Failure, write_failure};
use crate::outbox::Outbox;
use crate::outputs::Outputs;
use crate::plan::Plan;
use crate::route::{PARTITIONS_MAX, Refusal, Route, Router};
use crate::tracker::{Fate, Tracker};
use crate::window::{Error, Finished, Kind, Window};

/// Folder of records that the function refused.
pub(crate) const PROCESSING_FAILED: &str = "processing-failed";
/// Folder of records that the format refused.
pub(crate) const CONVERSION_FAILED: &str = "format-conversion-failed";

/// Revisions of a function whose windows are open side by side.
const REVISIONS_MAX: usize = 2;

/// Code of an output that was decided to be and that a later run of the function does not give.
pub(crate) const OUTPUT_MISSING: &str = "Lambda.OutputMissing";

/// Windows, tracker and claims of one shard.
pub(crate) struct Work {
    plan: Arc<Plan>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// By the revision of the function and the kind: an object holds outputs of one revision.
    windows: HashMap<(u32, Kind), Window>,
    /// Revisions that windows are open for, the one that ran last behind: an alias has two. What a third one
    /// pushes out is cut.
    revisions: Vec<(u32, Seq)>,
    router: Router,
    pub(crate) tracker: Tracker,
    /// Outputs that lie in committed objects or open intents: never delivered again.
    claims: Claims,
}

/// Outputs of one window, in order: parallel lists.
#[derive(Default)]
struct Slot {
    select: Vec<u32>,
}

/// A record or an output that goes to an error folder.
struct Refused<'a> {
    folder: &'static str,
    source: u32,
    index: u32,
    /// Outputs of its input.
    total: u32,
    raw: &'a [u8],
    code: &'a str,
    message: &'a str,
    attempts: u32,
}

impl Work {
    pub(crate) fn new(
        plan: Arc<Plan>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        tracker: Tracker,
        claims: Claims,
    ) -> Self {
        let router = Router::new(&plan);
        Self { plan, clock, entropy, windows: HashMap::new(), revisions: Vec::new(), router, tracker, claims }
    }

    /// Windows that are opened from now on follow `plan`; open ones stay what they are.
    pub(crate) fn follow(&mut self, plan: &Arc<Plan>) {
        self.router = Router::new(plan);
        self.plan = Arc::clone(plan);
    }

    /// Takes a batch as it is.
    pub(crate) fn take(&mut self, batch: &Batch) -> Result<(), Error> {
        if !self.revisions.is_empty() {
            // The stream had a function before.
            self.run_by(0, batch.first());
        }
        let outputs = Outputs::of_batch(batch);
        if !self.plan.partitioned && self.claims.is_empty() {
            return self.take_whole(batch, &outputs);
        }
        self.take_outputs(batch, &outputs, &Route::Whole)?;
        self.take_missing(batch, &outputs, &[])
    }

    /// Takes what a revision of the function made of a batch.
    pub(crate) fn take_ran(&mut self, batch: &Batch, ran: &Ran, revision: u32) -> Result<(), Error> {
        self.run_by(revision, batch.first());
        let output = &ran.output;
        let outputs = Outputs::of_run(output);
        self.take_outputs(batch, &outputs, &Route::Keys(output))?;
        self.take_missing(batch, &outputs, &ran.failures)?;
        for failed in &ran.failures {
            self.take_failed(batch, failed)?;
        }
        Ok(())
    }

    /// Revisions that windows are open for, each with the sequence number from which on it ran first.
    pub(crate) fn revisions(&self) -> &[(u32, Seq)] {
        &self.revisions
    }

    fn run_by(&mut self, revision: u32, first: Seq) {
        match self.revisions.iter().position(|(known, _)| *known == revision) {
            Some(at) => self.revisions[at..].rotate_left(1),
            None => {
                self.revisions.push((revision, first));
                let over = self.revisions.len().saturating_sub(REVISIONS_MAX);
                self.revisions.drain(..over);
            }
        }
    }

    /// The revision whose outputs are being taken; 0 without a function.
    fn revision(&self) -> u32 {
        self.revisions.last().map_or(0, |(revision, _)| *revision)
    }

    /// The records of a frame that cannot be read.
    pub(crate) fn take_gap(&mut self, from: Seq, to: Seq) {
        for seq in (from.get()..to.get()).map(Seq::new) {
            // Where all its outputs were decided while it could still be read, it is not lost.
            let whole = self.claims.has(seq) && self.claims.missing(seq, 0).next().is_none();
            let fate = match whole {
                true if self.claims.has_failed(seq) => Fate::Failed,
                true => Fate::Delivered,
                false => Fate::Quarantined,
            };
            self.tracker.read(seq, 0, fate);
        }
    }

    /// The fast path: no function, no partition, nothing claimed.
    fn take_whole(&mut self, batch: &Batch, outputs: &Outputs<'_>) -> Result<(), Error> {
        let now = self.clock.monotonic();
        let arrivals = batch.arrivals_ms();
        let Some(oldest) = arrivals.first().copied() else {
            return Ok(());
        };
        self.tracker.read_all(batch.first(), batch.len() as u64, Fate::Delivered);
        let at = (self.revision(), Kind::Data(None));
        let window = open(&mut self.windows, &self.plan, &*self.entropy, at, now, oldest)?;
        let rejected = window.push(outputs.columns, None)?;
        let mut from = batch.first();
        for one in &rejected {
            let seq = batch.first().plus(u64::from(one.index));
            window.note(0, from, seq, oldest);
            from = seq.plus(1);
        }
        window.note(0, from, batch.end(), oldest);
        self.take_rejected(batch, outputs, &rejected)
    }

    fn take_outputs(&mut self, batch: &Batch, outputs: &Outputs<'_>, route: &Route<'_>) -> Result<(), Error> {
        let (slots, refused, open_outputs) = self.sort(batch, outputs, route);
        self.track(batch, outputs, &open_outputs);
        let now = self.clock.monotonic();
        for (kind, slot) in slots {
            let first = outputs.source(slot.select[0]) as usize;
            let oldest = batch.arrivals_ms()[first];
            let at = (self.revision(), kind);
            let window = open(&mut self.windows, &self.plan, &*self.entropy, at, now, oldest)?;
            let all = slot.select.len() == outputs.columns.len();
            let rejected = window.push(outputs.columns, (!all).then_some(&slot.select))?;
            note_runs(window, batch, outputs, &slot.select, &rejected, &self.claims);
            self.take_rejected(batch, outputs, &rejected)?;
        }
        for (output, refusal) in refused {
            let source = outputs.source(output);
            self.tracker.fail(batch.first().plus(u64::from(source)));
            self.refuse(
                batch,
                &Refused {
                    folder: refusal.folder,
                    source,
                    index: outputs.nth(output),
                    total: outputs.total(source),
                    raw: batch.record(source as usize),
                    code: refusal.code,
                    message: &refusal.message,
                    attempts: 1,
                },
            )?;
        }
        Ok(())
    }

    /// Sorts outputs into windows; answers also the refused ones and how many outputs of each input
    /// are new (not claimed).
    #[expect(clippy::type_complexity, reason = "three answers of one pass, taken apart at once")]
    fn sort(
        &mut self,
        batch: &Batch,
        outputs: &Outputs<'_>,
        route: &Route<'_>,
    ) -> (HashMap<Kind, Slot>, Vec<(u32, Refusal)>, Vec<u32>) {
        let mut slots: HashMap<Kind, Slot> = HashMap::new();
        let mut refused = Vec::new();
        let mut open_outputs = vec![0; batch.len()];
        #[expect(clippy::cast_possible_truncation, reason = "a batch holds at most RECORDS_MAX records")]
        let count = outputs.columns.len() as u32;
        // One that two revisions of the function write to is one partition.
        let mut open_partitions: HashSet<Kind> = match self.plan.partitioned {
            true => self.windows.keys().map(|(_, kind)| kind).filter(|kind| kind.is_data()).cloned().collect(),
            false => HashSet::new(),
        };
        let mut whole = Slot::default();
        for output in 0..count {
            let source = outputs.source(output);
            let seq = batch.first().plus(u64::from(source));
            if !self.claims.is_open(seq, outputs.nth(output)) {
                continue;
            }
            open_outputs[source as usize] += 1;
            if !self.plan.partitioned {
                whole.select.push(output);
                continue;
            }
            match self.router.route(route, output as usize) {
                Ok(kind) => {
                    let known = open_partitions.contains(kind);
                    if known || open_partitions.len() < PARTITIONS_MAX {
                        if !known {
                            open_partitions.insert(kind.clone());
                        }
                        slots.entry(kind.clone()).or_default().select.push(output);
                    } else {
                        refused.push((output, Refusal::too_many_partitions()));
                    }
                }
                Err(refusal) => refused.push((output, refusal)),
            }
        }
        if !whole.select.is_empty() {
            slots.insert(Kind::Data(None), whole);
        }
        (slots, refused, open_outputs)
    }

    fn track(&mut self, batch: &Batch, outputs: &Outputs<'_>, open_outputs: &[u32]) {
        let mut has_output = vec![outputs.sources.is_none(); batch.len()];
        for source in outputs.sources.unwrap_or_default() {
            has_output[*source as usize] = true;
        }
        for (nth, open) in open_outputs.iter().enumerate() {
            let seq = batch.first().plus(nth as u64);
            // An input whose first output was delivered before a restart stays delivered, whatever
            // the function says this time.
            let fate = if self.claims.has_failed(seq) {
                Fate::Failed
            } else if has_output[nth] || self.claims.has(seq) {
                Fate::Delivered
            } else {
                Fate::Dropped
            };
            self.tracker.read(seq, *open, fate);
        }
    }

    fn take_rejected(&mut self, batch: &Batch, outputs: &Outputs<'_>, rejected: &[Rejected]) -> Result<(), Error> {
        for one in rejected {
            let source = outputs.source(one.index);
            self.tracker.fail(batch.first().plus(u64::from(source)));
            let refused = Refused {
                folder: CONVERSION_FAILED,
                source,
                index: outputs.nth(one.index),
                total: outputs.total(source),
                raw: outputs.columns.record(one.index as usize),
                code: one.code,
                message: &one.message,
                attempts: 1,
            };
            self.refuse(batch, &refused)?;
        }
        Ok(())
    }

    fn take_failed(&mut self, batch: &Batch, failed: &Failed) -> Result<(), Error> {
        let seq = batch.first().plus(u64::from(failed.index));
        if self.claims.has(seq) {
            // Decided before a restart: `take_missing` has done what is left to do.
            return Ok(());
        }
        self.tracker.read(seq, 1, Fate::Failed);
        self.refuse(
            batch,
            &Refused {
                folder: PROCESSING_FAILED,
                source: failed.index,
                index: 0,
                total: 1,
                raw: batch.record(failed.index as usize),
                code: failed.code,
                message: &failed.message,
                attempts: failed.attempts,
            },
        )
    }

    /// Error lines for outputs that were decided to be and that this run does not give: see `claims`.
    fn take_missing(&mut self, batch: &Batch, outputs: &Outputs<'_>, failures: &[Failed]) -> Result<(), Error> {
        if self.claims.is_empty() {
            return Ok(());
        }
        let mut failures = failures.iter().peekable();
        for (source, raw) in (0u32..).zip(batch.columns().iter()) {
            let seq = batch.first().plus(u64::from(source));
            let failed = failures.next_if(|failed| failed.index == source);
            let given = outputs.count(source);
            let missing: Vec<u32> = self.claims.missing(seq, given).collect();
            for index in missing {
                let total = self.claims.total(seq, given);
                let message = format!(
                    "the function gave {total} outputs for this record before a restart and {given} behind it: \
                     output {index} is not delivered"
                );
                let refused = Refused {
                    folder: PROCESSING_FAILED,
                    source,
                    index,
                    total,
                    raw,
                    code: failed.map_or(OUTPUT_MISSING, |f| f.code),
                    message: failed.map_or(&message, |f| &f.message),
                    attempts: failed.map_or(1, |f| f.attempts),
                };
                self.tracker.read(seq, 1, Fate::Failed);
                self.refuse(batch, &refused)?;
            }
        }
        Ok(())
    }

    /// Writes one error line; the tracker has counted the output already.
    fn refuse(&mut self, batch: &Batch, refused: &Refused<'_>) -> Result<(), Error> {
        let arrival_ms = batch.arrivals_ms()[refused.source as usize];
        let seq = batch.first().plus(u64::from(refused.source));
        let mut line = Vec::with_capacity(refused.raw.len() * 4 / 3 + 512);
        let failure = Failure {
            raw: refused.raw,
            code: refused.code,
            message: refused.message,
            attempts: refused.attempts,
            arrival_ms,
            ended_ms: self.clock.now_ms(),
        };
        write_failure(&self.plan, refused.folder, &failure, &mut line);
        let now = self.clock.monotonic();
        let at = (self.revision(), Kind::Error(refused.folder));
        let window = open(&mut self.windows, &self.plan, &*self.entropy, at, now, arrival_ms)?;
        #[expect(clippy::cast_possible_truncation, reason = "a line is four thirds of a record at most")]
        let ends = [line.len() as u32];
        window.push(Columns { payload: &line, ends: &ends }, None)?;
        window.note(refused.index, seq, seq.plus(1), arrival_ms);
        window.note_total(seq, self.claims.total(seq, refused.total));
        Ok(())
    }

    /// Ends windows that are due (or any), the oldest first, at most `slots` of them.
    pub(crate) fn cut(&mut self, all: bool, slots: usize) -> Result<Vec<(Finished, Reason)>, Error> {
        let now = self.clock.monotonic();
        let limits = self.plan.limits;
        let due = |w: &Window| {
            let over = w.is_wide() || self.is_pushed_out(w);
            let (source_bytes, age, all) = (w.source_bytes(), now.saturating_sub(w.opened), all || over);
            decide(Look { source_bytes, age, all }, limits)
        };
        let mut kinds: Vec<_> = self.windows.iter().filter_map(|(k, w)| Some((w.opened, k.clone(), due(w)?))).collect();
        kinds.sort_by_key(|(opened, _, _)| *opened);
        let mut cut = Vec::new();
        for (_, kind, reason) in kinds {
            if cut.len() >= slots {
                break;
            }
            let Some(window) = self.windows.remove(&kind) else { continue };
            // A window whose every record was refused holds nothing: no object, no intent.
            if !window.is_empty() {
                cut.push((window.finish()?, reason));
            }
        }
        Ok(cut)
    }

    /// True when other revisions of the function have taken the place of the window's.
    fn is_pushed_out(&self, window: &Window) -> bool {
        window.revision != 0 && self.revisions.iter().all(|(revision, _)| *revision != window.revision)
    }

    /// Time until the next window is due by age.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let due = |w: &Window| match self.is_pushed_out(w) {
            true => Duration::ZERO,
            false => (w.opened + self.plan.limits.age).saturating_sub(now),
        };
        self.windows.values().map(due).min()
    }

    /// True when a window has reached its size.
    pub(crate) fn has_full_window(&self) -> bool {
        self.windows.values().any(|w| w.is_wide() || w.source_bytes() >= self.plan.limits.source_bytes)
    }

    /// Bytes that the windows hold in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.windows.values().map(Window::memory_bytes).sum()
    }

    /// Moves finished output of all windows to disk; answers how many bytes that freed.
    pub(crate) fn spill(&mut self, outbox: &Outbox) -> Result<usize, Error> {
        let mut freed = 0;
        for window in self.windows.values_mut() {
            freed += window.spill(outbox)?;
        }
        Ok(freed)
    }

    /// Takes out the window that holds most memory, when it holds records.
    pub(crate) fn take_largest(&mut self) -> Option<Window> {
        let held = self.windows.iter().filter(|(_, w)| !w.is_empty()).max_by_key(|(_, w)| w.memory_bytes());
        let kind = held.map(|(kind, _)| kind.clone())?;
        self.windows.remove(&kind)
    }

    /// Forgets claims below the watermark: nothing below is read again.
    pub(crate) fn trim_claims(&mut self) {
        self.claims.trim(self.tracker.watermark());
    }
}

fn open<'w>(
    windows: &'w mut HashMap<(u32, Kind), Window>,
    plan: &Plan,
    entropy: &dyn Entropy,
    at: (u32, Kind),
    now: Duration,
    arrival_ms: i64,
) -> Result<&'w mut Window, Error> {
    use std::collections::hash_map::Entry;
    match windows.entry(at) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => {
            let (revision, kind) = entry.key();
            let mut window = Window::open(kind.clone(), plan.encoder(kind), entropy, now, arrival_ms)?;
            window.revision = *revision;
            Ok(entry.insert(window))
        }
    }
}

/// Notes the members of a window, run by run.
pub(crate) fn note_runs(
    window: &mut Window,
    batch: &Batch,
    outputs: &Outputs<'_>,
    select: &[u32],
    rejected: &[Rejected],
    claims: &Claims,
) {
    let totals = !outputs.is_plain() || !claims.is_empty();
    let mut rejected = rejected.iter().map(|r| r.index).peekable();
    let mut run: Option<(u32, Seq, Seq, i64)> = None;
    for output in select {
        if rejected.next_if_eq(output).is_some() {
            continue;
        }
        let (source, index) = (outputs.source(*output), outputs.nth(*output));
        let seq = batch.first().plus(u64::from(source));
        if totals {
            window.note_total(seq, claims.total(seq, outputs.total(source)));
        }
        run = match run {
            Some((i, from, to, arrival)) if i == index && to == seq => Some((i, from, seq.plus(1), arrival)),
            other => {
                if let Some((i, from, to, arrival)) = other {
                    window.note(i, from, to, arrival);
                }
                Some((index, seq, seq.plus(1), batch.arrivals_ms()[source as usize]))
            }
        };
    }
    if let Some((index, from, to, arrival)) = run {
        window.note(index, from, to, arrival);
    }
}
