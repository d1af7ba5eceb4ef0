//! From a name and a qualifier to the revision that runs: `$LATEST`, a number, or an alias, whose second
//! version gets its share of the calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_catalog::{BuildState, Function, Published, Revision, Snapshot};

use crate::{Error, Functions};

/// The qualifier of what is not published.
pub const LATEST: &str = "$LATEST";

/// What a qualifier stands for at this moment.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The function.
    pub function: Arc<Function>,
    /// What runs.
    pub revision: Arc<Revision>,
    /// The published version's number, or `$LATEST`.
    pub version: String,
    /// The alias that was named, if one was.
    pub alias: Option<String>,
}

/// Resolves; `draw` is a number from 0 up to 1 that decides between an alias's two versions.
///
/// # Errors
/// [`Error::NotFound`], in Lambda's words.
pub(crate) fn resolve(
    snapshot: &Snapshot,
    name: &str,
    qualifier: Option<&str>,
    draw: impl FnOnce() -> f64,
) -> Result<Resolved, Error> {
    let qualifier = qualifier.filter(|q| !q.is_empty()).unwrap_or(LATEST);
    let Some(function) = snapshot.function(name) else { return Err(not_found(name, qualifier)) };
    let missing = || match qualifier {
        LATEST => Error::NotFound(format!("Function not found: {}", function.arn)),
        other => Error::NotFound(format!("Function not found: {}:{other}", function.arn)),
    };
    let mut alias = None;
    let (number, version) = if qualifier == LATEST {
        (function.latest, LATEST.to_owned())
    } else {
        let version = match function.aliases.get(qualifier) {
            Some(named) => {
                alias = Some(qualifier.to_owned());
                match named.canary {
                    Some((canary, share)) if draw() < share => canary,
                    _ => named.version,
                }
            }
            None => qualifier.parse().map_err(|_| missing())?,
        };
        (function.versions.get(&version).ok_or_else(missing)?.revision, version.to_string())
    };
    let revision = snapshot.revision(name, number).ok_or_else(missing)?;
    Ok(Resolved { function: Arc::clone(function), revision: Arc::clone(revision), version, alias })
}

type Versions = BTreeMap<u32, Published>;

/// The newest version that was published of a revision.
pub(crate) fn published(versions: &Versions, revision: u32) -> Option<u32> {
    versions.iter().rev().find(|(_, version)| version.revision == revision).map(|(number, _)| *number)
}

/// What a call of `revision` sees as its version when `qualifier` stands for it.
fn version_seen(versions: &Versions, qualifier: Option<&str>, revision: u32) -> String {
    match qualifier.filter(|q| !q.is_empty()) {
        None | Some(LATEST) => LATEST.to_owned(),
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => number.to_owned(),
        // An alias points at versions.
        Some(_) => {
            published(versions, revision).map_or_else(|| format!("revision {revision}"), |number| number.to_string())
        }
    }
}

impl Functions {
    /// The version that a call of `revision` saw when `qualifier` stood for it: `$LATEST`, or the number that was
    /// published, or `revision N` where that is deleted.
    #[must_use]
    pub fn version_seen(&self, name: &str, qualifier: Option<&str>, revision: u32) -> String {
        let snapshot = self.catalog.snapshot();
        let none = Versions::new();
        version_seen(snapshot.function(name).map_or(&none, |function| &function.versions), qualifier, revision)
    }
}

fn not_found(name: &str, qualifier: &str) -> Error {
    let end = if qualifier == LATEST { String::new() } else { format!(":{qualifier}") };
    Error::NotFound(format!("Function not found: {name}{end}"))
}

impl Resolved {
    /// Refuses what is not built (yet).
    ///
    /// # Errors
    /// [`Error::Pending`]; [`Error::Failed`] with why.
    pub fn ready(self) -> Result<Self, Error> {
        match &self.revision.state {
            BuildState::Active => Ok(self),
            BuildState::Building => Err(Error::Pending(self.function.name.clone())),
            BuildState::Failed(failure) => {
                Err(Error::Failed { name: self.function.name.clone(), reason: failure.reason.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_runs_again_is_seen_under_the_version_that_it_had() {
        let mut versions = Versions::new();
        for (number, revision) in [(2, 7), (3, 7), (4, 9)] {
            let version = Published { revision, created_ms: 0, description: String::new(), revision_id: String::new() };
            versions.insert(number, version);
        }
        let seen = |qualifier, revision| version_seen(&versions, qualifier, revision);
        for latest in [None, Some(""), Some(LATEST)] {
            assert_eq!(seen(latest, 7), LATEST, "though it is published as well");
            assert_eq!(seen(latest, 5), LATEST, "though it is not the newest any more");
        }
        assert_eq!((seen(Some("live"), 7), seen(Some("live"), 9)), ("3".to_owned(), "4".to_owned()));
        assert_eq!(seen(Some("2"), 7), "2");
        assert_eq!(seen(Some("live"), 5), "revision 5");
        assert_eq!(version_seen(&Versions::new(), Some("live"), 7), "revision 7");
    }
}
