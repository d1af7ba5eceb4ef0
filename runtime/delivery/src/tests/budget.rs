//! The memory budget with many lanes: it is kept, and a dead destination that holds on to its share
//! does not stop the others.

use millrace_transform::Ran;

use super::store::Mood;
use super::{GUESTS, World, answer, until, with_function, with_partitions};
use crate::budget::SQUEEZED_BYTES;

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
