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
//! Over JSON, with types that serde reads and writes (feature `serde`, on by default):
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Order<'a> {
//!     id: u64,
//!     currency: &'a str,
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Priced {
//!     id: u64,
//!     is_euro: bool,
//! }
//!
//! #[millrace_sdk::transform]
//! fn price(order: Order) -> Result<Priced, String> {
//!     Ok(Priced { id: order.id, is_euro: order.currency == "EUR" })
//! }
//! ```
//!
//! Over one event, as an AWS Lambda function has it:
//!
//! ```
//! use millrace_sdk::Context;
//! use serde_json::{Value, json};
//!
//! #[millrace_sdk::handler]
//! fn hello(event: Value, context: &Context) -> Result<Value, String> {
//!     let name = event["name"].as_str().ok_or("who?")?;
//!     Ok(json!({ "hello": name, "request": context.request_id }))
//! }
//! ```
//!
//! Build with `cargo build --release --target wasm32-unknown-unknown` as a `cdylib`. A function for
//! whole batches, `fn f(batch: &Batch, out: &mut Output) -> Result<(), E>`, writes into the output
//! itself and allocates nothing per record. Functions are plain functions: test them natively.

mod batch;
pub mod guest;
mod host;
pub mod http;
pub mod key_value;
mod outcome;
mod output;

pub use batch::{Batch, Record};
pub use host::{Context, Level, context, log, now_ms, random_bytes, random_u64, setting};
pub use millrace_sdk_macros::{handler, transform};
pub use outcome::{FromRecord, IntoOutcome, Outcome, Success};
pub use output::Output;

/// Logs a line: `log!(info, "{n} records")`. Levels are `debug`, `info`, `warn`, `error`.
#[macro_export]
macro_rules! log {
    (debug, $($text:tt)*) => { $crate::log($crate::Level::Debug, &::std::format!($($text)*)) };
    (info, $($text:tt)*) => { $crate::log($crate::Level::Info, &::std::format!($($text)*)) };
    (warn, $($text:tt)*) => { $crate::log($crate::Level::Warn, &::std::format!($($text)*)) };
    (error, $($text:tt)*) => { $crate::log($crate::Level::Error, &::std::format!($($text)*)) };
}
