//! The limit of partitions that are open at once, while two revisions of a function write to them.

use std::collections::HashSet;

use millrace_transform::{Output, Ran};
use millrace_types::Members;

use super::claims::work;
use super::{World, answer, batch, with_partitions};
use crate::route::{PARTITIONS_EXCEEDED, PARTITIONS_MAX};
use crate::window::Kind;

#[test]
fn a_partition_that_two_revisions_write_to_counts_once() {
    let world = World::new(30);
    world.stream("s", with_partitions);
    world.life(async {
        let node = world.start().await.unwrap();
        let mut work = work(&node, Members::new()).await;
        let records = vec!["r"; PARTITIONS_MAX + 1];
        let one_each = |partitions: usize| {
            let mut output = Output::default();
            for nth in 0..u32::try_from(partitions).unwrap() {
                answer(&mut output, nth, b"r", Some(&nth.to_string()));
            }
            Ran { output, ..Ran::default() }
        };
        for revision in [1, 2] {
            work.take_ran(&batch(&records[..PARTITIONS_MAX]), &one_each(PARTITIONS_MAX), revision).unwrap();
        }
        // One more is too many, for the new revision as for the old one.
        work.take_ran(&batch(&records), &one_each(PARTITIONS_MAX + 1), 1).unwrap();
        let (mut records_of, mut partitions) = ([0, 0], HashSet::new());
        for (finished, _) in work.cut(true, usize::MAX).unwrap() {
            records_of[usize::from(!finished.kind.is_data())] += finished.records;
            match &finished.kind {
                Kind::Data(_) => drop(partitions.insert(finished.kind.clone())),
                Kind::Error(folder) => assert_eq!(*folder, PARTITIONS_EXCEEDED),
            }
        }
        assert_eq!((records_of, partitions.len()), ([3 * PARTITIONS_MAX as u64, 1], PARTITIONS_MAX));
        node.stop().await;
    });
}
