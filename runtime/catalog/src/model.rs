//! What the catalog holds of streams and tables; functions are in `function`.
//! Names, limits and defaults follow `reference/firehose.md` sections 2, 5, 7, 8 and 10; these types
//! are the checked form: whoever holds one need not check it again.

use std::collections::BTreeMap;

use millrace_types::StreamId;
use serde::{Deserialize, Serialize};

/// A delivery stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Its number; never given twice in a data directory.
    pub id: StreamId,
    /// Its name, 1–64 of `[a-zA-Z0-9_.-]`.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// `VersionId` on the wire: 1, one more for each change of the destination.
    pub version: u64,
    /// Whether it takes records.
    pub status: StreamStatus,
    /// Tags given at creation.
    pub tags: BTreeMap<String, String>,
    /// Where its records go.
    pub destination: ObjectDestination,
}

/// A stream to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStream {
    /// Its name, checked.
    pub name: String,
    /// Its tags, checked.
    pub tags: BTreeMap<String, String>,
    /// Its destination, checked.
    pub destination: ObjectDestination,
}

/// `DeliveryStreamStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamStatus {
    /// Takes records.
    Active,
    /// Being deleted; survives a restart, which finishes the deletion.
    Deleting,
}

/// An S3 destination, classic or extended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectDestination {
    /// Created with `ExtendedS3DestinationConfiguration` (else the old `S3DestinationConfiguration`).
    pub extended: bool,
    /// `RoleARN` as given; shown again, not used.
    pub role_arn: String,
    /// `BucketARN` as given.
    pub bucket_arn: String,
    /// The bucket's name, from the ARN.
    pub bucket: String,
    /// `Prefix`, empty when absent.
    pub prefix: String,
    /// `ErrorOutputPrefix`, empty when absent.
    pub error_output_prefix: String,
    /// `FileExtension`, empty when absent.
    pub file_extension: String,
    /// `CustomTimeZone`; `UTC` when absent.
    pub custom_time_zone: String,
    /// `BufferingHints`.
    pub buffering: Buffering,
    /// `CompressionFormat` by its wire name, our `ZSTD` among them.
    pub compression: String,
    /// `EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN`: names a key of the key ring.
    pub kms_key_arn: Option<String>,
    /// The `Lambda` processor, when processing is enabled and has one.
    pub function: Option<FunctionCall>,
    /// The `AppendDelimiterToRecord` processor's delimiter, unescaped, when enabled.
    pub delimiter: Option<String>,
    /// `ProcessingConfiguration` as it is shown again; `None` when absent.
    pub processing: Option<Processing>,
    /// `DataFormatConversionConfiguration`, when given.
    pub conversion: Option<Conversion>,
    /// `DynamicPartitioningConfiguration`, when given.
    pub dynamic_partitioning: Option<DynamicPartitioning>,
}

/// `BufferingHints`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffering {
    /// `SizeInMBs`: source bytes, before compression, in MiB.
    pub size_mib: u32,
    /// `IntervalInSeconds`.
    pub interval_s: u32,
}

/// A call of a function from a delivery stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// `LambdaArn` as given.
    pub arn: String,
    /// The function's name, from the ARN.
    pub name: String,
    /// The version's number or the alias from the ARN; `None` means `$LATEST`.
    pub qualifier: Option<String>,
    /// `NumberOfRetries`, 0–300.
    pub retries: u32,
    /// `BufferSizeInMBs`, in bytes: how much one invocation takes at most.
    pub buffer_bytes: u32,
    /// `BufferIntervalInSeconds` as given; a batch never waits for it: see docs/decisions.
    pub buffer_interval_s: u32,
}

/// `ProcessingConfiguration`, for showing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processing {
    /// `Enabled`.
    pub enabled: bool,
    /// Type and (name, value) pairs of each processor, defaults filled in.
    pub processors: Vec<(String, Vec<(String, String)>)>,
}

/// `DataFormatConversionConfiguration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversion {
    /// `Enabled`; stored as true when absent.
    pub enabled: bool,
    /// How records are read.
    pub input: InputFormat,
    /// How Parquet is written.
    pub parquet: ParquetOutput,
    /// Where the columns come from.
    pub schema: SchemaChoice,
    /// The three parts as they were given, for showing.
    pub shown: serde_json::Value,
}

/// `InputFormatConfiguration.Deserializer`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum InputFormat {
    /// `OpenXJsonSerDe`.
    OpenX {
        /// `ConvertDotsInJsonKeysToUnderscores`.
        dots_to_underscores: bool,
        /// `CaseInsensitive`; true when absent.
        case_insensitive: bool,
        /// `ColumnToJsonKeyMappings`.
        mappings: BTreeMap<String, String>,
    },
    /// `HiveJsonSerDe`.
    Hive {
        /// `TimestampFormats`.
        timestamp_formats: Vec<String>,
    },
}

/// `OutputFormatConfiguration.Serializer.ParquetSerDe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParquetOutput {
    /// `Compression` by its wire name, our `ZSTD` among them.
    pub compression: String,
    /// `BlockSizeBytes`, when given: what ends a row group.
    pub block_bytes: Option<u64>,
    /// `PageSizeBytes`, when given: what ends a page.
    pub page_bytes: Option<u64>,
    /// `EnableDictionaryCompression`; true when absent.
    pub dictionary: bool,
    /// `WriterVersion` is `V2`.
    pub writer_v2: bool,
}

/// Where the columns of a converted stream come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SchemaChoice {
    /// No `SchemaConfiguration`, or one whose `VersionId` is `INFER_RELAXED` and that names no table.
    InferRelaxed,
    /// A `SchemaConfiguration` whose `VersionId` is `INFER_STRICT` and that names no table.
    InferStrict,
    /// A table that `millrace schema put` registered.
    Table {
        /// `DatabaseName`.
        database: String,
        /// `TableName`.
        table: String,
        /// `VersionId`, when it is a number; `None` means the newest (`LATEST`).
        #[serde(default)]
        version: Option<u32>,
    },
}

/// `DynamicPartitioningConfiguration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicPartitioning {
    /// `Enabled`.
    pub enabled: bool,
    /// `RetryOptions.DurationInSeconds`.
    pub retry_s: u32,
}

/// One version of a registered table; versions never change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its database, 1–255 of `[a-z0-9_-]`.
    pub database: String,
    /// Its name, the same.
    pub name: String,
    /// 1, one more for each `schema put`.
    pub version: u32,
    /// The definition as it was put.
    pub definition: String,
}
