//! Words that three or more crates use: the batch, ids, sequence numbers, members, counts, clock,
//! entropy, retry, and an error with its causes. No async, no IO (but for the two adapters that read the clock and the
//! operating system's random source).

mod batch;
mod chain;
mod clock;
mod counts;
mod entropy;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod ids;
mod members;
pub mod mutate;
mod retry;

pub use batch::{Batch, BatchBuilder, BatchFull, Columns, PAYLOAD_BYTES_MAX, RECORDS_MAX};
pub use chain::chain;
pub use clock::{Clock, ManualClock, SystemClock};
pub use counts::Counts;
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use ids::{Lane, RecordId, Seq, ShardId, StreamId};
pub use members::{DecodeMembersError, Members};
pub use retry::Backoff;

/// Bytes in one KiB.
pub const KIB: usize = 1024;
/// Bytes in one MiB.
pub const MIB: usize = 1024 * 1024;
