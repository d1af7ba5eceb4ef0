//! The functions platform: code, revisions, versions and aliases of deployed functions; what runs, is
//! logged and is counted. Delivery's lanes and the Lambda API are its two callers.
//!
//! A change's way: bytes → [`Functions::create`] or an update (judged in a child process, stored by
//! SHA-256, a revision in the catalog that is `Building`) → the builder (compiled in a bounded child,
//! sealed, started once) → the revision is `Active`, and `$LATEST` points at it. Until then, and when it
//! fails, what was live stays live.

mod aliases;
mod build;
mod calls;
mod change;
mod deploy;
mod edits;
mod error;
mod events;
mod files;
mod granted;
mod invoke;
mod loaded;
mod logs;
mod meters;
mod platform;
mod resolve;
mod shadow;
mod threads;

pub use aliases::AliasChange;
pub use calls::Permit;
pub use change::{CODE_BYTES_MAX, Change, NewFunction, Upload};
pub use deploy::{Deployed, Deployment};
pub use error::{Error, Throttle};
pub use invoke::{Invocation, Invoked};
pub use loaded::Live;
pub use logs::{LogLine, LogPage};
pub use meters::{DURATION_BUCKETS, Meter, Metered};
pub use platform::{FunctionParts, Functions};
pub use resolve::{LATEST, Resolved};
pub use shadow::ShadowReport;
pub use threads::INVOKE_THREADS;
