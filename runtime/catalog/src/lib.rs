//! Configuration that survives: streams, functions, tables, in redb. What happened to records is in
//! the journal, not here. Reads come from a snapshot in memory; each change is durable before it shows.

mod error;
mod function;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod model;
mod state;
mod store;

pub use error::Error;
pub use function::{
    Alias, BuildFailure, BuildState, Code, Configuration, Deploying, EventConfig, Function, LastUpdate, Published,
    Revision, SettingNames, Shadow,
};
pub use model::{
    Buffering, Conversion, DynamicPartitioning, FunctionCall, InputFormat, NewStream, ObjectDestination, ParquetOutput,
    Processing, SchemaChoice, Stream, StreamStatus, Table,
};
pub use state::{EventId, QueuedEvent, State};
pub use store::{Catalog, FunctionEdit, Place, Snapshot};

/// Streams one server holds (`reference/firehose.md` section 3: 5,000 a region).
pub const STREAMS_MAX: usize = 5_000;
/// Functions of one server.
pub const FUNCTIONS_MAX: usize = 10_000;
/// Revisions of all functions together.
pub const REVISIONS_MAX: usize = 50_000;
/// Versions of all registered tables together.
pub const TABLE_VERSIONS_MAX: usize = 10_000;

/// Bytes of a file's pages that are kept in memory; redb's own bound is 1 GiB.
const CACHE_BYTES: usize = 16 * millrace_types::MIB;

/// Opens a file of ours, or makes it: readable by its owner alone, for settings of functions are in it.
fn database(path: &std::path::Path) -> Result<redb::Database, Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let options =
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = options.map_err(redb::StorageError::from)?;
    Ok(redb::Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(redb::backends::FileBackend::new(file)?)?)
}
