//! Memory of request bodies, bought before it is used: back-pressure first, then a refusal.

use std::sync::Arc;
use std::time::Duration;

use millrace_types::KIB;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, Code};

/// Bytes one permit stands for.
const PERMIT_BYTES: usize = 64 * KIB;

/// Bytes that all requests together may hold.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    permits_max: usize,
    wait_max: Duration,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    permit: OwnedSemaphorePermit,
}

impl Share {
    /// Bytes that the share stands for.
    pub(crate) fn bytes(&self) -> usize {
        self.permit.num_permits() * PERMIT_BYTES
    }

    /// Buys on, to at least twice as much and to `bytes`.
    ///
    /// # Errors
    /// As [`Budget::buy`].
    pub(crate) async fn grow(&mut self, budget: &Budget, bytes: usize) -> Result<(), ApiError> {
        let more = bytes.saturating_sub(self.bytes()).max(self.bytes());
        let left = (budget.permits_max * PERMIT_BYTES).saturating_sub(self.bytes());
        if left > 0 {
            self.permit.merge(budget.buy(more.min(left)).await?.permit);
        }
        Ok(())
    }
}

impl Budget {
    pub(crate) fn new(bytes: usize, wait_max: Duration) -> Self {
        let permits_max = (bytes / PERMIT_BYTES).clamp(1, u32::MAX as usize >> 3);
        Self { permits: Arc::new(Semaphore::new(permits_max)), permits_max, wait_max }
    }

    /// Buys `bytes`; one that is larger than the whole budget gets the whole of it, alone.
    ///
    /// # Errors
    /// `ServiceUnavailableException`, when the others do not give enough back in time.
    pub(crate) async fn buy(&self, bytes: usize) -> Result<Share, ApiError> {
        let permits = bytes.div_ceil(PERMIT_BYTES).min(self.permits_max);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let bought = tokio::time::timeout(self.wait_max, Arc::clone(&self.permits).acquire_many_owned(permits)).await;
        match bought {
            Ok(Ok(permit)) => Ok(Share { permit }),
            _ => Err(ApiError::slugged(
                Code::ServiceUnavailable,
                "front.busy",
                "Too many request bodies are in flight: try again. (front.busy)",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_given_back_is_refused_by_name() {
        let budget = Budget::new(2 * PERMIT_BYTES, Duration::from_millis(5));
        let all = budget.buy(100 * PERMIT_BYTES).await.expect("alone");
        assert_eq!(budget.buy(1).await.expect_err("nothing left").slug, "front.busy");
        drop(all);
        let _one = budget.buy(1).await.expect("given back");
        let _two = budget.buy(PERMIT_BYTES).await.expect("given back");
    }
}
