//! Named async tasks that one owner holds, and named threads.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;

/// A set of tasks with one owner. A task that panics is logged with its name and ends the process:
/// its state is gone, and start is recovery.
#[derive(Debug, Default)]
pub struct Tasks {
    set: Mutex<JoinSet<()>>,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as the task `name`.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock();
        while set.try_join_next().is_some() {}
        set.spawn(async move {
            let guard = PanicExits(name);
            future.await;
            std::mem::forget(guard);
        });
    }

    /// Waits until all tasks have ended or `grace` is over; says how many were still running and
    /// stops those.
    pub async fn join(&self, grace: Duration) -> usize {
        let mut set = std::mem::take(&mut *self.set.lock());
        let all = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_ok() {
            return 0;
        }
        let left = set.len();
        set.abort_all();
        left
    }

    /// Stops all tasks at their next wait, and waits until they have.
    pub async fn abort(&self) {
        let mut set = std::mem::take(&mut *self.set.lock());
        set.shutdown().await;
    }
}

/// Dropped while panicking: the task's panic ends the process, with code 101 as a panicking main has.
struct PanicExits(&'static str);

impl Drop for PanicExits {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "a task panicked; the process ends and recovers at its next start");
            std::process::exit(101);
        }
    }
}

/// Runs `work` on a thread where it may block: disk, compression, guests.
///
/// # Panics
/// When `work` panics, with its panic.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only at the runtime's end: nobody is left to take the value.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Starts the thread `name`.
///
/// # Errors
/// When the operating system refuses another thread.
pub fn thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn join_waits_and_counts_who_is_late() {
        let tasks = Tasks::new();
        tasks.spawn("quick", async {});
        assert_eq!(tasks.join(Duration::from_secs(5)).await, 0);
        tasks.spawn("stuck", std::future::pending());
        assert_eq!(tasks.join(Duration::from_millis(20)).await, 1);
    }

    #[tokio::test]
    async fn blocking_answers() {
        assert_eq!(blocking(|| 2 + 2).await, 4);
    }
}
