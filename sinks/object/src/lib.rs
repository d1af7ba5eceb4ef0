//! Objects into object stores: a local folder, S3 and what speaks it, Azure Blob, Google Cloud
//! Storage. The only crate that touches `object_store`.
//!
//! [`ObjectBuckets`] turns a bucket's name into a [`Sink`](millrace_sink::Sink) as [`ObjectSettings`]
//! say; by default bucket `b` is the folder `objects/b/`. Retries and backoff belong to the caller:
//! one `put` is one attempt.

mod access;
mod buckets;
mod classify;
mod environment;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod key;
mod local;
mod read;
mod remote;
mod secret;
mod settings;
mod wire;

pub use buckets::{Lookup, ObjectBuckets};
pub use error::ObjectError;
pub use secret::Secret;
pub use settings::{
    AzureSettings, GcsSettings, LocalSettings, ObjectSettings, S3Settings, StoreSettings, TransportSettings,
};

#[cfg(test)]
mod fake_s3;
