//! The functions' counts as metrics: per function and version, the facts behind a bill.

use millrace_front::Metric;
use millrace_functions::{DURATION_BUCKETS, Metered};

/// Functions and versions that are shown one by one; the rest is added up under `other`.
const LABELLED_MAX: usize = 1_000;

/// Names, help and the value of each plain counter.
type Counter = (&'static str, &'static str, bool, fn(&Metered) -> f64);

const COUNTERS: [Counter; 6] = [
    ("millrace_function_invocations_total", "Calls into the guest.", true, |m| m.invocations as f64),
    ("millrace_function_throttles_total", "Calls refused for too many at once.", true, |m| m.throttles as f64),
    ("millrace_function_cold_starts_total", "Calls that made a new instance.", true, |m| m.cold_starts as f64),
    ("millrace_function_duration_seconds_total", "Time in calls.", true, |m| m.seconds),
    ("millrace_function_gb_seconds_total", "Time in calls by the memory that may be used, GB.", true, |m| m.gb_seconds),
    ("millrace_function_memory_high_water_bytes", "Most memory that an instance had.", false, |m| {
        m.memory_high_water_bytes as f64
    }),
];

/// The metrics of `metered`: function, version, counts.
pub(crate) fn of_functions(metered: &[(String, String, Metered)]) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let shown = metered.get(..LABELLED_MAX).unwrap_or(metered);
    for (name, help, counter, value) in COUNTERS {
        for (function, version, counts) in shown {
            let labels = labels(function, version);
            metrics.push(Metric { name, help, counter, labels, value: value(counts) });
        }
    }
    for (function, version, counts) in shown {
        for (outcome, count) in ["ok", "dropped", "failed"].into_iter().zip(counts.outcomes) {
            metrics.push(count_of(
                "millrace_function_records_total",
                "Records of batches, by what became of them.",
                with(labels(function, version), "outcome", outcome),
                count,
            ));
        }
    }
    for (function, version, counts) in shown {
        for (kind, count) in &counts.errors {
            metrics.push(count_of(
                "millrace_function_errors_total",
                "Calls that gave no answer, by kind.",
                with(labels(function, version), "kind", kind),
                *count,
            ));
        }
    }
    for (function, version, counts) in shown {
        let mut below = 0;
        let ends = DURATION_BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (end, count) in ends.zip(counts.durations) {
            below += count;
            metrics.push(count_of(
                "millrace_function_duration_seconds_bucket",
                "Calls that took no longer than `le`.",
                with(labels(function, version), "le", &end),
                below,
            ));
        }
    }
    metrics
}

fn labels(function: &str, version: &str) -> Vec<(&'static str, String)> {
    vec![("function", function.to_owned()), ("version", version.to_owned())]
}

fn with(mut labels: Vec<(&'static str, String)>, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    labels.push((name, value.to_owned()));
    labels
}

fn count_of(name: &'static str, help: &'static str, labels: Vec<(&'static str, String)>, count: u64) -> Metric {
    Metric { name, help, counter: true, labels, value: count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let mut counts = Metered { invocations: 3, ..Metered::default() };
        counts.durations[0] = 2;
        counts.durations[DURATION_BUCKETS.len()] = 1;
        counts.errors.insert("trap", 1);
        let metrics = of_functions(&[("f".to_owned(), "1".to_owned(), counts)]);
        let buckets: Vec<f64> =
            metrics.iter().filter(|m| m.name.ends_with("_bucket")).map(|metric| metric.value).collect();
        assert_eq!((buckets.first(), buckets.last()), (Some(&2.0), Some(&3.0)));
        let errors = metrics.iter().find(|m| m.name == "millrace_function_errors_total").expect("there");
        assert_eq!(errors.labels[2], ("kind", "trap".to_owned()));
    }
}
