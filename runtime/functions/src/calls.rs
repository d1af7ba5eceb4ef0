//! Concurrency: how many calls of one function run at once, where that is reserved.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Error, Functions, Throttle};

/// The calls of one function.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    state: Mutex<Running>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Running {
    limit: Option<u32>,
    running: u32,
}

/// A call that may run; it gives its place back when it goes.
#[derive(Debug)]
pub struct Permit(Arc<Calls>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.ended.notify_waiters();
    }
}

impl Calls {
    fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state.lock();
        if state.limit.is_some_and(|limit| state.running >= limit) {
            return None;
        }
        state.running += 1;
        Some(Permit(Arc::clone(self)))
    }
}

impl Functions {
    pub(crate) fn calls_of(&self, name: &str, reserved: Option<u32>) -> Arc<Calls> {
        let calls = Arc::clone(self.calls.lock().entry(name.to_owned()).or_default());
        let before = std::mem::replace(&mut calls.state.lock().limit, reserved);
        if before != reserved {
            calls.ended.notify_waiters();
        }
        calls
    }

    /// A place for one call of `name`.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the reserved concurrency is used up.
    pub fn permit(&self, name: &str) -> Result<Permit, Error> {
        let function = self.function(name)?;
        let calls = self.calls_of(name, function.reserved_concurrency);
        calls.try_enter().ok_or(Error::Throttled(Throttle::Reserved))
    }

    /// The same, and waits for it: records of a stream are never refused.
    ///
    /// # Errors
    /// [`Error::Throttled`] when nothing is reserved at all, and so no wait would end.
    pub async fn wait_permit(&self, name: &str) -> Result<Permit, Error> {
        loop {
            let function = self.function(name)?;
            if function.reserved_concurrency == Some(0) {
                return Err(Error::Throttled(Throttle::Reserved));
            }
            let calls = self.calls_of(name, function.reserved_concurrency);
            let ended = calls.ended.notified();
            tokio::pin!(ended);
            // Told from here on: no end is missed between the look and the wait.
            ended.as_mut().enable();
            if let Some(permit) = calls.try_enter() {
                return Ok(permit);
            }
            ended.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_run_as_may() {
        let calls = Arc::new(Calls::default());
        calls.state.lock().limit = Some(2);
        let (first, second) = (calls.try_enter(), calls.try_enter());
        assert!(first.is_some() && second.is_some() && calls.try_enter().is_none());
        drop(first);
        assert!(calls.try_enter().is_some());
        calls.state.lock().limit = Some(0);
        assert!(calls.try_enter().is_none());
    }
}
