//! `/metrics`: Prometheus text, from the streams' status, the server's own numbers and the counters
//! of this port. Names follow `expectations.md` section 9.

mod counters;
mod text;

use millrace_delivery::StreamStatusReport;

use crate::admin::MetricKind;
use crate::settings::METRICS_STREAMS_MAX;
use crate::shared::Shared;
use text::{Kind, Text};

pub(crate) use counters::{Counters, Done};

/// Label of the streams beyond [`METRICS_STREAMS_MAX`], summed up; no stream can be called so.
const OTHER: &str = "(other)";

/// A number of each stream: name, what it is, its help, and where it comes from.
type StreamMetric = (&'static str, Kind, &'static str, fn(&StreamStatusReport) -> f64);

#[expect(clippy::cast_precision_loss, reason = "Prometheus numbers are doubles")]
const STREAM_METRICS: [StreamMetric; 15] = [
    ("millrace_ingest_records_total", Kind::Counter, "Records acknowledged.", |s| s.counts.accepted as f64),
    ("millrace_ingest_bytes_total", Kind::Counter, "Bytes of records acknowledged since the start.", |s| {
        s.accepted_bytes as f64
    }),
    ("millrace_delivery_records_total", Kind::Counter, "Records that lie in committed objects.", |s| {
        s.counts.delivered as f64
    }),
    ("millrace_transform_dropped_records_total", Kind::Counter, "Records that the function dropped.", |s| {
        s.counts.dropped as f64
    }),
    ("millrace_delivery_failed_records_total", Kind::Counter, "Records that lie in committed error objects.", |s| {
        s.counts.failed as f64
    }),
    (
        "millrace_corruption_detected_records_total",
        Kind::Counter,
        "Records in damaged journal frames, set aside.",
        |s| s.counts.quarantined as f64,
    ),
    ("millrace_delivery_pending_records", Kind::Gauge, "Records acknowledged and not decided yet.", |s| {
        s.pending as f64
    }),
    ("millrace_accounting_balance_records", Kind::Gauge, "Accepted less everything accounted for: 0, or a bug.", |s| {
        s.balance as f64
    }),
    ("millrace_delivery_oldest_record_age_seconds", Kind::Gauge, "Age of the oldest undelivered record.", |s| {
        s.oldest_pending_age_s
    }),
    ("millrace_delivery_backlog_bytes", Kind::Gauge, "Bytes on disk of undelivered records.", |s| {
        s.backlog_bytes as f64
    }),
    ("millrace_delivery_objects_total", Kind::Counter, "Objects committed since the start.", |s| s.objects as f64),
    ("millrace_delivery_bytes_total", Kind::Counter, "Bytes of objects committed since the start.", |s| {
        s.object_bytes as f64
    }),
    (
        "millrace_delivery_put_failures_total",
        Kind::Counter,
        "Puts to the destination that failed since the start.",
        |s| s.put_failures as f64,
    ),
    ("millrace_delivery_lanes", Kind::Gauge, "Delivery shards in use.", |s| f64::from(s.lanes)),
    (
        "millrace_delivery_parked",
        Kind::Gauge,
        "1 while the stream delivers nothing because its destination refuses.",
        |s| f64::from(u8::from(s.parked.is_some())),
    ),
];

/// All numbers as text.
pub(crate) async fn render(shared: &Shared) -> String {
    let mut text = Text::default();
    let reports = shared.backend.status(None);
    streams(&mut text, &reports);
    shared.counters.render(&mut text);
    for metric in shared.admin.metrics().await {
        let (kind, suffix) = match metric.kind {
            MetricKind::Counter => (Kind::Counter, ""),
            MetricKind::Gauge => (Kind::Gauge, ""),
            MetricKind::Histogram(part) => (Kind::Histogram, part),
        };
        let labels: Vec<(&str, &str)> = metric.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        text.suffixed(metric.name, suffix, kind, metric.help, &labels, metric.value);
    }
    text.finish()
}

fn streams(text: &mut Text, reports: &[StreamStatusReport]) {
    let (own, rest) = reports.split_at(reports.len().min(METRICS_STREAMS_MAX));
    for (name, kind, help, value) in STREAM_METRICS {
        for report in own {
            text.sample(name, kind, help, &[("stream", &report.name)], value(report));
        }
        if !rest.is_empty() {
            text.sample(name, kind, help, &[("stream", OTHER)], rest.iter().map(value).sum());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::Counts;

    fn report(index: usize) -> StreamStatusReport {
        StreamStatusReport {
            name: format!("s{index}"),
            counts: Counts { accepted: 2, delivered: 1, ..Counts::default() },
            pending: 1,
            balance: 0,
            oldest_pending_age_s: 0.5,
            backlog_bytes: 10,
            accepted_bytes: 20,
            objects: 1,
            object_bytes: 30,
            put_failures: 0,
            lanes: 1,
            function_revisions: Vec::new(),
            parked: None,
        }
    }

    #[test]
    fn labels_are_bounded_and_nothing_is_lost_from_the_sum() {
        let reports: Vec<_> = (0..METRICS_STREAMS_MAX + 3).map(report).collect();
        let mut text = Text::default();
        streams(&mut text, &reports);
        let text = text.finish();
        assert!(text.contains("millrace_ingest_records_total{stream=\"s0\"} 2\n"));
        assert!(text.contains("millrace_ingest_records_total{stream=\"(other)\"} 6\n"));
        assert!(!text.contains(&format!("\"s{METRICS_STREAMS_MAX}\"")));
        assert!(text.contains("millrace_delivery_oldest_record_age_seconds{stream=\"s1\"} 0.5\n"));
        assert_eq!(text.matches("# TYPE millrace_delivery_parked gauge\n").count(), 1);
    }
}
