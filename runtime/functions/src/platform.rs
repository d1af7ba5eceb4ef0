//! The platform's parts and their lives: what it is built from, its start, its stop.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_catalog::{Catalog, EventId, Function, Revision, Snapshot, State};
use millrace_log::Disk;
use millrace_outbound::Outbound;
use millrace_sink::Buckets;
use millrace_tasks::Tasks;
use millrace_transform::{ArtifactKey, Compiler, Host};
use millrace_types::{Clock, Entropy};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, watch};

use crate::Error;
use crate::calls::{Admission, CONCURRENCY_MAX, Calls};
use crate::files::Files;
use crate::loaded::Loaded;
use crate::logs::Logs;
use crate::meters::Meters;
use crate::resolve::{Resolved, resolve};
use crate::shadow::Shadows;
use crate::threads::Threads;

/// How often what nobody uses is looked for.
const SWEEP: Duration = Duration::from_secs(15);
/// Events that were taken and not yet looked at: their ids.
const EVENT_QUEUE: usize = 1_024;
/// Time in which what runs beside the calls comes to its next wait, at a stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What [`Functions`] is built from.
#[derive(Debug)]
pub struct FunctionParts {
    /// The folder of the files.
    pub dir: PathBuf,
    /// The disk under it.
    pub disk: Arc<dyn Disk>,
    /// Functions by name.
    pub catalog: Arc<Catalog>,
    /// Key-value state and events.
    pub state: Arc<State>,
    /// The engine.
    pub host: Arc<Host>,
    /// The compiling child.
    pub compiler: Compiler,
    /// Authenticates compiled files.
    pub key: ArtifactKey,
    /// The way to the hosts that functions are granted.
    pub outbound: Arc<Outbound>,
    /// Where records of failed events go.
    pub buckets: Arc<dyn Buckets>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for canaries and ids.
    pub entropy: Arc<dyn Entropy>,
    /// The first wait before an event is tried again; the second is twice as long. AWS waits one minute.
    pub event_retry: Duration,
}

/// The functions of one server.
pub struct Functions {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) state: Arc<State>,
    pub(crate) files: Files,
    pub(crate) host: Arc<Host>,
    pub(crate) compiler: Compiler,
    pub(crate) key: ArtifactKey,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) buckets: Arc<dyn Buckets>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) event_retry: Duration,
    pub(crate) loaded: Loaded,
    pub(crate) logs: Arc<Logs>,
    pub(crate) meters: Meters,
    pub(crate) calls: Mutex<HashMap<String, Arc<Calls>>>,
    pub(crate) shadows: Shadows,
    pub(crate) admission: Arc<Admission>,
    pub(crate) threads: Threads,
    /// Children one at a time: each may take the memory that a child may have. A module is judged in
    /// milliseconds, and does not wait for one that is compiled.
    pub(crate) judging: Mutex<()>,
    pub(crate) building: Mutex<()>,
    /// Held while a component is stored and until the catalog names it: files that nothing names are
    /// removed only when nobody holds it.
    pub(crate) storing: RwLock<()>,
    /// Told when a revision is to be built.
    pub(crate) to_build: Arc<Notify>,
    /// Told when a function's configuration or state has changed.
    pub(crate) changed: watch::Sender<()>,
    /// Files lie there that nothing names.
    pub(crate) unused_files: AtomicBool,
    pub(crate) event_came: mpsc::Sender<EventId>,
    pub(crate) tasks: Tasks,
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}

/// Forgets the state and the events of functions whose deletion was cut short.
fn forget_gone(state: &State, snapshot: &Snapshot) -> Result<(), Error> {
    let gone = state.retain(&snapshot.functions().map(|function| function.owner()).collect())?;
    if !gone.is_empty() {
        tracing::info!(?gone, "state and events of deleted functions were removed");
    }
    Ok(())
}

impl Functions {
    /// Opens the folder, takes back deploys that were cut, goes on with builds and events that wait.
    /// Blocks on disk; needs a tokio runtime.
    ///
    /// # Errors
    /// When the folder or the state cannot be made or read, or there are no threads.
    pub fn start(parts: FunctionParts) -> Result<Arc<Self>, Error> {
        let files = Files::open(parts.dir, parts.disk)?;
        crate::deploy::take_back_all(&parts.catalog)?;
        let snapshot = parts.catalog.snapshot();
        retain(&files, &snapshot)?;
        forget_gone(&parts.state, &snapshot)?;
        // Before anybody can add to them: none is found here and told as well.
        let waiting = parts.state.events()?;
        let (event_came, events) = mpsc::channel(EVENT_QUEUE);
        let functions = Arc::new(Self {
            catalog: parts.catalog,
            state: parts.state,
            files,
            host: parts.host,
            compiler: parts.compiler,
            key: parts.key,
            outbound: parts.outbound,
            buckets: parts.buckets,
            logs: Arc::new(Logs::new(Arc::clone(&parts.clock))),
            clock: parts.clock,
            entropy: parts.entropy,
            event_retry: parts.event_retry,
            loaded: Loaded::default(),
            meters: Meters::default(),
            calls: Mutex::default(),
            shadows: Shadows::default(),
            admission: Arc::default(),
            threads: Threads::start()?,
            judging: Mutex::new(()),
            building: Mutex::new(()),
            storing: RwLock::new(()),
            to_build: Arc::default(),
            changed: watch::Sender::new(()),
            unused_files: AtomicBool::new(false),
            event_came,
            tasks: Tasks::new(),
        });
        functions.count_reserved();
        functions
            .tasks
            .spawn("function-builds", Self::run_builds(Arc::downgrade(&functions), Arc::clone(&functions.to_build)));
        functions.tasks.spawn("function-events", Self::run_events(Arc::clone(&functions), waiting, events));
        let sweeper = Arc::downgrade(&functions);
        functions.tasks.spawn("function-sweep", async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(functions) = sweeper.upgrade() else { return };
                functions.loaded.sweep(functions.clock.monotonic());
                if functions.unused_files.swap(false, Ordering::AcqRel) {
                    millrace_tasks::blocking(move || functions.collect_files()).await;
                }
            }
        });
        Ok(functions)
    }

    /// Ends what runs beside the calls. What waits goes on at the next start.
    pub async fn stop(&self) {
        // What does not end in time is ended with the process: it is durable.
        drop(tokio::time::timeout(STOP_GRACE, self.tasks.abort()).await);
    }

    /// Wakes on each change of a function's configuration or state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// All functions in ASCII order of their names.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Function>> {
        self.catalog.snapshot().functions().cloned().collect()
    }

    /// The function `name`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn function(&self, name: &str) -> Result<Arc<Function>, Error> {
        let found = self.catalog.snapshot().function(name).cloned();
        found.ok_or_else(|| Error::NotFound(format!("Function not found: {}", self.arn(name))))
    }

    /// A revision of a function.
    #[must_use]
    pub fn revision(&self, name: &str, number: u32) -> Option<Arc<Revision>> {
        self.catalog.snapshot().revision(name, number).cloned()
    }

    /// What `name` and `qualifier` (`$LATEST` when none) stand for now; of an alias with two versions one is drawn.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn resolve(&self, name: &str, qualifier: Option<&str>) -> Result<Resolved, Error> {
        resolve(&self.catalog.snapshot(), name, qualifier, || self.draw())
    }

    /// The component of a revision, for `GetFunction`'s `Code.Location`. Blocks.
    ///
    /// # Errors
    /// [`Error::Files`].
    pub fn component(&self, revision: &Revision) -> Result<Vec<u8>, Error> {
        Ok(self.files.component(&revision.code.sha256)?)
    }

    /// The ARN of the function `name`.
    #[must_use]
    pub fn arn(&self, name: &str) -> String {
        let place = self.catalog.place();
        format!("arn:aws:lambda:{}:{}:function:{name}", place.region, place.account_id)
    }

    /// Bytes of all code that is kept, functions, and the concurrency of the account: all of it, and what no
    /// function has reserved.
    #[must_use]
    pub fn account(&self) -> (u64, u64, (u32, u32)) {
        let snapshot = self.catalog.snapshot();
        let bytes = snapshot.revisions().map(|revision| revision.code.uploaded_bytes).sum();
        let reserved: u32 = snapshot.functions().filter_map(|function| function.reserved_concurrency).sum();
        (bytes, snapshot.functions().count() as u64, (CONCURRENCY_MAX, CONCURRENCY_MAX.saturating_sub(reserved)))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// From 0 up to 1.
    pub(crate) fn draw(&self) -> f64 {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn tell_change(&self) {
        self.changed.send_replace(());
    }

    /// Has files that no revision names any more removed with the next sweep.
    pub(crate) fn collect_soon(&self) {
        self.unused_files.store(true, Ordering::Release);
    }

    /// Removes files that no revision names any more.
    pub(crate) fn collect_files(&self) {
        let _none = self.storing.write();
        if let Err(error) = retain(&self.files, &self.catalog.snapshot()) {
            tracing::warn!(%error, "files of functions that are gone could not be removed; the next start tries again");
        }
    }
}

/// Removes files of components and functions that the catalog does not have.
fn retain(files: &Files, snapshot: &Snapshot) -> std::io::Result<()> {
    let used = snapshot.revisions().map(|revision| revision.code.sha256.clone()).collect();
    files.retain(&used, &snapshot.functions().map(|function| function.name.clone()).collect())
}
