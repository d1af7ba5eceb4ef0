//! Every bound on a function, with its unit.

use std::sync::Arc;
use std::time::Duration;

use millrace_types::{KIB, MIB};

use crate::CompileCache;

/// Bytes of an event that a handler is given, as at Lambda and as Firehose sends at most: 6 MiB.
pub const EVENT_BYTES_MAX: usize = 6 * MIB;
/// Bytes of a handler's answer, as at Lambda: 6 MiB and 100 bytes.
pub const ANSWER_BYTES_MAX: usize = 6_291_556;

/// Calls that a host runs at once where nobody says more.
const CALLS_MAX: u32 = 16;
/// Warm instances, or processes that wait for a call, that a host keeps where nobody says more.
const WARM_MAX: u32 = 16;

/// How many functions run at once in one [`Host`](crate::Host), and how finely time is cut.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Calls that run at the same moment; a further call waits for one to end. As many as the worker
    /// threads that call functions need: each costs two reservations of 4 GiB address space (not
    /// memory) in the pool.
    pub calls_max: u32,
    /// Instances that are kept between batches for functions with
    /// [`Limits::warm_batches_max`] above zero; costs address space as a call does.
    pub warm_max: u32,
    /// The grain of deadlines: how often the one ticker thread moves the epoch.
    pub epoch_tick: Duration,
    /// Bytes of a linear memory that stay with its slot between two instances, cleared by copying
    /// over the dirty pages only. More saves page faults, less saves resident memory.
    pub keep_resident_bytes: usize,
    /// For tests: NaNs are canonical, relaxed SIMD is fixed, and fuel is counted, so that with a clock
    /// and entropy of the caller's own a function gives the same answer everywhere. Slower. Such a
    /// host takes only what [`Host::load_component`](crate::Host::load_component) compiles: sealed
    /// code is made without, and answers [`Error::Recompile`](crate::Error::Recompile).
    pub deterministic: bool,
    /// What [`Host::load_component`](crate::Host::load_component) need not compile again, and what it leaves for the
    /// next time. It becomes code: never anything that came from elsewhere.
    pub compile_cache: Option<Arc<CompileCache>>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            calls_max: CALLS_MAX,
            warm_max: WARM_MAX,
            epoch_tick: Duration::from_millis(10),
            keep_resident_bytes: 2 * MIB,
            deterministic: false,
            compile_cache: None,
        }
    }
}

/// What one function may use.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Linear memory of one instance, bytes.
    pub memory_bytes: usize,
    /// Time for one batch or event.
    pub deadline: Duration,
    /// Bytes that one batch's output or one event's answer may have, all columns together.
    pub output_bytes_max: usize,
    /// How many times larger than its input a batch's output may be; an output of up to
    /// [`Limits::OUTPUT_BYTES_FREE`] is never too large by this.
    pub output_ratio_max: usize,
    /// Bytes of log lines that are kept of one batch.
    pub log_bytes_max: usize,
    /// Calls of the host that one call may make: logging, clocks, randomness, WASI and all others.
    pub host_calls_max: u32,
    /// Batches or events that one instance serves before it is replaced; 0 gives every batch a fresh one, so
    /// that nothing is carried over.
    pub warm_batches_max: u32,
}

impl Limits {
    /// Output bytes that the ratio never forbids.
    pub const OUTPUT_BYTES_FREE: usize = MIB;

    /// Bytes that the output for `input_bytes` of input may have.
    #[must_use]
    pub fn output_bytes(&self, input_bytes: usize) -> usize {
        let by_ratio = input_bytes.saturating_mul(self.output_ratio_max).max(Self::OUTPUT_BYTES_FREE);
        by_ratio.min(self.output_bytes_max)
    }

    /// Bytes that the answer to an event may have.
    #[must_use]
    pub fn answer_bytes(&self) -> usize {
        self.output_bytes_max.min(ANSWER_BYTES_MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 * MIB,
            deadline: Duration::from_secs(5),
            output_bytes_max: 32 * MIB,
            output_ratio_max: 64,
            log_bytes_max: 64 * KIB,
            host_calls_max: 1_000_000,
            warm_batches_max: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_by_ratio_and_by_size() {
        let limits = Limits::default();
        assert_eq!(limits.output_bytes(10), Limits::OUTPUT_BYTES_FREE);
        assert_eq!(limits.output_bytes(100 * KIB), 6400 * KIB);
        assert_eq!(limits.output_bytes(16 * MIB), 32 * MIB);
    }
}
