//! Concurrency: how many calls of one function run at once, where that is reserved, and how many of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace_types::MIB;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::threads::Usage;
use crate::{Error, Functions, Throttle};

/// `ConcurrentExecutions` of the account: invocations that run or wait for a thread at once. More are throttled.
pub(crate) const CONCURRENCY_MAX: u32 = 1_000;
/// What must stay unreserved of it, as at AWS.
pub(crate) const UNRESERVED_MIN: u32 = 100;
/// Bytes of all events that run or wait for a thread at once; more are throttled.
const EVENT_BYTES_MAX: usize = 256 * MIB;

/// The calls of one function.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    state: Mutex<Running>,
    ended: Notify,
    usage: Arc<Usage>,
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
    admitted: Option<Admitted>,
}

/// Invocations of all functions that run or wait for a thread.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    waiting: Mutex<Waiting>,
    /// What all functions have reserved: counted when it changes, for each call asks.
    reserved: AtomicU32,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Of functions that have reserved nothing.
    unreserved: u32,
    /// Of their events.
    bytes: usize,
}

/// An invocation among those of all.
#[derive(Debug)]
struct Admitted {
    by: Arc<Admission>,
    unreserved: u32,
    bytes: usize,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut waiting = self.by.waiting.lock();
        waiting.unreserved -= self.unreserved;
        waiting.bytes -= self.bytes;
    }
}

impl Admission {
    /// Takes an event of `bytes`; `unreserved_max` is what the functions that have reserved nothing share, `None` for
    /// one that has.
    fn admit(self: &Arc<Self>, bytes: usize, unreserved_max: Option<u32>) -> Option<Admitted> {
        let unreserved = u32::from(unreserved_max.is_some());
        let mut waiting = self.waiting.lock();
        let full = unreserved_max.is_some_and(|max| waiting.unreserved >= max);
        if full || waiting.bytes.saturating_add(bytes) > EVENT_BYTES_MAX {
            return None;
        }
        waiting.unreserved += unreserved;
        waiting.bytes += bytes;
        Some(Admitted { by: Arc::clone(self), unreserved, bytes })
    }
}

impl Permit {
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.calls.usage
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.admitted.take());
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
        Some(Permit { calls: Arc::clone(self), admitted: None })
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

    /// A place for one invocation of `name` with an event of `bytes`: of those that the function has reserved, or, when
    /// it has reserved none, of those that the others share, of which it gets half at most.
    ///
    /// # Errors
    /// [`Error::Throttled`] when there is none.
    pub fn permit(&self, name: &str, bytes: usize) -> Result<Permit, Error> {
        let function = self.function(name)?;
        let calls = self.calls_of(name, function.reserved_concurrency);
        let mut permit = calls.try_enter().ok_or(Error::Throttled(Throttle::Reserved))?;
        let shared = CONCURRENCY_MAX.saturating_sub(self.admission.reserved.load(Ordering::Relaxed));
        let unreserved_max = function.reserved_concurrency.is_none().then_some(shared);
        let too_many = unreserved_max.is_some() && calls.state.lock().running > shared / 2;
        permit.admitted = self.admission.admit(bytes, unreserved_max).filter(|_| !too_many);
        if permit.admitted.is_none() { Err(Error::Throttled(Throttle::Account)) } else { Ok(permit) }
    }

    /// Counts what is reserved anew.
    pub(crate) fn count_reserved(&self) {
        let (_, _, (all, shared)) = self.account();
        self.admission.reserved.store(all - shared, Ordering::Relaxed);
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
    fn what_is_reserved_is_nobody_elses() {
        let admission = Arc::new(Admission::default());
        let shared: Vec<_> = (0..2).filter_map(|_| admission.admit(1, Some(2))).collect();
        assert!(shared.len() == 2 && admission.admit(1, Some(2)).is_none());
        assert!(admission.admit(1, None).is_some(), "its places are its own");
        assert!(admission.admit(EVENT_BYTES_MAX, None).is_none(), "bytes are everybody's");
        drop(shared);
        assert!(admission.admit(EVENT_BYTES_MAX, Some(2)).is_some());
    }

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
