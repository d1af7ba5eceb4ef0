//! Runs are read as segments are: an error that passes costs nothing, what stays unreadable is kept.

use super::*;
use crate::disk::Disk;
use crate::fake::{EIO, Op};
use crate::inspect;

/// A journal in which shard 1 lags and is settled; and how many records it has.
async fn settled(disk: &FakeDisk) -> (Journal, u64) {
    let (journal, _) = open_with(disk, JournalSettings { tail_bytes: 0, ..small() }).unwrap();
    let parked = space::lag(&journal, 200).await;
    until("it is settled", || journal.status().runs > 0 && journal.status().segments <= 5).await;
    (journal, parked)
}

fn runs(disk: &FakeDisk) -> Vec<String> {
    disk.list(&dir().join(SETTLED)).unwrap().into_iter().filter(|name| name.ends_with(".run")).collect()
}

#[test]
fn a_read_of_a_run_that_fails_twice_is_made_again() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, parked) = settled(&disk).await;
        for nth in 1..6 {
            // Each read in turn, and the one that is made in its stead.
            disk.fail_within(Op::Read, ".run", nth, EIO);
            disk.fail_within(Op::Read, ".run", nth + 1, EIO);
            let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(parked)).await;
            assert_eq!((records.len() as u64, gaps), (parked, Vec::new()), "read {nth}");
        }
        assert_eq!(journal.status().quarantined, []);
        journal.close().await;
    });
}

#[test]
fn a_run_that_stays_unreadable_is_a_gap_and_is_never_removed() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, parked) = settled(&disk).await;
        let before = runs(&disk);
        for nth in 1..2_000 {
            disk.fail_within(Op::Read, ".run", nth, EIO);
        }
        let mut reader = journal.reader(shard(1), Seq::ZERO);
        let Read::Gap { from, .. } = reader.next(10_000).await.unwrap() else { panic!("a gap") };
        assert_eq!(from, Seq::ZERO);
        journal.commit(done(shard(1), parked)).await.unwrap();
        journal.append(shard(2), batch(1, 1, 10)).await.unwrap();
        // Whatever can go goes: the run that could not be read stays.
        until("segments are removed", || journal.status().segments <= 2).await;
        assert_eq!(runs(&disk)[..1], before[..1], "its bytes may come back");
        assert!(!journal.status().quarantined.is_empty());
        journal.close().await;
    });
}

#[test]
fn settling_reads_again_and_keeps_what_it_could_not_read() {
    for (failures, is_lost) in [(2, false), (1_000, true)] {
        run(async {
            let disk = FakeDisk::new(1);
            let settings = JournalSettings { tail_bytes: 0, lag_segments: 1000, ..small() };
            let (journal, _) = open_with(&disk, settings).unwrap();
            let parked = space::lag(&journal, 120).await;
            let path = |name: &str| dir().join(name);
            until("it has an index", || disk.open(&path("0000000000000001.idx")).is_ok()).await;
            journal.close().await;
            // The start reads the head, the copy reads the head and then the frames.
            for nth in 0..failures {
                disk.fail_within(Op::Read, "0001.seg", 3 + nth, EIO);
            }
            let (journal, _) = open_with(&disk, JournalSettings { tail_bytes: 0, ..small() }).unwrap();
            until("it is settled", || settle::is_idle(&journal.handle.shared)).await;
            assert!(journal.status().runs > 0);
            assert_eq!(journal.status().quarantined.is_empty(), !is_lost);
            until("it is kept or goes", || disk.open(&path("0000000000000001.seg")).is_ok() == is_lost).await;
            let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(parked)).await;
            assert_eq!(gaps.is_empty(), !is_lost);
            assert!(!records.is_empty());
            journal.close().await;
        });
    }
}

#[test]
fn a_shard_of_damaged_frames_alone_does_not_hold_up_the_others() {
    run(async {
        let disk = FakeDisk::new(1);
        let settings = JournalSettings { tail_bytes: 0, lag_segments: 1000, ..small() };
        let (journal, _) = open_with(&disk, settings).unwrap();
        // Shard 0 is looked at before shard 1, and pins the same segment.
        for tag in 0..5 {
            journal.append(shard(0), batch(tag, 1, 300)).await.unwrap();
        }
        let parked = space::lag(&journal, 120).await;
        until("it has an index", || disk.open(&dir().join("0000000000000001.idx")).is_ok()).await;
        journal.close().await;
        let filter = inspect::Filter { shard: Some(shard(0)), kind: Some(inspect::Kind::Records) };
        let mut frames = Vec::new();
        inspect::dump(&disk, &dir(), filter, &mut |frame| frames.push(frame.clone())).unwrap();
        for frame in &frames {
            let at = usize::try_from(frame.offset).unwrap() + 70;
            assert!(disk.corrupt(&dir().join(&frame.file), |bytes| bytes[at] ^= 4));
        }
        let (journal, recovery) = open_with(&disk, JournalSettings { tail_bytes: 0, ..small() }).unwrap();
        assert_eq!(recovery.quarantined, [], "an indexed segment is not read at a start");
        let settled = || journal.shard(shard(1)).unwrap().settled_bytes > 0;
        until("the other shard is settled", settled).await;
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(parked)).await;
        assert_eq!((records.len() as u64, gaps), (parked, Vec::new()));
        let told = journal.status().quarantined;
        let ranges: Vec<_> = told.iter().map(|range| (range.shard, range.from.get(), range.to.get())).collect();
        assert_eq!(ranges, (0..5).map(|nth| (Some(shard(0)), nth, nth + 1)).collect::<Vec<_>>());
        assert_eq!(disk.list(&dir().join(QUARANTINE)).unwrap().len(), 5, "the bytes are kept");
        let (records, gaps) = read_to(&mut journal.reader(shard(0), Seq::ZERO), Seq::new(5)).await;
        assert_eq!((records.len(), gaps.iter().map(|(from, to)| to.since(*from)).sum::<u64>()), (0, 5));
        journal.close().await;
    });
}
