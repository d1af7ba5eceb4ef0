//! Every member of `CreateDeliveryStream`, with its constraints and what becomes of it.

use crate::firehose::members::{
    NO_SPACE, NOT_BLANK, ROLE_ARN, STREAM_NAME, STREAM_TYPE, only, optional, refused, required, shown, text,
};
use crate::protocol::patterns;
use crate::protocol::shape::{Member, Outcome, Shape};

const NO_ROLES: &str = "Millrace reads and writes with its own credentials; the role is shown again, not assumed";
const NO_SOURCE: &str = "records come by PutRecord and PutRecordBatch; leave it out";
const NO_DESTINATION: &str = "use ExtendedS3DestinationConfiguration";
const NO_LOGS: &str = "there is no CloudWatch here; see `millrace status` and /metrics, and leave it out";
const NO_BACKUP: &str = "source records are not backed up; use Disabled";
const NO_ORC: &str = "use ParquetSerDe";
const NO_CATALOG: &str = "tables are registered with `millrace schema put`; the member is shown again, not used";

/// The operation's members.
pub(crate) static MEMBERS: [Member; 18] = [
    required("DeliveryStreamName", STREAM_NAME),
    only("DeliveryStreamType", STREAM_TYPE, &["DirectPut"], NO_SOURCE),
    refused("DirectPutSourceConfiguration", "a stream has no throughput limit that a hint could raise; leave it out"),
    refused("KinesisStreamSourceConfiguration", NO_SOURCE),
    refused("MSKSourceConfiguration", NO_SOURCE),
    refused("DatabaseSourceConfiguration", NO_SOURCE),
    refused(
        "DeliveryStreamEncryptionConfigurationInput",
        "leave it out; the destination's EncryptionConfiguration encrypts what is delivered",
    ),
    optional("S3DestinationConfiguration", Shape::Structure(&S3)),
    optional("ExtendedS3DestinationConfiguration", Shape::Structure(&EXTENDED_S3)),
    refused("RedshiftDestinationConfiguration", NO_DESTINATION),
    refused("ElasticsearchDestinationConfiguration", NO_DESTINATION),
    refused("AmazonopensearchserviceDestinationConfiguration", NO_DESTINATION),
    refused("AmazonOpenSearchServerlessDestinationConfiguration", NO_DESTINATION),
    refused("SplunkDestinationConfiguration", NO_DESTINATION),
    refused("HttpEndpointDestinationConfiguration", NO_DESTINATION),
    refused("SnowflakeDestinationConfiguration", NO_DESTINATION),
    refused("IcebergDestinationConfiguration", NO_DESTINATION),
    optional("Tags", Shape::List(1, 50, &Shape::Structure(&TAG))),
];

/// The members of which exactly one must be there.
pub(crate) const DESTINATIONS: [&str; 10] = [
    "S3DestinationConfiguration",
    "ExtendedS3DestinationConfiguration",
    "RedshiftDestinationConfiguration",
    "ElasticsearchDestinationConfiguration",
    "AmazonopensearchserviceDestinationConfiguration",
    "AmazonOpenSearchServerlessDestinationConfiguration",
    "SplunkDestinationConfiguration",
    "HttpEndpointDestinationConfiguration",
    "SnowflakeDestinationConfiguration",
    "IcebergDestinationConfiguration",
];

static TAG: [Member; 2] =
    [required("Key", text(1, 128, &patterns::TAG_KEY)), optional("Value", text(0, 256, &patterns::TAG_VALUE))];

const ROLE: Member = Member { name: "RoleARN", required: true, shape: ROLE_ARN, outcome: Outcome::Shown(NO_ROLES) };
const BUCKET: Member = required("BucketARN", text(1, 2048, &patterns::BUCKET_ARN));
const PREFIX: Member = optional("Prefix", text(0, 1024, &patterns::ONE_LINE));
const ERROR_PREFIX: Member = optional("ErrorOutputPrefix", text(0, 1024, &patterns::ONE_LINE));
const BUFFERING: Member = optional("BufferingHints", Shape::Structure(&BUFFERING_HINTS));
// `ZSTD` is ours: taken, but not in the service's error text, which clients may compare.
const COMPRESSION: Member = optional(
    "CompressionFormat",
    Shape::Enum { values: &["ZIP", "HADOOP_SNAPPY", "Snappy", "GZIP", "UNCOMPRESSED"], extensions: &["ZSTD"] },
);
const ENCRYPTION: Member = optional("EncryptionConfiguration", Shape::Structure(&ENCRYPTION_CONFIGURATION));
const LOGGING: Member = optional("CloudWatchLoggingOptions", Shape::Structure(&LOGGING_OPTIONS));

static S3: [Member; 8] = [ROLE, BUCKET, PREFIX, ERROR_PREFIX, BUFFERING, COMPRESSION, ENCRYPTION, LOGGING];

static EXTENDED_S3: [Member; 15] = [
    ROLE,
    BUCKET,
    PREFIX,
    ERROR_PREFIX,
    BUFFERING,
    COMPRESSION,
    ENCRYPTION,
    LOGGING,
    optional("ProcessingConfiguration", Shape::Structure(&PROCESSING)),
    only("S3BackupMode", Shape::Enum { values: &["Disabled", "Enabled"], extensions: &[] }, &["Disabled"], NO_BACKUP),
    refused("S3BackupConfiguration", NO_BACKUP),
    optional("DataFormatConversionConfiguration", Shape::Structure(&CONVERSION)),
    optional("DynamicPartitioningConfiguration", Shape::Structure(&DYNAMIC_PARTITIONING)),
    optional("FileExtension", text(0, 128, &patterns::FILE_EXTENSION)),
    optional("CustomTimeZone", text(0, 50, &patterns::TIME_ZONE)),
];

static BUFFERING_HINTS: [Member; 2] =
    [optional("SizeInMBs", Shape::Integer(1, 128)), optional("IntervalInSeconds", Shape::Integer(0, 900))];

static ENCRYPTION_CONFIGURATION: [Member; 2] = [
    optional("NoEncryptionConfig", Shape::Enum { values: &["NoEncryption"], extensions: &[] }),
    optional("KMSEncryptionConfig", Shape::Structure(&KMS_ENCRYPTION)),
];

static KMS_ENCRYPTION: [Member; 1] = [required("AWSKMSKeyARN", text(1, 512, &patterns::KMS_ARN))];

static LOGGING_OPTIONS: [Member; 3] = [
    only("Enabled", Shape::Boolean, &["false"], NO_LOGS),
    only("LogGroupName", text(0, 512, &patterns::LOG_GROUP), &[""], NO_LOGS),
    only("LogStreamName", text(0, 512, &patterns::LOG_STREAM), &[""], NO_LOGS),
];

static PROCESSING: [Member; 2] = [
    optional("Enabled", Shape::Boolean),
    optional("Processors", Shape::List(0, usize::MAX, &Shape::Structure(&PROCESSOR))),
];

static PROCESSOR: [Member; 2] = [
    Member {
        name: "Type",
        required: true,
        shape: Shape::Enum {
            values: &[
                "RecordDeAggregation",
                "Decompression",
                "CloudWatchLogProcessing",
                "Lambda",
                "MetadataExtraction",
                "AppendDelimiterToRecord",
            ],
            extensions: &[],
        },
        outcome: Outcome::Only(
            &["Lambda", "AppendDelimiterToRecord"],
            "do it in the function, whose outputs carry partition keys for !{partitionKeyFromLambda:…}",
        ),
    },
    optional("Parameters", Shape::List(0, usize::MAX, &Shape::Structure(&PARAMETER))),
];

static PARAMETER: [Member; 2] = [
    required(
        "ParameterName",
        Shape::Enum {
            values: &[
                "LambdaArn",
                "NumberOfRetries",
                "MetadataExtractionQuery",
                "JsonParsingEngine",
                "RoleArn",
                "BufferSizeInMBs",
                "BufferIntervalInSeconds",
                "SubRecordType",
                "Delimiter",
                "CompressionFormat",
                "DataMessageExtraction",
            ],
            extensions: &[],
        },
    ),
    required("ParameterValue", text(1, 5120, &patterns::NOT_BLANK)),
];

static CONVERSION: [Member; 4] = [
    optional("SchemaConfiguration", Shape::Structure(&SCHEMA)),
    optional("InputFormatConfiguration", Shape::Structure(&INPUT_FORMAT)),
    optional("OutputFormatConfiguration", Shape::Structure(&OUTPUT_FORMAT)),
    optional("Enabled", Shape::Boolean),
];

static SCHEMA: [Member; 6] = [
    shown("RoleARN", NO_SPACE, NO_ROLES),
    shown("CatalogId", NO_SPACE, NO_CATALOG),
    optional("DatabaseName", NO_SPACE),
    optional("TableName", NO_SPACE),
    shown("Region", NO_SPACE, NO_CATALOG),
    optional("VersionId", NO_SPACE),
];

static INPUT_FORMAT: [Member; 1] = [optional("Deserializer", Shape::Structure(&DESERIALIZER))];

static DESERIALIZER: [Member; 2] =
    [optional("OpenXJsonSerDe", Shape::Structure(&OPEN_X)), optional("HiveJsonSerDe", Shape::Structure(&HIVE))];

static OPEN_X: [Member; 3] = [
    optional("ConvertDotsInJsonKeysToUnderscores", Shape::Boolean),
    optional("CaseInsensitive", Shape::Boolean),
    optional("ColumnToJsonKeyMappings", Shape::TextMap(&NO_SPACE, &NOT_BLANK)),
];

static HIVE: [Member; 1] = [optional("TimestampFormats", Shape::List(0, usize::MAX, &NOT_BLANK))];

static OUTPUT_FORMAT: [Member; 1] = [optional("Serializer", Shape::Structure(&SERIALIZER))];

static SERIALIZER: [Member; 2] = [optional("ParquetSerDe", Shape::Structure(&PARQUET)), refused("OrcSerDe", NO_ORC)];

static PARQUET: [Member; 6] = [
    optional("BlockSizeBytes", Shape::Integer(67_108_864, i32::MAX as i64)),
    optional("PageSizeBytes", Shape::Integer(65_536, i32::MAX as i64)),
    optional("Compression", Shape::Enum { values: &["UNCOMPRESSED", "GZIP", "SNAPPY"], extensions: &["ZSTD"] }),
    optional("EnableDictionaryCompression", Shape::Boolean),
    only(
        "MaxPaddingBytes",
        Shape::Integer(0, i32::MAX as i64),
        &["0"],
        "padding serves HDFS blocks, which are not written here; use 0",
    ),
    optional("WriterVersion", Shape::Enum { values: &["V1", "V2"], extensions: &[] }),
];

static DYNAMIC_PARTITIONING: [Member; 2] = [
    optional("Enabled", Shape::Boolean),
    shown(
        "RetryOptions",
        Shape::Structure(&RETRY_OPTIONS),
        "delivery is retried until it succeeds; the duration is shown again, not used",
    ),
];

static RETRY_OPTIONS: [Member; 1] = [shown(
    "DurationInSeconds",
    Shape::Integer(0, 7200),
    "delivery is retried until it succeeds; the duration is shown again, not used",
)];
