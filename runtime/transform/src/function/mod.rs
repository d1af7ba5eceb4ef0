//! One call: an instance, a batch in, an output out, or the way in which it failed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use millrace_types::Batch;
use parking_lot::Mutex;
use wasmtime::Store;
use wasmtime::component::Func;

use crate::abi::{self, BatchArg};
use crate::error::cut;
use crate::guest::{Guest, Shared};
use crate::host::Module;
use crate::output::REASON_BYTES_MAX;
use crate::{Limits, LogSink, Output, trace};

/// A module with its settings and limits, ready to be called from any number of worker threads.
pub struct Function {
    pub(crate) module: Arc<Module>,
    pub(crate) shared: Arc<Shared>,
    warm: Mutex<Vec<Instance>>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

/// What became of one call.
#[derive(Debug)]
pub struct Invocation {
    /// The checked output, or why there is none.
    pub output: Result<Output, CallError>,
    /// How long it took, instantiation included.
    pub duration: Duration,
    /// Most bytes that the instance's memories had.
    pub memory_high_water_bytes: usize,
}

/// Why a call gave no output. Texts are bounded and safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The function trapped (a panic, division by zero, stack overflow, …).
    #[error("the function trapped: {trace}")]
    Trap {
        /// Root cause and the guest's frames by name.
        trace: String,
    },
    /// It ran longer than it may.
    #[error("the function ran past its deadline: {trace}")]
    Deadline {
        /// Where it was.
        trace: String,
    },
    /// It failed after more memory than granted was refused.
    #[error("the function needs more than the {bytes} bytes of memory it may have: {trace}")]
    Memory {
        /// The limit, bytes.
        bytes: usize,
        /// Where it was.
        trace: String,
    },
    /// It returned more than it may.
    #[error("the function returned more than {bytes_max} bytes for this batch")]
    OutputTooLarge {
        /// The limit, bytes.
        bytes_max: usize,
    },
    /// It said itself that it could not process the batch.
    #[error("{0}")]
    Returned(String),
    /// It returned what is not an output.
    #[error("the function returned an invalid output: {0}")]
    Invalid(String),
    /// The host failed; a defect of ours, contained.
    #[error("the function host failed: {0}")]
    Host(String),
}

impl CallError {
    /// One word for metrics and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::OutputTooLarge { .. } => "output-too-large",
            Self::Returned(_) => "returned",
            Self::Invalid(_) => "invalid",
            Self::Host(_) => "host",
        }
    }
}

impl Function {
    /// A function of `module` that sees `settings` and lives within `limits`; its log lines go to `log`.
    #[must_use]
    pub fn new(module: Arc<Module>, settings: BTreeMap<String, String>, limits: Limits, log: Arc<dyn LogSink>) -> Self {
        let (clock, entropy) = (Arc::clone(&module.host.clock), Arc::clone(&module.host.entropy));
        let shared = Arc::new(Shared { settings, limits, log, clock, entropy });
        Self { module, shared, warm: Mutex::new(Vec::new()) }
    }

    /// Calls the function once, on this thread, which it may keep for the deadline.
    #[must_use]
    pub fn call(&self, batch: &Batch) -> Invocation {
        self.call_within(batch, self.shared.limits.deadline)
    }

    /// As [`Self::call`], with a deadline of its own.
    pub(crate) fn call_within(&self, batch: &Batch, deadline: Duration) -> Invocation {
        let started = self.shared.clock.monotonic();
        let turn = self.module.host.calls.enter();
        let mut memory_high_water_bytes = 0;
        let output = catch_unwind(AssertUnwindSafe(|| self.invoke(batch, deadline, &mut memory_high_water_bytes)))
            .unwrap_or_else(|panic| Err(CallError::Host(panic_text(panic.as_ref()))));
        drop(turn);
        let duration = self.shared.clock.monotonic().saturating_sub(started);
        Invocation { output, duration, memory_high_water_bytes }
    }

    fn invoke(&self, batch: &Batch, deadline: Duration, memory: &mut usize) -> Result<Output, CallError> {
        let kept = self.warm.lock().pop();
        let mut instance = match kept {
            Some(instance) => {
                self.module.host.warm.give_back();
                instance
            }
            None => Instance::start(&self.module, &self.shared, deadline).map_err(|failed| {
                *memory = failed.memory_high_water_bytes;
                failed.error
            })?,
        };
        let output = instance.transform(&self.module, batch, deadline);
        *memory = instance.store.data().memory_high_water_bytes;
        if output.is_ok() {
            self.keep(instance);
        }
        output
    }

    /// Keeps an instance that has answered well, when it may serve further batches and is not so
    /// large that the next would fail for want of memory.
    fn keep(&self, mut instance: Instance) {
        instance.batches += 1;
        let limits = &self.shared.limits;
        let fits = instance.store.data().memory_bytes() <= limits.memory_bytes / 2;
        if instance.batches < limits.warm_batches_max && fits && self.module.host.warm.try_take() {
            self.warm.lock().push(instance);
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        for _ in self.warm.get_mut().drain(..) {
            self.module.host.warm.give_back();
        }
    }
}

/// An instance that did not start.
#[derive(Debug)]
pub(crate) struct StartFailed {
    pub(crate) error: CallError,
    memory_high_water_bytes: usize,
}

/// A started instance in a store of its own.
pub(crate) struct Instance {
    store: Store<Guest>,
    func: Func,
    batches: u32,
}

impl Instance {
    /// Makes an instance and runs its initialisation, for `deadline` at most.
    pub(crate) fn start(module: &Module, shared: &Arc<Shared>, deadline: Duration) -> Result<Self, StartFailed> {
        let mut store = Store::new(module.pre.engine(), Guest::new(Arc::clone(shared)));
        store.limiter(|guest| guest);
        store.epoch_deadline_trap();
        store.set_epoch_deadline(module.host.epochs(deadline));
        store.data_mut().begin(deadline);
        let output_bytes = shared.limits.output_bytes(0);
        store.set_hostcall_fuel(output_bytes);
        match module.pre.instantiate(&mut store) {
            Ok(instance) => match instance.get_func(&mut store, module.export) {
                Some(func) => Ok(Self { store, func, batches: 0 }),
                None => Err(StartFailed {
                    error: CallError::Invalid("`transform` is not a function".to_owned()),
                    memory_high_water_bytes: 0,
                }),
            },
            Err(error) => Err(StartFailed {
                error: match trace::classify(&error, store.data(), output_bytes) {
                    // Not an answer of the guest: the pool is too small for it, a table too large.
                    CallError::Invalid(text) => CallError::Trap { trace: text },
                    other => other,
                },
                memory_high_water_bytes: store.data().memory_high_water_bytes,
            }),
        }
    }

    /// Holds the export's type against the world.
    pub(crate) fn check_type(&mut self) -> wasmtime::Result<()> {
        self.func.typed::<abi::Params<'_>, abi::Results>(&self.store).map(drop)
    }

    fn transform(&mut self, module: &Module, batch: &Batch, deadline: Duration) -> Result<Output, CallError> {
        let output_bytes = self.store.data().shared.limits.output_bytes(batch.payload().len());
        self.store.set_epoch_deadline(module.host.epochs(deadline));
        self.store.data_mut().begin(deadline);
        self.store.set_hostcall_fuel(output_bytes);
        let argument = BatchArg {
            payload: batch.payload(),
            ends: batch.ends(),
            arrivals_ms: batch.arrivals_ms(),
            keys: batch.keys(),
            key_ends: batch.key_ends(),
            first_sequence: batch.first().get(),
        };
        let answer = self
            .func
            .typed::<abi::Params<'_>, abi::Results>(&self.store)
            .and_then(|transform| transform.call(&mut self.store, (argument,)));
        match answer {
            Ok((Ok(raw),)) => Output::check(raw, batch.len()).map_err(CallError::Invalid),
            Ok((Err(reason),)) => Err(CallError::Returned(cut(&reason, REASON_BYTES_MAX).to_owned())),
            Err(error) => Err(trace::classify(&error, self.store.data(), output_bytes)),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    cut(text.unwrap_or("a panic without words"), REASON_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
