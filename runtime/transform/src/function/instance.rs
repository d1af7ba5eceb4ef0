//! A started instance in a store of its own, and the calls of its export.

use std::sync::Arc;
use std::time::Duration;

use millrace_types::Batch;
use wasmtime::Store;
use wasmtime::component::Func;

use crate::abi::{self, BatchArg};
use crate::call::Caller;
use crate::error::cut;
use crate::guest::{Guest, Shared};
use crate::host::{Code, Module};
use crate::output::REASON_BYTES_MAX;
use crate::{CallError, Output, World, trace};

/// Fuel of one call on a host that counts it: never used up, so deadlines stay what ends a call.
const FUEL: u64 = u64::MAX;

/// An instance that did not start.
#[derive(Debug)]
pub(crate) struct StartFailed {
    pub(crate) error: CallError,
    pub(super) memory_high_water_bytes: usize,
    pub(super) fuel: Option<u64>,
}

/// A started instance in a store of its own.
pub(crate) struct Instance {
    pub(super) store: Store<Guest>,
    func: Func,
    /// Calls that it has answered well.
    pub(super) calls: u32,
}

impl Instance {
    /// Makes an instance and runs its initialisation, for `deadline` at most.
    pub(crate) fn start(
        module: &Module,
        shared: &Arc<Shared>,
        deadline: Duration,
        caller: Caller,
    ) -> Result<Self, StartFailed> {
        let Code::Here { pre, export } = &module.code else {
            let error = CallError::Host("the function runs in a process of its own".to_owned());
            return Err(StartFailed { error, memory_high_water_bytes: 0, fuel: None });
        };
        let mut store = Store::new(pre.engine(), Guest::new(Arc::clone(shared)));
        store.limiter(|guest| guest);
        store.epoch_deadline_trap();
        store.set_epoch_deadline(module.host.epochs(deadline));
        store.data_mut().begin(deadline, caller);
        let output_bytes = shared.limits.output_bytes(0);
        store.set_hostcall_fuel(output_bytes);
        let started = refuel(&mut store, module)
            .and_then(|()| match pre.instantiate(&mut store) {
                Ok(instance) => Ok(instance.get_func(&mut store, *export)),
                Err(error) => Err(match trace::classify(&error, store.data(), output_bytes) {
                    // Not an answer of the guest: the pool is too small for it, a table too large.
                    CallError::Invalid(text) => CallError::Trap { trace: text },
                    other => other,
                }),
            })
            .and_then(|func| func.ok_or_else(|| CallError::Invalid("the export is not a function".to_owned())));
        match started {
            Ok(func) => Ok(Self { store, func, calls: 0 }),
            Err(error) => Err(StartFailed {
                error,
                memory_high_water_bytes: store.data().memory_high_water_bytes,
                fuel: fuel(&store),
            }),
        }
    }

    /// Holds the export's type against the world.
    pub(crate) fn check_type(&mut self, world: World) -> wasmtime::Result<()> {
        match world {
            World::Transform => self.func.typed::<abi::Params<'_>, abi::Results>(&self.store).map(drop),
            World::Handler => self.func.typed::<abi::HandleParams<'_>, abi::HandleResults>(&self.store).map(drop),
        }
    }

    /// Gives a kept instance the fuel of a call, where fuel is counted.
    pub(super) fn refuel(&mut self, module: &Module) -> Result<(), CallError> {
        refuel(&mut self.store, module)
    }

    /// What was used since, where fuel is counted.
    pub(super) fn fuel(&self) -> Option<u64> {
        fuel(&self.store)
    }

    /// Calls `transform`; the call has begun.
    pub(super) fn transform(
        &mut self,
        module: &Module,
        batch: &Batch,
        deadline: Duration,
    ) -> Result<Output, CallError> {
        let output_bytes = self.store.data().shared.limits.output_bytes(batch.payload().len());
        self.store.set_epoch_deadline(module.host.epochs(deadline));
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

    /// Calls `handle`; the call has begun.
    pub(super) fn handle(&mut self, module: &Module, event: &[u8], deadline: Duration) -> Result<Vec<u8>, CallError> {
        let bytes_max = self.store.data().shared.limits.answer_bytes();
        self.store.set_epoch_deadline(module.host.epochs(deadline));
        self.store.set_hostcall_fuel(bytes_max);
        let answer = self
            .func
            .typed::<abi::HandleParams<'_>, abi::HandleResults>(&self.store)
            .and_then(|handle| handle.call(&mut self.store, (event,)));
        match answer {
            Ok((Ok(answer),)) => Ok(answer),
            Ok((Err(reason),)) => Err(CallError::Returned(reason)),
            Err(error) => Err(trace::classify(&error, self.store.data(), bytes_max)),
        }
    }
}

fn refuel(store: &mut Store<Guest>, module: &Module) -> Result<(), CallError> {
    if !module.host.deterministic {
        return Ok(());
    }
    store.set_fuel(FUEL).map_err(|error| CallError::Host(error.to_string()))
}

fn fuel(store: &Store<Guest>) -> Option<u64> {
    // An error says that fuel is not counted.
    store.get_fuel().ok().map(|left| FUEL - left)
}
