//! What one instance holds on the host's side: its limits, what it may log, what it may ask.

mod imports;
mod outbound;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::{Clock, Entropy};
use wasmtime::ResourceLimiter;
use wasmtime::component::{ComponentType, Lift};

use crate::call::{BatchSource, Caller};
use crate::wasi::Wasi;
use crate::{CallError, Limits, abi, engine, error::cut};

pub(crate) use imports::link;
pub(crate) use outbound::REQUESTS_MAX;
pub use outbound::{Outbound, OutboundRequest, OutboundResponse};
pub(crate) use state::Pending;
pub use state::{KeyValue, Writes};

/// Bytes of the last error line that stand beside a trap: a panic's message, as a rule.
const LAST_ERROR_BYTES_MAX: usize = 512;
/// Written once, in place of the first line that did not fit.
const LOG_LIMIT: &str = "the function's log limit for this call is reached; further lines are left out";

/// How much a log line matters.
#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum LogLevel {
    /// For who writes the function.
    #[component(name = "debug")]
    Debug,
    /// For the record.
    #[component(name = "info")]
    Info,
    /// Somebody should look.
    #[component(name = "warn")]
    Warn,
    /// Something was not done.
    #[component(name = "error")]
    Error,
}

/// Where a function's log lines go. Called on the worker thread: must not block.
pub trait LogSink: Send + Sync {
    /// One line, already within the limit of bytes; it may contain anything that is UTF-8.
    fn line(&self, level: LogLevel, message: &str);
}

/// Keeps no lines.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoLog;

impl LogSink for NoLog {
    fn line(&self, _level: LogLevel, _message: &str) {}
}

/// What all instances of a function share.
pub(crate) struct Shared {
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<dyn LogSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Where batches come from whose caller does not say.
    pub(crate) source: Arc<BatchSource>,
    pub(crate) key_value: Option<Arc<dyn KeyValue>>,
    pub(crate) http: Option<Arc<dyn Outbound>>,
}

/// A call that made more calls of the host than it may; told apart by `trace::classify`.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} calls of the host")]
pub(crate) struct TooManyHostCalls(pub(crate) u32);

/// The data of one store.
pub(crate) struct Guest {
    pub(crate) shared: Arc<Shared>,
    memory_bytes: usize,
    /// Most bytes that the instance's memories had, all together.
    pub(crate) memory_high_water_bytes: usize,
    /// A growth was refused: what fails behind it fails for want of memory.
    pub(crate) memory_refused: bool,
    log_left_bytes: usize,
    log_cut: bool,
    /// The last line that was logged as an error in this call.
    pub(crate) last_error: String,
    /// When the running call must end, on the monotonic clock.
    pub(crate) ends_at: Duration,
    pub(crate) wasi: Option<Box<Wasi>>,
    caller: Caller,
    /// Made when a batch's function first asks for it.
    request_id: Option<String>,
    host_calls: u32,
    http_requests: u32,
    state: Pending,
}

impl Guest {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let caller = Caller::Batch(Arc::clone(&shared.source));
        Self {
            shared,
            caller,
            request_id: None,
            host_calls: 0,
            http_requests: 0,
            state: Pending::default(),
            memory_bytes: 0,
            memory_high_water_bytes: 0,
            memory_refused: false,
            log_left_bytes: 0,
            log_cut: false,
            last_error: String::new(),
            ends_at: Duration::ZERO,
            wasi: None,
        }
    }

    /// Gives what is running `deadline` time from now: the call behind the instance's initialisation, which
    /// lives on the same budgets of log bytes and host calls.
    pub(crate) fn extend(&mut self, deadline: Duration) {
        self.ends_at = self.shared.clock.monotonic() + deadline;
    }

    /// Begins a call of `caller` that has `deadline` time, or the initialisation for it.
    pub(crate) fn begin(&mut self, deadline: Duration, caller: Caller) {
        self.extend(deadline);
        self.log_left_bytes = self.shared.limits.log_bytes_max;
        self.log_cut = false;
        self.memory_refused = false;
        self.last_error.clear();
        self.caller = caller;
        self.request_id = None;
        self.host_calls = 0;
        self.http_requests = 0;
        self.state.clear();
    }

    /// Ends a call that has answered well: what it wrote becomes durable.
    pub(crate) fn finish(&mut self) -> Result<(), CallError> {
        // WASI's functions only count: this is the first place behind them that can refuse.
        if self.host_calls > self.shared.limits.host_calls_max {
            return Err(CallError::HostCalls { max: self.shared.limits.host_calls_max });
        }
        self.state.commit(self.shared.key_value.as_deref())
    }

    /// Counts a call of the host, and refuses one too many.
    fn count(&mut self) -> wasmtime::Result<()> {
        self.count_wasi();
        let max = self.shared.limits.host_calls_max;
        if self.host_calls > max { Err(TooManyHostCalls(max).into()) } else { Ok(()) }
    }

    /// Counts a call of WASI, which cannot be refused here.
    pub(crate) fn count_wasi(&mut self) {
        self.host_calls = self.host_calls.saturating_add(1);
    }

    /// Time that the running call has left.
    pub(crate) fn left(&self) -> Duration {
        self.ends_at.saturating_sub(self.shared.clock.monotonic())
    }

    /// What the function may know of its call.
    fn context(&mut self) -> abi::Context {
        let left_ms = u64::try_from(self.left().as_millis()).unwrap_or(u64::MAX);
        let now_ms = u64::try_from(self.shared.clock.now_ms()).unwrap_or(0);
        let (request_id, name, version, client_context) = match &self.caller {
            Caller::Event(call) => {
                (call.request_id.clone(), &call.function_name, &call.function_version, call.client_context.clone())
            }
            Caller::Batch(source) => {
                let entropy = &self.shared.entropy;
                let id = self.request_id.get_or_insert_with(|| crate::call::new_request_id(&**entropy));
                (id.clone(), &source.function_name, &source.function_version, None)
            }
        };
        abi::Context {
            request_id,
            function_name: name.clone(),
            function_version: version.clone(),
            memory_limit_bytes: self.shared.limits.memory_bytes as u64,
            deadline_ms: now_ms.saturating_add(left_ms),
            client_context,
        }
    }

    fn sink(&self) -> &dyn LogSink {
        match &self.caller {
            Caller::Event(call) => call.log.as_deref().unwrap_or(&*self.shared.log),
            Caller::Batch(_) => &*self.shared.log,
        }
    }

    /// Bytes that the memories have now.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        if level == LogLevel::Error {
            self.last_error.clear();
            self.last_error.push_str(cut(message, LAST_ERROR_BYTES_MAX));
        }
        let kept = cut(message, self.log_left_bytes);
        self.log_left_bytes -= kept.len();
        if !kept.is_empty() || message.is_empty() && self.log_left_bytes > 0 {
            // An empty line costs a byte, or it could be written without end.
            self.log_left_bytes -= self.log_left_bytes.min(1);
            self.sink().line(level, kept);
        }
        if kept.len() < message.len() && !self.log_cut {
            self.log_cut = true;
            self.sink().line(LogLevel::Warn, LOG_LIMIT);
        }
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = (self.memory_bytes - current.min(self.memory_bytes)).saturating_add(desired);
        if total > self.shared.limits.memory_bytes {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory_bytes = total;
        self.memory_high_water_bytes = self.memory_high_water_bytes.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= engine::TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        engine::CORE_INSTANCES_PER_COMPONENT as usize
    }

    fn tables(&self) -> usize {
        engine::TABLES_PER_COMPONENT as usize
    }

    fn memories(&self) -> usize {
        engine::MEMORIES_PER_COMPONENT as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;
    use millrace_types::{ManualClock, SeededEntropy};

    fn guest(lines: &Arc<Lines>, limits: Limits) -> Guest {
        let mut guest = Guest::new(Arc::new(Shared {
            settings: BTreeMap::new(),
            limits,
            log: Arc::clone(lines) as Arc<dyn LogSink>,
            clock: Arc::new(ManualClock::at(0)),
            entropy: Arc::new(SeededEntropy::new(1)),
            source: Arc::default(),
            key_value: None,
            http: None,
        }));
        guest.begin(Duration::from_secs(1), Caller::Batch(Arc::default()));
        guest
    }

    #[test]
    fn log_lines_are_bounded_and_the_cut_is_said_once() {
        let lines = Arc::new(Lines::default());
        let mut guest = guest(&lines, Limits { log_bytes_max: 10, ..Limits::default() });
        for _ in 0..100 {
            guest.log(LogLevel::Info, "sechs!");
        }
        for _ in 0..100 {
            guest.log(LogLevel::Info, "");
        }
        assert_eq!(*lines.0.lock(), ["sechs!", "sec", LOG_LIMIT]);
        guest.log(LogLevel::Error, "kept beside a trap");
        assert_eq!(guest.last_error, "kept beside a trap");
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let lines = Arc::new(Lines::default());
        let mut guest = guest(&lines, Limits { memory_bytes: 300, ..Limits::default() });
        assert!(guest.memory_growing(0, 100, None).unwrap());
        assert!(guest.memory_growing(0, 150, None).unwrap());
        assert!(!guest.memory_growing(100, 200, None).unwrap());
        assert!(guest.memory_refused);
        assert!(guest.memory_growing(100, 150, None).unwrap());
        assert_eq!(guest.memory_high_water_bytes, 300);
    }
}
