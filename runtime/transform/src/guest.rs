//! What one instance holds on the host's side: its limits, what it may log, what it may ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::{Clock, Entropy};
use wasmtime::component::{ComponentType, Lift, Linker, WasmStr};
use wasmtime::{ResourceLimiter, StoreContextMut, bail};

use crate::wasi::Wasi;
use crate::{Limits, abi, engine, error::cut};

/// Random bytes that one call of `random.bytes` gives.
const RANDOM_BYTES_MAX: u32 = 65_536;
/// Bytes of the last error line that stand beside a trap: a panic's message, as a rule.
const LAST_ERROR_BYTES_MAX: usize = 512;
/// Written once, in place of the first line that did not fit.
const LOG_LIMIT: &str = "the function's log limit for this batch is reached; further lines are left out";

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
}

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
    /// The last line that was logged as an error in this batch.
    pub(crate) last_error: String,
    /// When the running batch must end, on the monotonic clock.
    pub(crate) ends_at: Duration,
    pub(crate) wasi: Option<Box<Wasi>>,
}

impl Guest {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
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

    /// Begins a batch that has `deadline` time.
    pub(crate) fn begin(&mut self, deadline: Duration) {
        self.ends_at = self.shared.clock.monotonic() + deadline;
        self.log_left_bytes = self.shared.limits.log_bytes_max;
        self.log_cut = false;
        self.memory_refused = false;
        self.last_error.clear();
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
            self.shared.log.line(level, kept);
        }
        if kept.len() < message.len() && !self.log_cut {
            self.log_cut = true;
            self.shared.log.line(LogLevel::Warn, LOG_LIMIT);
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

/// Gives `linker` the interfaces that a function may import. None of them waits for anything.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(abi::LOG)?.func_wrap(
        "log",
        |mut store: StoreContextMut<'_, Guest>, (level, message): (LogLevel, WasmStr)| {
            // The line is copied once, and only as much of it as may be kept.
            let keep = store.data().log_left_bytes.max(LAST_ERROR_BYTES_MAX).saturating_add(1);
            let text = message.to_str(&store)?;
            let text = cut_over(&text, keep).to_owned();
            store.data_mut().log(level, &text);
            Ok(())
        },
    )?;
    linker.instance(abi::SETTINGS)?.func_wrap("get", |store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        Ok((store.data().shared.settings.get(&*name).cloned(),))
    })?;
    linker.instance(abi::CLOCK)?.func_wrap("now-ms", |store: StoreContextMut<'_, Guest>, (): ()| {
        let now_ms = store.data().shared.clock.now_ms();
        Ok((u64::try_from(now_ms).unwrap_or(0),))
    })?;
    linker.instance(abi::RANDOM)?.func_wrap("bytes", |store: StoreContextMut<'_, Guest>, (len,): (u32,)| {
        if len > RANDOM_BYTES_MAX {
            bail!("random.bytes gives at most {RANDOM_BYTES_MAX} bytes, {len} were asked for");
        }
        let mut bytes = vec![0; len as usize];
        store.data().shared.entropy.fill(&mut bytes);
        Ok((bytes,))
    })?;
    crate::wasi::link(linker)
}

/// As [`cut`], but the first character that does not fit stays, so that a cut is seen as one.
fn cut_over(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max { text } else { cut(text, bytes_max.saturating_add(3)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::{ManualClock, SeededEntropy};
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);
    impl LogSink for Lines {
        fn line(&self, _: LogLevel, message: &str) {
            self.0.lock().push(message.to_owned());
        }
    }

    fn guest(lines: &Arc<Lines>, limits: Limits) -> Guest {
        let mut guest = Guest::new(Arc::new(Shared {
            settings: BTreeMap::new(),
            limits,
            log: Arc::clone(lines) as Arc<dyn LogSink>,
            clock: Arc::new(ManualClock::at(0)),
            entropy: Arc::new(SeededEntropy::new(1)),
        }));
        guest.begin(Duration::from_secs(1));
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
