//! Who sends this request: Signature Version 4 in the headers, bearer tokens, the access key store,
//! and the signer that our own clients use.
//!
//! The verifier has two steps, so that the body is hashed while it is read: [`begin`] judges the
//! head, [`Verification::update`] takes the body as it comes, [`Verification::finish`] compares.

mod authorization;
mod bearer;
mod canonical;
mod digest;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod keys;
mod sign;
mod stamp;
mod verify;

pub use authorization::{AUTHORIZATION_BYTES_MAX, Authorization, SIGNED_HEADERS_MAX};
pub use bearer::bearer;
pub use digest::body_sha256_hex;
pub use error::{AuthError, KeysError};
pub use keys::{AccessKeys, Identity, Policy};
pub use sign::{SigningParams, sign};
pub use verify::{Expected, RequestHead, SKEW_MS_MAX, Verification, begin};
