//! What an operator tunes about delivery.

use std::time::Duration;

use millrace_types::MIB;
use serde::{Deserialize, Serialize};

/// Threads for functions, for each one for encoding: a spinning function keeps its thread until its
/// deadline, and the others share the cores with it.
const GUESTS_PER_THREAD: usize = 4;

/// Settings of delivery, `[delivery]` in `millrace.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// Bytes that all open windows, finished objects and objects that are made again may hold in memory
    /// together; above it the largest spills into its outbox file, and lanes read in small steps or wait.
    /// Default 256 MiB. Less saves memory and costs disk writes.
    pub memory_bytes_max: usize,
    /// Threads for formats and compression; functions have four times as many. Default 0: one for each core.
    pub worker_threads: usize,
    /// Delivery shards of one hot stream at most. Default 0: one for each core. A stream that is
    /// widened writes more and smaller objects.
    pub lanes_max: u16,
    /// Longest wait between two attempts at a destination, and between two starts of a lane that fails,
    /// milliseconds. Default 30,000.
    pub retry_cap_ms: u64,
    /// `IntervalInSeconds` of every stream is multiplied by this. Default 1; tests use less.
    pub interval_scale: f64,
    /// How long a clean stop waits for puts that are under way, milliseconds. Default 1,500. What is
    /// not stored by then lies in the outbox and is put at the next start.
    pub stop_grace_ms: u64,
    /// gzip level of destinations with `GZIP` or `ZIP`, 1–9. Default 6.
    pub gzip_level: u32,
    /// zstd level of destinations with our `ZSTD`. Default 3.
    pub zstd_level: i32,
    /// zstd level inside Parquet. Default 1: files as small as at level 9, twice as fast.
    pub parquet_zstd_level: i32,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            memory_bytes_max: 256 * MIB,
            worker_threads: 0,
            lanes_max: 0,
            retry_cap_ms: 30_000,
            interval_scale: 1.0,
            stop_grace_ms: 1_500,
            gzip_level: 6,
            zstd_level: 3,
            parquet_zstd_level: 1,
        }
    }
}

impl DeliverySettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// A sentence that names the setting and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: i64, low: i64, high: i64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(format!("delivery.{name} is from {low} to {high}, not {value}"))
        };
        within("gzip_level", i64::from(self.gzip_level), 1, 9)?;
        within("zstd_level", i64::from(self.zstd_level), -7, 22)?;
        within("parquet_zstd_level", i64::from(self.parquet_zstd_level), 1, 22)?;
        within("worker_threads", i64::try_from(self.worker_threads).unwrap_or(i64::MAX), 0, 1_024)?;
        if !(self.interval_scale > 0.0 && self.interval_scale <= 1_000.0) {
            return Err(format!("delivery.interval_scale is above 0 and at most 1000, not {}", self.interval_scale));
        }
        Ok(())
    }

    /// Threads that encode.
    pub(crate) fn encode_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.worker_threads == 0 { cores() } else { self.worker_threads }
    }

    /// Threads that run the functions of streams: so many calls run at once.
    #[must_use]
    pub fn guest_threads(&self) -> usize {
        self.encode_threads() * GUESTS_PER_THREAD
    }

    pub(crate) fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.stop_grace_ms)
    }

    pub(crate) fn retry_cap(&self) -> Duration {
        Duration::from_millis(self.retry_cap_ms)
    }
}
