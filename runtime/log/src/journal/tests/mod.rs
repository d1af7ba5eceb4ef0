//! The journal on the fake disk: what is acknowledged is there after every crash, what is refused never.

mod damage;
mod faults;
mod hidden;
mod loss;
mod missing;
mod model;
mod oracle;
mod runs;
mod share;
mod space;
mod usual;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::{Batch, BatchBuilder, Counts, KIB, Lane, ManualClock, Seq, ShardId, StreamId};

use super::*;
use crate::fake::FakeDisk;

const SEGMENT_BYTES: u64 = 64 * KIB as u64;

fn dir() -> PathBuf {
    PathBuf::from("data/journal")
}

fn small() -> JournalSettings {
    JournalSettings {
        segment_bytes: SEGMENT_BYTES,
        tail_bytes: 8 * KIB,
        queue_bytes: 1024 * KIB,
        disk_bytes_max: None,
        headroom_bytes: 0,
        backlog_bytes_max: u64::MAX,
        lag_segments: 2,
        accept_loss: String::new(),
    }
}

fn open_with(disk: &FakeDisk, settings: JournalSettings) -> Result<(Journal, Recovery), Error> {
    open_at(disk, settings, &Arc::new(ManualClock::at(1_000)))
}

fn open_at(disk: &FakeDisk, settings: JournalSettings, clock: &Arc<ManualClock>) -> Result<(Journal, Recovery), Error> {
    Journal::open(Arc::new(disk.clone()), dir(), settings, Arc::clone(clock) as Arc<dyn Clock>)
}

/// Lets the keeper say at once what is durable, and waits until the mark does.
async fn marked(journal: &Journal, disk: &FakeDisk, clock: &ManualClock) {
    clock.advance(marker::MARK_INTERVAL);
    let shared = &journal.handle.shared;
    let (segment, durable_bytes) = shared.store.lock().active().unwrap();
    shared.ring();
    let wanted = crate::mark::Mark { salt: shared.salt, segment, durable_bytes };
    until("the mark is written", || crate::mark::read(disk, &dir()).mark() == Some(wanted)).await;
}

fn open(disk: &FakeDisk) -> (Journal, Recovery) {
    open_with(disk, small()).unwrap()
}

fn shard(stream: u32) -> ShardId {
    ShardId::new(StreamId(stream), Lane(0))
}

/// `records` records of about `size` bytes that say who they are.
fn batch(tag: u64, records: usize, size: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    for nth in 0..records {
        builder.push(&record(tag, nth as u64, size), 500 + i64::try_from(tag).unwrap()).unwrap();
    }
    builder.finish()
}

fn record(tag: u64, nth: u64, size: usize) -> Vec<u8> {
    let mut record = format!("{tag}/{nth}/").into_bytes();
    record.resize(size.max(record.len()), b'x');
    record
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// Waits for the keeper thread; it has ten seconds.
async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}");
}

/// All that `reader` has between its position and `to`; gaps apart.
async fn read_to(reader: &mut Reader, to: Seq) -> (Vec<(u64, Vec<u8>)>, Vec<(Seq, Seq)>) {
    let (mut records, mut gaps) = (Vec::new(), Vec::new());
    while reader.position() < to {
        match reader.next(10_000).await.unwrap() {
            Read::Batch(batch) => {
                for (nth, record) in batch.columns().iter().enumerate() {
                    records.push((batch.first().get() + nth as u64, record.to_vec()));
                }
            }
            Read::Gap { from, to, .. } => gaps.push((from, to)),
            Read::Closed => panic!("closed at {} of {to}", reader.position()),
        }
    }
    (records, gaps)
}

fn done(shard: ShardId, watermark: u64) -> Commit {
    Commit { shard, intents: Vec::new(), watermark: Seq::new(watermark), counts: Counts::default() }
}
