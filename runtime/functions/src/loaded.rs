//! Functions in memory: loaded when they are first called, gone when nobody has called them for a while
//! or others need the room.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace_catalog::{Configuration, Revision};
use millrace_tasks::blocking;
use millrace_transform::{Function, KeyValue, Limits, Outbound, Setup};
use millrace_types::MIB;
use parking_lot::Mutex;

use crate::error::chain;
use crate::granted::{NoHosts, OnlyRead, OwnHosts, OwnState};
use crate::meters::Meter;
use crate::{Error, Functions};

/// A function that was not called for this long is taken out of memory.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes of components that are in memory at once; their compiled code has two to three times as many.
/// Above it the one that was called longest ago goes first.
const LOADED_BYTES_MAX: u64 = 256 * MIB as u64;
/// Batches that a warm instance serves before it is made anew.
const WARM_CALLS: u32 = 1_000;

/// A revision in memory, ready to be called from any thread.
#[derive(Debug)]
pub struct Live {
    /// The revision.
    pub revision: Arc<Revision>,
    /// What runs.
    pub function: Function,
    /// What is counted of it.
    pub meter: Arc<Meter>,
    used_ms: AtomicU64,
}

/// All that are in memory.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    by_revision: Mutex<HashMap<(String, u32), Arc<Live>>>,
}

impl Loaded {
    fn get(&self, name: &str, number: u32, now: Duration) -> Option<Arc<Live>> {
        let live = self.by_revision.lock().get(&(name.to_owned(), number)).cloned()?;
        live.used_ms.store(millis(now), Ordering::Relaxed);
        Some(live)
    }

    fn put(&self, live: Live, now: Duration) -> Arc<Live> {
        live.used_ms.store(millis(now), Ordering::Relaxed);
        let key = (live.revision.function.clone(), live.revision.number);
        let mut by_revision = self.by_revision.lock();
        let live = Arc::clone(by_revision.entry(key).or_insert_with(|| Arc::new(live)));
        let mut bytes: u64 = by_revision.values().map(|live| live.revision.code.component_bytes).sum();
        while bytes > LOADED_BYTES_MAX {
            // One that is being called stays in memory until its call ends, whatever is decided here.
            let others = by_revision.iter().filter(|(_, other)| !Arc::ptr_eq(other, &live));
            let oldest = others.min_by_key(|(_, other)| other.used_ms.load(Ordering::Relaxed));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            if let Some(gone) = by_revision.remove(&key) {
                bytes -= gone.revision.code.component_bytes;
            }
        }
        live
    }

    /// Lets go of what was not called for a while.
    pub(crate) fn sweep(&self, now: Duration) {
        let before = millis(now.saturating_sub(IDLE));
        if now > IDLE {
            self.by_revision.lock().retain(|_, live| live.used_ms.load(Ordering::Relaxed) >= before);
        }
    }

    /// Lets go of all revisions of a function.
    pub(crate) fn forget(&self, name: &str) {
        self.by_revision.lock().retain(|(function, _), _| function != name);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Functions {
    /// A revision in memory; loads it, and compiles it again when the engine changed.
    ///
    /// # Errors
    /// [`Error::Module`] when it does not start.
    pub async fn live(self: &Arc<Self>, revision: &Arc<Revision>) -> Result<Arc<Live>, Error> {
        let now = self.clock.monotonic();
        if let Some(live) = self.loaded.get(&revision.function, revision.number, now) {
            return Ok(live);
        }
        let (functions, revision) = (Arc::clone(self), Arc::clone(revision));
        blocking(move || functions.load(&revision)).await
    }

    /// What a revision gives its function besides the module; for a run that is to leave no trace, the same
    /// without its effects.
    pub(crate) fn setup(&self, revision: &Revision, effects: bool) -> Setup {
        let config = &revision.config;
        let state = || OwnState::new(&self.state, &self.catalog, revision);
        let key_value = config.key_value.then(|| -> Arc<dyn KeyValue> {
            if effects { Arc::new(state()) } else { Arc::new(OnlyRead(state())) }
        });
        let own_hosts = || OwnHosts::new(&self.outbound, &revision.function, &config.http_hosts);
        let http = (!config.http_hosts.is_empty()).then(|| -> Arc<dyn Outbound> {
            if effects { Arc::new(own_hosts()) } else { Arc::new(NoHosts) }
        });
        // What Lambda says itself, and therefore nobody may set.
        let region = ("AWS_REGION".to_owned(), self.catalog.place().region.clone());
        let settings = config.settings.clone().into_iter().chain([region]).collect();
        Setup {
            settings,
            limits: limits_of(config),
            log: self.logs.sink(&revision.function, revision.number),
            key_value,
            http,
            ..Setup::default()
        }
    }

    fn load(self: &Arc<Self>, revision: &Arc<Revision>) -> Result<Arc<Live>, Error> {
        let refused = |source| Error::Module { name: revision.function.clone(), source };
        let module = self.module(revision).map_err(|source| {
            tracing::error!(
                function = revision.function,
                revision = revision.number,
                why = chain(&source),
                "does not load"
            );
            refused(source)
        })?;
        let function = Function::with(module, self.setup(revision, true));
        let meter = self.meters.of(&revision.function, revision.number);
        let live = Live { revision: Arc::clone(revision), function, meter, used_ms: AtomicU64::new(0) };
        Ok(self.loaded.put(live, self.clock.monotonic()))
    }
}

/// The limits of a revision.
pub(crate) fn limits_of(config: &Configuration) -> Limits {
    Limits {
        memory_bytes: usize::try_from(config.memory_bytes).unwrap_or(usize::MAX),
        deadline: Duration::from_millis(u64::from(config.timeout_ms)),
        warm_batches_max: if config.warm { WARM_CALLS } else { 0 },
        ..Limits::default()
    }
}
