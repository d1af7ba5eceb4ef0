//! Every operation fails once: no wrong acknowledgement, nothing refused comes back.

use super::oracle::Oracle;
use super::*;
use crate::fake::{EIO, Op};

const STEPS: u64 = 100;

/// One run whose `nth` operation fails; then a power cut and a judgement.
async fn one_fault(nth: u64, kind: Option<Op>, seed: u64) -> (u64, Oracle) {
    let what = format!("fault {nth} of {kind:?}, seed {seed}");
    let disk = FakeDisk::new(seed);
    match kind {
        Some(op) => disk.fail_at(op, nth, EIO),
        None => disk.fail_op(nth, EIO),
    }
    let mut oracle = Oracle::new(seed);
    let Ok((journal, _)) = open_with(&disk, small()) else { return (disk.ops(), oracle) };
    for _ in 0..STEPS {
        if !oracle.step(&journal).await {
            break;
        }
    }
    let ops = kind.map_or_else(|| disk.ops(), |op| disk.ops_of(op));
    let left = disk.crash(nth);
    journal.close().await;
    let (journal, recovery) = open(&left);
    assert_eq!(recovery.quarantined, [], "{what}");
    oracle.judge(&journal, &what).await;
    (ops, oracle)
}

#[test]
fn any_operation_may_fail_once() {
    for seed in 0..3 {
        let (ops, _) = run(one_fault(u64::MAX / 2, None, seed));
        assert!(ops > 100, "{ops} operations");
        for nth in 1..=ops {
            run(one_fault(nth, None, seed));
        }
    }
}

#[test]
fn a_failed_sync_refuses_its_group_and_the_journal_goes_on() {
    let seed = 9;
    let (syncs, _) = run(one_fault(u64::MAX / 2, Some(Op::SyncData), seed));
    let mut refused = 0;
    for nth in 1..=syncs {
        let (_, oracle) = run(one_fault(nth, Some(Op::SyncData), seed));
        refused += oracle.refused;
    }
    assert!(refused > syncs / 3, "the faults were met: {refused} of {syncs}");
}

#[test]
fn a_second_failure_in_a_row_stops_the_journal_until_a_restart() {
    run(async {
        let disk = FakeDisk::new(4);
        let (journal, _) = open(&disk);
        journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
        disk.fail_at(Op::SyncData, 1, EIO);
        let refused = journal.append(shard(1), batch(2, 1, 10)).await;
        assert!(matches!(refused, Err(Error::Poisoned(_))), "{refused:?}");
        assert_eq!(journal.append(shard(1), batch(3, 1, 10)).await.unwrap(), Seq::new(1), "the number is free");
        assert_eq!(journal.status().poisoned_segments, 1);
        for nth in 1..6 {
            disk.fail_at(Op::SyncData, nth, EIO);
        }
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
