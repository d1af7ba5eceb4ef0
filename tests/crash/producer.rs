//! Producers: each claims ids, sends them over one of the APIs, and notes what the server said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::firehose::{acked, batch_body, record_input};
use millrace_tests::http::Answer;
use millrace_tests::{Firehose, Keys, Plain, wait};
use millrace_types::{Entropy as _, SeededEntropy};

use crate::record::{record, with_head};
use crate::truth::Truth;

/// Records of one request at most.
const BATCH_RECORDS_MAX: u64 = 250;
/// Pause after a refusal or a lost connection, milliseconds.
const PAUSE_MS: u64 = 15;

/// What all producers share.
#[derive(Debug)]
pub(crate) struct Load {
    /// Where claims go.
    pub(crate) truth: Truth,
    /// The server's address.
    pub(crate) base: String,
    /// Names of the streams.
    pub(crate) streams: Vec<String>,
    /// Of all randomness.
    pub(crate) seed: u64,
    /// Records a second of all producers together; 0 is as fast as it goes.
    pub(crate) rate: u64,
    /// Records carry the head that the function `partition` takes off.
    pub(crate) partitioned: bool,
    /// Number of producers.
    pub(crate) producers: u16,
    /// Set once: stop.
    pub(crate) stop: AtomicBool,
    /// The cycle that runs.
    pub(crate) cycle: AtomicU32,
    /// Records acknowledged.
    pub(crate) acked: AtomicU64,
    /// Requests refused.
    pub(crate) refused: AtomicU64,
    /// Requests without an answer.
    pub(crate) unknown: AtomicU64,
}

/// How a producer speaks: each to its own way.
enum Speaks {
    Batches(Firehose),
    Singles(Firehose),
    Lines(Plain),
}

/// Runs producer `number` until told to stop. One connection that is kept alive, one stream after the other.
pub(crate) async fn produce(load: Arc<Load>, number: u16) -> anyhow::Result<()> {
    let entropy = SeededEntropy::new(load.seed ^ (u64::from(number) << 32));
    let speaks = match number % 4 {
        0 | 2 => Speaks::Batches(Firehose::new(&load.base, &Keys::any())),
        1 => Speaks::Lines(Plain::bearer(&load.base, "any")),
        _ => Speaks::Singles(Firehose::new(&load.base, &Keys::any())),
    };
    let start = wait::now_s();
    let mut sent = 0u64;
    while !load.stop.load(Ordering::Relaxed) {
        let stream = u8::try_from(entropy.next_u64() % load.streams.len() as u64)?;
        let count = match speaks {
            Speaks::Singles(_) => 1,
            _ => 1 + entropy.next_u64() % BATCH_RECORDS_MAX,
        };
        pace(&load, start, sent).await;
        sent += count;
        if !send_once(&load, &speaks, number, stream, u32::try_from(count)?).await? {
            tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        }
    }
    Ok(())
}

/// Waits until this producer's share of the rate allows the next request.
async fn pace(load: &Load, start_s: f64, sent: u64) {
    if load.rate == 0 {
        return;
    }
    let due_s = start_s + sent as f64 * f64::from(load.producers) / load.rate as f64;
    let ahead_s = due_s - wait::now_s();
    if ahead_s > 0.0 {
        tokio::time::sleep(Duration::from_secs_f64(ahead_s)).await;
    }
}

/// One request; answers whether all of it was acknowledged.
async fn send_once(load: &Load, speaks: &Speaks, producer: u16, stream: u8, count: u32) -> anyhow::Result<bool> {
    let cycle = load.cycle.load(Ordering::Relaxed);
    let ticket = load.truth.claim(count, stream, producer, cycle)?;
    let ids = ticket.first..ticket.first + u64::from(count);
    let made = ids.map(|id| (id, record(id, producer, stream, load.seed)));
    let records: Vec<Vec<u8>> =
        made.map(|(id, plain)| if load.partitioned { with_head(&plain, id, load.seed) } else { plain }).collect();
    let name = &load.streams[usize::from(stream)];
    let answered = match speaks {
        Speaks::Batches(client) => client.call_raw("PutRecordBatch", batch_body(name, &records)).await,
        Speaks::Singles(client) => client.call("PutRecord", &record_input(name, &records[0])).await,
        Speaks::Lines(client) => client.put_lines(name, records.join(&b'\n')).await,
    };
    // No whole answer: what became of the records is unknown.
    let Ok(answer) = answered else {
        load.unknown.fetch_add(1, Ordering::Relaxed);
        return Ok(false);
    };
    let acked = said(speaks, &answer, records.len())
        .with_context(|| format!("the server answered {} with {}", answer.status, answer.text()))?;
    load.truth.note(ticket, &acked)?;
    let count = acked.iter().filter(|acked| **acked).count();
    load.acked.fetch_add(count as u64, Ordering::Relaxed);
    let all = count == acked.len();
    if !all {
        load.refused.fetch_add(1, Ordering::Relaxed);
    }
    Ok(all)
}

/// What a whole answer says of each record; an error when it says what it must not, which ends the run.
fn said(speaks: &Speaks, answer: &Answer, count: usize) -> anyhow::Result<Vec<bool>> {
    if let Speaks::Batches(_) = speaks {
        return acked(answer, count);
    }
    if let Speaks::Lines(_) = speaks
        && answer.status == 200
    {
        anyhow::ensure!(answer.json()?["records"] == count, "{count} lines were counted otherwise");
    }
    Ok(vec![answer.status == 200; count])
}

/// One more record of `stream`, which must be taken.
pub(crate) async fn fresh(load: &Load, stream: u8) -> anyhow::Result<()> {
    let client = Speaks::Singles(Firehose::new(&load.base, &Keys::any()));
    let taken = send_once(load, &client, load.producers, stream, 1).await?;
    anyhow::ensure!(taken, "a fresh record was not taken after all faults were over");
    Ok(())
}
