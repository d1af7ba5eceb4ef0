//! The encoders: from packed records to the bytes and the key of one object. Synchronous, CPU only.
//!
//! | module | owns |
//! |---|---|
//! | `object` | one object in the making: format, compression, encryption as a stream |
//! | `columnar` | Parquet: reading JSON by a table or by inference, rejecting single records, row groups |
//! | `compress`, `compression` | the streaming compressors, their wire names and levels |
//! | `seal`, `key_ring` | S3 Encryption Client V2 envelopes and the keys that wrap them |
//! | `prefix` | prefix expressions, object keys, Java date patterns |
//! | `failure` | the lines of error objects |

mod columnar;
mod compress;
mod compression;
mod error;
mod failure;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod key_ring;
mod object;
mod prefix;
mod preview;
mod seal;

pub use columnar::{
    BLOCK_BYTES_DEFAULT, Deserializer, Inference, ParquetCompression, ParquetSettings, Rejected, SchemaSource, Table,
    TableColumn, is_timestamp_format,
};
pub use compression::{Compression, Levels};
pub use error::Error;
pub use failure::{CatalogTable, ConversionFailure, ProcessingFailure};
pub use key_ring::{EncryptionKey, KeyRing, key_id_of_arn};
pub use object::{EncoderSettings, Finished, Format, ObjectEncoder};
pub use prefix::{KeyParts, PrefixSettings, Prefixes};
pub use preview::preview;
