//! Why the platform refused.

use std::io;

/// A refused request about a function. The Lambda API maps each to the exception of that name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such function, version or alias.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken, or an update is under way.
    #[error("{0}")]
    Conflict(String),
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
    /// As many calls run as may.
    #[error("Rate Exceeded.")]
    Throttled {
        /// `Reason` of the exception.
        reason: &'static str,
    },
    /// The version is not ready to be called.
    #[error("{0}")]
    NotReady(String),
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
    #[error(transparent)]
    Catalog(millrace_catalog::Error),
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
            Self::NotFound(_) => "function.unknown",
            Self::Conflict(_) => "function.conflict",
            Self::Invalid { slug, .. } => slug,
            Self::TooLarge(_) => "function.too-large",
            Self::Precondition => "function.precondition",
            Self::Throttled { .. } => "function.throttled",
            Self::NotReady(_) => "function.not-ready",
            Self::Module { source, .. } => source.slug(),
            Self::Files(_) => "function.files",
            Self::Catalog(_) => "catalog.write",
        }
    }
}

impl From<millrace_catalog::Error> for Error {
    fn from(error: millrace_catalog::Error) -> Self {
        match error {
            millrace_catalog::Error::NoFunction { name } => Self::NotFound(format!("Function not found: {name}")),
            millrace_catalog::Error::FunctionExists { name } => {
                Self::Conflict(format!("Function already exist: {name}"))
            }
            other => Self::Catalog(other),
        }
    }
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The slug of a stored failure as one of those that the platform knows.
pub(crate) fn static_slug(slug: &str) -> &'static str {
    const KNOWN: [&str; 4] = ["function.too-large", "function.imports", "function.files", "function.module"];
    KNOWN.into_iter().find(|known| *known == slug).unwrap_or("function.module")
}
