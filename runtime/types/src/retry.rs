//! Retry delays: exponential with full jitter above a floor, capped.

use std::time::Duration;

use crate::Entropy;

/// How long to wait before attempt `n + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay before the first retry.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl Backoff {
    /// The delay behind the `failures`-th failure (1 for the first): between half of and the whole
    /// of `base * 2^(failures - 1)`, at most `cap`.
    #[must_use]
    pub fn delay(&self, failures: u32, entropy: &dyn Entropy) -> Duration {
        let doubled = self.base.saturating_mul(1u32 << failures.saturating_sub(1).min(20));
        let whole = doubled.min(self.cap);
        let half_ms = u64::try_from(whole.as_millis() / 2).unwrap_or(u64::MAX);
        let jitter = if half_ms == 0 { 0 } else { entropy.next_u64() % (half_ms + 1) };
        Duration::from_millis(half_ms + jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn grows_to_the_cap_and_stays_within_it() {
        let backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };
        let entropy = SeededEntropy::new(3);
        for failures in 1..40 {
            let whole = Duration::from_millis(100 << (failures - 1).min(10)).min(backoff.cap);
            let delay = backoff.delay(failures, &entropy);
            assert!(delay >= whole / 2 && delay <= whole, "{failures}: {delay:?}");
        }
    }
}
