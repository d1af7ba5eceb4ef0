//! An error with the stable name of its condition.

use std::borrow::Cow;
use std::fmt;

/// What went wrong, in one sentence, and the name that `millrace explain` has a page for. It is an
/// error itself, or the context of one.
#[derive(Debug)]
pub(crate) struct Named {
    slug: Cow<'static, str>,
    message: String,
}

impl Named {
    pub(crate) fn new(slug: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { slug: slug.into(), message: message.into() }
    }

    /// Stable name of the condition.
    pub(crate) fn slug(&self) -> &str {
        &self.slug
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Named {}
