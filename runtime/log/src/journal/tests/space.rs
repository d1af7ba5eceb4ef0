//! Disk space: refusals, the reserve, settling, and starts that read little.

use super::*;
use crate::Refusal;
use crate::fake::{ENOSPC, Op};

#[test]
fn a_full_disk_refuses_records_while_decisions_go_on_and_recovers_by_itself() {
    run(async {
        let disk = FakeDisk::new(1);
        disk.set_capacity(6 * SEGMENT_BYTES);
        // No shard lags, so none has a limit of its own.
        let settings = JournalSettings { lag_segments: 1000, ..small() };
        let (journal, _) = open_with(&disk, settings.clone()).unwrap();
        let mut next = 0;
        let refused = loop {
            match journal.append(shard(1), batch(1, 2, 900)).await {
                Ok(first) => next = first.get() + 2,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, Error::DiskFull(Refusal::NoSpace)), "{refused:?}");
        assert_eq!(journal.status().refusing, Some(Refusal::NoSpace));
        assert!(next > 100);
        // The reserve: the rest of the segment, and the other shards' decisions as well.
        for _ in 0..50 {
            journal.commit(done(shard(2), 0)).await.unwrap();
        }
        // A restart on the full disk works too.
        journal.close().await;
        let (journal, _) = open_with(&disk, settings).unwrap();
        journal.commit(done(shard(1), next)).await.unwrap();
        until("segments are removed", || journal.status().segments <= 2).await;
        journal.append(shard(1), batch(2, 1, 10)).await.unwrap();
        assert_eq!(journal.status().refusing, None);
    });
}

#[test]
fn headroom_limit_and_backlog_refuse_by_name() {
    run(async {
        let disk = FakeDisk::new(1);
        disk.set_capacity(10 * SEGMENT_BYTES);
        let clock = Arc::new(ManualClock::at(0));
        let settings = JournalSettings { headroom_bytes: 7 * SEGMENT_BYTES, ..small() };
        let (journal, _) = Journal::open(Arc::new(disk.clone()), dir(), settings, clock.clone()).unwrap();
        let refused = loop {
            match journal.append(shard(1), batch(1, 2, 900)).await {
                Ok(_) => {}
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, Error::DiskFull(Refusal::Headroom { .. })), "{refused:?}");
        disk.set_capacity(100 * SEGMENT_BYTES);
        let cached = journal.append(shard(1), batch(1, 1, 10)).await;
        assert!(cached.is_err(), "looked up once a second");
        clock.advance(Duration::from_secs(1));
        journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
        journal.close().await;

        let disk = FakeDisk::new(2);
        let settings =
            JournalSettings { disk_bytes_max: Some(6 * SEGMENT_BYTES), backlog_bytes_max: SEGMENT_BYTES, ..small() };
        let (journal, _) = open_with(&disk, settings).unwrap();
        let full = loop {
            match journal.append(shard(1), batch(1, 2, 900)).await {
                Ok(_) => {}
                Err(refused) => break refused,
            }
        };
        assert!(matches!(full, Error::ShardFull { backlog_bytes: 60_000..=SEGMENT_BYTES, .. }), "{full:?}");
        for stream in 2..20 {
            let answer = loop {
                match journal.append(shard(stream), batch(1, 2, 900)).await {
                    Ok(_) => {}
                    Err(refused) => break refused,
                }
            };
            match answer {
                Error::ShardFull { .. } => {}
                Error::DiskFull(Refusal::Limit { .. }) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(journal.status().refusing, Some(Refusal::Limit { .. })));
        // An index comes when its segment is full, and takes less than a KiB here.
        let status = journal.status();
        assert!(status.bytes_on_disk <= 6 * SEGMENT_BYTES + 6 * 1024, "{}", status.bytes_on_disk);
    });
}

#[test]
fn whether_records_can_be_taken_is_told_of_now_though_none_is_put() {
    run(async {
        let disk = FakeDisk::new(1);
        disk.set_capacity(100 * SEGMENT_BYTES);
        let settings = JournalSettings { headroom_bytes: 7 * SEGMENT_BYTES, ..small() };
        let (journal, _) = open_with(&disk, settings).unwrap();
        journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
        assert!(journal.ready().is_ok());
        // Somebody else fills the disk.
        disk.set_capacity(8 * SEGMENT_BYTES);
        let refused = journal.ready();
        assert!(matches!(refused, Err(Error::DiskFull(Refusal::Headroom { .. }))), "{refused:?}");
        assert!(matches!(journal.status().refusing, Some(Refusal::Headroom { .. })));
        disk.set_capacity(100 * SEGMENT_BYTES);
        assert!(journal.ready().is_ok());
        assert_eq!(journal.status().refusing, None);
        journal.close().await;

        // No room for a segment: once there is, nobody has to put for it to be seen.
        let (disk, clock) = (FakeDisk::new(2), Arc::new(ManualClock::at(0)));
        disk.set_capacity(6 * SEGMENT_BYTES);
        // A shard that lags would be refused by its share before.
        let settings = JournalSettings { lag_segments: 1000, ..small() };
        let (journal, _) = Journal::open(Arc::new(disk.clone()), dir(), settings, clock.clone()).unwrap();
        while journal.append(shard(1), batch(1, 2, 900)).await.is_ok() {}
        assert!(matches!(journal.ready(), Err(Error::DiskFull(Refusal::NoSpace))));
        disk.set_capacity(100 * SEGMENT_BYTES);
        clock.advance(Duration::from_secs(1));
        assert!(journal.ready().is_ok());
        assert_eq!(journal.status().refusing, None);
        journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
    });
}

#[test]
fn an_allocation_that_fails_refuses_only_the_batch_that_needs_it() {
    run(async {
        let disk = FakeDisk::new(1);
        let clock = Arc::new(ManualClock::at(0));
        let (journal, _) = Journal::open(Arc::new(disk.clone()), dir(), small(), clock.clone()).unwrap();
        until("a spare is ready", || journal.status().segments == 2).await;
        disk.fail_at(Op::Allocate, 2, ENOSPC);
        // Larger than a segment: it rolls, then needs more than was reserved. Either that or the next
        // spare meets the full disk.
        let large = journal.append(shard(1), batch(1, 1, 100_000)).await;
        assert!(matches!(large, Ok(_) | Err(Error::DiskFull(Refusal::NoSpace))), "{large:?}");
        journal.commit(done(shard(1), 0)).await.unwrap();
        let small = journal.append(shard(1), batch(2, 1, 10)).await;
        assert!(matches!(small, Ok(_) | Err(Error::DiskFull(Refusal::NoSpace))), "{small:?}");
        clock.advance(Duration::from_secs(1));
        journal.append(shard(1), batch(2, 1, 10)).await.unwrap();
    });
}

/// A shard that never commits among others that do.
pub(super) async fn lag(journal: &Journal, rounds: u64) -> u64 {
    let mut parked = 0;
    for tag in 0..rounds {
        if tag % 5 == 0 {
            journal.append(shard(1), batch(tag, 1, 300)).await.unwrap();
            parked += 1;
        }
        for stream in 2..6 {
            let first = journal.append(shard(stream), batch(tag, 2, 400)).await.unwrap();
            journal.commit(done(shard(stream), first.get() + 2)).await.unwrap();
        }
    }
    parked
}

#[test]
fn a_lagging_shard_is_settled_and_pins_nothing() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open_with(&disk, JournalSettings { tail_bytes: 0, ..small() }).unwrap();
        let mut reader = journal.reader(shard(1), Seq::ZERO);
        let parked = lag(&journal, 400).await;
        until("its segments are free", || journal.status().segments <= 5 && journal.status().runs > 0).await;
        assert!(journal.status().runs <= 6, "small runs are merged: {}", journal.status().runs);
        let state = journal.shard(shard(1)).unwrap();
        assert!(state.settled_bytes > 0 && state.settled_bytes <= state.backlog_bytes);
        assert_eq!(state.oldest_arrival_ms, Some(500));
        let (records, gaps) = read_to(&mut reader, Seq::new(parked)).await;
        assert_eq!((records.len() as u64, gaps.len()), (parked, 0));
        journal.close().await;

        for seed in 0..8 {
            let (journal, recovery) = open(&disk.crash(seed));
            assert_eq!(recovery.quarantined, []);
            let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(parked)).await;
            assert_eq!(gaps, []);
            for (at, found) in &records {
                assert_eq!(*found, record(at * 5, 0, 300));
            }
            assert_eq!(records.len() as u64, parked);
            journal.commit(done(shard(1), parked)).await.unwrap();
            until("runs are removed", || journal.status().runs == 0).await;
            journal.close().await;
        }
    });
}

#[test]
fn a_power_cut_while_settling_keeps_each_record_once() {
    for seed in 0..25 {
        run(async {
            let disk = FakeDisk::new(seed);
            let (journal, _) = open(&disk);
            lag(&journal, 60).await;
            disk.crash_at(1 + seed * 9, seed);
            let mut acked = 12;
            for tag in 60..160 {
                acked += u64::from(journal.append(shard(1), batch(tag * 5, 1, 300)).await.is_ok());
                for stream in 2..6 {
                    if let Ok(first) = journal.append(shard(stream), batch(tag, 2, 400)).await {
                        drop(journal.commit(done(shard(stream), first.get())).await);
                    }
                }
            }
            let left = disk.crashed().unwrap_or_else(|| disk.crash(seed));
            journal.close().await;
            let (journal, recovery) = open(&left);
            assert_eq!(recovery.quarantined, [], "seed {seed}");
            let next = journal.shard(shard(1)).unwrap().next;
            let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), next).await;
            assert!(gaps.is_empty() && records.len() as u64 >= acked, "seed {seed}");
            for (nth, (at, _)) in records.iter().enumerate() {
                assert_eq!(*at, nth as u64);
            }
        });
    }
}

#[test]
fn a_start_with_many_segments_reads_heads_and_tables_alone() {
    run(async {
        let disk = FakeDisk::new(1);
        let settings = JournalSettings { lag_segments: 1000, ..small() };
        let (journal, _) = open_with(&disk, settings.clone()).unwrap();
        for tag in 0..2_000 {
            journal.append(shard(1 + u32::try_from(tag % 3).unwrap()), batch(tag, 4, 400)).await.unwrap();
        }
        let segments = journal.status().segments as u64;
        assert!(segments > 40, "{segments}");
        journal.close().await;
        // The keeper may have been behind: one start makes what is missing.
        let (journal, _) = open_with(&disk, settings.clone()).unwrap();
        let indexes = || disk.list(&dir()).unwrap().iter().filter(|name| name.ends_with(".idx")).count() as u64;
        until("all indexes are written", || indexes() + 3 >= segments).await;
        journal.close().await;
        let left = disk.crash(1);
        let before = left.read_bytes();
        let (journal, recovery) = open_with(&left, settings).unwrap();
        let read = left.read_bytes() - before;
        assert_eq!(recovery.quarantined, []);
        assert!(recovery.indexes_rebuilt <= 2, "{recovery:?}");
        assert!(read < segments * 1000 + 8 * SEGMENT_BYTES, "{read} bytes for {segments} segments");
        let next = journal.shard(shard(1)).unwrap().next;
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), next).await;
        assert_eq!((records.len() as u64, gaps.len()), (next.get(), 0));
    });
}
