//! Builds: a revision's code is compiled in the bounded child, sealed, stored and started once. Then, and
//! only then, it is what `$LATEST` is.

use std::sync::{Arc, Weak};
use std::time::Duration;

use millrace_catalog::{BuildFailure, BuildState, LastUpdate, Revision};
use millrace_transform::{CACHE_BYTES_MAX, Error as ModuleError, Module, SEAL_BYTES, open_cache, seal, seal_cache};
use tokio::sync::Notify;

use crate::error::chain;
use crate::{Error, Functions};

/// Time that the first start of a module gets at most, as at Lambda.
const START_MAX: Duration = Duration::from_secs(10);
/// Wait before a build is tried again whose outcome could not be stored.
const BUILD_AGAIN: Duration = Duration::from_secs(5);

impl Functions {
    /// Has what is `Building` built.
    pub(crate) fn build_later(&self) {
        self.to_build.notify_one();
        self.tell_change();
    }

    /// Builds what is `Building` in the catalog, one after the other, and what comes.
    pub(crate) async fn run_builds(functions: Weak<Self>, to_build: Arc<Notify>) {
        loop {
            let Some(strong) = functions.upgrade() else { return };
            let snapshot = strong.catalog.snapshot();
            for revision in snapshot.revisions().filter(|revision| revision.state == BuildState::Building) {
                let (functions, revision) = (Arc::clone(&strong), Arc::clone(revision));
                millrace_tasks::blocking(move || functions.build(&revision)).await;
            }
            let left = strong.catalog.snapshot().revisions().any(|revision| revision.state == BuildState::Building);
            drop(strong);
            if left {
                drop(tokio::time::timeout(BUILD_AGAIN, to_build.notified()).await);
            } else {
                to_build.notified().await;
            }
        }
    }

    /// Builds a revision and says in the catalog what came of it.
    pub(crate) fn build(&self, revision: &Revision) {
        let building = |found: Arc<Revision>| found.state == BuildState::Building;
        if !self.revision(&revision.function, revision.number).is_some_and(building) {
            // Deleted meanwhile.
            return;
        }
        let outcome = self.build_module(revision);
        if self.revision(&revision.function, revision.number).is_none() {
            self.collect_soon();
            return;
        }
        if let Err(error) = self.settle(revision, outcome.as_ref().err()) {
            // It stays `Building`, and is built again.
            tracing::error!(
                function = revision.function,
                revision = revision.number,
                error = chain(&error),
                "the outcome of a build could not be stored"
            );
        }
        self.tell_change();
    }

    fn build_module(&self, revision: &Revision) -> Result<(), ModuleError> {
        let module = self.module(revision)?;
        let mut setup = self.setup(revision, false);
        setup.limits.deadline = setup.limits.deadline.min(START_MAX);
        self.host.try_start(&module, setup)
    }

    fn settle(&self, revision: &Revision, failed: Option<&ModuleError>) -> Result<(), Error> {
        let (name, number) = (&revision.function, revision.number);
        let failure = failed.map(|error| BuildFailure {
            slug: error.slug().to_owned(),
            reason: format!("function {name}: {}", chain(error)),
        });
        self.catalog.edit_function(name, |edit| {
            let Some(built) = edit.revisions.get(&number) else { return Ok(()) };
            let state = failure.clone().map_or(BuildState::Active, BuildState::Failed);
            let built = Arc::new(Revision { state, ..(**built).clone() });
            edit.revisions.insert(number, built);
            // What a deploy makes goes live with the rest of it.
            let deploying = edit.function.deploying.as_ref().is_some_and(|deploying| deploying.revision == number);
            if !deploying && edit.function.last_update == LastUpdate::InProgress(number) {
                match &failure {
                    None => {
                        edit.function.latest = number;
                        edit.function.last_update = LastUpdate::Successful;
                    }
                    Some(failure) => edit.function.last_update = LastUpdate::Failed(failure.clone()),
                }
            }
            self.drop_unused(edit);
            Ok::<_, Error>(())
        })?;
        match &failure {
            None => tracing::info!(function = name, revision = number, "built"),
            Some(failure) => tracing::warn!(function = name, revision = number, why = failure.reason, "does not build"),
        }
        Ok(())
    }

    /// The loaded module of a revision: from its sealed code, or, where there is none that this engine can
    /// run, compiled from the stored component. Blocks.
    pub(crate) fn module(&self, revision: &Revision) -> Result<Arc<Module>, ModuleError> {
        let sha256 = &revision.code.sha256;
        match self.host.load(&self.files.sealed_path(sha256), &self.key) {
            Err(ModuleError::Recompile | ModuleError::Artifact | ModuleError::Io { .. }) => {}
            other => return other,
        }
        let _one = self.building.lock();
        if let Ok(module) = self.host.load(&self.files.sealed_path(sha256), &self.key) {
            // Somebody else has compiled it while this one waited.
            return Ok(module);
        }
        let failed = |what| move |source| ModuleError::Io { what, source };
        let component = self.files.component(sha256).map_err(failed("reading a stored component"))?;
        let (sealed, cache) = self.compile(&revision.function, &component)?;
        // The next start compiles once more when this cannot be kept.
        if let Err(error) = self.files.put_sealed(sha256, &sealed) {
            tracing::warn!(function = revision.function, %error, "compiled code could not be stored");
        }
        let module = self.host.load_bytes(&sealed, &self.key)?;
        if let Some(cache) = cache
            && let Err(error) = self.files.put_cache(&revision.function, &cache)
        {
            tracing::warn!(function = revision.function, %error, "what was compiled could not be kept for the next time");
        }
        Ok(module)
    }

    /// The sealed code of a component, and the sealed cache for the function's next one where it is another than
    /// before. What lies there is believed only under this server's seal: its bytes become code.
    fn compile(&self, function: &str, component: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), ModuleError> {
        let before = self.files.cache(function, CACHE_BYTES_MAX.saturating_add(SEAL_BYTES));
        let before = before.as_deref().and_then(|file| open_cache(file, &self.key).ok()).unwrap_or_default();
        let compiled = self.compiler.compile_after(component, before)?;
        let cache = (compiled.cache != before).then(|| seal_cache(&compiled.cache, &self.key)).transpose()?;
        Ok((seal(&compiled.code, &self.key)?, cache))
    }
}
