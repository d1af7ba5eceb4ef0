//! The usual life: append, read, decide, trim, restart.

use bytes::Bytes;
use millrace_types::Members;

use super::*;
use crate::disk::{Disk, RealDisk};
use crate::fake::Op;
use crate::inspect;

#[test]
fn records_come_back_from_memory_and_from_disk() {
    run(async {
        for tail_bytes in [0, 20_000, 10 << 20] {
            let disk = FakeDisk::new(1);
            let (journal, _) = open_with(&disk, JournalSettings { tail_bytes, ..small() }).unwrap();
            let mut expected = Vec::new();
            for tag in 0..200u64 {
                let first = journal.append(shard(1), batch(tag, 3, 400)).await.unwrap();
                assert_eq!(first.get(), tag * 3);
                journal.append(shard(2), batch(tag, 1, 100)).await.unwrap();
                expected.extend((0..3).map(|nth| (tag * 3 + nth, record(tag, nth, 400))));
            }
            for from in [0, 1, 299, 599] {
                let mut reader = journal.reader(shard(1), Seq::new(from));
                let (records, gaps) = read_to(&mut reader, Seq::new(600)).await;
                assert!(records[..] == expected[usize::try_from(from).unwrap()..], "tail {tail_bytes} from {from}");
                assert!(gaps.is_empty());
            }
            let state = journal.shard(shard(1)).unwrap();
            assert_eq!((state.next, state.counts.accepted), (Seq::new(600), 600));
            assert!(state.backlog_bytes > 600 * 400);
            assert_eq!(state.oldest_arrival_ms, Some(500));
            journal.close().await;
        }
    });
}

#[test]
fn a_large_batch_is_several_frames_and_one_larger_than_a_segment_fits_too() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        let mut keyed = BatchBuilder::default();
        for nth in 0..50u8 {
            keyed
                .push_keyed::<millrace_types::BatchFull>(i64::from(nth), &[nth; 3], |out| {
                    out.extend_from_slice(&[nth; 5000]);
                    Ok(())
                })
                .unwrap();
        }
        journal.append(shard(1), keyed.finish()).await.unwrap();
        journal.append(shard(1), batch(1, 1, 100_000)).await.unwrap();
        journal.close().await;
        let (journal, _) = open(&disk);
        let mut reader = journal.reader(shard(1), Seq::ZERO);
        let mut at = 0;
        while at < 50 {
            let Read::Batch(batch) = reader.next(12_000).await.unwrap() else { panic!("a batch") };
            for (nth, record) in batch.columns().iter().enumerate() {
                assert_eq!(record, [at; 5000]);
                assert_eq!(batch.arrivals_ms()[nth], i64::from(at));
                at += 1;
            }
            assert_eq!(batch.keys().len(), batch.len() * 3);
        }
        let (records, _) = read_to(&mut reader, Seq::new(51)).await;
        assert_eq!(records, [(50, record(1, 0, 100_000))]);
    });
}

#[test]
fn a_reader_waits_and_is_told_of_the_end() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        let mut reader = journal.reader(shard(1), Seq::ZERO);
        let writer = journal.clone();
        let (read, first) = tokio::join!(reader.next(1000), writer.append(shard(1), batch(1, 2, 10)));
        assert_eq!(first.unwrap(), Seq::ZERO);
        let Read::Batch(read) = read.unwrap() else { panic!("a batch") };
        assert_eq!(read.len(), 2);
        let mut other = journal.reader(shard(2), Seq::ZERO);
        journal.append(shard(2), batch(1, 4, 10)).await.unwrap();
        let (read, counts) = tokio::join!(reader.next(1000), async {
            let counts = journal.retire(shard(2)).await.unwrap();
            journal.close().await;
            counts
        });
        assert!(matches!(read.unwrap(), Read::Closed));
        assert_eq!(counts.accepted, 4);
        assert!(matches!(other.next(10).await.unwrap(), Read::Closed));
        assert!(matches!(journal.append(shard(1), batch(1, 1, 1)).await, Err(Error::Closed)));
    });
}

#[test]
fn decisions_survive_and_what_is_decided_is_trimmed() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        let mut members = Members::new();
        members.insert(0, Seq::new(5), Seq::new(9));
        members.insert(1, Seq::new(5), Seq::new(6));
        let intent =
            Intent { shard: shard(1), id: u64::MAX, members: members.clone(), body: Bytes::from_static(b"key") };
        let other = Intent { id: 3, ..intent.clone() };
        journal.append(shard(1), batch(0, 20, 10)).await.unwrap();
        journal.intent(intent.clone()).await.unwrap();
        journal.intent(other.clone()).await.unwrap();
        let counts = Counts { accepted: 99, delivered: 4, dropped: 1, failed: 1, quarantined: 0 };
        let commit = Commit { shard: shard(1), intents: vec![u64::MAX, 77], watermark: Seq::new(6), counts };
        journal.commit(commit).await.unwrap();
        let ahead = journal.commit(done(shard(1), 21)).await;
        assert!(matches!(ahead, Err(Error::Invalid(_))));
        for tag in 1..300 {
            let first = journal.append(shard(1), batch(tag, 2, 500)).await.unwrap();
            if tag > 10 {
                journal.commit(done(shard(1), first.get() - 10)).await.unwrap();
            }
        }
        until("decided segments are removed", || journal.status().segments <= 4).await;
        let before = journal.shard(shard(1)).unwrap();
        assert_eq!(before.counts, Counts { accepted: 618, ..counts });
        journal.close().await;
        let (journal, recovery) = open(&disk);
        assert_eq!(recovery.quarantined, []);
        let after = journal.shard(shard(1)).unwrap();
        assert_eq!((after.next, after.watermark, after.counts), (before.next, before.watermark, before.counts));
        assert_eq!(after.done, before.done);
        assert_eq!(journal.open_intents(shard(1)), [other]);
        assert_eq!(journal.shards(), [shard(1)]);
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), after.next).await;
        assert_eq!(records.first().unwrap().0, after.watermark.get(), "below the watermark nothing is read");
        assert!(gaps.is_empty());
    });
}

#[test]
fn a_retired_shard_is_forgotten() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        for tag in 0..200 {
            journal.append(shard(1), batch(tag, 2, 500)).await.unwrap();
        }
        assert_eq!(journal.retire(shard(1)).await.unwrap().accepted, 400);
        assert!(matches!(journal.append(shard(1), batch(0, 1, 1)).await, Err(Error::Retired(_))));
        until("its segments are removed", || journal.status().segments <= 2).await;
        journal.close().await;
        let (journal, recovery) = open(&disk);
        assert_eq!(journal.shards(), []);
        assert_eq!(recovery.quarantined, []);
    });
}

#[test]
fn two_processes_cannot_share_a_directory() {
    run(async {
        let fake = FakeDisk::new(1);
        let (held, _) = open(&fake);
        assert!(matches!(open_with(&fake, small()), Err(Error::Locked(_))));
        held.close().await;
        open(&fake).0.close().await;

        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("journal");
        let clock = Arc::new(ManualClock::at(0));
        let real = || Journal::open(Arc::new(RealDisk), at.clone(), small(), Arc::clone(&clock) as Arc<dyn Clock>);
        let (held, _) = real().unwrap();
        assert!(matches!(real(), Err(Error::Locked(_))));
        assert!(matches!(inspect::verify(&RealDisk, &at), Err(Error::Locked(_))), "it is not judged while it changes");
        held.append(shard(7), batch(1, 3, 1000)).await.unwrap();
        held.close().await;
        let (again, _) = real().unwrap();
        let (records, _) = read_to(&mut again.reader(shard(7), Seq::ZERO), Seq::new(3)).await;
        assert_eq!(records.len(), 3);
        again.close().await;
        assert!(RealDisk.list(&at).unwrap().contains(&"lock".to_owned()));
    });
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let disk = FakeDisk::new(1);
    for settings in [
        JournalSettings { segment_bytes: 1000, ..small() },
        JournalSettings { queue_bytes: 0, ..small() },
        JournalSettings { disk_bytes_max: Some(SEGMENT_BYTES), ..small() },
    ] {
        assert!(matches!(open_with(&disk, settings), Err(Error::Settings(_))));
    }
}

#[test]
fn many_callers_share_few_syncs() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        let mut callers = tokio::task::JoinSet::new();
        for tag in 0..500 {
            let journal = journal.clone();
            callers.spawn(async move { journal.append(shard(1), batch(tag, 1, 50)).await.unwrap() });
        }
        let mut firsts: Vec<u64> = callers.join_all().await.iter().map(|first| first.get()).collect();
        firsts.sort_unstable();
        assert!(firsts.into_iter().eq(0..500), "each its own place");
        assert!(journal.status().fsyncs < 400, "{} syncs", journal.status().fsyncs);
        assert_eq!(journal.status().appended_records, 500);
    });
}

/// The fourth way in which another product loses acknowledged records: fsync on a timer, or none. The disk
/// itself counts here, and says what a power cut at the moment of the answer leaves.
#[test]
fn vector_losses_no_answer_comes_before_a_sync_of_its_own() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        until("the next segment is prepared", || journal.status().segments == 2).await;
        let syncs = || disk.ops_within(Op::SyncData, "0000000000000001.seg");
        for nth in 0..40 {
            let before = syncs();
            assert_eq!(journal.append(shard(1), batch(nth, 1, 100)).await.unwrap(), Seq::new(nth));
            assert!(syncs() > before, "append {nth} was answered with no sync of the segment between");
            let left = inspect::verify(&disk.crash(nth), &dir()).unwrap();
            assert_eq!(left.shards[&shard(1)].records, nth + 1, "append {nth} was answered and is not durable");
        }
        let before = syncs();
        journal.commit(done(shard(1), 40)).await.unwrap();
        assert!(syncs() > before, "a commit as well");
        journal.close().await;
    });
}
