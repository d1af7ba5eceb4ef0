//! Makes an object again from the journal, for an intent whose outbox file is gone or damaged. The key
//! stays, so whatever an earlier attempt left at the store is replaced.
//!
//! The object is made of the recorded members alone, a chunk of the journal at a time, and spills as it
//! grows. Each chunk is a step as the lanes take them, and what is held counts in the same memory budget
//! (`budget`); while memory is short, steps are small and row groups of Parquet end early. What a run of the
//! function does not give this time, and what cannot be read any more, is not in it: the members of what is
//! made say so, and `ship` takes the decision back for the rest.

use std::sync::Arc;

use millrace_log::Read;
use millrace_transform::{Failed, Ran};
use millrace_types::{Batch, Clock, Columns, MIB, Members};

use crate::budget::{Hold, Reading, SQUEEZED_BYTES};
use crate::claims::Claims;
use crate::context::{LaneContext, Shared, caught};
use crate::failure::{Failure, write_failure};
use crate::intent::Body;
use crate::lane::{CALL_RECORDS_MAX, chain};
use crate::library::Transform;
use crate::outputs::Outputs;
use crate::plan::Plan;
use crate::ready::{Ready, Wanted};
use crate::route::PARTITIONS_EXCEEDED;
use crate::status::Trouble;
use crate::window::{Error, Finished, Kind, Window};
use crate::work::{CONVERSION_FAILED, note_runs};

/// Bytes of output that are held in memory before they go to the outbox; none while the node's memory is
/// short.
const MEMORY_BYTES_MAX: usize = 8 * MIB;
/// Source bytes behind which a row group of Parquet is ended while the node's memory is short.
const ROW_GROUP_SHORT_BYTES: u64 = MIB as u64;

/// Reads the members' records, runs the recorded version of the function, encodes by the recorded
/// version of the table: by another one a record might not fit. What is held until the object lies in
/// the outbox is answered with it.
pub(crate) async fn remake(
    lane: &Arc<LaneContext>,
    members: &Members,
    body: &Body,
) -> Result<(Finished, Hold), Trouble> {
    let plan = Arc::new(crate::lane::plan(lane, body.table_version).await?);
    let mut wanted = match &body.function {
        None => Wanted::Nothing,
        Some((name, revision)) => Wanted::Revision(name.clone(), *revision),
    };
    let _remake = lane.shared.budget.remake().await;
    let mut making = Making::begin(lane, plan, members, body)?;
    let Some((first, last)) = members.span() else { return making.finish().map_err(|e| trouble(&e)) };
    let mut reader = lane.shared.journal.reader(lane.shard, first);
    while reader.position() <= last {
        // For each chunk anew: between two of them others have the place and the step.
        let Ready { called, reading, _step } = Ready::get(Arc::clone(&lane.shared), lane.shard, wanted.clone()).await?;
        if let (Wanted::Revision(_, revision), Some(called)) = (&mut wanted, &called) {
            // Where the recorded one is not kept, the one that took its place makes the whole object.
            *revision = called.revision;
        }
        let bytes = if reading == Reading::Free { usize::MAX } else { SQUEEZED_BYTES };
        match reader.next(making.plan.chunk_bytes.min(bytes)).await {
            Ok(Read::Batch(batch)) => {
                let wanted = usize::try_from(last.plus(1).since(batch.first())).unwrap_or(usize::MAX);
                let batch = if wanted < batch.len() { batch.slice(0, wanted) } else { batch };
                making = making.take(lane, batch, called.map(|called| called.function)).await?;
            }
            // The gap is counted by the lane's own reading.
            Ok(Read::Gap { .. }) => {}
            Ok(Read::Closed) => return Err(Trouble::new("journal.read", "the journal is closing")),
            Err(error) => return Err(Trouble::new("journal.read", error.to_string())),
        }
    }
    caught(&lane.shared.workers, move || making.finish()).await?.map_err(|e| trouble(&e))
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Encode(_) => Trouble::new("delivery.encode", chain(error)),
        Error::Spill(_) => Trouble::new("outbox.write", chain(error)),
    }
}

/// An object that is being made again.
struct Making {
    plan: Arc<Plan>,
    clock: Arc<dyn Clock>,
    members: Members,
    /// The same, for how many outputs each record has.
    totals: Claims,
    /// Folder of an error object.
    folder: Option<&'static str>,
    window: Window,
    /// Source bytes in row groups that have ended.
    ended_bytes: u64,
    hold: Hold,
}

impl Making {
    fn begin(lane: &LaneContext, plan: Arc<Plan>, members: &Members, body: &Body) -> Result<Self, Trouble> {
        let kind = match &body.error_type {
            None => Kind::Data(None),
            Some(folder) => Kind::error(folder)
                .ok_or_else(|| Trouble::new("journal.intent", format!("no error folder is called {folder}")))?,
        };
        let folder = match kind {
            Kind::Data(_) => None,
            Kind::Error(folder) => Some(folder),
        };
        let shared = &lane.shared;
        let settings = plan.encoder(&kind);
        let window = Window::open(kind, settings, &*shared.entropy, shared.clock.monotonic(), i64::MAX);
        Ok(Self {
            window: window.map_err(|e| trouble(&e))?,
            plan,
            clock: Arc::clone(&shared.clock),
            members: members.clone(),
            totals: Claims::new(members.clone()),
            folder,
            ended_bytes: 0,
            hold: shared.budget.hold(lane.shard, 0, &lane.spill),
        })
    }

    /// Takes a chunk of the journal, in the portions that the lane gives its function.
    async fn take(
        mut self,
        lane: &Arc<LaneContext>,
        batch: Batch,
        function: Option<Arc<dyn Transform>>,
    ) -> Result<Self, Trouble> {
        let retries = self.plan.function.as_ref().map_or(0, |f| f.retries);
        let portion = if function.is_some() { CALL_RECORDS_MAX } else { batch.len().max(1) };
        for from in (0..batch.len()).step_by(portion) {
            let part = batch.slice(from, batch.len().min(from + portion));
            let ran = match &function {
                None => None,
                Some(function) => {
                    let (function, part, source) = (Arc::clone(function), part.clone(), self.plan.source.clone());
                    Some(caught(&lane.shared.guests, move || function.run(&part, retries, &source)).await?)
                }
            };
            let shared = Arc::clone(&lane.shared);
            let pushed = caught(&lane.shared.workers, move || {
                self.push(&part, ran.as_ref())?;
                self.settle(&shared)?;
                Ok(self)
            });
            self = pushed.await?.map_err(|e: Error| trouble(&e))?;
        }
        Ok(self)
    }

    /// Tells the budget what is held now, and spills what is too much.
    fn settle(&mut self, shared: &Shared) -> Result<(), Error> {
        self.hold.set(self.window.memory_bytes());
        let short = !shared.budget.has_room();
        if short && self.window.source_bytes() - self.ended_bytes >= ROW_GROUP_SHORT_BYTES {
            self.window.end_row_group()?;
            self.ended_bytes = self.window.source_bytes();
        }
        if short || self.window.memory_bytes() > MEMORY_BYTES_MAX {
            self.window.spill(&shared.outbox)?;
        }
        self.hold.set(self.window.memory_bytes());
        Ok(())
    }

    fn push(&mut self, batch: &Batch, ran: Option<&Ran>) -> Result<(), Error> {
        let outputs = ran.map_or_else(|| Outputs::of_batch(batch), |ran| Outputs::of_run(&ran.output));
        match self.folder {
            None => self.push_data(batch, &outputs),
            Some(folder) => {
                self.push_errors(folder, batch, &outputs, ran.map_or(&[][..], |ran| ran.failures.as_slice()))
            }
        }
    }

    fn push_data(&mut self, batch: &Batch, outputs: &Outputs<'_>) -> Result<(), Error> {
        let select: Vec<u32> = (0u32..)
            .take(outputs.columns.len())
            .filter(|output| {
                let seq = batch.first().plus(u64::from(outputs.source(*output)));
                self.members.contains(outputs.nth(*output), seq)
            })
            .collect();
        let rejected = self.window.push(outputs.columns, Some(&select))?;
        note_runs(&mut self.window, batch, outputs, &select, &rejected, &self.totals);
        Ok(())
    }

    /// A record that the function takes this time keeps its place in the error object, because that is
    /// what was decided.
    fn push_errors(
        &mut self,
        folder: &'static str,
        batch: &Batch,
        outputs: &Outputs<'_>,
        failures: &[Failed],
    ) -> Result<(), Error> {
        let ended_ms = self.clock.now_ms();
        let (code, message) = words(folder);
        let mut failures = failures.iter().peekable();
        let indices: Vec<u32> = self.members.indices().collect();
        for (source, record) in (0u32..).zip(batch.columns().iter()) {
            let seq = batch.first().plus(u64::from(source));
            let arrival_ms = batch.arrivals_ms()[source as usize];
            let failed = failures.next_if(|f| f.index == source);
            // No output of a record is numbered from its total on.
            let total = self.totals.total(seq, 0);
            let own = indices.iter().take_while(|index| **index < total);
            for index in own.filter(|index| self.members.contains(**index, seq)) {
                // Conversion meets an output, all others an input.
                let output = outputs.find(source, *index).filter(|_| folder == CONVERSION_FAILED);
                let failure = Failure {
                    raw: output.map_or(record, |output| outputs.columns.record(output as usize)),
                    code: failed.map_or(code, |f| f.code),
                    message: failed.map_or(message, |f| &f.message),
                    attempts: failed.map_or(1, |f| f.attempts),
                    arrival_ms,
                    ended_ms,
                };
                let mut line = Vec::new();
                write_failure(&self.plan, folder, &failure, &mut line);
                #[expect(clippy::cast_possible_truncation, reason = "a line is four thirds of a record at most")]
                let ends = [line.len() as u32];
                self.window.push(Columns { payload: &line, ends: &ends }, None)?;
                self.window.note(*index, seq, seq.plus(1), arrival_ms);
                self.window.note_total(seq, total);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(Finished, Hold), Error> {
        let Self { window, mut hold, .. } = self;
        let finished = window.finish()?;
        hold.set(finished.bulk.memory_bytes());
        Ok((finished, hold))
    }
}

/// Code and sentence of a line whose first writing is lost, by folder.
fn words(folder: &str) -> (&'static str, &'static str) {
    if folder == CONVERSION_FAILED {
        ("DataFormatConversion.MalformedData", "the record was refused before the object was made again")
    } else if folder == PARTITIONS_EXCEEDED {
        ("DynamicPartitioning.ActivePartitionsLimitExceeded", "too many partitions were active at once")
    } else {
        ("Lambda.ProcessingFailedStatus", "the record failed before the object was made again")
    }
}
