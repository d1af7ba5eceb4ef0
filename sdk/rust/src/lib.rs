//! Write Millrace functions in Rust.
//!
//! ```
//! use millrace_sdk::{Outcome, Record};
//!
//! #[millrace_sdk::transform]
//! fn shout(record: Record) -> Outcome {
//!     match record.bytes() {
//!         b"" => Outcome::dropped(),
//!         bytes => Outcome::changed(bytes.to_ascii_uppercase()).partition("kind", "loud"),
//!     }
//! }
//! ```
//!
//! Build with `cargo build --release --target wasm32-unknown-unknown` as a `cdylib`. A function for
//! whole batches, `fn f(batch: &Batch, out: &mut Output) -> Result<(), E>`, writes into the output
//! itself and allocates nothing per record. Functions are plain functions: test them natively.

mod batch;
pub mod guest;
mod host;
mod outcome;
mod output;

pub use batch::{Batch, Record};
pub use host::{Level, log, now_ms, random_bytes, random_u64, setting};
pub use millrace_sdk_macros::transform;
pub use outcome::{IntoOutcome, Outcome};
pub use output::Output;

/// Logs a line: `log!(info, "{n} records")`. Levels are `debug`, `info`, `warn`, `error`.
#[macro_export]
macro_rules! log {
    (debug, $($text:tt)*) => { $crate::log($crate::Level::Debug, &::std::format!($($text)*)) };
    (info, $($text:tt)*) => { $crate::log($crate::Level::Info, &::std::format!($($text)*)) };
    (warn, $($text:tt)*) => { $crate::log($crate::Level::Warn, &::std::format!($($text)*)) };
    (error, $($text:tt)*) => { $crate::log($crate::Level::Error, &::std::format!($($text)*)) };
}
