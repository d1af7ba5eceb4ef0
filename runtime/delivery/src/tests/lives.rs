//! Lives of a lane: what an ended life left under way does not write behind the next one, and gives back
//! what it took; and the end of all lanes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millrace_types::{Entropy, Lane, SeededEntropy, ShardId, StreamId};
use tokio::sync::watch;

use super::store::Mood;
use super::{World, echo, until, with_function};
use crate::handle::END_EXTRA;
use crate::lane::Order;
use crate::ship::store;
use crate::window::Bulk;

#[test]
fn what_was_acknowledged_just_before_a_stop_is_delivered_by_it() {
    let mut world = World::new(3);
    world.settings.interval_scale = 1.0;
    world.stream("s", |destination| destination.buffering.interval_s = 900);
    let mut all = Vec::new();
    for round in 0..30 {
        world.life(async {
            let node = world.start().await.unwrap();
            let line = format!("{round:02}\n");
            assert!(node.put("s", &[&line]).await);
            all.push(line.trim().to_owned());
            node.stop().await;
        });
        assert_eq!(world.store.lines(), all);
    }
}

#[test]
fn lives_that_end_in_a_panic_leave_nothing_that_writes_behind_the_next() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        world.settings.memory_bytes_max = if seed.is_multiple_of(2) { 1 } else { 256 << 20 };
        world.stream("s", with_function);
        let (chance, panics) = (SeededEntropy::new(seed), Arc::new(AtomicU64::new(0)));
        let (coin, count) = (SeededEntropy::new(seed + 100), Arc::clone(&panics));
        world.functions.set(move |batch| {
            if coin.next_u64().is_multiple_of(3) {
                count.fetch_add(1, Ordering::SeqCst);
                panic!("on purpose");
            }
            echo(batch)
        });
        let mut all = Vec::new();
        world.life(async {
            let node = world.start().await.unwrap();
            for round in 0..25 {
                let records: Vec<String> = (0..3).map(|nth| format!("{round:02}-{nth}")).collect();
                let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
                assert!(node.put("s", &lines).await);
                all.extend(records);
                world.store.set(match chance.next_u64() % 4 {
                    0 => Mood::Silent,
                    1 => Mood::Gone,
                    _ => Mood::Fine,
                });
                tokio::time::sleep(Duration::from_millis(chance.next_u64() % 10)).await;
            }
            world.store.set(Mood::Fine);
            let status = node.drained("s").await;
            assert_eq!((status.counts.delivered, status.balance), (all.len() as u64, 0), "seed {seed}");
            assert_eq!(world.store.lines(), all, "seed {seed}");
            until("the outbox to be empty", || (world.outbox_files().len() <= 1).then_some(())).await;
            assert_eq!(node.shared.budget.total_bytes(), 0, "seed {seed}: all memory is given back");
            node.stop().await;
        });
        assert!(panics.load(Ordering::SeqCst) > 0, "seed {seed}");
    }
}

#[test]
fn a_stopped_ship_gives_its_bytes_in_the_outbox_back() {
    let world = World::new(3);
    world.stream("s", |_| {});
    let stream = StreamId(1);
    world.life(async {
        let node = world.start().await.unwrap();
        let shard = ShardId::new(stream, Lane(7));
        let lane = node.lane("s", shard);
        // Large objects have a file each, so that the files tell.
        let object = || Bulk::Memory(Bytes::from(vec![b'x'; 1 << 20]));
        let stored = store(&lane, object()).await.unwrap();
        assert_eq!(world.outbox_files().len(), 1);
        drop(stored);
        assert_eq!(world.outbox_files().len(), 0, "nobody was asked to name it");

        let mut asked = store(&lane, object()).await.unwrap();
        asked.asked = true;
        drop(asked);
        assert_eq!(world.outbox_files().len(), 1, "the intent may be on its way");
        let (orders, heard) = watch::channel(Order::Run);
        let next = millrace_tasks::Tasks::new();
        next.spawn("next life", crate::lane::run(Arc::clone(&lane), heard));
        until("the next life knows", || world.outbox_files().is_empty().then_some(())).await;
        orders.send_replace(Order::Stop);
        assert_eq!(next.join(super::PATIENCE).await, 0);
        node.stop().await;
    });
}

#[test]
fn streams_that_are_stuck_end_together() {
    const STUCK: usize = 5;
    let mut world = World::new(4);
    world.settings.stop_grace_ms = 10;
    world.guests = STUCK;
    for number in 0..STUCK {
        world.stream(&format!("s{number}"), with_function);
    }
    let gate = world.functions.set_gated();
    world.life(async {
        let node = world.start().await.unwrap();
        for number in 0..STUCK {
            assert!(node.put(&format!("s{number}"), &["x\n"]).await);
        }
        until("all are in their function", || (world.functions.calls() == STUCK as u64).then_some(())).await;
        // One behind the other they would need five times as long as one.
        let all = tokio::time::timeout(END_EXTRA * 3, node.streams.stop()).await;
        gate.open();
        assert!(all.is_ok(), "all that are stuck share one grace time");
        node.shared.journal.close().await;
    });
}
