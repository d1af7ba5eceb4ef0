//! Objects whose outbox file is gone or damaged are made again; what cannot be made again is decided anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millrace_log::{Disk, Intent};
use millrace_transform::{Output, Ran};
use millrace_types::{Batch, Lane, ShardId};

use super::store::Mood;
use super::{Node, World, answer, echo, outbox_file, until, with_function};
use crate::intent::Body;
use crate::status::StreamStatusReport;
use crate::work::OUTPUT_MISSING;

const RECORDS: usize = 300;
/// Bytes that a function is given at once, where a test says so: 75 records.
pub(super) const PORTION_BYTES: u32 = 300;

pub(super) fn records() -> Vec<String> {
    (0..RECORDS).map(|nth| format!("{nth:03}")).collect()
}

/// One life that ends with all records decided and nothing put; answers the decisions.
pub(super) fn decided(world: &mut World) -> Vec<(Intent, Body)> {
    world.store.set(Mood::Gone);
    let intents = world.life(async {
        let node = world.start().await.unwrap();
        let lines: Vec<String> = records().iter().map(|record| format!("{record}\n")).collect();
        assert!(node.put("s", &lines).await);
        decisions(&node, "s", RECORDS).await
    });
    world.cut_power(1);
    world.store.set(Mood::Fine);
    intents
}

/// The stream's open decisions, once they hold all `records`.
async fn decisions(node: &Node, name: &str, records: usize) -> Vec<(Intent, Body)> {
    let shard = ShardId::new(node.handle(name).config().id, Lane(0));
    until("the decision", || {
        let intents = node.shared.journal.open_intents(shard);
        let seen: BTreeSet<u64> =
            intents.iter().flat_map(|i| i.members.iter()).flat_map(|(_, from, to)| from.get()..to.get()).collect();
        let read = |intent: Intent| (intent.clone(), Body::from_bytes(&intent.body).unwrap());
        (seen.len() == records).then(|| intents.into_iter().map(read).collect())
    })
    .await
}

pub(super) fn recover(world: &World) -> StreamStatusReport {
    world.life(async {
        let node = world.start().await.unwrap();
        let status = node.drained("s").await;
        node.stop().await;
        status
    })
}

/// What may happen to a file of the outbox.
pub(super) fn lose(world: &World, body: &Body, damage: bool) {
    let path = outbox_file(&body.place.file);
    if damage {
        let at = usize::try_from(body.place.offset).unwrap();
        assert!(world.disk.corrupt(&path, |bytes| bytes[at] ^= 1));
    } else {
        // Objects may share a file.
        drop(world.disk.remove(&path));
    }
}

#[test]
fn a_lost_object_is_made_again_with_the_same_records_under_the_same_key() {
    for (damage, memory_bytes_max) in [(false, 256 << 20), (true, 256 << 20), (true, 1)] {
        let mut world = World::new(7);
        world.stream("s", |_| {});
        let bodies = decided(&mut world);
        for (_, body) in &bodies {
            lose(&world, body, damage);
        }
        // With no memory to spare the object goes to its new file as it is made.
        world.settings.memory_bytes_max = memory_bytes_max;
        let status = recover(&world);
        assert_eq!((status.counts.delivered, status.balance), (RECORDS as u64, 0));
        assert_eq!(world.store.lines(), records());
        let keys: BTreeSet<String> = bodies.iter().map(|(_, body)| body.key.clone()).collect();
        assert_eq!(world.store.objects().into_keys().collect::<BTreeSet<_>>(), keys);
        assert!(world.outbox_files().len() <= 1, "the lost place is released: {:?}", world.outbox_files());
    }
}

/// Gives each record two outputs, but from `less` on only the first, for every third record none.
fn two_outputs(world: &World, less: bool) {
    world.functions.set(move |batch: &Batch| {
        let mut ran = Ran { output: Output::default(), ..Ran::default() };
        for (source, record) in (0u32..).zip(batch.columns().iter()) {
            let record = std::str::from_utf8(record).unwrap().trim_end();
            let number: usize = record.parse().unwrap();
            let outputs = match number % 3 {
                _ if !less => 2,
                0 => 0,
                1 => 1,
                _ => 2,
            };
            for nth in 0..outputs {
                answer(&mut ran.output, source, format!("{record}/{nth}\n").as_bytes(), None);
            }
        }
        ran
    });
}

#[test]
fn outputs_that_a_function_does_not_give_again_are_not_counted_as_delivered() {
    for early in [false, true] {
        let mut world = World::new(8);
        world.stream("s", with_function);
        two_outputs(&world, false);
        let bodies = decided(&mut world);
        for (intent, body) in &bodies {
            // A put of which the lane never heard.
            if early {
                world.store.insert(&body.key, format!("stale of {}\n", intent.id).into_bytes());
            }
            lose(&world, body, true);
        }
        two_outputs(&world, true);
        let status = recover(&world);
        let (third, lines) = (RECORDS as u64 / 3, world.store.lines());
        // A record whose two outputs are both not given is undecided again, and dropped as its function
        // says now. One that gives the first alone keeps it, and its second is an error line.
        let expected: Vec<String> =
            (0..RECORDS).flat_map(|nth| (0..nth % 3).map(move |output| format!("{nth:03}/{output}"))).collect();
        assert_eq!(lines, expected);
        let failed: Vec<String> = (0..RECORDS).filter(|nth| nth % 3 == 1).map(|nth| format!("{nth:03}")).collect();
        assert_eq!(world.store.failed(), failed);
        assert!(world.store.error_lines().iter().all(|line| line.contains(OUTPUT_MISSING)));
        let counts = status.counts;
        assert_eq!((counts.delivered, counts.failed, counts.dropped, status.balance), (third, third, third, 0));
    }
}

#[test]
fn an_object_is_made_again_in_the_portions_that_its_function_is_given() {
    let mut world = World::new(9);
    world.stream("s", |destination| {
        with_function(destination);
        if let Some(function) = &mut destination.function {
            function.buffer_bytes = PORTION_BYTES;
        }
    });
    let (calls, largest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (called, seen) = (Arc::clone(&calls), Arc::clone(&largest));
    world.functions.set(move |batch| {
        called.fetch_add(1, Ordering::SeqCst);
        seen.fetch_max(batch.payload().len(), Ordering::SeqCst);
        let mut ran = Ran::default();
        for (source, record) in (0u32..).zip(batch.columns().iter()) {
            answer(&mut ran.output, source, record, None);
        }
        ran
    });
    for (_, body) in decided(&mut world) {
        lose(&world, &body, false);
    }
    calls.store(0, Ordering::SeqCst);
    recover(&world);
    assert_eq!(world.store.lines(), records());
    let portions = RECORDS * 4 / PORTION_BYTES as usize;
    assert!(calls.load(Ordering::SeqCst) >= 2 * portions, "for the object, and for the lane's own reading");
    assert!(largest.load(Ordering::SeqCst) <= PORTION_BYTES as usize);
}

#[test]
fn a_function_that_stands_still_holds_up_no_other_stream() {
    let mut world = World::new(10);
    // One for the object that is made again, one for what its lane reads.
    world.guests = 2;
    world.stream("slow", with_function);
    world.stream("s", |_| {});
    world.functions.set(echo);
    world.store.set(Mood::Gone);
    let lost = world.life(async {
        let node = world.start().await.unwrap();
        assert!(node.put("s", &["s\n"]).await);
        decisions(&node, "s", 1).await;
        // Two objects, so that one waits for the other.
        assert!(node.put("slow", &["a\n"]).await);
        decisions(&node, "slow", 1).await;
        assert!(node.put("slow", &["b\n"]).await);
        decisions(&node, "slow", 2).await
    });
    world.cut_power(1);
    assert_eq!(lost.len(), 2);
    for (_, body) in &lost {
        lose(&world, body, true);
    }
    let gate = world.functions.set_gated();
    world.life(async {
        let node = world.start().await.unwrap();
        until("both are in the function", || (world.functions.calls() >= 2 + 2).then_some(())).await;
        let parked = until("it is shown", || node.status("slow").parked).await;
        assert_eq!(parked.code, "delivery.remake");
        // An object of the other is lost now, where it cannot be the first.
        let (intent, body) = decisions(&node, "s", 1).await.remove(0);
        lose(&world, &body, true);
        until("it is made again", || {
            let intents = node.shared.journal.open_intents(intent.shard);
            (Body::from_bytes(&intents[0].body).unwrap().place != body.place).then_some(())
        })
        .await;
        world.store.set(Mood::Fine);
        node.drained("s").await;
        assert_eq!(world.store.lines(), ["s"]);
        assert_eq!(node.status("slow").parked.map(|parked| parked.code), Some("delivery.remake".to_owned()));
        gate.open();
        node.drained("slow").await;
        until("the alarms are over", || {
            ["s", "slow"].iter().all(|name| node.status(name).parked.is_none()).then_some(())
        })
        .await;
        node.stop().await;
    });
    assert_eq!(world.store.lines(), ["a", "b", "s"]);
}

#[test]
fn a_put_that_the_store_carries_out_late_brings_the_same_outputs_back() {
    let mut world = World::new(14);
    world.stream("s", with_function);
    let answer_as = |world: &World, run: &'static str| {
        world.functions.set(move |batch| {
            let mut ran = Ran::default();
            for (source, record) in (0u32..).zip(batch.columns().iter()) {
                let record = std::str::from_utf8(record).unwrap().trim_end();
                for nth in 0..2 {
                    answer(&mut ran.output, source, format!("{record}/{nth}/{run}\n").as_bytes(), None);
                }
            }
            ran
        });
    };
    answer_as(&world, "first");
    let mut old = Vec::new();
    for (_, body) in decided(&mut world) {
        let path = outbox_file(&body.place.file);
        let from = usize::try_from(body.place.offset).unwrap();
        let to = from + usize::try_from(body.place.length).unwrap();
        assert!(world.disk.corrupt(&path, |bytes| {
            old.push((body.key.clone(), bytes[from..to].to_vec()));
            bytes[from] ^= 1;
        }));
    }
    answer_as(&world, "second");
    let status = recover(&world);
    assert_eq!((status.counts.delivered, status.balance), (RECORDS as u64, 0));
    let lines = |run: &str| -> Vec<String> {
        records().iter().flat_map(|record| (0..2).map(move |nth| format!("{record}/{nth}/{run}"))).collect()
    };
    assert_eq!(world.store.lines(), lines("second"));
    for (key, bytes) in old {
        world.store.insert(&key, bytes);
    }
    assert_eq!(world.store.lines(), lines("first"), "each output once, as it was decided");
}
