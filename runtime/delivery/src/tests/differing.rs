//! Functions that answer differently on every call, over partitions, across crashes: the oracle knows
//! what each run said and judges what lies in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_transform::{Failed, Output, Ran};
use millrace_types::{Batch, Entropy, SeededEntropy};
use parking_lot::Mutex;

use super::store::{Mood, Store};
use super::{World, answer, with_partitions};
use crate::status::StreamStatusReport;
use crate::work::OUTPUT_MISSING;

const SEEDS: u64 = 80;
const LIVES: u64 = 7;
/// More than objects of a lane on their way: some windows are decided, others wait.
const PARTITIONS: u64 = 11;

/// How many outputs each record had, by run: a record that failed has one, in the error folder.
type Totals = Arc<Mutex<BTreeMap<String, BTreeSet<usize>>>>;

/// A function that flips coins. Outputs are called `record/number/how-many`.
fn coins(seed: u64, totals: Totals) -> impl FnMut(&Batch) -> Ran + Send {
    let entropy = SeededEntropy::new(seed);
    move |batch| {
        let mut ran =
            Ran { output: Output { partition_names: vec!["p".to_owned()], ..Output::default() }, ..Ran::default() };
        let mut totals = totals.lock();
        for (source, record) in (0u32..).zip(batch.columns().iter()) {
            let record = std::str::from_utf8(record).unwrap().trim_end();
            let count = match entropy.next_u64() % 10 {
                0 => 0,
                1 => {
                    let message = "on purpose".into();
                    ran.failures.push(Failed { index: source, code: "Lambda.FunctionError", message, attempts: 1 });
                    totals.entry(record.to_owned()).or_default().insert(1);
                    continue;
                }
                more => 1 + usize::try_from(more % 4).unwrap(),
            };
            for nth in 0..count {
                // One value in twelve is empty: its output goes to the error folder.
                let value = match entropy.next_u64() % 12 {
                    0 => String::new(),
                    value => format!("{}", value % PARTITIONS),
                };
                answer(&mut ran.output, source, format!("{record}/{nth}/{count}\n").as_bytes(), Some(&value));
            }
            totals.entry(record.to_owned()).or_default().insert(count);
        }
        ran
    }
}

/// Each record has a fate, and each number below its total lies in exactly one object.
fn judge(store: &Store, totals: &Totals, status: &StreamStatusReport, what: &str) {
    let mut delivered: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for line in store.lines() {
        let mut parts = line.split('/');
        let record = parts.next().unwrap().to_owned();
        delivered.entry(record).or_default().push(parts.next().unwrap().parse().unwrap());
    }
    let mut failed: BTreeMap<String, usize> = BTreeMap::new();
    for record in store.failed() {
        *failed.entry(record).or_default() += 1;
    }
    let (mut good, mut bad, mut dropped) = (0, 0, 0);
    for (record, runs) in totals.lock().iter() {
        let outputs = delivered.get(record).cloned().unwrap_or_default();
        let errors = failed.get(record).copied().unwrap_or_default();
        let distinct: BTreeSet<usize> = outputs.iter().copied().collect();
        assert_eq!(distinct.len(), outputs.len(), "{what}: {record} has an output twice: {outputs:?}");
        let total = outputs.len() + errors;
        assert!(runs.contains(&total), "{what}: {record} has {outputs:?} and {errors} errors; its runs gave {runs:?}");
        assert!(distinct.iter().all(|nth| *nth < total), "{what}: {record} has {outputs:?} of {total}");
        match (total, errors) {
            (0, _) => dropped += 1,
            (_, 0) => good += 1,
            _ => bad += 1,
        }
    }
    let counts = status.counts;
    assert_eq!((counts.delivered, counts.failed, counts.dropped), (good, bad, dropped), "{what}");
    assert_eq!((status.balance, counts.accepted), (0, totals.lock().len() as u64), "{what}");
}

/// One life: records come while the store's mood changes, and the power is cut somewhere.
async fn life(world: &World, number: u64, chance: &SeededEntropy) {
    world.disk.crash_at(10 + chance.next_u64() % 80, chance.next_u64());
    let Some(node) = world.start().await else { return };
    for round in 0..6 {
        world.store.set(if chance.next_u64().is_multiple_of(3) { Mood::Fine } else { Mood::Gone });
        // Later lives mostly meet what earlier ones have left.
        let count = if number < 2 { 1 + chance.next_u64() % 8 } else { chance.next_u64() % 2 };
        let records: Vec<String> = (0..count).map(|nth| format!("{number}.{round}.{nth}\n")).collect();
        if !node.put("s", &records).await || world.disk.is_halted() {
            return;
        }
        // Windows of different ages, so that they are decided at different times.
        tokio::time::sleep(Duration::from_millis(chance.next_u64() % 12)).await;
    }
}

/// Runs one seed; answers how often an output that was decided to be was not given again.
fn one(seed: u64) -> usize {
    let what = format!("seed {seed}");
    let chance = SeededEntropy::new(seed);
    let mut world = World::new(seed);
    world.stream("s", with_partitions);
    let totals = Totals::default();
    world.functions.set(coins(seed, Arc::clone(&totals)));
    for number in 0..LIVES {
        world.life(life(&world, number, &chance));
        match world.disk.crashed() {
            Some(left) => world.disk = left,
            None => world.cut_power(seed),
        }
    }
    world.store.set(Mood::Fine);
    let status = world.life(async {
        let node = world.start().await.unwrap();
        let status = node.drained("s").await;
        node.stop().await;
        status
    });
    judge(&world.store, &totals, &status, &what);
    world.store.error_lines().iter().filter(|line| line.contains(OUTPUT_MISSING)).count()
}

#[test]
fn every_output_has_one_fate_whatever_the_function_answers() {
    let missing: usize = (0..SEEDS).map(one).sum();
    assert!(missing > 0, "outputs of records that were decided in part were not given again");
}
