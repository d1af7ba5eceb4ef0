//! Calls of a function that runs in processes of its own: the same answers as in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::Batch;

use super::Isolation;
use super::columns::{self, Answered, BatchColumns};
use super::frame::{Call, Start};
use super::parent::{Done, Worker};
use crate::guest::Shared;
use crate::host::{Code, Host};
use crate::{
    BatchSource, CallContext, CallError, Error, Function, HostSettings, Invocation, Limits, LogSink, Output, Setup,
    World,
};

/// Code that runs in processes of its own, and what starts them.
#[derive(Debug, Clone)]
pub(crate) struct Isolated {
    pub(crate) isolation: Isolation,
    pub(crate) code: Arc<[u8]>,
}

impl Isolated {
    /// Loads the code in a worker, to see of which world it is; starts an instance there with the settings
    /// and under the limits of `tried` where it is to be tried. Grants have no effect there.
    pub(crate) fn probe(&self, host: &Host, tried: Option<Setup>) -> Result<World, Error> {
        let try_start = tried.is_some();
        let setup = tried.unwrap_or_else(|| Setup { limits: all(), ..Setup::default() });
        let start = Start {
            settings: setup.settings,
            limits: setup.limits,
            source: setup.source.as_ref().into(),
            key_value: false,
            http: false,
            epoch_tick: host.tick,
            keep_resident_bytes: host.keep_resident_bytes,
            try_start,
        };
        let _turn = host.calls.enter();
        Worker::start(&self.isolation, &start, &self.code).map(|(_, world)| world)
    }

    fn worker(&self, host: &Host, shared: &Shared) -> Result<Worker, CallError> {
        let start = Start {
            settings: shared.settings.clone(),
            limits: shared.limits.clone(),
            source: shared.source.as_ref().into(),
            key_value: shared.key_value.is_some(),
            http: shared.http.is_some(),
            epoch_tick: host.tick,
            keep_resident_bytes: host.keep_resident_bytes,
            try_start: false,
        };
        match Worker::start(&self.isolation, &start, &self.code) {
            Ok((worker, _)) => Ok(worker),
            Err(error) => Err(CallError::Host(error.to_string())),
        }
    }
}

/// The limits of a function that nobody starts yet: all that a pool gives.
fn all() -> Limits {
    Limits { memory_bytes: usize::MAX, ..Limits::default() }
}

impl Isolation {
    /// Starts a process and ends it, to see that this machine has what its walls are made of.
    ///
    /// # Errors
    /// [`Error::Engine`], naming what the machine does not give; [`Error::Io`] when it starts no process.
    pub fn check(&self) -> Result<(), Error> {
        let settings = HostSettings::default();
        let start = Start {
            settings: BTreeMap::new(),
            // The least memory that a function has if nobody says anything: what fits there fits everywhere.
            limits: Limits::default(),
            source: (&BatchSource::default()).into(),
            key_value: false,
            http: false,
            epoch_tick: settings.epoch_tick,
            keep_resident_bytes: settings.keep_resident_bytes,
            try_start: false,
        };
        Worker::try_walls(self, &start)
    }
}

impl Function {
    /// What runs it, when that is not this process.
    pub(crate) fn isolated(&self) -> Option<&Isolated> {
        match &self.module.code {
            Code::Isolated(isolated) => Some(isolated),
            Code::Here { .. } => None,
        }
    }

    /// Calls a function of world `transform` in a worker; its output counts when `body` takes it.
    pub(crate) fn isolated_transform<T>(
        &self,
        isolated: &Isolated,
        batch: &Batch,
        deadline: Duration,
        source: &BatchSource,
        body: impl FnOnce(Output) -> Result<T, CallError>,
    ) -> Invocation<T> {
        let call = Call::Batch { deadline, source: source.into(), first: batch.first().get() };
        let columns = BatchColumns::new(batch);
        self.remote(isolated, &call, &columns.parts(batch), deadline, None, |done| {
            let (answered, parts) = done;
            let raw = columns::raw_output(answered, parts).map_err(CallError::Invalid)?;
            body(Output::check(raw, batch.len()).map_err(CallError::Invalid)?)
        })
    }

    /// Calls the function with an event in a worker; its answer counts when `body` takes it.
    pub(crate) fn isolated_handle<T>(
        &self,
        isolated: &Isolated,
        event: &[u8],
        call: &CallContext,
        body: impl FnOnce(Vec<u8>) -> Result<T, CallError>,
    ) -> Invocation<T> {
        let CallContext { request_id, function_name, function_version, client_context, log } = call.clone();
        let call = Call::Event { request_id, function_name, function_version, client_context };
        let limits = &self.shared.limits;
        self.remote(isolated, &call, &[event], limits.deadline, log.as_deref(), |(_, parts)| {
            let answer = parts.into_iter().next().unwrap_or_default();
            let bytes_max = limits.answer_bytes();
            if answer.len() > bytes_max { Err(CallError::OutputTooLarge { bytes_max }) } else { body(answer) }
        })
    }

    /// Makes a call in a worker that waits, or in a new one. What the call wrote is kept when `body`
    /// takes its answer, as in this process.
    fn remote<T>(
        &self,
        isolated: &Isolated,
        call: &Call,
        parts: &[&[u8]],
        deadline: Duration,
        log: Option<&dyn LogSink>,
        body: impl FnOnce((Answered, Vec<Vec<u8>>)) -> Result<T, CallError>,
    ) -> Invocation<T> {
        let (host, shared) = (&self.module.host, &*self.shared);
        let _turn = host.calls.enter();
        let started = shared.clock.monotonic();
        let since = || shared.clock.monotonic().saturating_sub(started);
        let kept = self.workers.0.lock().pop().and_then(|mut worker| {
            host.warm.give_back();
            worker.lives().then_some(worker)
        });
        let is_new = kept.is_none();
        let worker = kept.map_or_else(|| isolated.worker(host, shared), Ok);
        let start_duration = if is_new { since() } else { Duration::ZERO };
        let done = worker.and_then(|mut worker| {
            let done = worker.call(call, parts, deadline, shared, log.unwrap_or(&*shared.log))?;
            if host.warm.try_take() {
                self.workers.0.lock().push(worker);
            }
            Ok(done)
        });
        let mut invocation = Invocation {
            output: Err(CallError::Host(String::new())),
            duration: Duration::ZERO,
            init_duration: start_duration,
            cold_start: is_new,
            memory_high_water_bytes: 0,
            fuel: None,
        };
        invocation.output = done.and_then(|done| {
            let Done { outcome, init, cold_start, memory_high_water_bytes, mut writes } = done;
            invocation.init_duration += init;
            invocation.cold_start |= cold_start;
            invocation.memory_high_water_bytes = memory_high_water_bytes;
            let taken = body(outcome?)?;
            writes.commit(shared.key_value.as_deref())?;
            Ok(taken)
        });
        invocation.duration = since();
        invocation
    }
}
