//! Power cuts at random operations, several lives of one directory, judged by the oracle.

use super::oracle::Oracle;
use super::*;

/// Directories that are tried.
const SEEDS: u64 = 120;
/// Lives of each.
const LIVES: u64 = 4;
/// Steps of one life.
const STEPS: u64 = 120;

#[test]
fn every_acknowledged_record_survives_every_crash() {
    let mut acked = 0;
    for seed in 0..SEEDS {
        run(async {
            let mut disk = FakeDisk::new(seed);
            let mut oracle = Oracle::new(seed);
            for life in 0..LIVES {
                let what = format!("seed {seed} life {life}");
                let (journal, recovery) = open(&disk);
                assert_eq!(recovery.quarantined, [], "{what}");
                oracle.judge(&journal, &what).await;
                let at = 1 + (seed * 37 + life * 101) % 250;
                disk.crash_at(at, seed ^ life);
                for _ in 0..STEPS {
                    if !oracle.step(&journal).await {
                        break;
                    }
                }
                let left = disk.crashed().unwrap_or_else(|| disk.crash(seed + life));
                journal.close().await;
                disk = left;
            }
            let (journal, recovery) = open(&disk);
            assert_eq!(recovery.quarantined, [], "seed {seed} at the end");
            oracle.judge(&journal, &format!("seed {seed} at the end")).await;
            acked += oracle.acked;
        });
    }
    assert!(acked > SEEDS * LIVES * 10, "the model did too little: {acked}");
}

#[test]
fn a_crash_while_starting_loses_nothing() {
    for seed in 0..60 {
        run(async {
            let disk = FakeDisk::new(seed);
            let mut oracle = Oracle::new(seed);
            let (journal, _) = open(&disk);
            for _ in 0..60 {
                oracle.step(&journal).await;
            }
            let mut left = disk.crash(seed);
            for at in 1..20 {
                left.crash_at(at, seed + at);
                let started = open_with(&left, small());
                let next = left.crashed().unwrap_or_else(|| left.crash(at));
                if let Ok((journal, _)) = started {
                    journal.close().await;
                }
                left = next;
            }
            let (journal, recovery) = open(&left);
            assert_eq!(recovery.quarantined, [], "seed {seed}");
            oracle.judge(&journal, &format!("seed {seed}")).await;
        });
    }
}
