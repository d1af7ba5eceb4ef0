//! The workload: seeded access-log records of 315 bytes, or a file of the user's, as request bodies.

use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use millrace_tests::firehose::batch_body;
use millrace_types::{Entropy as _, SeededEntropy};

/// Bytes of one record.
pub(crate) const RECORD_BYTES: usize = 315;
/// Distinct records.
pub(crate) const DISTINCT: usize = 300_000;
/// Records of one request.
pub(crate) const BATCH_RECORDS: usize = 500;

const METHODS: [&str; 5] = ["GET", "GET", "GET", "POST", "PUT"];
const HOSTS: [&str; 4] = ["www.example.com", "api.example.com", "img.example.com", "shop.example.org"];
const WORDS: [&str; 16] = [
    "cart", "items", "users", "orders", "search", "static", "images", "v2", "list", "detail", "review", "account",
    "login", "pay", "track", "help",
];
const AGENTS: [&str; 4] =
    ["Mozilla/5.0 (X11; Linux) Firefox/143", "Mozilla/5.0 (Macintosh) Safari/605", "curl/8.14.1", "okhttp/4.12.0"];
const STATUSES: [u16; 6] = [200, 200, 200, 304, 404, 500];

/// Records in request-sized groups, in memory.
#[derive(Debug)]
pub(crate) struct Workload {
    /// For each request its records.
    pub(crate) batches: Vec<Vec<Vec<u8>>>,
}

impl Workload {
    /// `count` distinct access-log records.
    pub(crate) fn access_log(count: usize, seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed);
        let records: Vec<Vec<u8>> = (0..count).map(|index| access_record(index, &entropy)).collect();
        Self::of(records)
    }

    /// The lines of a file (`.zst` and `.gz` are decompressed).
    pub(crate) fn file(path: &Path) -> anyhow::Result<Self> {
        let name = path.to_string_lossy();
        let body = Bytes::from(std::fs::read(path).with_context(|| format!("read {name}"))?);
        let text = millrace_tests::decode::decompress(&name, &body)?;
        Ok(Self::of(text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()))
    }

    fn of(records: Vec<Vec<u8>>) -> Self {
        Self { batches: records.chunks(BATCH_RECORDS).map(<[Vec<u8>]>::to_vec).collect() }
    }

    /// The bodies as NDJSON.
    pub(crate) fn lines(&self) -> Bodies {
        self.bodies(|records| records.join(&b'\n').into())
    }

    /// The bodies as `PutRecordBatch` of `streams` in turn.
    pub(crate) fn firehose(&self, streams: &[String]) -> Bodies {
        let mut turn = streams.iter().cycle();
        self.bodies(|records| turn.next().map_or_else(Bytes::new, |stream| batch_body(stream, records)))
    }

    fn bodies(&self, mut make: impl FnMut(&[Vec<u8>]) -> Bytes) -> Bodies {
        let each = |records: &Vec<Vec<u8>>| Body {
            bytes: make(records),
            records: records.len() as u64,
            source_bytes: records.iter().map(|record| record.len() as u64).sum(),
        };
        Bodies(self.batches.iter().map(each).collect())
    }

    /// The lines of requests, around and around, until they hold `bytes` together.
    pub(crate) fn source(&self, bytes: u64) -> impl Iterator<Item = Vec<u8>> + '_ {
        let mut left = bytes;
        self.batches.iter().cycle().map_while(move |records| {
            let chunk = [records.join(&b'\n'), b"\n".to_vec()].concat();
            let goes = left > 0;
            left = left.saturating_sub(chunk.len() as u64);
            goes.then_some(chunk)
        })
    }
}

/// Request bodies that are made already.
#[derive(Debug, Clone)]
pub(crate) struct Bodies(pub(crate) Vec<Body>);

/// One request body.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// As it goes over the wire.
    pub(crate) bytes: Bytes,
    /// Records in it.
    pub(crate) records: u64,
    /// Bytes of these records themselves.
    pub(crate) source_bytes: u64,
}

/// One JSON access-log line of exactly [`RECORD_BYTES`].
fn access_record(index: usize, entropy: &SeededEntropy) -> Vec<u8> {
    let below = |n: usize| usize::try_from(entropy.next_u64() % n as u64).unwrap_or(0);
    let second = index % 86_400;
    let mut path = format!("/{}/{}", WORDS[below(16)], below(100_000));
    let make = |path: &str, tail: &str, r: &[usize; 9], id: u64| {
        format!(
            "{{\"timestamp\":\"2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"remote_addr\":\"10.{}.{}.{}\",\"method\":\"{}\",\
             \"path\":\"{path}\",\"status\":{},\"bytes\":{},\"referer\":\"https://{}/{}\",\"user_agent\":\"{}{tail}\",\
             \"request_id\":\"{id:016x}\",\"duration_ms\":{},\"host\":\"{}\"}}",
            1 + index % 28,
            second / 3600,
            second / 60 % 60,
            second % 60,
            index % 1000,
            r[0] % 256,
            r[1] % 256,
            r[2] % 256,
            METHODS[r[3] % 5],
            STATUSES[r[4] % 6],
            100 + r[5] % 90_000,
            HOSTS[r[6] % 4],
            WORDS[r[7] % 16],
            AGENTS[r[8] % 4],
            r[5] % 2_000,
            HOSTS[r[7] % 4],
        )
    };
    let r = [(); 9].map(|()| below(1 << 20));
    let id = entropy.next_u64();
    loop {
        let now = make(&path, "", &r, id).len();
        if now >= RECORD_BYTES {
            break;
        }
        let word = WORDS[below(16)];
        if now + word.len() + 1 > RECORD_BYTES {
            let fill = "x".repeat(RECORD_BYTES - now);
            return make(&path, &fill, &r, id).into_bytes();
        }
        path.push('/');
        path.push_str(word);
    }
    make(&path, "", &r, id).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_json_of_315_bytes_and_repeatable() {
        let workload = Workload::access_log(2_000, 1);
        for record in workload.batches.iter().flatten() {
            assert_eq!(record.len(), RECORD_BYTES, "{}", String::from_utf8_lossy(record));
            let value: serde_json::Value = serde_json::from_slice(record).unwrap();
            assert_eq!(value.as_object().unwrap().len(), 11);
        }
        assert_eq!(workload.batches, Workload::access_log(2_000, 1).batches);
        assert_ne!(workload.batches, Workload::access_log(2_000, 2).batches);
        let bytes: usize = workload.source(1_000_000).map(|chunk| chunk.len()).sum();
        assert!((1_000_000..1_200_000).contains(&bytes));
    }
}
