//! Parquet objects: JSON records become columns, columns become row groups.
//!
//! # How a record is read
//! A record holds one JSON object or several (`{"a":1}{"a":2}` is two rows); each value goes from its
//! JSON text straight into the column that its key names. A record that cannot be read or does not
//! fit is answered by the push that brought it, and nothing of it is in the file.
//!
//! # Inference (our extension)
//! Without a table the schema is found anew for each object, from its first records (up to
//! 1,000 records or 1 MiB, see [`infer`]): the object's sample.
//! - Columns are the keys in order of appearance (lower-cased where the deserializer ignores case).
//!   Whole numbers are `int64`, others `double`, both together `double`; `true` and `false` `boolean`;
//!   text `string`; arrays lists, objects structs. A column of nulls only, or deeper than the limit, is a `string`.
//! - **Relaxed.** Kinds that do not go together (a number and a text, a text and an object) make a
//!   `string` column: texts stay as they are, everything else is its JSON text. No record of the
//!   sample is ever refused but for broken JSON. Behind the sample, keys that have no column are
//!   gathered as one JSON object in the nullable string column `_other`, always the last (a key of a
//!   struct under its path, `"a.b"`, `"a[3].b"`), and a value that its column cannot take is refused
//!   with `DataFormatConversion.MalformedData`.
//! - **Strict.** The first kind met decides (but whole numbers give way to fractions within the
//!   sample); any other, and behind the sample any unknown key, refuses the record, naming the key.
//!   Nothing is converted: no text into a number, no number into a text.

mod column;
mod decimal;
mod infer;
mod keys;
mod row;
mod rules;
mod scalar;
#[cfg(test)]
mod size_tests;
mod table;
mod text;
mod timestamp;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use table::{Column as TableColumn, Table};
pub(crate) use writer::ParquetObject;

/// Encoded bytes of a row group where no `BlockSizeBytes` is given. AWS's default is 256 MiB, which each
/// open window would hold in memory.
pub const BLOCK_BYTES_DEFAULT: usize = 32 << 20;
/// Encoded bytes of a page where no `PageSizeBytes` is given.
const PAGE_BYTES_DEFAULT: usize = 1 << 20;
/// Rows of a page at which it ends too where no `PageSizeBytes` is given, as the writers of Java do.
const PAGE_ROWS_DEFAULT: usize = 20_000;

/// How Parquet objects are made: `ParquetSerDe`, `SchemaConfiguration`, `Deserializer`.
#[derive(Debug, Clone)]
pub struct ParquetSettings {
    /// Compression of the pages.
    pub compression: ParquetCompression,
    /// `BlockSizeBytes`: a row group ends when its encoded bytes reach this, and for nothing else.
    /// [`BLOCK_BYTES_DEFAULT`] when absent.
    pub block_bytes: Option<usize>,
    /// `PageSizeBytes`: a page ends when its encoded bytes, before compression, reach this, and for
    /// nothing else. When absent, at [`PAGE_BYTES_DEFAULT`] or [`PAGE_ROWS_DEFAULT`].
    pub page_bytes: Option<usize>,
    /// `EnableDictionaryCompression`.
    pub dictionary: bool,
    /// `WriterVersion` is V2.
    pub writer_v2: bool,
    /// Where the columns come from.
    pub schema: SchemaSource,
    /// How JSON is read.
    pub deserializer: Deserializer,
}

/// `ParquetSerDe.Compression`; `ZSTD` is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParquetCompression {
    /// `UNCOMPRESSED`.
    Uncompressed,
    /// `GZIP`.
    Gzip,
    /// `SNAPPY`, the default of AWS.
    Snappy,
    /// `ZSTD` at [`crate::Levels::parquet_zstd`].
    Zstd,
}

impl ParquetCompression {
    /// The compression of this wire name; case matters.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        [Self::Uncompressed, Self::Gzip, Self::Snappy, Self::Zstd].into_iter().find(|known| known.as_wire() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Snappy => "SNAPPY",
            Self::Zstd => "ZSTD",
        }
    }
}

/// Where the columns of an object come from.
#[derive(Debug, Clone)]
pub enum SchemaSource {
    /// From the object's own first records.
    Infer(Inference),
    /// From a registered table.
    Table(Arc<Table>),
}

/// What inference does with records that differ from those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inference {
    /// Keeps them where it can.
    Relaxed,
    /// Refuses them.
    Strict,
}

/// How JSON is read: `InputFormatConfiguration.Deserializer`.
#[derive(Debug, Clone)]
pub enum Deserializer {
    /// `OpenXJsonSerDe`.
    OpenX {
        /// `ConvertDotsInJsonKeysToUnderscores`.
        dots_to_underscores: bool,
        /// `CaseInsensitive`.
        case_insensitive: bool,
        /// `ColumnToJsonKeyMappings`: column to JSON key.
        mappings: BTreeMap<String, String>,
    },
    /// `HiveJsonSerDe`.
    Hive {
        /// `TimestampFormats`: Joda-style patterns or `millis`; empty means `yyyy-M-d H:m:s[.f]`.
        timestamp_formats: Vec<String>,
    },
}

/// Whether `text` can be an entry of `TimestampFormats`.
#[must_use]
pub fn is_timestamp_format(text: &str) -> bool {
    timestamp::Format::parse(text).is_some()
}

/// A record that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which record, an index into the columns pushed.
    pub index: u32,
    /// `DataFormatConversion.ParseError` or `.MalformedData`.
    pub code: &'static str,
    /// Why, with the column's name where there is one.
    pub message: String,
}

#[cfg(test)]
pub(crate) mod tests;
