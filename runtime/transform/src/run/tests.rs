//! Whole batches: poison stands alone, attempts are exact, the rest goes on, and it ends.

use proptest::prelude::*;

use super::*;
use crate::Limits;
use crate::testing::{batch, function, guest};

fn run(name: &str, records: &[&str], retries: u32) -> Ran {
    function(&guest(name), Limits::default()).run(&batch(records), retries)
}

fn records(count: usize, poison: &[usize]) -> Vec<String> {
    (0..count).map(|at| format!("{}{at};", if poison.contains(&at) { "!" } else { "" })).collect()
}

fn refs(records: &[String]) -> Vec<&str> {
    records.iter().map(String::as_str).collect()
}

#[test]
fn a_good_batch_is_one_call() {
    let ran = run("identity", &["a", "b"], 3);
    assert_eq!((ran.output.len(), ran.failures.len(), ran.stats.calls), (2, 0, 1));
    assert_eq!(ran.dropped(2), 0);
    assert_eq!(run("identity", &[], 3).stats.calls, 0);
}

#[test]
fn a_trapping_record_stands_alone_with_its_attempts() {
    let all = records(8, &[5]);
    let ran = run("trap-on-one", &refs(&all), 3);
    let [failed] = &ran.failures[..] else { panic!("{:?}", ran.failures) };
    // 8, 4, 2, 1, and 1 once more.
    assert_eq!((failed.index, failed.code, failed.attempts), (5, "Lambda.FunctionError", 5));
    assert!(failed.message.starts_with(FUNCTION_ERROR) && failed.message.contains("poisoned"), "{}", failed.message);
    assert_eq!(ran.output.sources, [0, 1, 2, 3, 4, 6, 7]);
    assert_eq!(ran.output.payload, b"0;1;2;3;4;6;7;");
    // Failing: 8, 4, 2, 1, 1. Clean: 0..4, 4, 6..8.
    assert_eq!((ran.stats.calls, ran.stats.failed_calls), (8, 5));
    let ran = run("trap-on-one", &refs(&all), 0);
    assert_eq!(ran.failures[0].attempts, 4, "no retries, no second try of the lone record");
}

#[test]
fn a_returned_error_is_retried_as_a_whole_then_halved() {
    let ran = run("refuse", &refs(&records(4, &[0])), 3);
    let [failed] = &ran.failures[..] else { panic!("{:?}", ran.failures) };
    // 4 × (1 + 3), 2, 1, 1.
    assert_eq!((failed.index, failed.attempts), (0, 7));
    assert_eq!(*failed.message, *format!("{FUNCTION_ERROR} a quirk"));
    let alone = run("refuse", &["!"], 3);
    assert_eq!(alone.failures[0].attempts, 4, "retries + 1, as at AWS");
}

#[test]
fn rubbish_is_not_tried_again() {
    let ran = run("rubbish", &["!"], 3);
    assert_eq!((ran.failures[0].code, ran.failures[0].attempts), ("Lambda.InvalidReturnFormat", 1));
    let ran = run("rubbish", &["a", "!", "c"], 3);
    assert_eq!(ran.output.payload, b"ac");
    assert_eq!(ran.failures.len(), 1);
}

#[test]
fn a_record_that_spins_times_out_and_the_rest_goes_on() {
    let limits = Limits { deadline: Duration::from_millis(200), ..Limits::default() };
    let ran = function(&guest("spin-on-one"), limits).run(&batch(&["a", "b", "c", "!"]), 3);
    let [failed] = &ran.failures[..] else { panic!("{:?}", ran.failures) };
    assert_eq!((failed.index, failed.code, failed.attempts), (3, "Lambda.FunctionTimedOut", 4));
    assert!(failed.message.starts_with("The function did not end within 200 ms"), "{}", failed.message);
    assert_eq!(ran.output.payload, b"abc");
}

#[test]
fn a_function_that_always_spins_ends_in_a_bounded_time() {
    let limits = Limits { deadline: Duration::from_millis(40), ..Limits::default() };
    let all = records(200, &[]);
    let ran = function(&guest("spin"), limits).run(&batch(&refs(&all)), 3);
    assert!(ran.stats.deadlines <= DEADLINES_MAX + 1, "{:?}", ran.stats);
    assert_eq!(ran.failures.len(), 200);
    assert!(
        ran.failures.iter().enumerate().all(|(at, f)| f.index as usize == at && f.code == "Lambda.FunctionTimedOut")
    );
    assert!(ran.failures[199].message.starts_with("too many calls"));
    assert!(ran.failures.iter().all(|failed| failed.attempts > 0));
}

#[test]
fn a_function_that_always_traps_gives_up_after_its_budget() {
    let all = records(2000, &(0..2000).collect::<Vec<_>>());
    let ran = run("trap-on-one", &refs(&all), 3);
    assert_eq!(ran.failures.len(), 2000);
    assert!(ran.failures.is_sorted_by_key(|failed| failed.index));
    assert!(ran.stats.failed_calls <= FAILING_CALLS_MAX + 4, "{:?}", ran.stats);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_record_ends_in_one_place(count in 1_usize..60, poison in prop::collection::btree_set(0_usize..60, 0..8)) {
        let poison: Vec<usize> = poison.into_iter().filter(|at| *at < count).collect();
        let all = records(count, &poison);
        let batch = batch(&refs(&all));
        for name in ["trap-on-one", "refuse", "rubbish"] {
            let ran = function(&guest(name), Limits::default()).run(&batch, 1);
            let failed: Vec<usize> = ran.failures.iter().map(|failed| failed.index as usize).collect();
            prop_assert_eq!(&failed, &poison);
            prop_assert_eq!(ran.dropped(count), 0);
            for (at, source) in ran.output.sources.iter().enumerate() {
                prop_assert_eq!(ran.output.columns().record(at), batch.record(*source as usize));
            }
            prop_assert_eq!(ran.output.len() + failed.len(), count);
        }
    }
}
