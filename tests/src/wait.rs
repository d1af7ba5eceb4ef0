//! Waiting for a condition with a deadline, and the harness's clock.

use std::future::Future;
use std::time::Duration;

use millrace_types::{Clock, SystemClock};

/// Pause between two looks at a condition.
const POLL_MS: u64 = 20;

/// Monotonic time, seconds.
#[must_use]
pub fn now_s() -> f64 {
    SystemClock.monotonic().as_secs_f64()
}

/// Wall time, milliseconds since the Unix epoch.
#[must_use]
pub fn wall_ms() -> i64 {
    SystemClock.now_ms()
}

/// Looks again and again until `look` answers something.
///
/// # Errors
/// When `within` is over, naming `what`, and the first error of `look` itself.
pub async fn until<T, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let start = SystemClock.monotonic();
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if SystemClock.monotonic().saturating_sub(start) > within {
            anyhow::bail!("waited {within:?} in vain for {what}");
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
    }
}
