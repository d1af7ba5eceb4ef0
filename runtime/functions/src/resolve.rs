//! From a name and a qualifier to the revision that runs: `$LATEST`, a number, or an alias, whose second
//! version gets its share of the calls.

use std::sync::Arc;

use millrace_catalog::{BuildState, Function, Revision, Snapshot};

use crate::Error;

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

fn not_found(name: &str, qualifier: &str) -> Error {
    let end = if qualifier == LATEST { String::new() } else { format!(":{qualifier}") };
    Error::NotFound(format!("Function not found: {name}{end}"))
}

impl Resolved {
    /// Refuses what is not built (yet).
    ///
    /// # Errors
    /// [`Error::NotReady`] with the state and why.
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
