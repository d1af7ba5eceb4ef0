//! Delivery: from a shard of the journal to finished objects in a bucket, exactly once.

mod handle;

pub use handle::{AppendError, Appended, DeleteError, Parked, StreamHandle, StreamStatusReport, Streams};
