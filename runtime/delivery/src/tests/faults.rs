//! Every operation of the disk fails once, or is the last before a power cut, during a whole run of
//! append, work, outbox, intent, put, commit: nothing acknowledged is lost, nothing is there twice.

use millrace_log::fake::{EIO, ENOSPC, Op};

use super::{World, until};

const ROUNDS: usize = 3;
const RECORDS: usize = 5;

/// What happens to the disk.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The operation fails with this error number, of one kind or of any.
    Error(Option<Op>, i32),
    /// Power is cut at the operation.
    PowerCut,
}

/// What the producer knows.
#[derive(Default)]
struct Producer {
    acknowledged: Vec<String>,
    refused: Vec<String>,
}

/// A world whose windows stay in memory, or spill at once.
fn world(seed: u64, tight: bool) -> World {
    let mut world = World::new(seed);
    if tight {
        world.settings.memory_bytes_max = 1;
    }
    world.stream("s", |_| {});
    world
}

/// A producer's rounds against a node whose disk may fail; ends early when the power is cut.
async fn produce(world: &World, producer: &mut Producer) {
    let Some(node) = world.start().await else { return };
    for round in 0..ROUNDS {
        let records: Vec<String> = (0..RECORDS).map(|nth| format!("{round}-{nth}")).collect();
        let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
        let known = if node.put("s", &lines).await { &mut producer.acknowledged } else { &mut producer.refused };
        known.extend(records);
        // The second round meets the first one's objects on their way.
        if round != 1 {
            let quiet = until("the round is over", || {
                let status = node.status("s");
                let dead = node.shared.journal.status().failed.is_some();
                (status.pending == 0 || dead || world.disk.is_halted()).then_some(())
            });
            quiet.await;
        }
    }
}

/// The same run with one fault; then a power cut, a healthy disk, and a judgement.
fn one(nth: u64, fault: Fault, tight: bool) -> u64 {
    let what = format!("{fault:?} at {nth}, tight {tight}");
    let mut world = world(nth, tight);
    match fault {
        Fault::Error(None, code) => world.disk.fail_op(nth, code),
        Fault::Error(Some(op), code) => world.disk.fail_at(op, nth, code),
        Fault::PowerCut => world.disk.crash_at(nth, nth),
    }
    let mut producer = Producer::default();
    world.life(produce(&world, &mut producer));
    let ops = match fault {
        Fault::Error(Some(op), _) => world.disk.ops_of(op),
        _ => world.disk.ops(),
    };
    match world.disk.crashed() {
        Some(left) => world.disk = left,
        None => world.cut_power(nth),
    }
    let status = world.life(async {
        let node = world.start().await.unwrap_or_else(|| panic!("{what}: starts again"));
        let status = node.drained("s").await;
        node.stop().await;
        status
    });
    let lines = world.store.lines();
    let mut once = lines.clone();
    once.dedup();
    assert_eq!(lines, once, "{what}: nothing is there twice");
    for record in &producer.acknowledged {
        assert!(lines.contains(record), "{what}: {record} was acknowledged and is lost");
    }
    let known = |line| producer.acknowledged.contains(line) || producer.refused.contains(line);
    assert!(lines.iter().all(known), "{what}: {lines:?}");
    assert_eq!((status.balance, status.counts.delivered), (0, lines.len() as u64), "{what}");
    assert_eq!(status.counts.accepted, lines.len() as u64, "{what}");
    assert!(world.outbox_files().len() <= 1, "{what}: {:?}", world.outbox_files());
    ops
}

fn each(fault: Fault, tight: bool) {
    let far = u64::MAX / 2;
    let ops = match fault {
        Fault::Error(op, code) => one(far, Fault::Error(op, code), tight),
        Fault::PowerCut => one(far, Fault::Error(None, EIO), tight),
    };
    let least = if matches!(fault, Fault::Error(Some(_), _)) { 6 } else { 25 };
    assert!(ops >= least, "{ops} operations");
    for nth in 1..=ops {
        one(nth, fault, tight);
    }
}

#[test]
fn every_sync_may_fail() {
    for tight in [false, true] {
        each(Fault::Error(Some(Op::SyncData), EIO), tight);
    }
}

#[test]
fn every_operation_may_fail() {
    for tight in [false, true] {
        each(Fault::Error(None, EIO), tight);
    }
}

#[test]
fn every_operation_may_find_the_disk_full() {
    for tight in [false, true] {
        each(Fault::Error(None, ENOSPC), tight);
    }
}

#[test]
fn the_power_may_be_cut_at_every_operation() {
    for tight in [false, true] {
        each(Fault::PowerCut, tight);
    }
}
