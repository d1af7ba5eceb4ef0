//! What is counted of each function and revision: the facts behind metrics and a bill.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use millrace_catalog::Function;
use parking_lot::Mutex;

use crate::Functions;
use crate::resolve::published;

/// Upper ends of the duration histogram, seconds.
pub const DURATION_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0];
/// Bytes in one GB of a bill.
const GB: f64 = (1u64 << 30) as f64;

/// What is counted of one revision since the server's start.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Metered>);

/// The counts at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metered {
    /// Calls into the guest, batches and events.
    pub invocations: u64,
    /// Calls that gave no answer, by kind: `trap`, `deadline`, `memory`, `returned`, ….
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls that were refused because as many ran as may.
    pub throttles: u64,
    /// Calls that made a new instance.
    pub cold_starts: u64,
    /// Records of batches: went on, were dropped, failed.
    pub outcomes: [u64; 3],
    /// Calls by duration, in the buckets of [`DURATION_BUCKETS`] and above.
    pub durations: [u64; DURATION_BUCKETS.len() + 1],
    /// Time in calls, seconds.
    pub seconds: f64,
    /// Time in calls by the memory that the function may have.
    pub gb_seconds: f64,
    /// Most bytes that an instance had.
    pub memory_high_water_bytes: u64,
}

/// One call, or several of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) calls: u64,
    pub(crate) duration: Duration,
    pub(crate) cold_starts: u64,
    pub(crate) memory_high_water_bytes: usize,
    pub(crate) memory_bytes: u64,
}

impl Metered {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.invocations += other.invocations;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.throttles += other.throttles;
        self.cold_starts += other.cold_starts;
        for (count, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *count += more;
        }
        for (count, more) in self.durations.iter_mut().zip(other.durations) {
            *count += more;
        }
        self.seconds += other.seconds;
        self.gb_seconds += other.gb_seconds;
        self.memory_high_water_bytes = self.memory_high_water_bytes.max(other.memory_high_water_bytes);
    }
}

impl Meter {
    /// The counts now.
    #[must_use]
    pub fn read(&self) -> Metered {
        self.0.lock().clone()
    }

    pub(crate) fn cost(&self, cost: Cost) {
        let seconds = cost.duration.as_secs_f64();
        let each = seconds / (cost.calls.max(1) as f64);
        let bucket = DURATION_BUCKETS.iter().position(|end| each <= *end).unwrap_or(DURATION_BUCKETS.len());
        let mut counts = self.0.lock();
        counts.invocations += cost.calls;
        counts.cold_starts += cost.cold_starts;
        counts.durations[bucket] += cost.calls;
        counts.seconds += seconds;
        counts.gb_seconds += seconds * cost.memory_bytes as f64 / GB;
        counts.memory_high_water_bytes = counts.memory_high_water_bytes.max(cost.memory_high_water_bytes as u64);
    }

    pub(crate) fn error(&self, kind: &'static str, count: u64) {
        *self.0.lock().errors.entry(kind).or_default() += count;
    }

    pub(crate) fn throttled(&self) {
        self.0.lock().throttles += 1;
    }

    pub(crate) fn records(&self, ok: u64, dropped: u64, failed: u64) {
        let mut counts = self.0.lock();
        for (count, more) in counts.outcomes.iter_mut().zip([ok, dropped, failed]) {
            *count += more;
        }
    }
}

/// The meters of all revisions that were called.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<HashMap<(String, u32), Arc<Meter>>>);

impl Meters {
    pub(crate) fn of(&self, function: &str, revision: u32) -> Arc<Meter> {
        Arc::clone(self.0.lock().entry((function.to_owned(), revision)).or_default())
    }

    pub(crate) fn forget(&self, function: &str) {
        self.retain(|name, _| name != function);
    }

    /// Drops the meters of revisions that are gone: those for which `is_there` is false.
    fn retain(&self, is_there: impl Fn(&str, u32) -> bool) {
        self.0.lock().retain(|(name, revision), _| is_there(name, *revision));
    }
}

/// What a revision is called: the newest version that is it, `$LATEST`, or `revision N` when nothing points at it.
pub(crate) fn label(function: Option<&Function>, revision: u32) -> String {
    let published = function.and_then(|f| published(&f.versions, revision)).map(|number| number.to_string());
    let latest = function.is_some_and(|f| f.latest == revision).then(|| crate::LATEST.to_owned());
    published.or(latest).unwrap_or_else(|| format!("revision {revision}"))
}

impl Functions {
    /// What was counted, by function and the label of its version: the newest number that was published for the
    /// revision, `$LATEST`, or `revision N` of one that nothing points at any more. What was counted of revisions that
    /// are gone is forgotten.
    #[must_use]
    pub fn metered(&self) -> Vec<(String, String, Metered)> {
        let snapshot = self.catalog.snapshot();
        self.meters.retain(|name, revision| snapshot.revision(name, revision).is_some());
        let meters = self.meters.0.lock();
        let mut all: Vec<_> = meters
            .iter()
            .map(|((name, revision), meter)| {
                let function = snapshot.function(name).map(AsRef::as_ref);
                (name.clone(), label(function, *revision), meter.read())
            })
            .collect();
        all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_goes_with_its_revision() {
        let meters = Meters::default();
        for (name, revision) in [("f", 1), ("f", 2), ("g", 1)] {
            meters.of(name, revision).throttled();
        }
        meters.retain(|name, revision| (name, revision) != ("f", 1));
        assert_eq!(meters.0.lock().len(), 2);
        assert_eq!(meters.of("f", 2).read().throttles, 1, "the others count on");
        meters.forget("f");
        assert_eq!(meters.0.lock().len(), 1);
    }

    #[test]
    fn two_together_are_the_sum_of_both() {
        let meter = Meter::default();
        meter.error("trap", 2);
        meter.records(3, 2, 1);
        meter.throttled();
        let cost = |ms, memory_high_water_bytes| Cost {
            calls: 1,
            duration: Duration::from_millis(ms),
            cold_starts: 1,
            memory_high_water_bytes,
            memory_bytes: 1 << 30,
        };
        meter.cost(cost(2_000, 7));
        let mut both = meter.read();
        meter.cost(cost(1_000, 5));
        both.add(&meter.read());
        assert_eq!((both.invocations, both.cold_starts, both.throttles), (3, 3, 2));
        assert_eq!((both.errors["trap"], both.outcomes), (4, [6, 4, 2]));
        assert_eq!((both.durations.iter().sum::<u64>(), both.memory_high_water_bytes), (3, 7));
        assert!((both.seconds - 5.0).abs() < 1e-9 && (both.gb_seconds - 5.0).abs() < 1e-9, "{both:?}");
    }
}
