//! The streams behind the routes. One seam, so that the wire can be tested without a journal.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_catalog::{Catalog, NewStream, Place, Stream};
use millrace_delivery::{AppendError, Appended, DeleteError, StreamStatusReport, Streams};
use millrace_types::Batch;

/// Streams by name: configuration, appends, status.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Region and account of this server.
    fn place(&self) -> &Place;
    /// The stream `name`.
    fn stream(&self, name: &str) -> Option<Arc<Stream>>;
    /// All names in ASCII order.
    fn names(&self) -> Vec<String>;
    /// Whether a version (the newest when `None`) of a table is registered.
    fn has_table(&self, database: &str, table: &str, version: Option<u32>) -> bool;
    /// Makes a stream.
    async fn create(&self, stream: NewStream) -> Result<Arc<Stream>, millrace_catalog::Error>;
    /// Deletes a stream.
    async fn delete(&self, name: &str) -> Result<(), DeleteError>;
    /// Appends to the stream `name`; `None` when there is none.
    async fn append(&self, name: &str, batch: Batch) -> Option<Result<Appended, AppendError>>;
    /// Status of one stream, or of all.
    fn status(&self, name: Option<&str>) -> Vec<StreamStatusReport>;
}

/// The real streams.
#[derive(Debug)]
pub(crate) struct Live {
    /// Configuration.
    pub(crate) catalog: Arc<Catalog>,
    /// Delivery.
    pub(crate) streams: Streams,
}

#[async_trait]
impl Backend for Live {
    fn place(&self) -> &Place {
        self.catalog.place()
    }

    fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.catalog.stream(name)
    }

    fn names(&self) -> Vec<String> {
        self.catalog.snapshot().streams().map(|stream| stream.name.clone()).collect()
    }

    fn has_table(&self, database: &str, table: &str, version: Option<u32>) -> bool {
        self.catalog.snapshot().table(database, table, version).is_some()
    }

    async fn create(&self, stream: NewStream) -> Result<Arc<Stream>, millrace_catalog::Error> {
        self.streams.create(stream).await
    }

    async fn delete(&self, name: &str) -> Result<(), DeleteError> {
        self.streams.delete(name).await
    }

    async fn append(&self, name: &str, batch: Batch) -> Option<Result<Appended, AppendError>> {
        let stream = self.streams.get(name)?;
        Some(stream.append(batch).await)
    }

    fn status(&self, name: Option<&str>) -> Vec<StreamStatusReport> {
        self.streams.status(name)
    }
}
