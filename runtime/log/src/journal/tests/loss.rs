//! Durable bytes that are gone are told from a torn tail: the mark, on the fake disk and on real files.

use std::fs;
use std::path::Path;

use super::oracle::Oracle;
use super::*;
use crate::disk::RealDisk;
use crate::inspect::{self, MarkReport};
use crate::mark;

/// What may happen to the mark, and what is told of it.
type MarkHarm = (&'static str, fn(&FakeDisk, &Path));
/// What may happen to the newest segment.
type Harm = (&'static str, fn(&mut Vec<u8>));

const HARMS: [Harm; 8] = [
    ("cut to nothing", |bytes| bytes.clear()),
    ("cut in its head", |bytes| bytes.truncate(5000)),
    ("cut before its frames", |bytes| bytes.truncate(8192)),
    ("cut in its middle", |bytes| bytes.truncate(HARM_AT)),
    ("cut in its middle and as long as before", |bytes| bytes[HARM_AT..].fill(0)),
    ("written over from its middle on", |bytes| bytes[HARM_AT..].fill(0xa5)),
    ("zeros behind its head", |bytes| bytes[8192..].fill(0)),
    ("zeros alone", |bytes| bytes.fill(0)),
];
const REMOVED: Harm = ("removed", |_| {});
/// Behind the snapshot, in the midst of the records.
const HARM_AT: usize = 20_000;

/// One segment with 30 records of two shards.
async fn some(journal: &Journal) {
    for tag in 0..15 {
        journal.append(shard(1), batch(tag, 1, 700)).await.unwrap();
        journal.append(shard(2), batch(tag, 1, 700)).await.unwrap();
    }
}

fn first() -> PathBuf {
    dir().join("0000000000000001.seg")
}

/// A start is refused by name and changes nothing; `verify` says the same; the accepted loss lets it start.
async fn refused(disk: &FakeDisk, what: &str) {
    let before = disk.list(&dir()).unwrap();
    let error = open_with(disk, small()).map(|_| ()).expect_err(what);
    let Error::Lost { loss, .. } = &error else { panic!("{what}: {error:?}") };
    assert_eq!(error.slug(), "journal.lost");
    let told = error.to_string();
    assert!(told.contains(&loss.file) && told.contains(&loss.accept()) && told.contains("accept_loss"), "{told}");
    assert_eq!(disk.list(&dir()).unwrap(), before, "{what}: nothing is changed");
    let report = inspect::verify(disk, &dir()).unwrap();
    assert_eq!(report.loss.as_ref(), Some(&**loss), "{what}");
    assert!(!report.is_whole());

    let other = JournalSettings { accept_loss: "1:0-1".into(), ..small() };
    assert!(matches!(open_with(disk, other), Err(Error::Lost { .. })), "{what}: another loss was accepted");
    let (journal, recovery) = open_with(disk, JournalSettings { accept_loss: loss.accept(), ..small() }).expect(what);
    assert!(recovery.quarantined.iter().any(|range| range.why.contains("accepted")), "{what}: {recovery:?}");
    let at = journal.append(shard(1), batch(99, 1, 10)).await.unwrap();
    journal.close().await;
    let (journal, recovery) = open(disk);
    assert_eq!(recovery.mark, None, "{what}");
    let (records, _) = read_to(&mut journal.reader(shard(1), at), at.plus(1)).await;
    assert_eq!(records, [(at.get(), record(99, 0, 10))], "{what}");
    journal.close().await;
    assert!(inspect::verify(disk, &dir()).unwrap().loss.is_none(), "{what}");
}

#[test]
fn a_harmed_or_removed_segment_is_told_after_a_clean_stop() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, recovery) = open(&disk);
        assert_eq!(recovery.mark, None, "a new directory");
        some(&journal).await;
        journal.close().await;
        assert!(inspect::verify(&disk, &dir()).unwrap().is_whole());
        for (what, harm) in HARMS {
            let copy = disk.crash(1);
            assert!(copy.corrupt(&first(), harm));
            refused(&copy, what).await;
        }
        let copy = disk.crash(1);
        copy.remove(&first()).unwrap();
        refused(&copy, "removed").await;
        let copy = disk.crash(1);
        for name in copy.list(&dir()).unwrap() {
            copy.remove(&dir().join(name)).unwrap();
        }
        refused(&copy, "all is removed").await;
    });
}

#[test]
fn it_is_told_after_a_power_cut_as_well() {
    run(async {
        for seed in 0..6 {
            let disk = FakeDisk::new(seed);
            let clock = Arc::new(ManualClock::at(0));
            let (journal, _) = open_at(&disk, small(), &clock).unwrap();
            some(&journal).await;
            marked(&journal, &disk, &clock).await;
            for (what, harm) in HARMS {
                let left = disk.crash(seed);
                assert!(left.corrupt(&first(), harm));
                refused(&left, what).await;
            }
            journal.close().await;
        }
    });
}

#[test]
fn a_cut_file_is_told_without_a_mark_that_covers_it() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        // The clock stands, so the mark says what it said at the beginning.
        some(&journal).await;
        for cut in [10_000, 13_000, HARM_AT, 25_000] {
            let left = disk.crash(cut as u64);
            assert!(left.corrupt(&first(), |bytes| bytes.truncate(cut)));
            refused(&left, &format!("cut to {cut}")).await;
        }
        // Behind the records a cut takes nothing away.
        let left = disk.crash(0);
        assert!(left.corrupt(&first(), |bytes| bytes.truncate(40_000)));
        let (journal, recovery) = open(&left);
        assert_eq!((recovery.quarantined, journal.shard(shard(1)).unwrap().next), (Vec::new(), Seq::new(15)));
    });
}

#[test]
fn what_is_known_of_a_cut_frame_is_told() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        some(&journal).await;
        journal.close().await;
        let mut last = None;
        let filter = inspect::Filter { shard: Some(shard(2)), kind: Some(inspect::Kind::Records) };
        inspect::dump(&disk, &dir(), filter, &mut |frame| last = Some(frame.clone())).unwrap();
        let last = last.unwrap();
        disk.corrupt(&first(), |bytes| bytes.truncate(usize::try_from(last.offset).unwrap() + 100));
        let Err(Error::Lost { records, loss, .. }) = open_with(&disk, small()) else { panic!("refused") };
        assert_eq!(records, [(shard(2), Seq::new(14), Seq::new(15))]);
        assert_eq!((loss.from, loss.to), (last.offset, last.offset + last.bytes));
        let accepted = JournalSettings { accept_loss: loss.accept(), ..small() };
        let (journal, _) = open_with(&disk, accepted).unwrap();
        assert_eq!(
            journal.append(shard(2), batch(1, 1, 1)).await.unwrap(),
            Seq::new(15),
            "known numbers are not reused"
        );
    });
}

#[test]
fn a_lost_or_damaged_mark_alone_does_not_stop_a_start_and_is_told() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        some(&journal).await;
        journal.close().await;
        let mark_path = mark::path(&dir());
        let harms: [MarkHarm; 4] = [
            ("is gone", |disk, path| disk.remove(path).unwrap()),
            ("neither", |disk, path| assert!(disk.corrupt(path, |bytes| bytes.clear()))),
            ("neither", |disk, path| assert!(disk.corrupt(path, |bytes| bytes.fill(0)))),
            ("earlier version", |disk, path| {
                disk.remove(path).unwrap();
                disk.corrupt(&first(), |bytes| as_version_1(bytes));
            }),
        ];
        for (why, harm) in harms {
            let copy = disk.crash(0);
            harm(&copy, &mark_path);
            let report = inspect::verify(&copy, &dir()).unwrap();
            assert!(report.is_whole() && !matches!(report.mark, MarkReport::Whole { .. }), "{why}: {report:?}");
            let (journal, recovery) = open(&copy);
            assert!(recovery.mark.as_ref().is_some_and(|told| told.contains(why)), "{why}: {recovery:?}");
            assert_eq!(journal.append(shard(1), batch(1, 1, 1)).await.unwrap(), Seq::new(15), "{why}");
            journal.close().await;
            assert_eq!(open(&copy).1.mark, None, "{why}: it is there again");
        }
        // One damaged slot is made up for by the other; it may be older, and then it says less.
        for at in [20, 4096 + 20] {
            let copy = disk.crash(0);
            copy.corrupt(&mark_path, |bytes| bytes[at] ^= 1);
            let (journal, recovery) = open(&copy);
            assert_eq!((recovery.mark, journal.shard(shard(1)).unwrap().next), (None, Seq::new(15)));
            journal.close().await;
        }
    });
}

/// Both copies of a segment's head as the version before wrote them.
fn as_version_1(bytes: &mut [u8]) {
    for at in [0, 4096] {
        bytes[at + 4] = 1;
        bytes[at + 40..at + 48].fill(0);
        let crc = crc_fast::crc32_iscsi(&bytes[at..at + 60]);
        bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    }
}

#[test]
fn another_journals_segments_are_not_taken_for_these() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        some(&journal).await;
        journal.close().await;
        let other = FakeDisk::new(2);
        let (journal, _) = open(&other);
        some(&journal).await;
        journal.close().await;
        let mut theirs = Vec::new();
        other.corrupt(&first(), |bytes| theirs.clone_from(bytes));
        disk.corrupt(&first(), |bytes| *bytes = theirs);
        refused(&disk, "another journal").await;
    });
}

#[test]
fn a_destroyed_head_is_made_up_for_by_the_mark() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        some(&journal).await;
        journal.close().await;
        disk.corrupt(&first(), |bytes| bytes[..8192].fill(0));
        let report = inspect::verify(&disk, &dir()).unwrap();
        assert!(report.loss.is_none() && !report.is_whole(), "{report:?}");
        let (journal, recovery) = open(&disk);
        assert_eq!(recovery.quarantined, []);
        let (records, gaps) = read_to(&mut journal.reader(shard(1), Seq::ZERO), Seq::new(15)).await;
        assert_eq!((records.len(), gaps.len()), (15, 0));
    });
}

#[test]
fn runs_of_shards_that_a_loss_forgot_are_set_aside() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        space::lag(&journal, 200).await;
        until("it is settled", || journal.status().runs > 0).await;
        journal.close().await;
        for name in disk.list(&dir()).unwrap() {
            disk.remove(&dir().join(name)).unwrap();
        }
        let Err(Error::Lost { loss, .. }) = open_with(&disk, small()) else { panic!("refused") };
        let (journal, recovery) = open_with(&disk, JournalSettings { accept_loss: loss.accept(), ..small() }).unwrap();
        assert!(recovery.set_aside.iter().any(|name| name.ends_with(".run")), "{recovery:?}");
        assert!(!disk.list(&dir().join(QUARANTINE)).unwrap().is_empty());
        journal.close().await;
    });
}

/// Power cut at an operation of a run, then at one of the start behind it: no start takes it for a loss.
async fn cut_twice(nth: u64, seed: u64) -> u64 {
    let what = format!("power cut {nth}, seed {seed}");
    let disk = FakeDisk::new(seed);
    let clock = Arc::new(ManualClock::at(0));
    disk.crash_at(nth, seed ^ nth);
    let mut oracle = Oracle::new(seed);
    if let Ok((journal, _)) = open_at(&disk, small(), &clock) {
        for _ in 0..60 {
            clock.advance(Duration::from_millis(400));
            drop(journal.append(shard(9), batch(1, 1, 50)).await);
            if !oracle.step(&journal).await {
                break;
            }
        }
        journal.close().await;
    }
    let ops = disk.ops();
    let Some(left) = disk.crashed() else { return ops };
    left.crash_at(1 + nth % 14, nth);
    if let Ok((journal, recovery)) = open_with(&left, small()) {
        assert_eq!((recovery.quarantined, recovery.mark), (Vec::new(), None), "{what}");
        journal.close().await;
    }
    let left = left.crashed().unwrap_or_else(|| left.crash(nth));
    let (journal, recovery) = open_with(&left, small()).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((recovery.quarantined, recovery.mark), (Vec::new(), None), "{what}");
    oracle.judge(&journal, &what).await;
    journal.close().await;
    assert!(inspect::verify(&left, &dir()).unwrap().is_whole(), "{what}");
    ops
}

#[test]
fn a_power_cut_at_any_point_is_never_taken_for_a_loss() {
    for seed in 0..2 {
        let ops = run(cut_twice(u64::MAX / 2, seed));
        assert!(ops > 100, "{ops} operations");
        for nth in 1..=ops {
            run(cut_twice(nth, seed));
        }
    }
}

#[test]
fn on_real_files_after_a_clean_stop_and_after_a_kill() {
    run(async {
        for is_killed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().join("live/journal");
            let clock = Arc::new(ManualClock::at(0));
            let real = |at: &Path, settings: JournalSettings| {
                Journal::open(Arc::new(RealDisk), at.to_owned(), settings, Arc::clone(&clock) as Arc<dyn Clock>)
            };
            let (journal, _) = real(&at, small()).unwrap();
            some(&journal).await;
            clock.advance(marker::MARK_INTERVAL);
            journal.handle.shared.ring();
            let (segment, durable_bytes) = journal.handle.shared.store.lock().active().unwrap();
            let named = || mark::read(&RealDisk, &at).mark().map(|mark| (mark.segment, mark.durable_bytes));
            until("the mark is written", || named() == Some((segment, durable_bytes))).await;
            if !is_killed {
                journal.close().await;
            }
            // A copy of what lies there is what a kill leaves.
            for (nth, (what, harm)) in HARMS.iter().chain(&[REMOVED]).enumerate() {
                let copy = folder.path().join(format!("{nth}/journal"));
                copy_folder(&at, &copy);
                fs::copy(mark::path(&at), mark::path(&copy)).unwrap();
                assert!(inspect::verify(&RealDisk, &copy).unwrap().is_whole());
                let file = copy.join("0000000000000001.seg");
                let mut bytes = fs::read(&file).unwrap();
                harm(&mut bytes);
                match *what {
                    "removed" => fs::remove_file(&file).unwrap(),
                    _ => fs::write(&file, bytes).unwrap(),
                }
                let Err(Error::Lost { loss, .. }) = real(&copy, small()) else { panic!("{what} {is_killed}") };
                assert_eq!(inspect::verify(&RealDisk, &copy).unwrap().loss.as_ref(), Some(&*loss), "{what}");
                let accepted = JournalSettings { accept_loss: loss.accept(), ..small() };
                real(&copy, accepted).unwrap().0.close().await;
                real(&copy, small()).unwrap().0.close().await;
            }
            // Without the folder the mark beside it remains.
            let gone = folder.path().join("gone/journal");
            fs::create_dir_all(gone.parent().unwrap()).unwrap();
            fs::copy(mark::path(&at), mark::path(&gone)).unwrap();
            assert!(inspect::verify(&RealDisk, &gone).unwrap().loss.is_some());
            assert!(matches!(real(&gone, small()), Err(Error::Lost { .. })));
            journal.close().await;
        }
    });
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            drop(fs::copy(entry.path(), target))
        }
    }
}
