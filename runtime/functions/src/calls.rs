//! Concurrency: how many calls of one function run at once, where that is reserved, and how many of all.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::threads::Usage;
use crate::{Error, Functions, Throttle};

/// Invocations that run or wait for a thread at once, of all functions that have not reserved their own; more are
/// throttled. And of one such function.
pub(crate) const INVOKES_MAX: usize = 64;
const INVOKES_OF_ONE: usize = INVOKES_MAX / 2;

/// The calls of one function.
#[derive(Debug)]
pub(crate) struct Calls {
    state: Mutex<Running>,
    ended: Notify,
    invokes: Arc<Semaphore>,
    pub(crate) usage: Arc<Usage>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            ended: Notify::new(),
            invokes: Arc::new(Semaphore::new(INVOKES_OF_ONE)),
            usage: Arc::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Running {
    limit: Option<u32>,
    running: u32,
}

/// A call that may run; it gives its place back when it goes.
#[derive(Debug)]
pub struct Permit {
    calls: Arc<Calls>,
    /// Places among the invocations of this function, and of all.
    unreserved: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Permit {
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.calls.usage
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.unreserved.take());
        self.calls.state.lock().running -= 1;
        self.calls.ended.notify_waiters();
    }
}

impl Calls {
    fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state.lock();
        if state.limit.is_some_and(|limit| state.running >= limit) {
            return None;
        }
        state.running += 1;
        Some(Permit { calls: Arc::clone(self), unreserved: None })
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

    /// A place for one invocation of `name`: of those that the function has reserved, or, when it has reserved none,
    /// of those that all share.
    ///
    /// # Errors
    /// [`Error::Throttled`] when there is none.
    pub fn permit(&self, name: &str) -> Result<Permit, Error> {
        let function = self.function(name)?;
        let calls = self.calls_of(name, function.reserved_concurrency);
        let mut permit = calls.try_enter().ok_or(Error::Throttled(Throttle::Reserved))?;
        if function.reserved_concurrency.is_none() {
            let of_one = Arc::clone(&calls.invokes).try_acquire_owned();
            let of_all = Arc::clone(&self.invokes).try_acquire_owned();
            let both = of_one.and_then(|one| of_all.map(|all| (one, all)));
            permit.unreserved = Some(both.map_err(|_| Error::Throttled(Throttle::Account))?);
        }
        Ok(permit)
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
