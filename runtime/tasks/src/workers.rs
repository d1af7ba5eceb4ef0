//! Worker threads: a fixed number, one bounded queue, jobs that may use the CPU as long as they need.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs that wait for a thread, at most; more callers wait in [`Workers::run`].
const QUEUE_JOBS: usize = 1024;

/// A fixed pool of threads. Cloning shares it; the threads end when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Workers {
    queue: crossbeam_channel::Sender<Job>,
}

/// The pool's threads are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker threads have ended")]
pub struct WorkersGone;

impl Workers {
    /// Starts `threads` threads called `name` that give way to others by the nice value `nice`, from 0 to 19: a
    /// put that waits for its acknowledgement comes before compression and guests, which keep the cores busy
    /// for as long as there is a backlog.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(name: &str, threads: usize, nice: i32) -> io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::bounded::<Job>(QUEUE_JOBS);
        for _ in 0..threads.max(1) {
            let jobs = jobs.clone();
            crate::thread(name, move || {
                give_way(nice);
                for job in jobs {
                    job();
                }
            })?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` on one of the threads. A panic in `work` goes on in the caller; the thread lives.
    ///
    /// # Errors
    /// [`WorkersGone`] at shutdown.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, WorkersGone> {
        let (answer, answered) = oneshot::channel();
        let mut job: Job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            // The caller may have gone away: then nobody wants the result.
            drop(answer.send(result));
        });
        loop {
            match self.queue.try_send(job) {
                Ok(()) => break,
                Err(crossbeam_channel::TrySendError::Disconnected(_)) => return Err(WorkersGone),
                Err(crossbeam_channel::TrySendError::Full(back)) => {
                    job = back;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        }
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(WorkersGone),
        }
    }
}

/// Lowers the priority of this thread, if it is not lower already. On Linux a nice value belongs to a
/// thread, not to its process.
fn give_way(nice: i32) {
    let thread = Some(rustix::thread::gettid());
    let lower = |is| if is < nice { rustix::process::setpriority_process(thread, nice) } else { Ok(()) };
    if let Err(error) = rustix::process::getpriority_process(thread).and_then(lower) {
        tracing::warn!(%error, "a worker thread keeps its priority: acknowledgements will wait behind it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_threads_give_way() {
        let workers = Workers::start("test", 1, 10).expect("threads");
        let nice = workers.run(|| rustix::process::getpriority_process(Some(rustix::thread::gettid()))).await;
        assert!(nice.expect("a thread").expect("a priority") >= 10);
    }

    #[tokio::test]
    async fn answers_come_back_and_a_panic_does_not_end_the_thread() {
        let workers = Workers::start("test", 1, 10).expect("threads");
        let doomed = workers.clone();
        #[expect(clippy::disallowed_methods, reason = "the test catches the panic in a task of its own")]
        let panicked = tokio::spawn(async move { doomed.run(|| panic!("on purpose")).await }).await;
        assert!(panicked.is_err());
        assert_eq!(workers.run(|| 41 + 1).await, Ok(42));
    }
}
