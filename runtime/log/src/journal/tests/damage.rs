//! Bit rot, cut and missing files: seen, listed, set aside; everything else goes on.

use super::*;
use crate::inspect;

/// A directory with several segments, closed in the usual way.
pub(super) async fn filled(tail_bytes: usize) -> FakeDisk {
    let disk = FakeDisk::new(1);
    let settings = JournalSettings { tail_bytes, lag_segments: 1000, ..small() };
    let (journal, _) = open_with(&disk, settings).unwrap();
    for tag in 0..150 {
        journal.append(shard(1), batch(tag, 2, 500)).await.unwrap();
        journal.append(shard(2), batch(tag, 1, 300)).await.unwrap();
    }
    until("indexes are written", || disk.list(&dir()).unwrap().iter().any(|name| name.ends_with(".idx"))).await;
    journal.close().await;
    // Copies are made by crashes: nothing is left for them to lose, not even the last mark.
    for name in segments(&disk) {
        disk.corrupt(&dir().join(name), |_| {});
    }
    disk
}

pub(super) fn segments(disk: &FakeDisk) -> Vec<String> {
    disk.list(&dir()).unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect()
}

/// Zeros in the place of the header of the `nth` frame of records of `shard`; answers where.
pub(super) fn destroy_header(disk: &FakeDisk, shard: ShardId, nth: usize) -> (String, u64) {
    let mut frames = Vec::new();
    let filter = inspect::Filter { shard: Some(shard), kind: Some(inspect::Kind::Records) };
    inspect::dump(disk, &dir(), filter, &mut |frame| frames.push(frame.clone())).unwrap();
    let frame = frames.swap_remove(nth);
    let at = usize::try_from(frame.offset).unwrap();
    assert!(disk.corrupt(&dir().join(&frame.file), |bytes| bytes[at..at + frame::HEADER_BYTES].fill(0)));
    (frame.file, frame.offset)
}

/// What both shards give; every record that comes is right.
async fn all(journal: &Journal) -> (u64, Vec<(Seq, Seq)>) {
    let (mut found, mut missing) = (0, Vec::new());
    for (stream, each, size) in [(1, 2, 500), (2, 1, 300)] {
        let next = journal.shard(shard(stream)).map_or(Seq::ZERO, |state| state.next);
        let (records, gaps) = read_to(&mut journal.reader(shard(stream), Seq::ZERO), next).await;
        for (at, bytes) in records {
            assert_eq!(bytes, record(at / each, at % each, size), "wrong bytes at {at}");
            found += 1;
        }
        missing.extend(gaps);
    }
    (found, missing)
}

#[test]
fn a_flipped_bit_anywhere_is_seen_and_costs_one_frame_at_most() {
    run(async {
        let disk = filled(0).await;
        let (mut lost_in_all, mut seen) = (0, 0);
        for name in disk.list(&dir()).unwrap() {
            let path = dir().join(&name);
            let length = {
                let mut length = 0;
                disk.corrupt(&path, |bytes| length = bytes.len());
                length
            };
            for nth in 0..12 {
                let copy = disk.crash(0);
                let place = (nth * 7919 + 13) % length.max(1);
                if !copy.corrupt(&path, |bytes| bytes.get_mut(place).map_or((), |byte| *byte ^= 1 << (nth % 8))) {
                    continue;
                }
                let settings = JournalSettings { tail_bytes: 0, lag_segments: 1000, ..small() };
                let (journal, recovery) = open_with(&copy, settings).unwrap();
                let (found, gaps) = all(&journal).await;
                let lost: u64 = gaps.iter().map(|(from, to)| to.since(*from)).sum();
                assert_eq!(found + lost, 450, "{name} at {place}: all else is there; {recovery:?}");
                assert!(lost <= 2, "{name} at {place}: {lost} lost");
                if lost > 0 {
                    let told = journal.status().quarantined;
                    assert!(!told.is_empty(), "{name} at {place}");
                    assert!(!copy.list(&dir().join(QUARANTINE)).unwrap().is_empty(), "the bytes are kept");
                }
                seen += usize::from(lost > 0);
                lost_in_all += lost;
                journal.close().await;
            }
        }
        assert!(seen > 10 && lost_in_all > 10, "the flips did hit frames: {seen}");
    });
}

#[test]
fn a_zeroed_page_anywhere_leaves_the_rest() {
    run(async {
        let disk = filled(0).await;
        for file in inspect::verify(&disk, &dir()).unwrap().files {
            let name = file.file;
            // Zeros at the very end, mark and all, are what a clean end looks like.
            for page in (0..16).filter(|page| (*page as u64 + 1) * 4096 + 48 <= file.valid_bytes) {
                let copy = disk.crash(0);
                copy.corrupt(&dir().join(&name), |bytes| {
                    let from = (page * 4096).min(bytes.len());
                    let to = (from + 4096).min(bytes.len());
                    bytes[from..to].fill(0);
                });
                let settings = JournalSettings { lag_segments: 1000, ..small() };
                let (journal, recovery) = open_with(&copy, settings).unwrap();
                let (found, gaps) = all(&journal).await;
                let lost: u64 = gaps.iter().map(|(from, to)| to.since(*from)).sum();
                // The last records of a shard have no frame behind them that would tell their number:
                // then the place is reported without a shard.
                let hidden = recovery.quarantined.iter().any(|range| range.shard.is_none());
                let missing = 450 - found - lost;
                assert!(
                    missing == 0 || hidden,
                    "{name} page {page} of {}: {missing} not reported; {recovery:?}",
                    file.valid_bytes
                );
                assert!(lost + missing < 14, "{name} page {page}: {lost} lost, {missing} missing");
                journal.close().await;
            }
        }
    });
}

#[test]
fn a_torn_tail_is_cut_and_counted() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        journal.append(shard(1), batch(1, 1, 100)).await.unwrap();
        journal.close().await;
        let name = segments(&disk).first().unwrap().clone();
        let path = dir().join(&name);
        let end = inspect::verify(&disk, &dir()).unwrap().files[0].valid_bytes;
        disk.corrupt(&path, |bytes| {
            let at = usize::try_from(end).unwrap();
            bytes[at..at + 300].fill(0xab);
        });
        assert_eq!(inspect::verify(&disk, &dir()).unwrap().files[0].torn_bytes, 300);
        let (journal, recovery) = open(&disk);
        assert_eq!((recovery.torn_bytes, recovery.quarantined), (300, Vec::new()));
        assert_eq!(journal.status().torn_bytes, 300);
        assert_eq!(journal.append(shard(1), batch(2, 1, 10)).await.unwrap(), Seq::new(1));
    });
}

#[test]
fn the_last_acknowledged_frame_is_not_taken_for_a_torn_one() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        journal.append(shard(1), batch(1, 1, 100)).await.unwrap();
        journal.append(shard(1), batch(2, 3, 100)).await.unwrap();
        journal.close().await;
        let name = segments(&disk).first().unwrap().clone();
        let mut last = None;
        let filter = inspect::Filter { shard: Some(shard(1)), kind: None };
        inspect::dump(&disk, &dir(), filter, &mut |frame| last = Some(frame.clone())).unwrap();
        let last = last.unwrap();
        assert_eq!((last.first, last.count, last.kind), (1, 3, inspect::Kind::Records));
        let at = usize::try_from(last.offset).unwrap() + 60;
        disk.corrupt(&dir().join(&name), |bytes| bytes[at] ^= 1);
        assert!(!inspect::verify(&disk, &dir()).unwrap().is_whole());
        let (journal, recovery) = open(&disk);
        let told = &recovery.quarantined[0];
        assert_eq!((told.shard, told.from, told.to), (Some(shard(1)), Seq::new(1), Seq::new(4)));
        assert_eq!(recovery.torn_bytes, 0);
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(4)).await;
        assert_eq!((records.len(), gaps), (1, vec![(Seq::new(1), Seq::new(4))]));
        assert_eq!(journal.append(shard(1), batch(3, 1, 10)).await.unwrap(), Seq::new(4), "no number twice");
    });
}

#[test]
fn cut_and_missing_segments_are_gaps_and_the_rest_goes_on() {
    run(async {
        let disk = filled(0).await;
        let newest = inspect::verify(&disk, &dir()).unwrap().files.pop().unwrap().file;
        for name in segments(&disk).iter().filter(|name| **name < newest) {
            for cut in [Some(20_000), None] {
                let copy = disk.crash(0);
                match cut {
                    Some(bytes) => drop(copy.corrupt(&dir().join(name), |file| file.truncate(bytes))),
                    None => copy.remove(&dir().join(name)).unwrap(),
                }
                let (journal, recovery) = open_with(&copy, JournalSettings { lag_segments: 1000, ..small() }).unwrap();
                let (found, gaps) = all(&journal).await;
                let lost: u64 = gaps.iter().map(|(from, to)| to.since(*from)).sum();
                assert_eq!(found + lost, 450, "{name}: {found} found, {lost} lost");
                assert!(!recovery.quarantined.is_empty(), "{name} {cut:?}: told at the start");
                journal.append(shard(1), batch(0, 1, 1)).await.unwrap();
                journal.close().await;
            }
        }
    });
}

#[test]
fn damage_met_while_reading_is_a_gap_and_settling_passes_over_it() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open_with(&disk, JournalSettings { tail_bytes: 0, lag_segments: 1000, ..small() }).unwrap();
        for tag in 0..200 {
            journal.append(shard(1), batch(tag, 1, 100)).await.unwrap();
            let first = journal.append(shard(2), batch(tag, 1, 900)).await.unwrap();
            journal.commit(done(shard(2), first.get() + 1)).await.unwrap();
        }
        let mut frames = Vec::new();
        let filter = inspect::Filter { shard: Some(shard(1)), kind: Some(inspect::Kind::Records) };
        inspect::dump(&disk, &dir(), filter, &mut |frame| frames.push(frame.clone())).unwrap();
        let hit = &frames[7];
        let at = usize::try_from(hit.offset).unwrap() + 70;
        disk.corrupt(&dir().join(&hit.file), |bytes| bytes[at] ^= 4);
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(200)).await;
        assert_eq!((records.len(), gaps), (199, vec![(Seq::new(7), Seq::new(8))]));
        assert_eq!(journal.status().quarantined_total, 1);
        assert_eq!(disk.list(&dir().join(QUARANTINE)).unwrap().len(), 1);
        journal.close().await;

        let (journal, recovery) = open(&disk);
        assert_eq!(recovery.quarantined, [], "an indexed segment is not read at a start");
        journal.append(shard(2), batch(0, 1, 900)).await.unwrap();
        until("it is settled", || journal.status().runs > 0 && journal.status().segments <= 5).await;
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(200)).await;
        assert_eq!((records.len(), gaps), (199, vec![(Seq::new(7), Seq::new(8))]));
        assert!(journal.status().quarantined.iter().any(|range| range.from == Seq::new(7)));
    });
}

#[test]
fn a_payload_that_looks_like_a_frame_is_not_taken_for_one() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        // A frame as another journal would write it, with every checksum right for its own salt.
        let mut forged = Vec::new();
        let mut inner = batch(666, 1, 40);
        inner.set_first(Seq::new(9));
        frame::records(shard(1), &inner).write_to(&mut forged, 1 << 20, 12_345);
        let mut builder = BatchBuilder::default();
        for shift in 0..8 {
            builder.push(&[&vec![0; shift], &forged[..]].concat(), 0).unwrap();
        }
        journal.append(shard(1), builder.finish()).await.unwrap();
        journal.append(shard(1), batch(1, 1, 10)).await.unwrap();
        journal.close().await;
        let mut frames = Vec::new();
        let filter = inspect::Filter { shard: Some(shard(1)), kind: None };
        inspect::dump(&disk, &dir(), filter, &mut |frame| frames.push(frame.clone())).unwrap();
        let at = usize::try_from(frames[0].offset).unwrap() + 20;
        disk.corrupt(&dir().join(&frames[0].file), |bytes| bytes[at] ^= 1);
        let (journal, recovery) = open(&disk);
        assert_eq!(journal.shard(shard(1)).unwrap().next, Seq::new(9));
        assert!(!recovery.quarantined.is_empty());
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(9)).await;
        assert_eq!((records, gaps), (vec![(8, record(1, 0, 10))], vec![(Seq::ZERO, Seq::new(8))]));
    });
}

#[test]
fn numbers_that_an_intent_names_are_not_given_again_though_their_records_left_no_trace() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        assert_eq!(journal.append(shard(1), batch(1, 3, 100)).await.unwrap(), Seq::ZERO);
        let mut members = millrace_types::Members::new();
        members.insert(0, Seq::new(1), Seq::new(3));
        let intent = Intent { shard: shard(1), id: 7, members, body: bytes::Bytes::new() };
        journal.intent(intent.clone()).await.unwrap();
        journal.close().await;
        destroy_header(&disk, shard(1), 0);
        let (journal, recovery) = open(&disk);
        assert_eq!(journal.open_intents(shard(1)), [intent]);
        let state = journal.shard(shard(1)).unwrap();
        assert_eq!((state.next, state.counts.accepted), (Seq::new(3), 3));
        let told = recovery.quarantined.iter().find(|range| range.shard == Some(shard(1))).unwrap();
        assert_eq!((told.from, told.to), (Seq::ZERO, Seq::new(3)), "missing, and told");
        assert_eq!(journal.append(shard(1), batch(2, 1, 10)).await.unwrap(), Seq::new(3), "no number twice");
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(4)).await;
        assert_eq!((records, gaps), (vec![(3, record(2, 0, 10))], vec![(Seq::ZERO, Seq::new(3))]));
    });
}
