//! What objects tell of the records in them, by the work alone: how many outputs each has, and what was
//! decided of it before.

use std::sync::Arc;

use millrace_transform::{Output, Ran};
use millrace_types::{Counts, Lane, Members, Seq, ShardId, StreamId, SystemClock};

use super::{Node, World, answer, batch, lost_body, with_function, with_parquet, with_partitions};
use crate::claims::Claims;
use crate::remake::remake;
use crate::tracker::Tracker;
use crate::window::Kind;
use crate::work::{CONVERSION_FAILED, PROCESSING_FAILED, Work};

/// Members as (output, record), with how many outputs records have, and whether they lie in an error object.
fn members(outputs: &[(u32, u64)], totals: &[(u64, u32)], failed: bool) -> Members {
    let mut members = Members::new();
    for (index, seq) in outputs {
        members.insert(*index, Seq::new(*seq), Seq::new(seq + 1));
        if failed {
            members.insert_failed(Seq::new(*seq), Seq::new(seq + 1));
        }
    }
    for (seq, total) in totals {
        members.insert_total(Seq::new(*seq), *total);
    }
    members
}

pub(super) async fn work(node: &Node, decided: Members) -> Work {
    let lane = node.lane("s", ShardId::new(StreamId(1), Lane(7)));
    let plan = Arc::new(crate::lane::plan(&lane, None).await.unwrap());
    let (clock, entropy) = (Arc::new(SystemClock), Arc::clone(&lane.shared.entropy));
    Work::new(plan, clock, entropy, Tracker::new(Seq::ZERO), Claims::new(decided))
}

/// What the function made of the records: for each its outputs.
fn ran(outputs: &[&[&str]], partition: &str) -> Ran {
    let mut output = Output::default();
    for (source, payloads) in (0u32..).zip(outputs) {
        for payload in *payloads {
            answer(&mut output, source, payload.as_bytes(), Some(partition));
        }
    }
    Ran { output, ..Ran::default() }
}

/// The members of all windows of a kind.
fn cut(work: &mut Work, wanted: impl Fn(&Kind) -> bool) -> Members {
    let mut all = Members::new();
    for (finished, _) in work.cut(true, usize::MAX).unwrap() {
        if wanted(&finished.kind) {
            all.merge(&finished.members);
        }
    }
    all
}

#[test]
fn an_object_tells_the_totals_that_were_decided_first() {
    let world = World::new(1);
    world.stream("s", with_partitions);
    world.life(async {
        let node = world.start().await.unwrap();
        // Output 1 of 3 was decided; this run gives two outputs, or one.
        let decided = members(&[(1, 0)], &[(0, 3)], false);
        let mut two = work(&node, decided.clone()).await;
        // No partition: an error line. And one for the third, which is missing.
        two.take_ran(&batch(&["r"]), &ran(&[&["a", "b"]], ""), 1).unwrap();
        let lines = cut(&mut two, |kind| *kind == Kind::Error(PROCESSING_FAILED));
        assert_eq!(lines, members(&[(0, 0), (2, 0)], &[(0, 3)], true));
        let mut one = work(&node, decided).await;
        one.take_ran(&batch(&["r"]), &ran(&[&["a"]], "p"), 1).unwrap();
        let data = cut(&mut one, |kind| matches!(kind, Kind::Data(_)));
        assert_eq!(data, members(&[(0, 0)], &[(0, 3)], false));
        node.stop().await;
    });
}

#[test]
fn an_object_tells_nothing_of_records_of_which_it_holds_no_output() {
    let world = World::new(2);
    world.stream("s", |destination| {
        with_function(destination);
        with_parquet(destination);
    });
    world.life(async {
        let node = world.start().await.unwrap();
        for data in [true, false] {
            let mut work = work(&node, Members::new()).await;
            let outputs = ran(&[&["{\"a\":1}", "no JSON"], &["no JSON", "no JSON"]], "");
            work.take_ran(&batch(&["r", "s"]), &outputs, 1).unwrap();
            let (kind, expected) = if data {
                (Kind::Data(None), members(&[(0, 0)], &[(0, 2)], false))
            } else {
                let lines = [(1, 0), (0, 1), (1, 1)];
                (Kind::Error(CONVERSION_FAILED), members(&lines, &[(0, 2), (1, 2)], true))
            };
            assert_eq!(cut(&mut work, |own| *own == kind), expected);
        }
        node.stop().await;
    });
}

#[test]
fn a_record_that_cannot_be_read_any_more_keeps_what_was_decided_of_all_of_it() {
    let world = World::new(3);
    world.stream("s", with_function);
    world.life(async {
        let node = world.start().await.unwrap();
        // Whole; whole with an error line; half; none.
        let mut decided = members(&[(0, 0), (1, 0), (0, 1), (0, 2)], &[(0, 2), (1, 2), (2, 2)], false);
        decided.merge(&members(&[(1, 1)], &[(1, 2)], true));
        let mut work = work(&node, decided).await;
        work.take_gap(Seq::ZERO, Seq::new(4));
        let counts = work.tracker.advance();
        assert_eq!(counts, Counts { delivered: 1, failed: 1, quarantined: 2, ..Counts::default() });
        node.stop().await;
    });
}

#[test]
fn an_error_object_that_is_made_again_tells_what_it_told() {
    let world = World::new(4);
    world.stream("s", |_| {});
    world.life(async {
        let node = world.start().await.unwrap();
        let lane = node.lane("s", ShardId::new(StreamId(1), Lane(7)));
        node.shared.journal.append(lane.shard, batch(&["a", "b", "c"])).await.unwrap();
        let decided = members(&[(0, 0), (2, 0), (1, 2)], &[(0, 3), (2, 2)], true);
        let body = lost_body(Some(PROCESSING_FAILED.to_owned()), None);
        let (finished, _hold) = remake(&lane, &decided, &body).await.unwrap();
        assert_eq!((finished.members, finished.records), (decided, 3));
        node.stop().await;
    });
}
