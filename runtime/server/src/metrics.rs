//! The functions' counts as metrics: per function and version, the facts behind a bill.

use millrace_front::Metric;
use millrace_front::MetricKind::{self, Counter, Gauge, Histogram};
use millrace_functions::{DURATION_BUCKETS, Metered};

/// Functions and versions that are shown one by one; the rest is added up under [`OTHER`].
const LABELLED_MAX: usize = 1_000;
/// Label of the rest; no function can be called so.
const OTHER: &str = "(other)";
/// Name and help of the histogram.
const DURATION: (&str, &str) = ("millrace_function_duration_seconds", "Time in calls.");

/// Names, help, kind and the value of each plain number.
type Plain = (&'static str, &'static str, MetricKind, fn(&Metered) -> f64);

const PLAIN: [Plain; 5] = [
    ("millrace_function_invocations_total", "Calls into the guest.", Counter, |m| m.invocations as f64),
    ("millrace_function_throttles_total", "Calls refused for too many at once.", Counter, |m| m.throttles as f64),
    ("millrace_function_cold_starts_total", "Calls that made a new instance.", Counter, |m| m.cold_starts as f64),
    ("millrace_function_gb_seconds_total", "Time in calls by the memory that may be used, GB.", Counter, |m| {
        m.gb_seconds
    }),
    ("millrace_function_memory_high_water_bytes", "Most memory that an instance had.", Gauge, |m| {
        m.memory_high_water_bytes as f64
    }),
];

/// The metrics of `metered`: function, version, counts.
pub(crate) fn of_functions(metered: &[(String, String, Metered)]) -> Vec<Metric> {
    let (shown, rest) = metered.split_at(metered.len().min(LABELLED_MAX));
    let mut metrics: Vec<Metric> = shown.iter().flat_map(|(name, version, counts)| of(name, version, counts)).collect();
    if !rest.is_empty() {
        let mut other = Metered::default();
        rest.iter().for_each(|(_, _, counts)| other.add(counts));
        metrics.extend(of(OTHER, OTHER, &other));
    }
    metrics
}

/// The metrics of one version.
fn of(function: &str, version: &str, counts: &Metered) -> Vec<Metric> {
    let labels = || vec![("function", function.to_owned()), ("version", version.to_owned())];
    let with = |name, value: &str| [labels(), vec![(name, value.to_owned())]].concat();
    let metric = |(name, help), kind, labels, value| Metric { name, help, kind, labels, value };
    let mut metrics: Vec<Metric> = PLAIN
        .into_iter()
        .map(|(name, help, kind, value)| metric((name, help), kind, labels(), value(counts)))
        .collect();
    let records = ("millrace_function_records_total", "Records of batches, by what became of them.");
    for (outcome, count) in ["ok", "dropped", "failed"].into_iter().zip(counts.outcomes) {
        metrics.push(metric(records, Counter, with("outcome", outcome), count as f64));
    }
    let errors = ("millrace_function_errors_total", "Calls that gave no answer, by kind.");
    for (kind, count) in &counts.errors {
        metrics.push(metric(errors, Counter, with("kind", kind), *count as f64));
    }
    let ends = DURATION_BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    let mut below = 0;
    for (end, count) in ends.zip(counts.durations) {
        below += count;
        metrics.push(metric(DURATION, Histogram("_bucket"), with("le", &end), below as f64));
    }
    metrics.push(metric(DURATION, Histogram("_sum"), labels(), counts.seconds));
    metrics.push(metric(DURATION, Histogram("_count"), labels(), below as f64));
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the metrics of a name whose labels hold all of `labels`.
    fn values(metrics: &[Metric], name: &str, labels: &[&str]) -> Vec<f64> {
        let has = |metric: &Metric| labels.iter().all(|label| metric.labels.iter().any(|(_, value)| value == label));
        metrics.iter().filter(|metric| metric.name == name && has(metric)).map(|metric| metric.value).collect()
    }

    #[test]
    fn durations_are_a_histogram() {
        let mut counts = Metered { invocations: 3, seconds: 70.5, ..Metered::default() };
        counts.durations[0] = 2;
        counts.durations[DURATION_BUCKETS.len()] = 1;
        counts.errors.insert("trap", 1);
        counts.outcomes = [4, 3, 2];
        let metrics = of_functions(&[("f".to_owned(), "1".to_owned(), counts)]);
        let parts = |part| metrics.iter().filter(move |m| m.kind == Histogram(part)).map(|m| m.value);
        let buckets: Vec<f64> = parts("_bucket").collect();
        assert_eq!((buckets.len(), buckets[0], buckets[buckets.len() - 1]), (DURATION_BUCKETS.len() + 1, 2.0, 3.0));
        assert_eq!(parts("_sum").chain(parts("_count")).collect::<Vec<_>>(), [70.5, 3.0]);
        assert!(metrics.iter().all(|m| matches!(m.kind, Histogram(_)) == (m.name == DURATION.0)));
        assert_eq!(values(&metrics, "millrace_function_errors_total", &["f", "1", "trap"]), [1.0]);
        assert_eq!(values(&metrics, "millrace_function_records_total", &["dropped"]), [3.0]);
    }

    #[test]
    fn labels_are_bounded_and_nothing_is_lost_from_the_sum() {
        let one = |n| (format!("f{n:05}"), "1".to_owned(), Metered { invocations: 2, ..Metered::default() });
        let metrics = of_functions(&(0..LABELLED_MAX + 3).map(one).collect::<Vec<_>>());
        let name = "millrace_function_invocations_total";
        assert_eq!(values(&metrics, name, &[]).len(), LABELLED_MAX + 1);
        assert_eq!(values(&metrics, name, &[OTHER]), [6.0]);
    }
}
