//! Makes an object again from the journal, with exactly the recorded members: for an intent whose
//! outbox file is gone or damaged. The key stays, so whatever an earlier attempt left is replaced.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use millrace_encode::ObjectEncoder;
use millrace_log::Read;
use millrace_transform::Ran;
use millrace_types::{Batch, Columns, Members, Seq};

use crate::context::LaneContext;
use crate::failure::{Failure, write_failure};
use crate::intent::Body;
use crate::lane::{METADATA, chain};
use crate::plan::Plan;
use crate::status::Trouble;
use crate::work::nth_outputs;

/// User metadata of an object: names and values.
type Metadata = Vec<(String, String)>;

/// Reads the members' records, runs the recorded version of the function, encodes by the recorded
/// version of the table: by another one a record might not fit.
pub(crate) async fn remake(
    lane: &Arc<LaneContext>,
    members: &Members,
    body: &Body,
) -> Result<(Bytes, Metadata), Trouble> {
    let plan = crate::lane::plan(lane, body.table_version).await?;
    let Some((first, last)) = members.span() else {
        return Ok((Bytes::new(), Vec::new()));
    };
    let batches = read(lane, first, last, plan.chunk_bytes).await?;
    let function = match &body.function {
        None => None,
        Some((name, version)) => {
            let found = lane.shared.functions.find(name, Some(*version))?;
            Some(lane.shared.functions.load(&found).await?)
        }
    };
    let (members, error_folder) = (members.clone(), body.error_type.clone());
    let told: Metadata = body.metadata.iter().filter(|(name, _)| name.starts_with(METADATA)).cloned().collect();
    let (clock, entropy) = (Arc::clone(&lane.shared.clock), Arc::clone(&lane.shared.entropy));
    let made = lane.shared.workers.run(move || {
        let settings = if error_folder.is_some() { &plan.errors } else { &plan.data };
        let mut encoder = ObjectEncoder::new(settings, &*entropy).map_err(|e| encode_trouble(&e))?;
        for batch in &batches {
            let ran = function.as_ref().map(|f| f.run(batch, 0));
            match &error_folder {
                None => push_data(&mut encoder, batch, ran.as_ref(), &members)?,
                Some(folder) => {
                    push_errors(&mut encoder, &plan, folder, batch, ran.as_ref(), &members, clock.now_ms())?
                }
            }
        }
        let mut bytes = encoder.take_output();
        let finished = encoder.finish().map_err(|e| encode_trouble(&e))?;
        bytes.extend_from_slice(&finished.rest);
        // A new encryption envelope, where there is one, and what the body said besides.
        let mut metadata = finished.metadata;
        metadata.extend(told);
        Ok((Bytes::from(bytes), metadata))
    });
    made.await.map_err(|e| Trouble::new("internal.workers", e.to_string()))?
}

fn encode_trouble(error: &millrace_encode::Error) -> Trouble {
    Trouble::new("delivery.encode", chain(error))
}

async fn read(lane: &LaneContext, first: Seq, last: Seq, chunk_bytes: usize) -> Result<VecDeque<Batch>, Trouble> {
    let mut reader = lane.shared.journal.reader(lane.shard, first);
    let mut batches = VecDeque::new();
    while reader.position() <= last {
        match reader.next(chunk_bytes).await {
            Ok(Read::Batch(batch)) => {
                let wanted = usize::try_from(last.plus(1).since(batch.first())).unwrap_or(usize::MAX);
                batches.push_back(if wanted < batch.len() { batch.slice(0, wanted) } else { batch });
            }
            // The gap is counted by the lane's own reading.
            Ok(Read::Gap { .. }) => {}
            Ok(Read::Closed) => return Err(Trouble::new("journal.read", "the journal is closing")),
            Err(error) => return Err(Trouble::new("journal.read", error.to_string())),
        }
    }
    Ok(batches)
}

fn push_data(encoder: &mut ObjectEncoder, batch: &Batch, ran: Option<&Ran>, members: &Members) -> Result<(), Trouble> {
    let (columns, sources) = match ran {
        None => (batch.columns(), None),
        Some(ran) => (Columns { payload: &ran.output.payload, ends: &ran.output.ends }, Some(&ran.output.sources)),
    };
    let nth = sources.map_or_else(Vec::new, |s| nth_outputs(s));
    let select: Vec<u32> = (0u32..)
        .take(columns.len())
        .filter(|output| {
            let source = sources.map_or(*output, |s| s[*output as usize]);
            let index = nth.get(*output as usize).copied().unwrap_or(0);
            members.contains(index, batch.first().plus(u64::from(source)))
        })
        .collect();
    encoder.push(columns, Some(&select)).map(drop).map_err(|e| encode_trouble(&e))
}

/// Error lines are made from the inputs. A record that the function takes this time keeps its place
/// in the error object, because that is what was decided.
fn push_errors(
    encoder: &mut ObjectEncoder,
    plan: &Plan,
    folder: &str,
    batch: &Batch,
    ran: Option<&Ran>,
    members: &Members,
    now_ms: i64,
) -> Result<(), Trouble> {
    let mut failures = ran.map(|r| r.failures.iter()).into_iter().flatten().peekable();
    for (nth, record) in batch.columns().iter().enumerate() {
        let seq = batch.first().plus(nth as u64);
        let failed = failures.next_if(|f| f.index as usize == nth);
        let failure = Failure {
            raw: record,
            code: failed.map_or("Lambda.ProcessingFailedStatus", |f| f.code),
            message: failed.map_or("the record failed before the object was made again", |f| &f.message),
            attempts: failed.map_or(1, |f| f.attempts),
            arrival_ms: batch.arrivals_ms()[nth],
            ended_ms: now_ms,
        };
        for _ in members.iter().filter(|(_, from, to)| *from <= seq && seq < *to) {
            let mut line = Vec::new();
            write_failure(plan, folder, &failure, &mut line);
            #[expect(clippy::cast_possible_truncation, reason = "a line is four thirds of a record at most")]
            let ends = [line.len() as u32];
            encoder.push(Columns { payload: &line, ends: &ends }, None).map_err(|e| encode_trouble(&e))?;
        }
    }
    Ok(())
}
