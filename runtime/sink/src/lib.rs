//! The `Sink` contract: what every destination of finished objects promises, and the suite that
//! each implementer runs. Sinks see this crate and `millrace-types` only.

pub mod contract;
mod error;
mod object;

pub use error::{Advice, SinkError};
pub use object::{Content, Object, Stored};

use std::sync::Arc;

use async_trait::async_trait;

/// A place that takes finished objects.
///
/// # What an implementer promises
/// 1. `put` answers `Ok` only when the object is stored as durably as the place can: a local folder
///    has synced the file *and* its directories.
/// 2. `put` of the same key with the same bytes may be repeated any number of times, at once or
///    later, whatever became of earlier attempts: the outcome is one object.
/// 3. A reader of the place never sees a part of an object.
/// 4. An answer that does not prove success is an error; so is a stored length other than the one sent.
/// 5. Errors say in [`Advice`] what the caller shall do, and name bucket and key, never a secret.
#[async_trait]
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// Stores `object` whole under its key.
    async fn put(&self, object: &Object) -> Result<Stored, SinkError>;

    /// Where objects go, as an operator names it: `s3://bucket` or `file:///dir`.
    fn location(&self) -> String;
}

/// Finds the sink of a bucket; the server's settings decide what a bucket is.
pub trait Buckets: Send + Sync + std::fmt::Debug {
    /// The sink for `bucket`.
    ///
    /// # Errors
    /// When the name or the settings for it are unusable; [`Advice::Operator`].
    fn open(&self, bucket: &str) -> Result<Arc<dyn Sink>, SinkError>;
}
