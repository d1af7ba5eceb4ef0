//! Functions with fewer places than there are calls to make: who waits for one keeps nobody else waiting, and
//! does meanwhile whatever else is to be done.

use std::sync::Arc;

use millrace_catalog::ObjectDestination;
use millrace_log::Disk as _;
use millrace_types::{Lane, ShardId, StreamId};
use tokio::sync::watch;

use super::remake::{PORTION_BYTES, decided, lose, records, recover};
use super::{World, echo, outbox_file, until, with_function};
use crate::lane::Order;

/// Changes a destination to call the scripted function under the name `busy`.
fn with_busy_function(destination: &mut ObjectDestination) {
    with_function(destination);
    if let Some(function) = &mut destination.function {
        function.name = "busy".to_owned();
    }
}

#[test]
fn what_is_made_again_and_what_is_read_share_the_one_place_and_the_one_thread() {
    let mut world = World::new(20);
    // One step, and one place.
    world.guests = 1;
    world.stream("s", |destination| {
        with_function(destination);
        if let Some(function) = &mut destination.function {
            function.buffer_bytes = PORTION_BYTES;
        }
    });
    world.functions.set(echo);
    for (_, body) in decided(&mut world) {
        lose(&world, &body, false);
    }
    world.functions.limit("f", 1);
    let status = recover(&world);
    assert_eq!((status.counts.delivered, status.balance), (records().len() as u64, 0));
    assert_eq!(world.store.lines(), records());
}

#[test]
fn lanes_that_wait_for_one_function_keep_no_step_from_the_others() {
    let world = World::new(21);
    let busy = ["a", "b", "c"];
    assert!(busy.len() > world.guests);
    for name in busy {
        world.stream(name, with_busy_function);
    }
    world.stream("s", with_function);
    world.functions.set(echo);
    let places = world.functions.limit("busy", 1);
    world.life(async {
        let node = world.start().await.unwrap();
        let taken = places.acquire().await.unwrap();
        for name in busy {
            assert!(node.put(name, &[format!("{name}\n")]).await);
        }
        until("all wait for the place", || (world.functions.waiting() == busy.len()).then_some(())).await;
        assert!(node.put("s", &["s\n"]).await);
        node.drained("s").await;
        assert_eq!((world.store.lines(), world.functions.waiting()), (vec!["s".to_owned()], busy.len()));
        drop(taken);
        for name in busy {
            node.drained(name).await;
        }
        node.stop().await;
    });
    assert_eq!(world.store.lines(), ["a", "b", "c", "s"]);
}

#[test]
fn a_lane_that_waits_for_a_place_ends_when_it_is_told_to() {
    for order in [Order::Stop, Order::Discard] {
        let mut world = World::new(22);
        // Of these a lane that stops gives a part to its function.
        world.settings.stop_grace_ms = 40;
        world.stream("s", with_busy_function);
        let places = world.functions.limit("busy", 1);
        world.life(async {
            let node = world.start().await.unwrap();
            let _taken = places.acquire().await.unwrap();
            let lane = node.lane("s", ShardId::new(StreamId(1), Lane(7)));
            node.shared.journal.append(lane.shard, super::batch(&["r\n"])).await.unwrap();
            let (orders, heard) = watch::channel(Order::Run);
            let tasks = millrace_tasks::Tasks::new();
            tasks.spawn("lane", crate::lane::run(Arc::clone(&lane), heard));
            until("it waits", || (world.functions.waiting() == 1).then_some(())).await;
            orders.send_replace(order);
            assert_eq!(tasks.join(super::PATIENCE).await, 0, "{order:?}");
            assert_eq!(world.functions.waiting(), 0, "{order:?}");
            node.stop().await;
        });
    }
}

#[test]
fn a_lane_that_waits_for_a_place_spills_and_ships() {
    let mut world = World::new(23);
    world.settings.interval_scale = 1.0;
    world.settings.memory_bytes_max = 1 << 10;
    world.stream("s", |destination| {
        with_busy_function(destination);
        destination.buffering.interval_s = 900;
    });
    world.functions.set(echo);
    let places = world.functions.limit("busy", 1);
    world.life(async {
        let node = world.start().await.unwrap();
        assert!(node.put("s", &["first\n"]).await);
        until("it is in the window", || (node.shared.budget.total_bytes() > 0).then_some(())).await;
        let taken = places.acquire().await.unwrap();
        assert!(node.put("s", &["second\n"]).await);
        until("the next waits", || (world.functions.waiting() == 1).then_some(())).await;
        let hold = node.shared.budget.hold(ShardId::new(StreamId(9), Lane(0)), 1 << 10, &Arc::default());
        // Somebody else holds all: the lane is asked.
        node.shared.budget.able(ShardId::new(StreamId(9), Lane(0)));
        let spilled = || {
            let files = world.outbox_files();
            files.iter().any(|name| world.disk.open(&outbox_file(name)).unwrap().len().unwrap() > 0)
        };
        until("the window is spilled", || spilled().then_some(())).await;
        drop((hold, taken));
        node.stop().await;
    });
    assert_eq!(world.store.lines(), ["first", "second"]);
}
