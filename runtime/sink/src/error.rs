//! What went wrong at a destination, and what the caller shall do about it.

use std::time::Duration;

/// What the caller shall do. No advice means "drop": non-retriable never means lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Passing trouble (5xx, throttling, a broken connection, a timeout): put again after a backoff,
    /// or after `after` when the place named a time.
    Retry {
        /// The wait that the place asked for.
        after: Option<Duration>,
    },
    /// Somebody must act (403, 404, a wrong region, an expired certificate): park with an alarm and
    /// look again from time to time.
    Operator,
}

/// A failed put.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SinkError {
    /// What to do.
    pub advice: Advice,
    /// Stable, short, for metrics and error objects: `NoSuchBucket`, `AccessDenied`, `Timeout`.
    pub code: String,
    /// One sentence with bucket and key, and the next step where there is one.
    pub message: String,
}

impl SinkError {
    /// An error that passes by itself.
    #[must_use]
    pub fn retry(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { advice: Advice::Retry { after: None }, code: code.into(), message: message.into() }
    }

    /// An error that needs somebody.
    #[must_use]
    pub fn operator(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { advice: Advice::Operator, code: code.into(), message: message.into() }
    }
}
