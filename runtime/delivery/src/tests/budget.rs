//! The memory budget with many lanes: it is kept, and a dead destination that holds on to its share
//! does not stop the others.

use std::sync::Arc;

use millrace_log::Disk as _;
use millrace_transform::Ran;
use millrace_types::{Entropy, Lane, MIB, Members, SeededEntropy, Seq, ShardId, StreamId};
use parking_lot::Mutex;

use super::store::Mood;
use super::{
    GUESTS, Node, World, answer, batch, echo, lost_body, outbox_file, until, with_function, with_parquet,
    with_partitions,
};
use crate::budget::{Hold, SQUEEZED_BYTES};
use crate::intent::Body;
use crate::lane::SHIPS_MAX;
use crate::outbox::Place;
use crate::remake::remake;
use crate::window::{Bulk, Finished};

const STREAMS: usize = 24;
const LIMIT_BYTES: usize = 256 << 10;
/// One record, large enough that a few fill what there is.
const RECORD_BYTES: usize = 8 << 10;
const BATCHES: usize = 10;

fn line(stream: usize, nth: usize) -> String {
    let mut line = format!("{stream:02}-{nth:03}-");
    line.extend(std::iter::repeat_n('x', RECORD_BYTES - line.len() - 1));
    line.push('\n');
    line
}

#[test]
fn many_lanes_with_ships_under_way_stay_within_the_budget() {
    let mut world = World::new(5);
    world.settings.memory_bytes_max = LIMIT_BYTES;
    world.segment_bytes = 1 << 20;
    for stream in 0..STREAMS {
        // Every other one is partitioned: many windows, all small.
        world.stream(&format!("s{stream}"), if stream % 2 == 1 { with_partitions } else { with_function });
    }
    world.functions.set(|batch| {
        let mut ran = Ran::default();
        for (source, record) in (0u32..).zip(batch.columns().iter()) {
            answer(&mut ran.output, source, record, Some(&(record[5] % 8).to_string()));
        }
        ran
    });
    world.store.set(Mood::Silent);
    world.life(async {
        let node = world.start().await.unwrap();
        for nth in 0..BATCHES {
            for stream in 0..STREAMS {
                let lines: Vec<String> = (0..4).map(|n| line(stream, nth * 4 + n)).collect();
                assert!(node.put(&format!("s{stream}"), &lines).await);
            }
        }
        until("every lane has as much under way as it may", || (world.store.puts() > 30).then_some(())).await;
        world.store.set(Mood::Fine);
        for stream in 0..STREAMS {
            let status = node.drained(&format!("s{stream}")).await;
            assert_eq!((status.counts.delivered, status.balance), (BATCHES as u64 * 4, 0));
        }
        // A small step of each lane, as many full ones as run at once (here no larger than small ones);
        // an encoder holds a step twice, as what is put together and as its output.
        let slack = 2 * (STREAMS + GUESTS) * SQUEEZED_BYTES;
        let peak = node.shared.budget.peak_bytes();
        assert!(peak <= LIMIT_BYTES + slack, "{peak} bytes at most");
        assert!(peak > LIMIT_BYTES, "the limit was met: {peak}");
        until("all is given back", || (node.shared.budget.total_bytes() == 0).then_some(())).await;
        node.stop().await;
    });
    let mut expected: Vec<String> =
        (0..STREAMS).flat_map(|s| (0..BATCHES * 4).map(move |n| line(s, n).trim_end().to_owned())).collect();
    expected.sort_unstable();
    assert_eq!(world.store.lines(), expected);
}

#[test]
fn an_object_counts_while_it_is_put_from_memory() {
    let mut world = World::new(7);
    world.segment_bytes = 1 << 20;
    world.stream("s", |_| {});
    world.store.set(Mood::Silent);
    world.life(async {
        let node = world.start().await.unwrap();
        assert!(node.put("s", &[line(0, 0)]).await);
        until("the put", || (world.store.puts() == 1).then_some(())).await;
        assert!(node.shared.budget.total_bytes() >= RECORD_BYTES, "the copy that is being sent");
        world.store.set(Mood::Fine);
        node.drained("s").await;
        assert_eq!(node.shared.budget.total_bytes(), 0);
        node.stop().await;
    });
}

#[test]
fn a_dead_destination_that_holds_memory_does_not_stop_the_others() {
    let mut world = World::new(6);
    world.settings.memory_bytes_max = 1;
    world.segment_bytes = 1 << 20;
    world.stream("dead", |d| {
        d.bucket = "dead".to_owned();
        // What a compressor holds cannot be spilled.
        d.compression = "GZIP".to_owned();
    });
    world.stream("s", |_| {});
    world.life(async {
        let node = world.start().await.unwrap();
        let lines: Vec<String> = (0..40).map(|nth| line(0, nth)).collect();
        assert!(node.put("dead", &lines).await && node.put("s", &lines).await);
        for round in 1..5 {
            assert!(node.put("dead", &lines).await && node.put("s", &[line(1, round)]).await);
            let status = node.drained("s").await;
            assert_eq!(status.counts.delivered, 40 + round as u64);
        }
        let dead = node.status("dead");
        assert_eq!((dead.pending, dead.balance), (200, 0));
        // What lies in the outbox is not put within the grace: end as a crash does.
    });
}

#[test]
fn a_window_that_lies_on_the_disk_is_not_cut_for_memory() {
    let mut world = World::new(8);
    world.settings.memory_bytes_max = 1;
    world.settings.interval_scale = 1.0;
    world.stream("s", |d| d.buffering.interval_s = 900);
    let spilled = |world: &World| {
        let files = world.outbox_files();
        files.iter().map(|name| world.disk.open(&outbox_file(name)).unwrap().len().unwrap()).sum::<u64>()
    };
    world.life(async {
        let node = world.start().await.unwrap();
        let hold = node.shared.budget.hold(ShardId::new(StreamId(9), Lane(0)), 1, &Arc::default());
        for nth in 0..6 {
            assert!(node.put("s", &[line(0, nth)]).await);
            let all = (nth as u64 + 1) * RECORD_BYTES as u64;
            until("what was read is spilled", || (spilled(&world) == all).then_some(())).await;
        }
        assert_eq!(world.store.puts(), 0, "the window goes on in its file");
        drop(hold);
        node.stop().await;
    });
    assert_eq!(world.store.objects().len(), 1);
}

/// Bytes that are made again, in records of [`RECORD_BYTES`] that hardly compress.
const REMADE_BYTES: usize = 12 * MIB;

/// Appends what is to be made again, and makes it again.
async fn made_again(node: &Node) -> (Finished, Hold) {
    let lane = node.lane("s", ShardId::new(StreamId(1), Lane(7)));
    let chance = SeededEntropy::new(1);
    let record = || {
        let digits = (0..RECORD_BYTES / 16).map(|_| format!("{:016x}", chance.next_u64()));
        format!("{{\"text\":\"{}\"}}\n", digits.collect::<String>())
    };
    let count = REMADE_BYTES / RECORD_BYTES;
    for _ in (0..count).step_by(32) {
        let records: Vec<String> = (0..32).map(|_| record()).collect();
        node.shared.journal.append(lane.shard, batch(&records)).await.unwrap();
    }
    let mut members = Members::new();
    members.insert(0, Seq::ZERO, Seq::new(count as u64));
    let body = lost_body(None, Some(("f".to_owned(), 1)));
    let (finished, hold) = remake(&lane, &members, &body).await.unwrap();
    assert_eq!((finished.records, &finished.members), (count as u64, &members));
    (finished, hold)
}

#[test]
fn an_object_that_is_made_again_counts_and_gives_way_when_memory_is_short() {
    for short in [false, true] {
        let mut world = World::new(11);
        world.segment_bytes = MIB as u64;
        world.settings.memory_bytes_max = if short { 1 } else { 256 * MIB };
        world.stream("s", |destination| {
            with_function(destination);
            with_parquet(destination);
            if let Some(function) = &mut destination.function {
                function.buffer_bytes = u32::try_from(MIB).unwrap();
            }
        });
        world.life(async {
            let node = world.start().await.unwrap();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let (budget, own) = (Arc::clone(&node.shared.budget), Arc::clone(&seen));
            world.functions.set(move |batch| {
                own.lock().push((batch.payload().len(), budget.total_bytes()));
                echo(batch)
            });
            let (finished, hold) = made_again(&node).await;
            let seen = std::mem::take(&mut *seen.lock());
            let most = seen.iter().map(|(_, held)| *held).max().unwrap();
            let largest = seen[1..].iter().map(|(portion, _)| *portion).max().unwrap();
            if short {
                // A row group of 1 MiB, and rows of as much that are not in it yet.
                assert!(most <= 3 * MIB, "{most} bytes at most");
                assert!(largest <= SQUEEZED_BYTES, "portions of {largest} bytes");
                assert!(matches!(finished.bulk, Bulk::Spilled(_)));
                assert_eq!(node.shared.budget.total_bytes(), 0, "it lies in the outbox");
            } else {
                assert!(most > REMADE_BYTES / 2, "{most} bytes at most: a row group holds more");
                assert!(largest > SQUEEZED_BYTES, "portions of {largest} bytes");
                assert_eq!(node.shared.budget.total_bytes(), finished.bulk.memory_bytes());
            }
            drop(hold);
            assert_eq!(node.shared.budget.total_bytes(), 0);
            node.stop().await;
        });
    }
}

#[test]
fn an_object_is_made_again_while_windows_that_wait_for_it_hold_all_memory() {
    let mut world = World::new(12);
    world.settings.memory_bytes_max = 1;
    world.segment_bytes = MIB as u64;
    // Nothing of a window can be spilled.
    world.stream("s", with_parquet);
    let record = |nth: u64| format!("{{\"n\":{nth}}}\n");
    world.store.set(Mood::Gone);
    world.life(async {
        let node = world.start().await.unwrap();
        let shard = ShardId::new(node.handle("s").config().id, Lane(0));
        let mut nth = 0;
        // As many objects as a lane has on their way; windows hold what comes behind them.
        while node.shared.journal.open_intents(shard).len() < SHIPS_MAX || node.shared.budget.total_bytes() == 0 {
            assert!(node.put("s", &[record(nth)]).await);
            nth += 1;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let places = || -> Vec<Place> {
            let intents = node.shared.journal.open_intents(shard).into_iter();
            intents.map(|intent| Body::from_bytes(&intent.body).unwrap().place).collect()
        };
        let lost = places();
        for place in &lost {
            let at = usize::try_from(place.offset).unwrap();
            assert!(world.disk.corrupt(&outbox_file(&place.file), |bytes| bytes[at] ^= 1));
        }
        until("all are made again", || places().iter().all(|place| !lost.contains(place)).then_some(())).await;
        assert!(node.shared.budget.total_bytes() > 0, "the windows wait");
        world.store.set(Mood::Fine);
        let status = node.drained("s").await;
        assert_eq!((status.counts.delivered, status.balance), (nth, 0));
        node.stop().await;
    });
    assert!(world.store.objects().values().all(|object| object.starts_with(b"PAR1") && object.ends_with(b"PAR1")));
}

#[test]
fn a_lane_that_had_no_room_to_ship_gives_way_once_it_has() {
    let mut world = World::new(13);
    world.settings.memory_bytes_max = 1;
    // No window is ever due by its age.
    world.settings.interval_scale = 1.0;
    world.stream("s", |destination| {
        with_parquet(destination);
        destination.buffering.interval_s = 900;
    });
    world.store.set(Mood::Silent);
    world.life(async {
        let node = world.start().await.unwrap();
        let put = async |nth: u64| assert!(node.put("s", &[format!("{{\"n\":{nth}}}\n")]).await);
        for nth in 0..SHIPS_MAX as u64 {
            put(nth).await;
            until("it is cut for its memory", || (world.store.puts() == nth + 1).then_some(())).await;
        }
        put(SHIPS_MAX as u64).await;
        until("a window that cannot be cut", || (node.shared.budget.total_bytes() > 0).then_some(())).await;
        world.store.set(Mood::Fine);
        let status = node.drained("s").await;
        assert_eq!((status.counts.delivered, status.balance), (SHIPS_MAX as u64 + 1, 0));
        node.stop().await;
    });
}
