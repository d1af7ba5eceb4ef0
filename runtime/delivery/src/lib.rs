//! Delivery: from a shard of the journal to finished objects in a bucket, exactly once. A lane follows
//! its shard, works on records in windows, and takes each cut window through outbox, intent, put, commit.

mod budget;
mod claims;
mod context;
mod cut;
mod failure;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod handle;
mod intent;
mod lane;
mod library;
mod outbox;
mod outputs;
mod plan;
mod ready;
mod remake;
mod route;
mod settings;
mod ship;
mod status;
mod streams;
#[cfg(test)]
mod tests;
mod tracker;
mod window;
mod work;

pub use handle::{AppendError, Appended, StreamHandle};
pub use settings::DeliverySettings;
pub use status::{Parked, RevisionSince, StreamStatusReport};
pub use streams::{DeleteError, Parts, StartError, Streams};

/// True when the bug of that name is planted: only in builds with the feature `planted`, which the
/// crash oracle makes to prove that it catches each.
fn planted(bug: &str) -> bool {
    #[cfg(feature = "planted")]
    {
        std::env::var("MILLRACE_PLANT").is_ok_and(|plant| plant == bug)
    }
    #[cfg(not(feature = "planted"))]
    {
        let _ = bug;
        false
    }
}
