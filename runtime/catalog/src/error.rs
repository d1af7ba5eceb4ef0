//! Why the catalog refused.

/// A refused change, or trouble of the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stream of that name exists.
    #[error("the delivery stream {name} exists already")]
    StreamExists {
        /// Its name.
        name: String,
    },
    /// No stream of that name.
    #[error("there is no delivery stream {name}")]
    NoStream {
        /// The name asked for.
        name: String,
    },
    /// A function of that name exists.
    #[error("the function {name} exists already")]
    FunctionExists {
        /// Its name.
        name: String,
    },
    /// No function of that name.
    #[error("there is no function {name}")]
    NoFunction {
        /// The name asked for.
        name: String,
    },
    /// A limit of the catalog.
    #[error("the limit of {limit} {what} is reached")]
    Limit {
        /// What there would be too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The file cannot be read or written; the change is not made.
    #[error("the catalog cannot be read or written")]
    Storage(#[source] Box<redb::Error>),
    /// An entry does not read as what it should be; it is left as it lies.
    #[error("the catalog entry {table}/{key} is damaged")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which key.
        key: String,
        /// What the reader said.
        #[source]
        source: serde_json::Error,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    Closed,
}

impl<E: Into<redb::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Storage(Box::new(error.into()))
    }
}
