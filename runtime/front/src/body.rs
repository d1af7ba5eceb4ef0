//! Reads a request's body under its limits, hashing while it reads.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use millrace_types::KIB;

use crate::budget::{Budget, Share};
use crate::error::{ApiError, Code};
use crate::settings::{DISCARD_BYTES_MAX, DISCARD_TIME_MAX};
use crate::shared::Shared;

/// Room that is reserved on an announcement.
const RESERVED_BYTES_MAX: usize = 1024 * KIB;
/// Room that is bought before the first byte.
const FIRST_BYTES: usize = 64 * KIB;

/// A body in memory and its share of the budget.
#[derive(Debug)]
pub(crate) struct Received {
    /// The body.
    pub(crate) bytes: Vec<u8>,
    /// Given back when the request is done.
    pub(crate) share: Share,
}

/// What a request's body may be.
pub(crate) struct Limit<'a> {
    /// Bytes at most.
    pub(crate) bytes_max: usize,
    /// What they are bought from.
    pub(crate) budget: &'a Budget,
    /// What a longer one is told.
    pub(crate) too_large: &'a (dyn Fn() -> ApiError + Sync),
}

/// Reads the body to its end. `each` sees every chunk as it came over the wire.
///
/// # Errors
/// Too large, too slow, cut short, or no memory for it.
pub(crate) async fn receive<B>(
    shared: &Shared,
    body: &mut B,
    limit: &Limit<'_>,
    mut each: impl FnMut(&[u8]),
) -> Result<Received, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced.is_some_and(|bytes| bytes > limit.bytes_max) {
        return Err((limit.too_large)());
    }
    // Bought as bytes arrive: what a head announces is only a word, and the head is not proven yet.
    let first_bytes = if body.is_end_stream() { 0 } else { FIRST_BYTES };
    let mut share = limit.budget.buy(first_bytes).await?;
    let (time_max, pause_max) = (shared.settings.body_time_max, shared.settings.body_pause_max);
    let read = async {
        let mut bytes = Vec::with_capacity(announced.unwrap_or(FIRST_BYTES).min(RESERVED_BYTES_MAX));
        loop {
            let Ok(frame) = tokio::time::timeout(pause_max, body.frame()).await else {
                return Err(too_slow("gone on", pause_max));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| {
                ApiError::new(Code::Serialization, format!("The body ended before its end: {error}"))
            })?;
            let Ok(chunk) = frame.into_data() else { continue };
            if bytes.len() + chunk.len() > limit.bytes_max {
                return Err((limit.too_large)());
            }
            if bytes.len() + chunk.len() > share.bytes() {
                share.grow(limit.budget, bytes.len() + chunk.len()).await?;
            }
            each(&chunk);
            bytes.extend_from_slice(&chunk);
        }
        Ok(Received { bytes, share })
    };
    tokio::time::timeout(time_max, read).await.unwrap_or_else(|_| Err(too_slow("come", time_max)))
}

fn too_slow(what: &str, time: Duration) -> ApiError {
    ApiError::new(Code::Timeout, format!("The body has not {what} within {} s", time.as_secs()))
}

/// Reads what a refused client still sends, up to a bound: one that is cut off while it sends does
/// not see the answer. Nothing is read of what is announced to be over the bound.
pub(crate) async fn discard<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = DISCARD_BYTES_MAX;
    if body.size_hint().lower() > left as u64 {
        return;
    }
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    drop(tokio::time::timeout(DISCARD_TIME_MAX, read).await);
}
