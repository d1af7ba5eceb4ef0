//! The journal: one durable log per data directory, shared by all streams. Appends are acknowledged
//! when `fdatasync` has returned; readers follow a shard from disk into memory without noticing.
//! `frame` says byte by byte what lies on disk, `recovery` what a start makes of it.

pub mod disk;
mod error;
pub mod fake;
mod file;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod index;
pub mod inspect;
mod journal;
mod mark;
mod quarantine;
mod recovery;
mod scan;
mod settings;
mod snapshot;
mod status;
mod store;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{Error, Refusal};
pub use fake::FakeDisk;
pub use journal::{Commit, Intent, Journal, Read, Reader, ShardState};
pub use mark::Loss;
pub use settings::JournalSettings;
pub use status::{Hidden, JournalStatus, Quarantined, Recovery};
