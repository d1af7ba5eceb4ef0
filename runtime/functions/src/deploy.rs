//! `millrace deploy`: code, configuration, a version and an alias in one step, answered when it is live.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_catalog::{Alias, BuildState, Catalog, Configuration, Deploying, Function, LastUpdate, Revision};
use tokio::sync::oneshot;

use crate::aliases::{ALIASES_MAX, AliasChange, apply, check};
use crate::change::{Change, NewFunction, publish_revision};
use crate::error::{chain, static_slug};
use crate::{Error, Functions, Upload};

/// What is to be live.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The function's name, checked; made when it is not there.
    pub name: String,
    /// The module or component.
    pub upload: Upload,
    /// How it runs.
    pub config: Configuration,
    /// The alias that gets the new version.
    pub alias: Option<String>,
    /// Its share of the alias's calls, above 0 and below 1; all of them when `None`.
    pub weight: Option<f64>,
}

/// What is live.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The revision.
    pub revision: Arc<Revision>,
    /// The version that was published.
    pub version: u32,
    /// The alias, when one was named.
    pub alias: Option<Alias>,
}

/// What a deploy does to an alias.
#[derive(Debug, Clone)]
struct Plan {
    alias: String,
    weight: Option<f64>,
}

impl Plan {
    /// The alias as it is behind the deploy of `version`.
    fn apply(&self, function: &Function, version: u32, revision_id: String) -> Result<Alias, Error> {
        let refused = |text: String| Err(Error::invalid("function.alias", text));
        if let Some(weight) = self.weight
            && !(weight > 0.0 && weight < 1.0)
        {
            return refused(format!("a weight is above 0 and below 100 percent, not {}", weight * 100.0));
        }
        match (function.aliases.get(&self.alias), self.weight) {
            (Some(old), Some(_)) if old.version == version => refused(format!(
                "the alias {} has version {version} already, and this deploy would change nothing: its second version \
                 must be another",
                self.alias
            )),
            (Some(old), Some(share)) => {
                let change = AliasChange { canary: Some(Some((version, share))), ..AliasChange::default() };
                Ok(apply(old.clone(), change, revision_id))
            }
            (Some(old), None) => {
                let change = AliasChange { version: Some(version), canary: Some(None), ..AliasChange::default() };
                Ok(apply(old.clone(), change, revision_id))
            }
            (None, Some(_)) => refused(format!(
                "there is no alias {} yet that could share its calls: deploy without --weight first",
                self.alias
            )),
            (None, None) if function.aliases.len() >= ALIASES_MAX => Err(Error::AliasLimit(ALIASES_MAX)),
            (None, None) => {
                Ok(Alias { version, canary: None, description: String::new(), revision_id, before: Vec::new() })
            }
        }
    }
}

impl Functions {
    /// Deploys: all of it, or nothing when a step fails, the server ends before the last one, or nobody waits for
    /// the answer any more. Until the last step what was live is live, `$LATEST` too.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::update`], and why the code does not build.
    pub async fn deploy(self: &Arc<Self>, deployment: Deployment) -> Result<Deployed, Error> {
        let (answer, answered) = oneshot::channel();
        let functions = Arc::clone(self);
        self.tasks.spawn("deploy", async move { functions.deploy_or_take_back(deployment, answer).await });
        match answered.await {
            Ok(deployed) => deployed,
            // The server stops; its next start takes the deploy back.
            Err(_) => std::future::pending().await,
        }
    }

    async fn deploy_or_take_back(
        self: Arc<Self>,
        deployment: Deployment,
        mut answer: oneshot::Sender<Result<Deployed, Error>>,
    ) {
        let name = deployment.name.clone();
        let plan = deployment.alias.clone().map(|alias| Plan { alias, weight: deployment.weight });
        let deployed = match self.begin_deploy(deployment, plan.as_ref()).await {
            Err(error) => Err(error),
            Ok(number) => {
                let built = tokio::select! {
                    built = self.built(&name, number) => built,
                    () = answer.closed() => Err(Error::Cut(name.clone())),
                };
                let ended = match built {
                    Ok(()) => self.end_deploy(&name, number, plan).await,
                    Err(error) => Err(error),
                };
                if ended.is_err() {
                    self.take_back(&name, number).await;
                }
                ended
            }
        };
        // Nobody may wait for it any more.
        drop(answer.send(deployed));
    }

    /// The revision of a deploy, being built; everything that can be refused before is.
    async fn begin_deploy(self: &Arc<Self>, deployment: Deployment, plan: Option<&Plan>) -> Result<u32, Error> {
        let Deployment { name, upload, config, weight, .. } = deployment;
        if weight.is_some() && plan.is_none() {
            return Err(Error::invalid("function.alias", "a weight is a share of an alias: name one with --alias"));
        }
        let found = self.function(&name).ok();
        if let (Some(plan), Some(function)) = (plan, &found) {
            plan.apply(function, function.last_version + 1, String::new())?;
        }
        if found.is_some() {
            let change = Change { upload: Some(upload), config: Some(config), deploy: true, ..Change::default() };
            return Ok(self.update(&name, change).await?.1.number);
        }
        if let Some(Plan { alias, weight: Some(_) }) = plan {
            return Err(Error::invalid(
                "function.alias",
                format!(
                    "the function {name} has no alias {alias} that could share its calls: deploy without --weight first"
                ),
            ));
        }
        let tags = BTreeMap::new();
        let new = NewFunction { name, upload, world: None, config, tags, publish: false, deploy: true };
        Ok(self.create(new).await?.latest)
    }

    /// Publishes what was built, and points `$LATEST` and the alias at it, in one step.
    async fn end_deploy(self: &Arc<Self>, name: &str, number: u32, plan: Option<Plan>) -> Result<Deployed, Error> {
        let (now_ms, [version_id, alias_id]) = (self.clock.now_ms(), [self.entropy.uuid(), self.entropy.uuid()]);
        self.edit(name, move |edit| {
            let ours = edit.function.deploying.take_if(|deploying| deploying.revision == number);
            let (Some(_), Some(revision)) = (ours, edit.revisions.get(&number).cloned()) else {
                return Err(Error::Cut(edit.function.name.clone()));
            };
            (edit.function.latest, edit.function.last_update) = (number, LastUpdate::Successful);
            let version = publish_revision(edit, &revision, None, now_ms, version_id);
            let Some(plan) = plan else { return Ok(Deployed { revision, version, alias: None }) };
            let alias = plan.apply(&edit.function, version, alias_id)?;
            check(edit, alias.version, alias.canary)?;
            edit.function.aliases.insert(plan.alias, alias.clone());
            Ok(Deployed { revision, version, alias: Some(alias) })
        })
        .await
    }

    /// Waits until a revision is built.
    async fn built(&self, name: &str, number: u32) -> Result<(), Error> {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            match self.revision(name, number).map(|revision| revision.state.clone()) {
                Some(BuildState::Active) => return Ok(()),
                Some(BuildState::Building) => {}
                Some(BuildState::Failed(failure)) => {
                    return Err(Error::invalid(static_slug(&failure.slug), failure.reason));
                }
                None => return Err(Error::Cut(name.to_owned())),
            }
            // The sender lives as long as the platform.
            drop(changes.changed().await);
        }
    }

    async fn take_back(self: &Arc<Self>, name: &str, number: u32) {
        let (functions, name) = (Arc::clone(self), name.to_owned());
        let taken_back = millrace_tasks::blocking(move || {
            let whole = take_back(&functions.catalog, &name, number)?;
            if whole {
                functions.delete_blocking(&name)?;
            }
            functions.collect_files();
            Ok::<(), Error>(())
        });
        if let Err(error) = taken_back.await {
            tracing::warn!(error = chain(&error), "a failed deploy is taken back by the next start only");
        }
        self.tell_change();
    }
}

/// Takes back what is left of a deploy; whether that is the whole function.
fn take_back(catalog: &Catalog, name: &str, number: u32) -> Result<bool, Error> {
    let edited = catalog.edit_function(name, |edit| {
        match edit.function.deploying.take_if(|deploying| deploying.revision == number) {
            Some(Deploying { before: None, .. }) => return Ok(true),
            Some(Deploying { before: Some(before), .. }) => {
                let failed = edit.revisions.remove(&number).and_then(|revision| match &revision.state {
                    BuildState::Failed(failure) => Some(LastUpdate::Failed(failure.clone())),
                    _ => None,
                });
                edit.function.last_update = failed.unwrap_or(before);
            }
            None => {}
        }
        Ok(false)
    });
    match edited {
        Err(Error::NotFound(_)) => Ok(false),
        other => other,
    }
}

/// Takes back all deploys that the end of the server has cut.
pub(crate) fn take_back_all(catalog: &Catalog) -> Result<(), Error> {
    for function in catalog.snapshot().functions() {
        if let Some(deploying) = &function.deploying {
            tracing::warn!(
                function = function.name,
                revision = deploying.revision,
                "a deploy was cut: it is taken back"
            );
            if take_back(catalog, &function.name, deploying.revision)? {
                catalog.remove_function(&function.name)?;
            }
        }
    }
    Ok(())
}
