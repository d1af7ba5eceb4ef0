//! Changes of a function's code and configuration: made, updated, published.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_catalog::{
    BuildState, Code, Configuration, Deploying, Function, FunctionEdit, LastUpdate, Published, Revision,
};
use millrace_transform::Grants;

use crate::files::{sha256_base64, sha256_hex};
use crate::granted::check_hosts;
use crate::{Error, Functions};

/// Revisions of one function that nothing points at are kept for objects under way, this many.
const UNPUBLISHED_KEPT: usize = 16;
/// Memory that a function may be given, bytes.
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;
/// Time that a function may be given for one call, milliseconds: 15 minutes, as at AWS.
const TIMEOUT_MS_MAX: u32 = 900_000;
/// Bytes of the code of all revisions that are kept, as it was uploaded: 75 GB, as at AWS.
pub const CODE_BYTES_MAX: u64 = 80_530_636_800;

/// Code as a client gave it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The module or component.
    pub module: Vec<u8>,
    /// SHA-256 of what was uploaded (a zip, perhaps), base64.
    pub sha256: String,
    /// Bytes of what was uploaded.
    pub bytes: u64,
}

impl Upload {
    /// A bare module.
    #[must_use]
    pub fn bare(module: Vec<u8>) -> Self {
        Self { sha256: sha256_base64(&module), bytes: module.len() as u64, module }
    }
}

/// A function to be made.
#[derive(Debug, Clone)]
pub struct NewFunction {
    /// Its name, checked.
    pub name: String,
    /// Its code.
    pub upload: Upload,
    /// The world that the code must export, when the client named one.
    pub world: Option<String>,
    /// How it runs.
    pub config: Configuration,
    /// Its tags, checked.
    pub tags: BTreeMap<String, String>,
    /// Publish version 1 with it.
    pub publish: bool,
    /// It is part of a deploy, which ends it.
    pub deploy: bool,
}

/// A change of `$LATEST`.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// New code.
    pub upload: Option<Upload>,
    /// The world that the code must export, when the client named one.
    pub world: Option<String>,
    /// New configuration.
    pub config: Option<Configuration>,
    /// Only if `$LATEST` has this `RevisionId`.
    pub revision_id: Option<String>,
    /// Publish a version with it.
    pub publish: bool,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// It is part of a deploy, which ends it.
    pub deploy: bool,
}

impl Functions {
    /// Makes a function; its first revision is being built when this returns.
    ///
    /// # Errors
    /// [`Error::FunctionExists`], and what is wrong with the code.
    pub async fn create(self: &Arc<Self>, new: NewFunction) -> Result<Arc<Function>, Error> {
        let functions = Arc::clone(self);
        millrace_tasks::blocking(move || functions.create_blocking(new).inspect_err(|_| functions.collect_soon())).await
    }

    fn create_blocking(&self, new: NewFunction) -> Result<Arc<Function>, Error> {
        check(&new.config)?;
        if self.catalog.snapshot().function(&new.name).is_some() {
            return Err(Error::FunctionExists(new.name));
        }
        let (code, component) = self.judge(&new.name, &new.upload, new.world.as_deref(), &new.config)?;
        let _stored = self.storing.read();
        self.files.put_component(&component)?;
        let function = self.catalog.create_function(&new.name.clone(), |number| self.first(new, code, number))?;
        self.build_later();
        Ok(function)
    }

    /// A new function and its first revision, which has this number.
    fn first(&self, new: NewFunction, code: Code, number: u32) -> (Function, Revision) {
        let now_ms = self.clock.now_ms();
        // The catalog gives the id.
        let revision = Revision {
            function: new.name.clone(),
            function_id: 0,
            number,
            created_ms: now_ms,
            code,
            config: new.config,
            state: BuildState::Building,
        };
        let mut function = Function {
            id: 0,
            arn: self.arn(&new.name),
            name: new.name,
            created_ms: now_ms,
            latest: number,
            last_revision: number,
            last_update: LastUpdate::Successful,
            deploying: new.deploy.then_some(Deploying { revision: number, before: None }),
            revision_id: self.entropy.uuid(),
            versions: BTreeMap::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            reserved_concurrency: None,
            tags: new.tags,
            event_configs: BTreeMap::new(),
            shadow: None,
        };
        if new.publish {
            let description = revision.config.description.clone();
            let published =
                Published { revision: number, created_ms: now_ms, description, revision_id: self.entropy.uuid() };
            function.versions.insert(1, published);
            function.last_version = 1;
        }
        (function, revision)
    }

    /// Changes `$LATEST`; the new revision is being built when this returns, and the old one is live until
    /// it is built. Answers the function and the new revision.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::UpdateInProgress`], [`Error::Precondition`],
    /// and what is wrong with the code or the configuration.
    pub async fn update(self: &Arc<Self>, name: &str, change: Change) -> Result<(Arc<Function>, Arc<Revision>), Error> {
        let (functions, name) = (Arc::clone(self), name.to_owned());
        millrace_tasks::blocking(move || {
            functions.update_blocking(&name, change).inspect_err(|_| functions.collect_soon())
        })
        .await
    }

    pub(crate) fn update_blocking(&self, name: &str, change: Change) -> Result<(Arc<Function>, Arc<Revision>), Error> {
        let function = self.function(name)?;
        refuse_while_building(&function, &self.catalog.snapshot().revision(name, function.latest).cloned())?;
        expect_revision_id(&function.revision_id, change.revision_id.as_deref())?;
        let snapshot = self.catalog.snapshot();
        let old = snapshot.revision(name, function.latest).cloned();
        let old = old.ok_or_else(|| Error::NotFound(format!("Function not found: {}", function.arn)))?;
        let config = change.config.unwrap_or_else(|| old.config.clone());
        check(&config)?;
        let (code, component) = match &change.upload {
            Some(upload) => {
                let (code, component) = self.judge(name, upload, change.world.as_deref(), &config)?;
                (code, Some(component))
            }
            None => {
                same_world(&old.code, change.world.as_deref())?;
                (self.judge_again(name, &old.code, &config)?, None)
            }
        };
        let mut next = Revision { code, config, state: BuildState::Building, ..(*old).clone() };
        if change.dry_run {
            return Ok((function, Arc::new(next)));
        }
        let _stored = self.storing.read();
        if let Some(component) = component {
            self.files.put_component(&component)?;
        }
        let (now_ms, revision_id) = (self.clock.now_ms(), self.entropy.uuid());
        let version_id = self.entropy.uuid();
        let revision = self.catalog.edit_function(name, |edit| {
            // Somebody else's change may have come between.
            refuse_while_building(&edit.function, &edit.revisions.get(&edit.function.latest).cloned())?;
            expect_revision_id(&edit.function.revision_id, change.revision_id.as_deref())?;
            if edit.function.latest != old.number {
                // What this change was made of is not there any more.
                return Err(Error::UpdateInProgress(edit.function.name.clone()));
            }
            edit.function.last_revision += 1;
            (next.number, next.created_ms) = (edit.function.last_revision, now_ms);
            let before = std::mem::replace(&mut edit.function.last_update, LastUpdate::InProgress(next.number));
            edit.function.deploying =
                change.deploy.then_some(Deploying { revision: next.number, before: Some(before) });
            edit.function.revision_id = revision_id;
            let revision = Arc::new(next);
            edit.revisions.insert(revision.number, Arc::clone(&revision));
            if change.publish {
                publish_revision(edit, &revision, None, now_ms, version_id);
            }
            Ok::<_, Error>(revision)
        })?;
        self.build_later();
        Ok((self.function(name)?, revision))
    }

    /// Publishes `$LATEST`; when it is what the newest version is, answers that one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::UpdateInProgress`], [`Error::Precondition`],
    /// [`Error::CodeMismatch`].
    pub async fn publish(
        self: &Arc<Self>,
        name: &str,
        code_sha256: Option<String>,
        description: Option<String>,
        revision_id: Option<String>,
    ) -> Result<u32, Error> {
        let (now_ms, id) = (self.clock.now_ms(), self.entropy.uuid());
        self.edit(name, move |edit| {
            let latest = edit.revisions.get(&edit.function.latest).cloned();
            refuse_while_building(&edit.function, &latest)?;
            expect_revision_id(&edit.function.revision_id, revision_id.as_deref())?;
            let latest = latest.ok_or_else(|| Error::NotFound(format!("Function not found: {}", edit.function.arn)))?;
            if code_sha256.is_some_and(|wanted| wanted != latest.code.uploaded_sha256) {
                return Err(Error::CodeMismatch(latest.code.uploaded_sha256.clone()));
            }
            if let BuildState::Failed(failure) = &latest.state {
                return Err(Error::Failed { name: edit.function.name.clone(), reason: failure.reason.clone() });
            }
            Ok(publish_revision(edit, &latest, description, now_ms, id))
        })
        .await
    }

    /// Judges code in the child process; answers what it is, and the component that was made of it.
    pub(crate) fn judge(
        &self,
        name: &str,
        upload: &Upload,
        world: Option<&str>,
        config: &Configuration,
    ) -> Result<(Code, Vec<u8>), Error> {
        let kept = self.account().0;
        if kept.saturating_add(upload.bytes) > CODE_BYTES_MAX {
            return Err(Error::CodeStorage { kept });
        }
        let refused = |source| Error::Module { name: name.to_owned(), source };
        let _one = self.judging.lock();
        let judged = self.compiler.judge(&upload.module, &grants(config)).map_err(refused)?;
        let code = Code {
            sha256: sha256_hex(&judged.bytes),
            component_bytes: judged.bytes.len() as u64,
            uploaded_sha256: upload.sha256.clone(),
            uploaded_bytes: upload.bytes,
            world: judged.world.name().to_owned(),
            imports: judged.imports,
        };
        same_world(&code, world)?;
        Ok((code, judged.bytes))
    }

    /// Holds the imports of stored code against other grants.
    fn judge_again(&self, name: &str, code: &Code, config: &Configuration) -> Result<Code, Error> {
        let refused = |source| Error::Module { name: name.to_owned(), source };
        grants(config).judge(&code.imports).map_err(refused)?;
        Ok(code.clone())
    }
}

/// The grants of a configuration.
pub(crate) fn grants(config: &Configuration) -> Grants {
    Grants { http_hosts: config.http_hosts.clone(), key_value: config.key_value }
}

fn same_world(code: &Code, wanted: Option<&str>) -> Result<(), Error> {
    match wanted {
        Some(wanted) if wanted != code.world => Err(Error::invalid(
            "function.world",
            format!(
                "Handler names the world {wanted}, but the module exports that of {}: a function keeps its world, so \
                 create one with Handler {} for this module (under the same name when the other is deleted)",
                code.world, code.world
            ),
        )),
        _ => Ok(()),
    }
}

fn check(config: &Configuration) -> Result<(), Error> {
    if !MEMORY_BYTES.contains(&config.memory_bytes) {
        return Err(Error::invalid(
            "function.limits",
            format!("memory-bytes is from 65536 to {}, not {}", MEMORY_BYTES.end(), config.memory_bytes),
        ));
    }
    check_hosts(&config.http_hosts)?;
    if !(1..=TIMEOUT_MS_MAX).contains(&config.timeout_ms) {
        return Err(Error::invalid(
            "function.limits",
            format!("deadline-ms is from 1 to {TIMEOUT_MS_MAX}, not {}", config.timeout_ms),
        ));
    }
    Ok(())
}

fn refuse_while_building(function: &Function, latest: &Option<Arc<Revision>>) -> Result<(), Error> {
    let pending = latest.as_ref().is_some_and(|latest| latest.state == BuildState::Building);
    if pending || function.deploying.is_some() || matches!(function.last_update, LastUpdate::InProgress(_)) {
        return Err(Error::UpdateInProgress(function.name.clone()));
    }
    Ok(())
}

pub(crate) fn expect_revision_id(is: &str, wanted: Option<&str>) -> Result<(), Error> {
    if wanted.is_some_and(|wanted| wanted != is) { Err(Error::Precondition) } else { Ok(()) }
}

/// The next version for `revision`; the newest when that has the same code and configuration.
pub(crate) fn publish_revision(
    edit: &mut FunctionEdit,
    revision: &Revision,
    description: Option<String>,
    now_ms: i64,
    revision_id: String,
) -> u32 {
    let function = &mut edit.function;
    if let Some((newest, published)) = function.versions.last_key_value()
        && let Some(same) = edit.revisions.get(&published.revision)
        && (&same.code, &same.config) == (&revision.code, &revision.config)
    {
        return *newest;
    }
    function.last_version += 1;
    let description = description.unwrap_or_else(|| revision.config.description.clone());
    let published = Published { revision: revision.number, created_ms: now_ms, description, revision_id };
    function.versions.insert(function.last_version, published);
    function.last_version
}

impl Functions {
    /// Takes out revisions that nothing points at, but for the newest of them: an object under way may name one.
    /// Their files go a little later.
    pub(crate) fn drop_unused(&self, edit: &mut FunctionEdit) {
        let function = &edit.function;
        let used = |number: u32| {
            number == function.latest
                || matches!(function.last_update, LastUpdate::InProgress(building) if building == number)
                || function.deploying.as_ref().is_some_and(|deploying| deploying.revision == number)
                || function.versions.values().any(|version| version.revision == number)
        };
        let unused: Vec<u32> = edit.revisions.keys().copied().filter(|number| !used(*number)).collect();
        for number in unused.iter().rev().skip(UNPUBLISHED_KEPT) {
            edit.revisions.remove(number);
            self.collect_soon();
        }
    }
}
