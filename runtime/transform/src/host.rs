//! A pool of instances with one engine, one ticker and one linker; and modules that are loaded into it.
//! Tenants never share a pool, so the server makes one host for each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_types::{Clock, Entropy};
use parking_lot::{Condvar, Mutex};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Engine, EngineWeak};

use crate::call::{Caller, Setup};
use crate::error::io_error;
use crate::function::Instance;
use crate::guest::{self, Guest, Shared};
use crate::{ArtifactKey, Error, HostSettings, Limits, World, artifact, engine};

/// Bytes of a compiled function's file, at most: JavaScript's and Python's have about 40 MB.
const ARTIFACT_BYTES_MAX: u64 = 1 << 30;

/// Runs the functions of one tenant.
pub struct Host {
    engine: Engine,
    linker: Linker<Guest>,
    ticker: Arc<Ticker>,
    tick: Duration,
    /// Fuel is counted.
    pub(crate) deterministic: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) calls: Gate,
    pub(crate) warm: Gate,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// Reserves the pool and starts the ticker thread, which ends with the host.
    ///
    /// # Errors
    /// [`Error::Engine`] when the machine does not give the address space, [`Error::Io`] when it
    /// gives no thread.
    pub fn new(settings: &HostSettings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Arc<Self>, Error> {
        let engine = engine::running(settings)?;
        let mut linker = Linker::new(&engine);
        guest::link(&mut linker).map_err(|error| Error::Engine(format!("{error:#}")))?;
        let tick = settings.epoch_tick.max(Duration::from_millis(1));
        let ticker = Arc::new(Ticker::default());
        let (beat, weak) = (Arc::clone(&ticker), engine.weak());
        millrace_tasks::thread("function-epoch", move || beat.run(&weak, tick))
            .map_err(io_error("starting the thread that keeps functions to their deadlines"))?;
        Ok(Arc::new(Self {
            engine,
            linker,
            ticker,
            tick,
            deterministic: settings.deterministic,
            clock,
            entropy,
            calls: Gate::new(settings.calls_max.max(1)),
            warm: Gate::new(settings.warm_max),
        }))
    }

    /// Loads a compiled function that [`seal`](crate::seal) wrote under `key`. Nothing of it runs: what it
    /// may have is known to [`Self::try_start`]. Blocks.
    ///
    /// # Errors
    /// [`Error::Artifact`] when the file is not ours or is damaged, [`Error::Recompile`] when another
    /// engine made it, [`Error::World`], [`Error::Start`] when it imports or needs what the host has not,
    /// [`Error::Io`].
    pub fn load(self: &Arc<Self>, artifact: &Path, key: &ArtifactKey) -> Result<Arc<Module>, Error> {
        use std::io::Read as _;
        let mut file = Vec::new();
        let open = std::fs::File::open(artifact).map_err(io_error("opening a compiled function"))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "taken up to ARTIFACT_BYTES_MAX; a longer file is cut and refused"
        )]
        open.take(ARTIFACT_BYTES_MAX).read_to_end(&mut file).map_err(io_error("reading a compiled function"))?;
        self.load_bytes(&file, key)
    }

    /// As [`Self::load`], of a file's bytes.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_bytes(self: &Arc<Self>, file: &[u8], key: &ArtifactKey) -> Result<Arc<Module>, Error> {
        let code = artifact::open(file, key, &self.engine)?;
        // SAFETY: `deserialize` runs whatever machine code it is given, so `code` must be what
        // `Engine::precompile_component` made. `artifact::open` has just verified, over these very
        // bytes in memory (not over a file that could change between check and use), an HMAC whose
        // key only this server holds and under which it only ever seals the output of that function;
        // and that it was made for an engine with the same compatibility hash as ours.
        #[expect(unsafe_code, reason = "proved above")]
        let component = unsafe { Component::deserialize(&self.engine, code) };
        // Ours, and for this engine: what is left is that it does not fit the pool.
        self.prepare(&component.map_err(|error| Error::Start(format!("{error:#}")))?)
    }

    /// Compiles in this process, loads and starts once under the default limits of time. For code that is trusted not to be a compile bomb: the
    /// user's own file on the user's own machine, and tests.
    ///
    /// # Errors
    /// As [`crate::compile`] and [`Self::load`].
    pub fn load_component(self: &Arc<Self>, component: &[u8]) -> Result<Arc<Module>, Error> {
        let component =
            Component::from_binary(&self.engine, component).map_err(|error| Error::Compile(format!("{error:#}")))?;
        let module = self.prepare(&component)?;
        let limits = Limits { memory_bytes: usize::MAX, ..Limits::default() };
        self.try_start(&module, Setup { limits, ..Setup::default() })?;
        Ok(module)
    }

    fn prepare(self: &Arc<Self>, component: &Component) -> Result<Arc<Module>, Error> {
        let index = |world: World| component.get_export_index(None, world.export());
        let (world, export) = match (index(World::Transform), index(World::Handler)) {
            (Some(export), None) => (World::Transform, export),
            (None, Some(export)) => (World::Handler, export),
            (None, None) => return Err(Error::World("it exports neither".to_owned())),
            (Some(_), Some(_)) => return Err(Error::World("it exports both; a function is of one world".to_owned())),
        };
        let pre = self.linker.instantiate_pre(component).map_err(|error| Error::Start(format!("{error:#}")))?;
        Ok(Arc::new(Module { host: Arc::clone(self), world, pre, export }))
    }

    /// Starts an instance with what its revision gives it, holds its export against the world and ends it:
    /// what does not start so never will.
    ///
    /// # Errors
    /// [`Error::Start`], with what it needs; [`Error::World`].
    pub fn try_start(self: &Arc<Self>, module: &Arc<Module>, setup: Setup) -> Result<(), Error> {
        let checked = self.start(module, setup)?.check_type(module.world);
        checked.map_err(|error| Error::World(format!("{error:#}")))
    }

    fn start(&self, module: &Arc<Module>, setup: Setup) -> Result<Instance, Error> {
        let Setup { settings, limits, log, source, key_value, http } = setup;
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let probe = Shared { settings, limits, log, clock, entropy, source, key_value, http };
        let _turn = self.calls.enter();
        let deadline = probe.limits.deadline;
        let caller = Caller::Batch(Arc::clone(&probe.source));
        Instance::start(module, &Arc::new(probe), deadline, caller)
            .map_err(|failed| Error::Start(failed.error.to_string()))
    }

    /// The epochs after which a call of `deadline` is ended: never before it, at most two ticks later.
    pub(crate) fn epochs(&self, deadline: Duration) -> u64 {
        let ticks = deadline.as_nanos().div_ceil(self.tick.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.ticker.stop();
    }
}

/// A compiled function in a host's engine. The same for all streams that use the version.
pub struct Module {
    pub(crate) host: Arc<Host>,
    pub(crate) world: World,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) export: ComponentExportIndex,
}

impl Module {
    /// What a function of it is called with.
    #[must_use]
    pub fn world(&self) -> World {
        self.world
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}

/// Moves the epoch until it is told to stop.
#[derive(Default)]
struct Ticker {
    stopped: Mutex<bool>,
    told: Condvar,
}

impl Ticker {
    fn run(&self, engine: &EngineWeak, tick: Duration) {
        let mut stopped = self.stopped.lock();
        while !*stopped {
            let timed_out = self.told.wait_for(&mut stopped, tick).timed_out();
            match engine.upgrade() {
                Some(engine) if timed_out => engine.increment_epoch(),
                Some(_) => {}
                None => return,
            }
        }
    }

    fn stop(&self) {
        *self.stopped.lock() = true;
        self.told.notify_all();
    }
}

/// Counts places that are free; a place is given back when its guard goes.
pub(crate) struct Gate {
    free: Mutex<u32>,
    freed: Condvar,
}

/// A place in a [`Gate`] of a host.
pub(crate) struct Turn<'a>(&'a Gate);

impl Gate {
    fn new(places: u32) -> Self {
        Self { free: Mutex::new(places), freed: Condvar::new() }
    }

    /// Takes a place; waits until there is one.
    pub(crate) fn enter(&self) -> Turn<'_> {
        let mut free = self.free.lock();
        while *free == 0 {
            self.freed.wait(&mut free);
        }
        *free -= 1;
        Turn(self)
    }

    /// Takes a place if there is one; [`Self::give_back`] returns it.
    pub(crate) fn try_take(&self) -> bool {
        let mut free = self.free.lock();
        let taken = *free > 0;
        *free -= u32::from(taken);
        taken
    }

    /// Returns a place.
    pub(crate) fn give_back(&self) {
        *self.free.lock() += 1;
        self.freed.notify_one();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}
