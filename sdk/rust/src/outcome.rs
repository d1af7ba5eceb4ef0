//! What becomes of one record.

use std::borrow::Cow;
use std::fmt::Display;

use crate::{Output, Record};

/// What becomes of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    what: What,
    keys: Vec<(Cow<'static, str>, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Kept,
    Changed(Vec<u8>),
    Many(Vec<Vec<u8>>),
    Dropped,
    Failed(String),
}

impl Outcome {
    /// It goes on as it is.
    pub fn kept() -> Self {
        What::Kept.into()
    }

    /// These bytes go on in its place.
    pub fn changed(bytes: impl Into<Vec<u8>>) -> Self {
        What::Changed(bytes.into()).into()
    }

    /// Several records go on in its place; none is as [`Self::dropped`].
    pub fn many<B: Into<Vec<u8>>>(records: impl IntoIterator<Item = B>) -> Self {
        What::Many(records.into_iter().map(Into::into).collect()).into()
    }

    /// It goes nowhere, and that is right.
    pub fn dropped() -> Self {
        What::Dropped.into()
    }

    /// It cannot be processed: it goes to the error output with the reason.
    pub fn failed(reason: impl Display) -> Self {
        What::Failed(reason.to_string()).into()
    }

    /// Gives what goes on the value of a partition key, for `!{partitionKeyFromLambda:name}`.
    #[must_use]
    pub fn partition(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.keys.push((name.into(), value.into()));
        self
    }

    pub(crate) fn put(self, record: Record<'_>, out: &mut Output) {
        match self.what {
            What::Kept => {
                out.keep(record);
                out.partitions(&self.keys);
            }
            What::Changed(bytes) => {
                out.push(record, &bytes);
                out.partitions(&self.keys);
            }
            What::Many(records) => {
                for bytes in &records {
                    out.push(record, bytes);
                    out.partitions(&self.keys);
                }
            }
            What::Dropped => {}
            What::Failed(reason) => out.fail(record, reason),
        }
    }
}

impl From<What> for Outcome {
    fn from(what: What) -> Self {
        Self { what, keys: Vec::new() }
    }
}

/// What a function of one record may return.
pub trait IntoOutcome {
    /// The outcome that it stands for.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<E: Display> IntoOutcome for Result<Outcome, E> {
    fn into_outcome(self) -> Outcome {
        self.unwrap_or_else(Outcome::failed)
    }
}
