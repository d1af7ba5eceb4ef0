//! Why the platform refused.

use std::io;

pub(crate) use millrace_types::chain;

/// A refused request about a function. The Lambda API maps each to the exception of that name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such function, version or alias.
    #[error("{0}")]
    NotFound(String),
    /// No such version, named by an alias.
    #[error("the function has no version {0}")]
    VersionNotFound(u32),
    /// No such alias.
    #[error("the function has no alias {0}")]
    AliasNotFound(String),
    /// Nothing is set for the events of this qualifier.
    #[error("nothing is set for the events of {0}")]
    EventConfigNotFound(String),
    /// The function's name is taken.
    #[error("the function {0} exists already")]
    FunctionExists(String),
    /// The alias's name is taken.
    #[error("the alias {0} exists already")]
    AliasExists(String),
    /// Aliases point at the version.
    #[error("version {version} is what {} points at: move or delete it first", .aliases.join(", "))]
    VersionInUse {
        /// The version.
        version: u32,
        /// The aliases.
        aliases: Vec<String>,
    },
    /// Another change of the function is under way.
    #[error("another change of the function {0} is under way: try again when it has ended")]
    UpdateInProgress(String),
    /// A deploy that ended before its last step.
    #[error("the deploy of {0} was cut and is taken back: deploy again")]
    Cut(String),
    /// `CodeSha256` of `$LATEST` is this one.
    #[error("the code of $LATEST is another: its CodeSha256 is {0}")]
    CodeMismatch(String),
    /// The request asks for what cannot be.
    #[error("{message}")]
    Invalid {
        /// Stable name of the condition.
        slug: &'static str,
        /// What is wrong, with the user's own names.
        message: String,
    },
    /// More bytes than are taken.
    #[error("{0}")]
    TooLarge(String),
    /// A `RevisionId` that is not the current one.
    #[error(
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve \
         the latest Revision Id"
    )]
    Precondition,
    /// As many calls run, or events wait, as may.
    #[error("{0}")]
    Throttled(Throttle),
    /// The version is being compiled for the first time.
    #[error("the function {0} is still being compiled")]
    Pending(String),
    /// The version never will run.
    #[error("the function {name} cannot run: {reason}")]
    Failed {
        /// The function's name.
        name: String,
        /// Why.
        reason: String,
    },
    /// As much code as may be kept.
    #[error(
        "{kept} bytes of code are kept, and at most {} may be: delete versions or functions that nobody calls",
        crate::CODE_BYTES_MAX
    )]
    CodeStorage {
        /// Bytes that are kept now.
        kept: u64,
    },
    /// As many aliases as a function may have.
    #[error("a function has at most {0} aliases: delete one that nobody calls")]
    AliasLimit(usize),
    /// The code cannot be run.
    #[error("function {name}: {source}")]
    Module {
        /// The function's name.
        name: String,
        /// Why.
        source: millrace_transform::Error,
    },
    /// A file could not be stored or read.
    #[error("the function's files cannot be stored or read")]
    Files(#[from] io::Error),
    /// The catalog refused.
    #[error("{0}{next}", next = next_step(.0))]
    Catalog(#[source] millrace_catalog::Error),
}

/// What to do about a refusal of the catalog.
fn next_step(error: &millrace_catalog::Error) -> &'static str {
    match error {
        millrace_catalog::Error::Limit { .. } => ": delete functions or versions that nobody calls",
        _ => "",
    }
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttle {
    /// Calls of all functions.
    Account,
    /// Calls of a function that has reserved its concurrency.
    Reserved,
    /// Events that wait.
    Events,
}

impl std::fmt::Display for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Account => "too many calls of all functions at once: try again, or reserve some for this one",
            Self::Reserved => "as many calls of the function run as are reserved for it: try again, or reserve more",
            Self::Events => "too many events wait: try again when some have run",
        })
    }
}

impl Error {
    /// An invalid request under its slug.
    pub(crate) fn invalid(slug: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { slug, message: message.into() }
    }

    /// A stable name of the condition, for users.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::NotFound(_) | Self::VersionNotFound(_) | Self::AliasNotFound(_) | Self::EventConfigNotFound(_) => {
                "function.unknown"
            }
            Self::FunctionExists(_)
            | Self::AliasExists(_)
            | Self::VersionInUse { .. }
            | Self::UpdateInProgress(_)
            | Self::Cut(_)
            | Self::CodeMismatch(_) => "function.conflict",
            Self::AliasLimit(_) | Self::CodeStorage { .. } => "limit.exceeded",
            Self::Invalid { slug, .. } => slug,
            Self::TooLarge(_) => "function.too-large",
            Self::Precondition => "function.precondition",
            Self::Throttled(_) => "function.throttled",
            Self::Pending(_) | Self::Failed { .. } => "function.not-ready",
            Self::Module { source, .. } => source.slug(),
            Self::Files(_) => "function.files",
            Self::Catalog(millrace_catalog::Error::Limit { .. }) => "limit.exceeded",
            Self::Catalog(_) => "catalog.write",
        }
    }
}

impl From<millrace_catalog::Error> for Error {
    fn from(error: millrace_catalog::Error) -> Self {
        match error {
            millrace_catalog::Error::NoFunction { name } => Self::NotFound(format!("Function not found: {name}")),
            millrace_catalog::Error::FunctionExists { name } => Self::FunctionExists(name),
            other => Self::Catalog(other),
        }
    }
}

/// The slug of a stored failure as one of those that the platform knows.
pub(crate) fn static_slug(slug: &str) -> &'static str {
    const KNOWN: [&str; 5] =
        ["function.too-large", "function.imports", "function.files", "function.start", "function.module"];
    KNOWN.into_iter().find(|known| *known == slug).unwrap_or("function.module")
}
