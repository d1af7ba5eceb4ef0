//! One call: an instance, a batch or an event in, an output or an answer out, or the way in which it
//! failed.

mod error;
mod instance;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use millrace_types::Batch;
use parking_lot::Mutex;

use crate::call::{BatchSource, CallContext, Caller, Setup};
use crate::error::cut;
use crate::firehose::{event_to_batch, outcome_to_event};
use crate::guest::Shared;
use crate::host::Module;
use crate::output::REASON_BYTES_MAX;
use crate::{EVENT_BYTES_MAX, Limits, LogSink, Output, World};

pub use error::CallError;
pub(crate) use instance::Instance;

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
pub struct Invocation<T = Output> {
    /// The checked output (for an event: the answer's bytes), or why there is none.
    pub output: Result<T, CallError>,
    /// How long it took, instantiation included; waiting for a place to run is not.
    pub duration: Duration,
    /// The part of `duration` in which a new instance was made and initialised; zero when one was kept.
    pub init_duration: Duration,
    /// A new instance was made for this call.
    pub cold_start: bool,
    /// Most bytes that the instance's memories had.
    pub memory_high_water_bytes: usize,
    /// WebAssembly operations, about: on a host that is [`deterministic`](crate::HostSettings), else none.
    pub fuel: Option<u64>,
}

/// What became of one event; the answer is at most [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX) bytes.
pub type EventInvocation = Invocation<Vec<u8>>;

impl Function {
    /// A function of `module` that sees `settings` and lives within `limits`; its log lines go to `log`.
    /// It has no grants.
    #[must_use]
    pub fn new(module: Arc<Module>, settings: BTreeMap<String, String>, limits: Limits, log: Arc<dyn LogSink>) -> Self {
        Self::with(module, Setup { settings, limits, log, ..Setup::default() })
    }

    /// A function of `module` with all that its revision gives it.
    #[must_use]
    pub fn with(module: Arc<Module>, setup: Setup) -> Self {
        let (clock, entropy) = (Arc::clone(&module.host.clock), Arc::clone(&module.host.entropy));
        let Setup { settings, limits, log, source, key_value, http } = setup;
        let shared = Arc::new(Shared { settings, limits, log, clock, entropy, source, key_value, http });
        Self { module, shared, warm: Mutex::new(Vec::new()) }
    }

    /// What runs.
    #[must_use]
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// What the function is called with.
    #[must_use]
    pub fn world(&self) -> World {
        self.module.world
    }

    /// Calls a function of world `transform` once, on this thread, which it may keep for the deadline.
    /// [`Self::run`] is for batches that are to be delivered, and for both worlds.
    #[must_use]
    pub fn call(&self, batch: &Batch) -> Invocation {
        self.transform(batch, self.shared.limits.deadline, &self.shared.source, |_| true)
    }

    /// Calls the function once with an event, on this thread, which it may keep for the deadline.
    ///
    /// A handler is given `event` as it is. A function of world `transform` is given the batch that
    /// `event`, Firehose's JSON for a transformation, holds, and its output becomes Firehose's JSON
    /// answer; see [`event_to_batch`] and [`outcome_to_event`].
    #[must_use]
    pub fn handle(&self, event: &[u8], call: &CallContext) -> EventInvocation {
        let (caller, deadline) = (Caller::Event(Arc::new(call.clone())), self.shared.limits.deadline);
        if event.len() > EVENT_BYTES_MAX {
            let bytes = event.len();
            return refused(format!("the event has {bytes} bytes; at most {EVENT_BYTES_MAX} are taken"));
        }
        if self.module.world == World::Handler {
            return self.guarded(deadline, caller, |instance, module| instance.handle(module, event, deadline));
        }
        let records = match event_to_batch(event) {
            Ok(records) => records,
            Err(reason) => return refused(reason),
        };
        self.guarded(deadline, caller, |instance, module| {
            let output = instance.transform(module, &records.batch, deadline)?;
            let answer = outcome_to_event(&records, &output);
            let bytes_max = self.shared.limits.answer_bytes();
            if answer.len() > bytes_max { Err(CallError::OutputTooLarge { bytes_max }) } else { Ok(answer) }
        })
    }

    /// Calls a function of world `transform`; its output counts when it is well formed and `fits`.
    pub(crate) fn transform(
        &self,
        batch: &Batch,
        deadline: Duration,
        source: &Arc<BatchSource>,
        fits: impl FnOnce(&Output) -> bool,
    ) -> Invocation {
        self.guarded(deadline, Caller::Batch(Arc::clone(source)), |instance, module| {
            let output = instance.transform(module, batch, deadline)?;
            let bytes_max = millrace_types::PAYLOAD_BYTES_MAX;
            if fits(&output) { Ok(output) } else { Err(CallError::OutputTooLarge { bytes_max }) }
        })
    }

    /// Calls a handler; its answer counts when `read` makes something of it.
    pub(crate) fn answer<T>(
        &self,
        event: &[u8],
        caller: CallContext,
        read: impl FnOnce(&[u8]) -> Result<T, CallError>,
    ) -> Invocation<T> {
        let deadline = self.shared.limits.deadline;
        self.guarded(deadline, Caller::Event(Arc::new(caller)), |instance, module| {
            read(&instance.handle(module, event, deadline)?)
        })
    }

    /// Runs `body` in an instance when there is a place, and accounts for it. What the call wrote is kept
    /// when `body` answers well.
    fn guarded<T>(
        &self,
        deadline: Duration,
        caller: Caller,
        body: impl FnOnce(&mut Instance, &Module) -> Result<T, CallError>,
    ) -> Invocation<T> {
        let _turn = self.module.host.calls.enter();
        let started = self.shared.clock.monotonic();
        let mut cost = Cost::default();
        let output = catch_unwind(AssertUnwindSafe(|| self.invoke(deadline, caller, body, started, &mut cost)))
            .unwrap_or_else(|panic| Err(CallError::Host(panic_text(panic.as_ref()))));
        let duration = self.shared.clock.monotonic().saturating_sub(started);
        let Cost { init_duration, cold_start, memory_high_water_bytes, fuel } = cost;
        Invocation { output, duration, init_duration, cold_start, memory_high_water_bytes, fuel }
    }

    fn invoke<T>(
        &self,
        deadline: Duration,
        caller: Caller,
        body: impl FnOnce(&mut Instance, &Module) -> Result<T, CallError>,
        started: Duration,
        cost: &mut Cost,
    ) -> Result<T, CallError> {
        let kept = self.warm.lock().pop();
        let mut instance = match kept {
            Some(mut instance) => {
                self.module.host.warm.give_back();
                instance.refuel(&self.module)?;
                instance.store.data_mut().begin(deadline, caller);
                instance
            }
            None => {
                cost.cold_start = true;
                let instance = Instance::start(&self.module, &self.shared, deadline, caller);
                cost.init_duration = self.shared.clock.monotonic().saturating_sub(started);
                let mut instance = instance.map_err(|failed| {
                    cost.memory_high_water_bytes = failed.memory_high_water_bytes;
                    cost.fuel = failed.fuel;
                    failed.error
                })?;
                instance.store.data_mut().extend(deadline);
                instance
            }
        };
        let output =
            body(&mut instance, &self.module).and_then(|output| instance.store.data_mut().finish().map(|()| output));
        cost.memory_high_water_bytes = instance.store.data().memory_high_water_bytes;
        cost.fuel = instance.fuel();
        if output.is_ok() {
            self.keep(instance);
        }
        output
    }

    /// Keeps an instance that has answered well, when it may serve further calls and is not so
    /// large that the next would fail for want of memory.
    fn keep(&self, mut instance: Instance) {
        instance.calls += 1;
        let limits = &self.shared.limits;
        let fits = instance.store.data().memory_bytes() <= limits.memory_bytes / 2;
        if instance.calls < limits.warm_batches_max && fits && self.module.host.warm.try_take() {
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

/// What a call cost, as far as it came.
#[derive(Default)]
struct Cost {
    init_duration: Duration,
    cold_start: bool,
    memory_high_water_bytes: usize,
    fuel: Option<u64>,
}

/// An event that is not given to the function.
fn refused(reason: String) -> EventInvocation {
    Invocation {
        output: Err(CallError::Event(reason)),
        duration: Duration::ZERO,
        init_duration: Duration::ZERO,
        cold_start: false,
        memory_high_water_bytes: 0,
        fuel: None,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    cut(text.unwrap_or("a panic without words"), REASON_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod tests;
