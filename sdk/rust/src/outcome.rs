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

    /// `value` goes on in its place, as JSON. What cannot be written so fails the record.
    #[cfg(feature = "serde")]
    pub fn json(value: &(impl serde::Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::changed(bytes),
            Err(error) => Self::failed(format!("the record cannot be written: {error}")),
        }
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

/// What a function of one record may take: [`Record`], or a type that serde reads from its JSON.
#[diagnostic::on_unimplemented(
    message = "a transform cannot take a record as `{Self}`",
    label = "take `Record`, or a type that derives `serde::Deserialize`"
)]
pub trait FromRecord<'a>: Sized {
    /// The record as this type.
    ///
    /// # Errors
    /// Why it is none: the record fails with it.
    fn from_record(record: Record<'a>) -> Result<Self, String>;
}

impl<'a> FromRecord<'a> for Record<'a> {
    fn from_record(record: Record<'a>) -> Result<Self, String> {
        Ok(record)
    }
}

#[cfg(feature = "serde")]
impl<'a, T: serde::Deserialize<'a>> FromRecord<'a> for T {
    fn from_record(record: Record<'a>) -> Result<Self, String> {
        serde_json::from_slice(record.bytes()).map_err(|error| format!("the record cannot be read: {error}"))
    }
}

/// What a function of one record may return: an [`Outcome`], or a result with an error that can be
/// displayed and an [`Outcome`] or a type that serde writes.
#[diagnostic::on_unimplemented(
    message = "a transform cannot return `{Self}`",
    label = "return `Outcome`, or `Result<T, E>` with an `Outcome` or a type that derives `serde::Serialize`, and an `E: Display`"
)]
pub trait IntoOutcome {
    /// The outcome that it stands for.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: Success, E: Display> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(success) => success.into_outcome(),
            Err(error) => Outcome::failed(error),
        }
    }
}

/// What stands in the result of a function of one record that went well.
#[diagnostic::on_unimplemented(
    message = "a record cannot become `{Self}`",
    label = "return an `Outcome`, or a type that derives `serde::Serialize`"
)]
pub trait Success {
    /// The outcome that it stands for.
    fn into_outcome(self) -> Outcome;
}

impl Success for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

#[cfg(feature = "serde")]
impl<T: serde::Serialize> Success for T {
    fn into_outcome(self) -> Outcome {
        Outcome::json(&self)
    }
}
