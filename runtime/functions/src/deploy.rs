//! `millrace deploy`: code, configuration, a version and an alias in one step, answered when it is live.

use std::sync::Arc;

use millrace_catalog::{Alias, BuildState, Configuration, Revision};

use crate::aliases::{AliasChange, apply, check};
use crate::change::{Change, NewFunction, publish_revision};
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

impl Functions {
    /// Deploys. A failure at any step leaves what was live live, and nothing of the new code behind.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::update`], and why the code does not build.
    pub async fn deploy(self: &Arc<Self>, deployment: Deployment) -> Result<Deployed, Error> {
        let Deployment { name, upload, config, alias, weight } = deployment;
        if weight.is_some() && alias.is_none() {
            return Err(Error::invalid("function.alias", "a weight is a share of an alias: name one with --alias"));
        }
        let is_new = self.function(&name).is_err();
        let number = if is_new {
            let new = NewFunction {
                name: name.clone(),
                upload,
                world: None,
                config,
                tags: std::collections::BTreeMap::new(),
                publish: false,
            };
            self.create(new).await?.latest
        } else {
            let change = Change { upload: Some(upload), config: Some(config), ..Change::default() };
            self.update(&name, change).await?.1.number
        };
        let revision = self.built(&name, number).await?;
        if let BuildState::Failed(failure) = &revision.state {
            let (slug, reason) = (failure.slug.clone(), failure.reason.clone());
            self.undo(&name, number, is_new).await;
            return Err(Error::invalid(crate::error::static_slug(&slug), reason));
        }
        let (now_ms, ids) = (self.clock.now_ms(), [self.entropy.uuid(), self.entropy.uuid()]);
        let published = Arc::clone(&revision);
        let (version, alias) = self
            .edit(&name, move |edit| {
                let [version_id, alias_id] = ids;
                let version = publish_revision(edit, &published, None, now_ms, version_id);
                let Some(wanted) = alias else { return Ok((version, None)) };
                let next = match (edit.function.aliases.get(&wanted), weight) {
                    (Some(old), Some(share)) => {
                        let change = AliasChange { canary: Some(Some((version, share))), ..AliasChange::default() };
                        apply(old.clone(), change, alias_id)
                    }
                    (Some(old), None) => {
                        let change =
                            AliasChange { version: Some(version), canary: Some(None), ..AliasChange::default() };
                        apply(old.clone(), change, alias_id)
                    }
                    (None, Some(_)) => {
                        return Err(Error::invalid(
                            "function.alias",
                            format!("there is no alias {wanted} yet that could share its calls: deploy without --weight first"),
                        ));
                    }
                    (None, None) => Alias {
                        version,
                        canary: None,
                        description: String::new(),
                        revision_id: alias_id,
                        before: Vec::new(),
                    },
                };
                check(edit, next.version, next.canary)?;
                edit.function.aliases.insert(wanted, next.clone());
                Ok((version, Some(next)))
            })
            .await?;
        Ok(Deployed { revision, version, alias })
    }

    /// A revision once it is built, well or not.
    async fn built(&self, name: &str, number: u32) -> Result<Arc<Revision>, Error> {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let gone = || Error::NotFound(format!("Function not found: {}", self.arn(name)));
            let revision = self.revision(name, number).ok_or_else(gone)?;
            if revision.state != BuildState::Building {
                return Ok(revision);
            }
            // The sender lives as long as the platform.
            drop(changes.changed().await);
        }
    }

    /// Takes out what a failed deploy left.
    async fn undo(self: &Arc<Self>, name: &str, number: u32, is_new: bool) {
        let undone = if is_new {
            self.delete(name, None).await
        } else {
            let functions = Arc::clone(self);
            let edited = self.edit(name, move |edit| {
                edit.revisions.remove(&number);
                Ok(())
            });
            let edited = edited.await;
            millrace_tasks::blocking(move || functions.collect_files()).await;
            edited
        };
        if let Err(error) = undone {
            tracing::warn!(
                function = name,
                error = crate::error::chain(&error),
                "a failed deploy could not be taken back"
            );
        }
    }
}
