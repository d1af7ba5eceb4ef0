//! Every operation fails once, with an IO error and with a full disk: no wrong acknowledgement, nothing
//! refused comes back, and no start takes it for a loss.

use super::oracle::Oracle;
use super::*;
use crate::fake::{EIO, ENOSPC, Op};
use crate::file::{segment_name, segment_number};

const STEPS: u64 = 100;
/// A shard of its own that never commits, so that runs are written.
const PARKED: u32 = 9;

/// Which operation is to fail.
#[derive(Debug, Clone, Copy)]
struct Fault {
    op: Option<Op>,
    /// Part of the file's path.
    within: &'static str,
    nth: u64,
    code: i32,
}

const NONE: Fault = Fault { op: None, within: "", nth: u64::MAX / 2, code: EIO };

/// What a run with one fault came to.
struct Ran {
    disk: FakeDisk,
    has_come: bool,
    refused: u64,
}

/// One run with a fault; then a power cut and a judgement.
async fn one_fault(fault: Fault, seed: u64) -> Ran {
    let what = format!("{fault:?}, seed {seed}");
    let disk = FakeDisk::new(seed);
    match fault.op {
        Some(op) => disk.fail_within(op, fault.within, fault.nth, fault.code),
        None => disk.fail_op(fault.nth, fault.code),
    }
    let mut oracle = Oracle::new(seed);
    let clock = Arc::new(ManualClock::at(1_000));
    let Ok((journal, _)) = open_at(&disk, small(), &clock) else {
        return Ran { has_come: true, refused: 0, disk };
    };
    let mut parked = Vec::new();
    for tag in 0..STEPS {
        clock.advance(Duration::from_millis(300));
        if let Ok(first) = journal.append(shard(PARKED), batch(tag, 1, 60)).await {
            parked.push((first.get(), record(tag, 0, 60)));
        }
        if !oracle.step(&journal).await {
            break;
        }
    }
    // What the keeper has to do it does before the power goes, unless the fault stops it.
    for _ in 0..20 {
        if journal.status().runs > 0 {
            break;
        }
        journal.handle.shared.ring();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let left = disk.crash(fault.nth);
    journal.close().await;
    let (journal, recovery) = open(&left);
    assert_eq!(recovery.quarantined, [], "{what}");
    oracle.judge(&journal, &what).await;
    let next = journal.shard(shard(PARKED)).unwrap_or_default().next;
    let (records, gaps) = read_to(&mut journal.reader(shard(PARKED), Seq::ZERO), next).await;
    assert_eq!(gaps, [], "{what}");
    for (at, record) in parked {
        assert_eq!(records.get(usize::try_from(at).unwrap()), Some(&(at, record)), "{what}: parked at {at}");
    }
    journal.close().await;
    Ran { has_come: disk.faults_left() == 0, refused: oracle.refused, disk }
}

#[test]
fn any_operation_may_fail_once() {
    for seed in 0..2 {
        let ops = run(one_fault(NONE, seed)).disk.ops();
        assert!(ops > 100, "{ops} operations");
        for nth in 1..=ops {
            run(one_fault(Fault { nth, ..NONE }, seed));
        }
    }
}

#[test]
fn each_kind_of_file_meets_each_error_at_each_point() {
    let kinds = [
        (".seg", vec![Op::Create, Op::Allocate, Op::Write, Op::SyncData, Op::SetLen, Op::Remove]),
        (".idx", vec![Op::Create, Op::Write, Op::SyncData]),
        (".tmp", vec![Op::Create, Op::Write, Op::SyncData]),
        (".run", vec![Op::Rename]),
        ("data", vec![Op::SyncDir]),
        (".mark", vec![Op::Create, Op::Allocate, Op::Write, Op::SyncData, Op::Rename]),
    ];
    let usual = run(one_fault(NONE, 5)).disk;
    for (within, ops) in kinds {
        for op in ops {
            let count = usual.ops_within(op, within);
            assert!(count > 0, "{op:?} of {within} is met");
            let mut come = 0;
            for nth in 1..=count {
                for code in [EIO, ENOSPC] {
                    come += u64::from(run(one_fault(Fault { op: Some(op), within, nth, code }, 5)).has_come);
                }
            }
            assert!(come > count, "{op:?} of {within}: {come} of {} faults came", count * 2);
        }
    }
}

#[test]
fn a_failed_sync_refuses_its_group_and_the_journal_goes_on() {
    let seed = 9;
    let syncs = run(one_fault(NONE, seed)).disk.ops_within(Op::SyncData, ".seg");
    let mut refused = 0;
    for nth in 1..=syncs {
        refused += run(one_fault(Fault { op: Some(Op::SyncData), within: ".seg", nth, code: EIO }, seed)).refused;
    }
    assert!(refused > syncs / 3, "the faults were met: {refused} of {syncs}");
}

#[test]
fn a_second_failure_in_a_row_stops_the_journal_until_a_restart() {
    run(async {
        let disk = FakeDisk::new(4);
        let (journal, _) = open(&disk);
        journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
        until("the next segment is prepared", || journal.status().segments == 2).await;
        disk.fail_within(Op::SyncData, "1.seg", 1, EIO);
        let refused = journal.append(shard(1), batch(2, 1, 10)).await;
        assert!(matches!(refused, Err(Error::Poisoned(_))), "{refused:?}");
        assert_eq!(journal.append(shard(1), batch(3, 1, 10)).await.unwrap(), Seq::new(1), "the number is free");
        assert_eq!(journal.status().poisoned_segments, 1);
        until("another is prepared", || journal.status().segments == 3).await;
        disk.fail_within(Op::SyncData, "2.seg", 1, EIO);
        disk.fail_within(Op::SyncData, "3.seg", 1, EIO);
        let mut reader = journal.reader(shard(1), Seq::new(2));
        let failed = journal.append(shard(1), batch(4, 1, 10)).await;
        assert!(matches!(failed, Err(Error::Failed(_))), "{failed:?}");
        assert!(matches!(journal.commit(done(shard(1), 1)).await, Err(Error::Failed(_))));
        assert!(matches!(reader.next(10).await.unwrap(), Read::Closed));
        assert!(journal.status().failed.is_some());
        journal.close().await;
        let (journal, _) = open(&disk.crash(5));
        let (records, _) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(2)).await;
        // What was in flight at the end may be there or not.
        assert_eq!(records[..2], [(0, record(1, 0, 10)), (1, record(3, 0, 10))]);
        assert!(records.len() == 2 || records[2..] == [(2, record(4, 0, 10))]);
    });
}

#[test]
fn what_a_kill_left_unsynced_outlives_a_power_cut_once_a_start_believes_it() {
    for seed in 0..20 {
        run(async move {
            let disk = FakeDisk::new(seed);
            let (journal, _) = open(&disk);
            journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
            journal.close().await;
            let highest = disk.list(&dir()).unwrap().iter().filter_map(|name| segment_number(name)).max().unwrap();
            // Killed between the making of a segment and the sync of its name.
            let name = segment_name(highest + 1);
            disk.create(&dir().join(&name)).unwrap().allocate(SEGMENT_BYTES).unwrap();
            let found = recover(&disk, &dir(), &small()).unwrap();
            assert_eq!(found.spare.unwrap().0, highest + 1);
            let left = disk.crash(seed);
            assert!(left.list(&dir()).unwrap().contains(&name), "seed {seed}: the name");
            let bytes = left.open(&dir().join(&name)).unwrap().len().unwrap();
            assert_eq!(bytes, SEGMENT_BYTES, "seed {seed}: the length");
        });
    }
}

#[test]
fn the_name_of_a_run_that_a_kill_left_unsynced_outlives_a_power_cut_once_a_start_believes_it() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        let parked = space::lag(&journal, 200).await;
        until("it is settled", || journal.status().runs > 0 && settle::is_idle(&journal.handle.shared)).await;
        journal.close().await;
        let folder = dir().join(SETTLED);
        let name = disk.list(&folder).unwrap().into_iter().find(|name| name.ends_with(".run")).unwrap();
        let (run, unfinished) = (folder.join(&name), folder.join(&name).with_extension("tmp"));
        disk.rename(&run, &unfinished).unwrap();
        disk.sync_dir(&folder).unwrap();
        // Killed between the rename and the sync of the name: the run takes the place of segments from here on.
        disk.rename(&unfinished, &run).unwrap();
        recover(&disk, &dir(), &small()).unwrap();
        for seed in 0..20 {
            let left = disk.crash(seed);
            let (journal, recovery) = open(&left);
            assert_eq!(recovery.quarantined, [], "seed {seed}");
            let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(parked)).await;
            assert_eq!((records.len() as u64, gaps), (parked, Vec::new()), "seed {seed}");
            journal.close().await;
        }
    });
}
