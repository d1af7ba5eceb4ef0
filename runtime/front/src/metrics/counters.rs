//! Counters of this port: requests by operation and outcome, refusals by reason, time to the ack.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;

use super::text::{Kind, Text};
use crate::error::Code;

/// Upper bounds of the buckets of the ack's latency, seconds.
const BUCKETS_S: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 4.0, 16.0];

/// A request that was answered.
pub(crate) struct Done {
    /// Its operation or route.
    pub(crate) name: &'static str,
    /// What was answered.
    pub(crate) status: StatusCode,
    /// Why it was refused, when it was.
    pub(crate) failed: Option<(Code, &'static str)>,
    /// From its head to its answer.
    pub(crate) took: Duration,
}

/// All keys are names from the source, so there are few of each.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: BTreeMap<(&'static str, u16), u64>,
    throttled: BTreeMap<&'static str, u64>,
    acks: [u64; BUCKETS_S.len()],
    acks_total: u64,
    acks_s: f64,
}

impl Counters {
    /// Counts a request, once for its whole batch.
    pub(crate) fn done(&self, done: &Done) {
        let mut inner = self.inner.lock();
        *inner.requests.entry((done.name, done.status.as_u16())).or_default() += 1;
        let is_put = matches!(done.name, "PutRecord" | "PutRecordBatch" | "ingest");
        match done.failed {
            Some((Code::ServiceUnavailable, slug)) if is_put => *inner.throttled.entry(slug).or_default() += 1,
            None if is_put => {
                let took_s = done.took.as_secs_f64();
                inner.acks_total += 1;
                inner.acks_s += took_s;
                for (count, bound) in inner.acks.iter_mut().zip(BUCKETS_S) {
                    *count += u64::from(took_s <= bound);
                }
            }
            _ => {}
        }
    }

    /// Adds the counters to the text.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus numbers are doubles")]
    pub(crate) fn render(&self, text: &mut Text) {
        let inner = self.inner.lock();
        for ((operation, status), count) in &inner.requests {
            let labels = [("operation", *operation), ("status", &status.to_string())];
            text.sample("millrace_http_requests_total", Kind::Counter, "Requests answered.", &labels, *count as f64);
        }
        for (reason, count) in &inner.throttled {
            let help = "Puts refused because the server could not take them.";
            let labels = [("reason", *reason)];
            text.sample("millrace_ingest_throttled_requests_total", Kind::Counter, help, &labels, *count as f64);
        }
        let name = "millrace_ack_latency_seconds";
        let help = "From a put's head to its acknowledgement, the body's way over the network counted.";
        for (count, bound) in inner.acks.iter().zip(BUCKETS_S) {
            let labels = [("le", bound.to_string())];
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            text.suffixed(name, "_bucket", Kind::Histogram, help, &labels, *count as f64);
        }
        let total = inner.acks_total as f64;
        text.suffixed(name, "_bucket", Kind::Histogram, help, &[("le", "+Inf")], total);
        text.suffixed(name, "_sum", Kind::Histogram, help, &[], inner.acks_s);
        text.suffixed(name, "_count", Kind::Histogram, help, &[], total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_are_counted_by_outcome() {
        let counters = Counters::default();
        let done = |name, status, failed, ms| {
            counters.done(&Done { name, status, failed, took: Duration::from_millis(ms) });
        };
        done("PutRecordBatch", StatusCode::OK, None, 3);
        done("PutRecordBatch", StatusCode::OK, None, 90_000);
        done("PutRecord", StatusCode::SERVICE_UNAVAILABLE, Some((Code::ServiceUnavailable, "journal.full")), 1);
        done("ListDeliveryStreams", StatusCode::OK, None, 1);
        let mut text = Text::default();
        counters.render(&mut text);
        let text = text.finish();
        for line in [
            "millrace_http_requests_total{operation=\"PutRecordBatch\",status=\"200\"} 2\n",
            "millrace_ingest_throttled_requests_total{reason=\"journal.full\"} 1\n",
            "millrace_ack_latency_seconds_bucket{le=\"0.002\"} 0\n",
            "millrace_ack_latency_seconds_bucket{le=\"0.004\"} 1\n",
            "millrace_ack_latency_seconds_bucket{le=\"+Inf\"} 2\n",
            "millrace_ack_latency_seconds_count 2\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
