//! Aliases: names of versions, with a share for a second one; promotion and the way back.

use std::sync::Arc;

use millrace_catalog::{Alias, BuildState, FunctionEdit};

use crate::change::expect_revision_id;
use crate::{Error, Functions};

/// Versions that an alias remembers for its way back.
const BEFORE_MAX: usize = 10;
/// Aliases of one function.
pub(crate) const ALIASES_MAX: usize = 1_000;

/// What an alias is to be; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct AliasChange {
    /// The version.
    pub version: Option<u32>,
    /// The second version with its share; `Some(None)` ends the sharing.
    pub canary: Option<Option<(u32, f64)>>,
    /// `Description`.
    pub description: Option<String>,
    /// Only if the alias has this `RevisionId`.
    pub revision_id: Option<String>,
}

impl Functions {
    /// Makes an alias.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a function or a version that is not there, [`Error::AliasExists`].
    pub async fn create_alias(self: &Arc<Self>, name: &str, alias: &str, new: Alias) -> Result<Alias, Error> {
        let (alias, id) = (alias.to_owned(), self.entropy.uuid());
        self.edit(name, move |edit| {
            if edit.function.aliases.contains_key(&alias) {
                return Err(Error::AliasExists(alias));
            }
            if edit.function.aliases.len() >= ALIASES_MAX {
                return Err(Error::AliasLimit(ALIASES_MAX));
            }
            check(edit, new.version, new.canary)?;
            let made = Alias { revision_id: id, before: Vec::new(), ..new };
            edit.function.aliases.insert(alias, made.clone());
            Ok(made)
        })
        .await
    }

    /// Changes an alias. Batches and events under way finish with the version they began with.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Precondition`].
    pub async fn update_alias(self: &Arc<Self>, name: &str, alias: &str, change: AliasChange) -> Result<Alias, Error> {
        let (alias, id) = (alias.to_owned(), self.entropy.uuid());
        self.edit(name, move |edit| {
            let missing = || Error::AliasNotFound(alias.clone());
            let old = edit.function.aliases.get(&alias).ok_or_else(missing)?.clone();
            expect_revision_id(&old.revision_id, change.revision_id.as_deref())?;
            let next = apply(old, change, id);
            check(edit, next.version, next.canary)?;
            edit.function.aliases.insert(alias, next.clone());
            Ok(next)
        })
        .await
    }

    /// Deletes an alias; one that is not there is none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the function.
    pub async fn delete_alias(self: &Arc<Self>, name: &str, alias: &str) -> Result<(), Error> {
        let alias = alias.to_owned();
        self.edit(name, move |edit| {
            edit.function.aliases.remove(&alias);
            edit.function.event_configs.remove(&alias);
            Ok(())
        })
        .await
    }

    /// Makes an alias's second version its only one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when it has no second one.
    pub async fn promote(self: &Arc<Self>, name: &str, alias: &str) -> Result<Alias, Error> {
        let found = self.alias(name, alias)?;
        let Some((canary, _)) = found.canary else {
            return Err(Error::invalid(
                "function.alias",
                format!(
                    "the alias {alias} of {name} has no second version to promote: it is all version {}",
                    found.version
                ),
            ));
        };
        let change = AliasChange {
            version: Some(canary),
            canary: Some(None),
            revision_id: Some(found.revision_id),
            ..AliasChange::default()
        };
        self.update_alias(name, alias, change).await
    }

    /// Takes an alias back: a second version goes; without one, the version before comes back, or `to`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when there is nothing to go back to.
    pub async fn rollback(self: &Arc<Self>, name: &str, alias: &str, to: Option<u32>) -> Result<Alias, Error> {
        let found = self.alias(name, alias)?;
        let version = match (to, found.canary, found.before.last()) {
            (Some(to), _, _) => to,
            (None, Some(_), _) => found.version,
            (None, None, Some(before)) => *before,
            (None, None, None) => {
                return Err(Error::invalid(
                    "function.alias",
                    format!(
                        "the alias {alias} of {name} was never anything but version {}: name one with --to",
                        found.version
                    ),
                ));
            }
        };
        let (id, wanted, revision_id) = (self.entropy.uuid(), alias.to_owned(), found.revision_id);
        self.edit(name, move |edit| {
            check(edit, version, None)?;
            let missing = || Error::AliasNotFound(wanted.clone());
            let now = edit.function.aliases.get_mut(&wanted).ok_or_else(missing)?;
            expect_revision_id(&now.revision_id, Some(&revision_id))?;
            // The way back is not itself something to come back to.
            while now.before.last() == Some(&version) {
                now.before.pop();
            }
            (now.version, now.canary, now.revision_id) = (version, None, id);
            Ok(now.clone())
        })
        .await
    }

    /// An alias.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn alias(&self, name: &str, alias: &str) -> Result<Alias, Error> {
        let missing = || Error::AliasNotFound(alias.to_owned());
        self.function(name)?.aliases.get(alias).cloned().ok_or_else(missing)
    }
}

/// An alias as it is behind a change.
pub(crate) fn apply(old: Alias, change: AliasChange, revision_id: String) -> Alias {
    let mut next = Alias { revision_id, ..old };
    if let Some(version) = change.version.filter(|version| *version != next.version) {
        next.before.push(std::mem::replace(&mut next.version, version));
        let over = next.before.len().saturating_sub(BEFORE_MAX);
        next.before.drain(..over);
    }
    next.canary = change.canary.unwrap_or(next.canary);
    next.description = change.description.unwrap_or(next.description);
    next
}

/// Versions of an alias are there and run, two different ones, and the share is one.
pub(crate) fn check(edit: &FunctionEdit, version: u32, canary: Option<(u32, f64)>) -> Result<(), Error> {
    let name = &edit.function.name;
    let there = |version: u32| {
        let published = edit.function.versions.get(&version).ok_or(Error::VersionNotFound(version))?;
        match edit.revisions.get(&published.revision).map(|revision| &revision.state) {
            Some(BuildState::Active) => Ok(()),
            Some(BuildState::Building) => Err(Error::Pending(format!("{name}:{version}"))),
            Some(BuildState::Failed(failure)) => {
                Err(Error::Failed { name: format!("{name}:{version}"), reason: failure.reason.clone() })
            }
            None => Err(Error::VersionNotFound(version)),
        }
    };
    there(version)?;
    let Some((second, share)) = canary else { return Ok(()) };
    there(second)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::invalid("function.alias", format!("an alias's weight is from 0 to 1, not {share}")));
    }
    if second == version {
        return Err(Error::invalid(
            "function.alias",
            format!("the alias has version {version} already: its second version must be another"),
        ));
    }
    Ok(())
}
