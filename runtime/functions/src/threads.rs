//! Threads on which invocations run, and which of them a call gets: functions that compute long stand
//! aside for those that answer soon.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace_tasks::Workers;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Semaphore;

/// Threads for functions that answer soon, and how many of them calls of one function take.
const LIGHT_THREADS: usize = 32;
const LIGHT_OF_ONE: usize = LIGHT_THREADS / 2;
/// Threads for functions that compute long, and how many of them calls of one function take.
const HEAVY_THREADS: usize = 32;
const HEAVY_OF_ONE: usize = HEAVY_THREADS / 8;
/// How many of them shadows take.
const BEHIND: usize = HEAVY_THREADS / 8;
/// CPU time of a usual call from which on a function is one that computes long, microseconds.
const HEAVY_CPU_US: u64 = 20_000;
/// How much the threads give way (nice value): both to acknowledgements, the heavy ones to the light.
const LIGHT_NICE: i32 = 5;
const HEAVY_NICE: i32 = 15;

/// Calls that run on these threads at once.
pub const INVOKE_THREADS: usize = LIGHT_THREADS + HEAVY_THREADS;

/// The threads.
#[derive(Debug)]
pub(crate) struct Threads {
    light: Workers,
    heavy: Workers,
    behind: Semaphore,
}

impl Threads {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self {
            light: Workers::start("invoke-light", LIGHT_THREADS, LIGHT_NICE)?,
            heavy: Workers::start("invoke-heavy", HEAVY_THREADS, HEAVY_NICE)?,
            behind: Semaphore::new(BEHIND),
        })
    }

    /// Runs a call of a function, when its turn among the calls of that function has come.
    ///
    /// # Panics
    /// When `work` panics, with its panic.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        usage: &Arc<Usage>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let heavy = usage.is_heavy();
        let (threads, places) = if heavy { (&self.heavy, &usage.heavy) } else { (&self.light, &usage.light) };
        let place = Arc::clone(places).acquire_owned().await;
        let usage = Arc::clone(usage);
        let work = move || {
            let before = thread_cpu();
            let answer = work();
            usage.note(thread_cpu().saturating_sub(before));
            drop(place);
            answer
        };
        on(threads, work).await
    }

    /// Runs what nobody waits for.
    ///
    /// # Panics
    /// When `work` panics, with its panic.
    pub(crate) async fn run_behind<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // Nobody closes it.
        let _place = self.behind.acquire().await;
        on(&self.heavy, work).await
    }
}

async fn on<T: Send + 'static>(threads: &Workers, work: impl FnOnce() -> T + Send + 'static) -> T {
    match threads.run(work).await {
        Ok(answer) => answer,
        // Only at the process's end: nobody is left to take the answer.
        Err(millrace_tasks::WorkersGone) => std::future::pending().await,
    }
}

/// What the calls of one function usually cost, and their places among the threads.
#[derive(Debug)]
pub(crate) struct Usage {
    light: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    /// CPU time of a usual call, microseconds; [`UNKNOWN`] before the first has ended.
    cpu_us: AtomicU64,
}

/// A function that was not called yet counts as heavy: it may be one.
const UNKNOWN: u64 = u64::MAX;

impl Default for Usage {
    fn default() -> Self {
        Self {
            light: Arc::new(Semaphore::new(LIGHT_OF_ONE)),
            heavy: Arc::new(Semaphore::new(HEAVY_OF_ONE)),
            cpu_us: AtomicU64::new(UNKNOWN),
        }
    }
}

impl Usage {
    fn is_heavy(&self) -> bool {
        self.cpu_us.load(Ordering::Relaxed) >= HEAVY_CPU_US
    }

    /// A call has cost `cpu`: the usual cost moves a quarter of the way to it. Of two calls that end in the
    /// same moment one may not count.
    fn note(&self, cpu: Duration) {
        let cpu = u64::try_from(cpu.as_micros()).unwrap_or(UNKNOWN - 1);
        let usual = match self.cpu_us.load(Ordering::Relaxed) {
            UNKNOWN => cpu,
            usual => usual - usual / 4 + cpu / 4,
        };
        self.cpu_us.store(usual, Ordering::Relaxed);
    }
}

/// CPU time of the calling thread. Time in which a call waits, for a host that it asked or for a core, is not in it.
fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(cpu: Duration) {
        let start = thread_cpu();
        while thread_cpu().saturating_sub(start) < cpu {
            std::hint::spin_loop();
        }
    }

    fn nice() -> i32 {
        rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("a priority")
    }

    #[tokio::test]
    async fn who_computes_long_gives_way_to_who_does_not() {
        let threads = Threads::start().expect("threads");
        let (quick, long) = (Arc::new(Usage::default()), Arc::new(Usage::default()));
        assert_eq!(threads.run(&quick, nice).await, HEAVY_NICE, "unknown is heavy");
        assert_eq!(threads.run(&quick, nice).await, LIGHT_NICE);
        let burn = || spin(Duration::from_micros(HEAVY_CPU_US * 2));
        threads.run(&long, burn).await;
        assert_eq!(threads.run(&long, nice).await, HEAVY_NICE);
        for _ in 0..8 {
            threads.run(&long, || ()).await;
        }
        assert_eq!(threads.run(&long, nice).await, LIGHT_NICE, "what it did once is forgotten");
    }

    #[tokio::test]
    async fn time_that_a_call_waits_is_not_counted() {
        let threads = Threads::start().expect("threads");
        let waits = Arc::new(Usage::default());
        let (_silent, never) = std::sync::mpsc::sync_channel::<()>(0);
        let wait = move || never.recv_timeout(Duration::from_micros(HEAVY_CPU_US * 2));
        assert!(threads.run(&waits, wait).await.is_err());
        assert!(!waits.is_heavy());
    }

    #[tokio::test]
    async fn calls_of_one_function_leave_threads_to_others() {
        let threads = Arc::new(Threads::start().expect("threads"));
        let (greedy, other) = (Arc::new(Usage::default()), Arc::new(Usage::default()));
        let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
        let held = Arc::new(parking_lot::Mutex::new(held));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..HEAVY_THREADS * 2 {
            let (threads, greedy, held) = (Arc::clone(&threads), Arc::clone(&greedy), Arc::clone(&held));
            calls.spawn(async move {
                threads
                    .run(&greedy, move || {
                        // Ends when the sender is gone.
                        assert!(held.lock().recv().is_err());
                    })
                    .await;
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(threads.run(&other, || 42).await, 42);
        assert_eq!(greedy.heavy.available_permits(), 0, "all of its places are taken");
        drop(release);
        while let Some(ended) = calls.join_next().await {
            ended.expect("a call");
        }
    }
}
