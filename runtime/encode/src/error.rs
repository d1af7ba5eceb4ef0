//! What can go wrong while an object is made; a record that cannot be converted is no error but a
//! [`crate::Rejected`].

use std::path::PathBuf;

/// An encoder or the key ring failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A compressor refused its settings or failed.
    #[error("the compressor failed")]
    Compress(#[source] std::io::Error),
    /// The Parquet writer failed.
    #[error("the parquet writer failed")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Converted columns do not form a batch.
    #[error("converted columns do not form a batch")]
    Columns(#[from] arrow::error::ArrowError),
    /// A Parquet object compresses inside.
    #[error("a parquet object cannot be compressed as a whole")]
    CompressedParquet,
    /// A `TimestampFormats` entry that cannot be read.
    #[error("timestamp format '{0}' is neither 'millis' nor a pattern of y M d H h m s S a Z E and quoted text")]
    TimestampFormat(String),
    /// A record of the sample does not fit the schema made of it: a fault of this crate.
    #[error("a sampled record does not fit its own schema: {0}")]
    SampleMisfit(String),
    /// More bytes than one key and one nonce may seal.
    #[error("the object is longer than the {max_bytes} bytes that one AES-GCM key may seal")]
    SealTooLong {
        /// The limit, bytes.
        max_bytes: u64,
    },
    /// The key ring's file could not be read or written.
    #[error("key ring {}: cannot {action}", path.display())]
    KeyRingIo {
        /// The key ring's file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may read the key ring.
    #[error("key ring {}: mode is {mode:04o}, only 0600 or 0400 is accepted (chmod 600)", path.display())]
    KeyRingMode {
        /// The key ring's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key ring's file is not what it should be; the text never holds key material.
    #[error("key ring {}: {what}", path.display())]
    KeyRingFormat {
        /// The key ring's file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A key of this id is there already.
    #[error("key ring: key '{0}' exists already")]
    KeyExists(String),
    /// Not an id that a key may have.
    #[error("key ring: '{0}' is no key id: 1 to 64 of letters, digits, '-' and '_'")]
    KeyId(String),
}
