//! Files that are gone and are still needed: `verify` judges as the start does, and both name them.

use super::damage::{filled, segments};
use super::*;
use crate::inspect;

/// `verify` says what the start says, and changes nothing.
fn verified(disk: &FakeDisk, settings: &JournalSettings, what: &str) -> (inspect::Report, Recovery) {
    let (ops, before) = (disk.ops(), disk.list(&dir()).unwrap());
    let report = inspect::verify(disk, &dir()).unwrap();
    assert_eq!((disk.ops(), disk.list(&dir()).unwrap()), (ops, before), "{what}: nothing is changed");
    let recovery = recover(disk, &dir(), settings).unwrap().report;
    assert_eq!(report.quarantined, recovery.quarantined, "{what}");
    assert_eq!((&report.missing, &report.hidden), (&recovery.missing, &recovery.hidden), "{what}");
    (report, recovery)
}

#[test]
fn verify_names_a_removed_segment_that_is_needed() {
    run(async {
        let disk = filled(0).await;
        let settings = JournalSettings { lag_segments: 1000, ..small() };
        assert!(inspect::verify(&disk, &dir()).unwrap().is_whole());
        let names = segments(&disk);
        let sealed = &names[..names.len() - 2];
        assert!(sealed.len() > 2, "{names:?}");
        for name in sealed {
            for with_index in [false, true] {
                let what = format!("{name}, its index too: {with_index}");
                let copy = disk.crash(0);
                copy.remove(&dir().join(name)).unwrap();
                if with_index {
                    drop(copy.remove(&dir().join(name).with_extension("idx")));
                }
                let (report, recovery) = verified(&copy, &settings, &what);
                assert!(!report.is_whole(), "{what}");
                assert_eq!(report.missing, std::slice::from_ref(name), "{what}");
                let ranges = recovery.quarantined.iter().filter(|range| range.file == *name);
                assert_eq!(ranges.filter(|range| range.shard.is_some() && range.to > range.from).count(), 2, "{what}");
            }
        }
        // Two in a row, and all but the newest.
        let newest = names.iter().rev().find(|name| is_begun(&disk, name)).unwrap();
        let older: Vec<String> = names.iter().filter(|name| *name < newest).cloned().collect();
        for gone in [&older[1..3], &older[..]] {
            let copy = disk.crash(0);
            gone.iter().for_each(|name| copy.remove(&dir().join(name)).unwrap());
            let (report, _) = verified(&copy, &settings, "several");
            assert_eq!(report.missing, gone);
        }
    });
}

#[test]
fn another_file_under_a_segments_name_is_not_believed() {
    run(async {
        let disk = filled(0).await;
        let names = segments(&disk);
        let newest = names.iter().rev().find(|name| is_begun(&disk, name)).unwrap();
        for other in names.iter().filter(|name| *name < newest) {
            let copy = disk.crash(0);
            let mut theirs = Vec::new();
            copy.corrupt(&dir().join(other), |bytes| theirs.clone_from(bytes));
            copy.corrupt(&dir().join(newest), |bytes| *bytes = theirs);
            let report = inspect::verify(&copy, &dir()).unwrap();
            assert!(!report.is_whole(), "{other}");
            let why = report.refused.expect("a start is refused");
            assert!(why.contains(newest) && why.contains(other), "{why}");
            assert!(matches!(recover(&copy, &dir(), &small()), Err(Error::Damaged { .. })), "{other}");
            // Moved away, it is a loss that has a name.
            copy.remove(&dir().join(newest)).unwrap();
            assert!(matches!(recover(&copy, &dir(), &small()), Err(Error::Lost { .. })), "{other}");
        }
    });
}

/// True when the segment was begun.
fn is_begun(disk: &FakeDisk, name: &str) -> bool {
    inspect::verify(disk, &dir()).unwrap().files.iter().any(|file| file.file == name)
}

#[test]
fn a_segment_that_nobody_needs_is_not_missed() {
    run(async {
        let disk = filled(0).await;
        let (journal, _) = open_with(&disk, JournalSettings { lag_segments: 1000, ..small() }).unwrap();
        let before = segments(&disk).len();
        for stream in [1, 2] {
            let next = journal.shard(shard(stream)).unwrap().next;
            journal.commit(done(shard(stream), next.get())).await.unwrap();
        }
        until("segments are removed", || segments(&disk).len() < before).await;
        journal.close().await;
        // Whatever is left but the newest can go as well.
        let files = inspect::verify(&disk, &dir()).unwrap().files;
        for file in &files[..files.len() - 1] {
            disk.remove(&dir().join(&file.file)).unwrap();
        }
        let (report, _) = verified(&disk, &small(), "all is decided");
        assert!(report.is_whole(), "{report:?}");
    });
}

#[test]
fn verify_names_a_removed_run_by_the_index_that_is_left() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        space::lag(&journal, 200).await;
        until("it is settled", || journal.status().runs > 0 && settle::is_idle(&journal.handle.shared)).await;
        journal.close().await;
        let settled = dir().join(SETTLED);
        let runs: Vec<String> =
            disk.list(&settled).unwrap().into_iter().filter(|name| name.ends_with(".run")).collect();
        disk.remove(&settled.join(&runs[0])).unwrap();
        let (report, recovery) = verified(&disk, &small(), "a run");
        assert!(!report.is_whole());
        assert_eq!(report.missing, [format!("{SETTLED}/{}", runs[0])]);
        assert_eq!(recovery.quarantined[0].shard, Some(shard(1)));
        // Without its index nothing names it: its records are missing all the same.
        disk.remove(&settled.join(&runs[0]).with_extension("idx")).unwrap();
        let (report, _) = verified(&disk, &small(), "a run and its index");
        assert!(!report.is_whole());
        assert_eq!((report.quarantined[0].shard, report.quarantined[0].from), (Some(shard(1)), Seq::ZERO));
    });
}

#[test]
fn verify_says_that_a_start_is_refused_without_a_snapshot() {
    run(async {
        let disk = FakeDisk::new(1);
        let (journal, _) = open(&disk);
        journal.append(shard(1), batch(1, 1, 100)).await.unwrap();
        journal.close().await;
        // Both copies of the snapshot.
        disk.corrupt(&dir().join("0000000000000001.seg"), |bytes| [8200, 12_300].map(|at| bytes[at] ^= 1).fill(()));
        let refused = open_with(&disk, small()).map(drop).unwrap_err();
        assert!(matches!(refused, Error::Damaged { .. }), "{refused:?}");
        let report = inspect::verify(&disk, &dir()).unwrap();
        assert_eq!(report.refused, Some(refused.to_string()));
        assert!(!report.is_whole());
    });
}
