//! Frames of the newest segment whose header is destroyed: what a later frame tells of them is counted, and
//! where nothing does this is told.

use super::damage::destroy_header;
use super::*;
use crate::inspect;
use crate::status::Hidden;

/// Two shards in turn, two records a frame, closed in the usual way; shard 1 has the last word.
async fn two_shards() -> FakeDisk {
    let disk = FakeDisk::new(1);
    let (journal, _) = open(&disk);
    for tag in 0..6 {
        journal.append(shard(2), batch(tag, 2, 100)).await.unwrap();
        journal.append(shard(1), batch(tag, 2, 100)).await.unwrap();
    }
    journal.close().await;
    disk
}

#[test]
fn records_of_a_destroyed_header_are_counted_as_soon_as_a_later_frame_shows_the_gap() {
    run(async {
        for nth in 0..5 {
            let disk = two_shards().await;
            let (file, offset) = destroy_header(&disk, shard(2), nth);
            let lost = (Seq::new(nth as u64 * 2), Seq::new(nth as u64 * 2 + 2));
            let report = inspect::verify(&disk, &dir()).unwrap();
            let (journal, recovery) = open(&disk);
            assert_eq!(report.quarantined, recovery.quarantined);
            assert_eq!(recovery.quarantined[0].offset, offset, "the bytes");
            let known: Vec<_> = recovery.quarantined.iter().filter(|range| range.shard.is_some()).collect();
            assert_eq!(known.len(), 1, "{recovery:?}");
            assert_eq!((known[0].shard, known[0].from, known[0].to), (Some(shard(2)), lost.0, lost.1));
            assert_eq!(known[0].file, file);
            assert_eq!(recovery.missing, Vec::<String>::new());
            assert!(disk.list(&dir().join(QUARANTINE)).unwrap().contains(&format!("{file}-{offset}.bad")));
            // Accepted is what is delivered and what is quarantined, in each shard.
            for (stream, gaps) in [(1, Vec::new()), (2, vec![lost])] {
                let accepted = journal.shard(shard(stream)).unwrap().counts.accepted;
                assert_eq!(accepted, 12);
                let read = read_to(&mut journal.reader(shard(stream), Seq::ZERO), Seq::new(accepted)).await;
                assert_eq!((read.0.len() as u64, &read.1), (accepted - 2 * gaps.len() as u64, &gaps));
            }
            assert_eq!(journal.append(shard(2), batch(9, 1, 10)).await.unwrap(), Seq::new(12));
            journal.close().await;
        }
    });
}

#[test]
fn a_destroyed_header_with_nothing_of_its_shard_behind_is_told_as_unknown() {
    run(async {
        let disk = two_shards().await;
        let (file, offset) = destroy_header(&disk, shard(2), 5);
        let report = inspect::verify(&disk, &dir()).unwrap();
        assert!(!report.is_whole());
        assert_eq!(report.quarantined.iter().map(|range| range.shard).collect::<Vec<_>>(), [None]);
        let (journal, recovery) = open(&disk);
        assert!(recovery.quarantined[0].why.contains(Hidden::SLUG), "{recovery:?}");
        let [Hidden { file: within, offset: at, bytes }] = &recovery.hidden[..] else { panic!("{recovery:?}") };
        assert_eq!((within, *at, &recovery.hidden), (&file, offset, &report.hidden));
        assert!(*bytes > 2 * 100, "{bytes}");
        assert!(disk.list(&dir().join(QUARANTINE)).unwrap().contains(&format!("{file}-{offset}.bad")));
        // This is what cannot be known: the numbers are given again.
        assert_eq!(journal.append(shard(2), batch(9, 1, 10)).await.unwrap(), Seq::new(10));
        journal.close().await;
    });
}

#[test]
fn what_can_hold_no_records_hides_none() {
    run(async {
        let disk = two_shards().await;
        let mut snapshots = Vec::new();
        let (journal, _) = open(&disk);
        for tag in 6..8 {
            journal.append(shard(1), batch(tag, 1, 100)).await.unwrap();
        }
        journal.close().await;
        let filter = inspect::Filter { shard: None, kind: Some(inspect::Kind::Snapshot) };
        inspect::dump(&disk, &dir(), filter, &mut |frame| snapshots.push(frame.clone())).unwrap();
        let newest: Vec<_> = snapshots.iter().filter(|frame| frame.file == snapshots.last().unwrap().file).collect();
        let [first, second] = newest[..] else { panic!("two copies: {newest:?}") };
        let behind = second.offset + second.bytes;
        // One copy with all of it, with the pad behind, its header alone; then the frame of records behind.
        for (from, to, hides) in [
            (first.offset, second.offset, false),
            (second.offset, behind, false),
            (second.offset, second.offset + 48, false),
            (second.offset, behind + 48, true),
        ] {
            let copy = disk.crash(0);
            let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
            copy.corrupt(&dir().join(&first.file), |bytes| bytes[from..to].fill(0));
            let report = inspect::verify(&copy, &dir()).unwrap();
            assert!(!report.is_whole());
            assert_eq!(!report.hidden.is_empty(), hides, "{from} to {to}: {:?}", report.hidden);
            if let Some(place) = report.hidden.first() {
                assert_eq!(place.offset, behind);
            }
        }
        // A mark between two frames.
        let copy = disk.crash(0);
        let mut marks = 0;
        copy.corrupt(&dir().join("0000000000000001.seg"), |bytes| {
            for at in (8192..bytes.len() - 48).step_by(8) {
                if bytes[at..at + 4] == *b"MRF1" && bytes[at + 5] == 6 {
                    bytes[at..at + 48].fill(0);
                    marks += 1;
                }
            }
        });
        assert!(marks > 0, "there are marks");
        assert_eq!(inspect::verify(&copy, &dir()).unwrap().hidden, []);
    });
}
