//! Configuration that survives: streams, functions, tables, in redb. What happened to records is in
//! the journal, not here. Reads come from a snapshot in memory; each change is durable before it shows.

mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod model;
mod store;

pub use error::Error;
pub use model::{
    Buffering, Conversion, DynamicPartitioning, FunctionCall, FunctionVersion, InputFormat, NewFunction, NewStream,
    ObjectDestination, ParquetOutput, Processing, SchemaChoice, Stream, StreamStatus, Table,
};
pub use store::{Catalog, Place, Snapshot};

/// Streams one server holds (`reference/firehose.md` section 3: 5,000 a region).
pub const STREAMS_MAX: usize = 5_000;
/// Versions of all functions together.
pub const FUNCTION_VERSIONS_MAX: usize = 10_000;
/// Versions of all registered tables together.
pub const TABLE_VERSIONS_MAX: usize = 10_000;
