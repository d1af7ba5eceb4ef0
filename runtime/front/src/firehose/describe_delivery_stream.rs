//! `DescribeDeliveryStream`: the stream as it was made, defaults filled in, under both forms of the
//! S3 destination (`reference/firehose.md` section 2: Terraform reads the extended one alone).

use millrace_catalog::{Conversion, ObjectDestination, Processing, Stream, StreamStatus};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::firehose::members::{STREAM_NAME, optional, required, shown, text};
use crate::protocol::patterns;
use crate::protocol::shape::{Member, Shape, check};
use crate::protocol::view::View;

/// Id of the one destination.
const DESTINATION_ID: &str = "destinationId-000000000001";

pub(crate) static MEMBERS: [Member; 3] = [
    required("DeliveryStreamName", STREAM_NAME),
    shown("Limit", Shape::Integer(1, 10_000), "a stream has one destination, so no limit cuts anything off"),
    optional("ExclusiveStartDestinationId", text(1, 100, &patterns::DESTINATION_ID)),
];

/// The stream's name, and the destination id behind which to start.
///
/// # Errors
/// A broken constraint.
pub(crate) fn parse(request: &Value) -> Result<(&str, Option<&str>), ApiError> {
    check(&MEMBERS, request)?;
    let view = View(request);
    Ok((view.text("DeliveryStreamName").unwrap_or_default(), view.text("ExclusiveStartDestinationId")))
}

/// Describes the stream.
pub(crate) fn answer(stream: &Stream, after: Option<&str>) -> Value {
    let destinations = if after.is_some_and(|after| after >= DESTINATION_ID) {
        json!([])
    } else {
        json!([{
            "DestinationId": DESTINATION_ID,
            "S3DestinationDescription": common(&stream.destination),
            "ExtendedS3DestinationDescription": extended(&stream.destination),
        }])
    };
    let status = match stream.status {
        StreamStatus::Active => "ACTIVE",
        StreamStatus::Deleting => "DELETING",
    };
    json!({ "DeliveryStreamDescription": {
        "DeliveryStreamName": stream.name,
        "DeliveryStreamARN": stream.arn,
        "DeliveryStreamStatus": status,
        "DeliveryStreamEncryptionConfiguration": { "Status": "DISABLED" },
        "DeliveryStreamType": "DirectPut",
        "VersionId": stream.version.to_string(),
        "CreateTimestamp": seconds(stream.created_ms),
        "Destinations": destinations,
        "HasMoreDestinations": false,
    } })
}

/// Epoch seconds with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits for 285,000 years")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// What both forms have.
fn common(destination: &ObjectDestination) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("RoleARN", json!(destination.role_arn));
    put("BucketARN", json!(destination.bucket_arn));
    for (name, value) in [("Prefix", &destination.prefix), ("ErrorOutputPrefix", &destination.error_output_prefix)] {
        if !value.is_empty() {
            put(name, json!(value));
        }
    }
    let hints = destination.buffering;
    put("BufferingHints", json!({ "SizeInMBs": hints.size_mib, "IntervalInSeconds": hints.interval_s }));
    put("CompressionFormat", json!(destination.compression));
    put(
        "EncryptionConfiguration",
        destination.kms_key_arn.as_ref().map_or_else(
            || json!({ "NoEncryptionConfig": "NoEncryption" }),
            |arn| json!({ "KMSEncryptionConfig": { "AWSKMSKeyARN": arn } }),
        ),
    );
    put("CloudWatchLoggingOptions", json!({ "Enabled": false }));
    shown
}

fn extended(destination: &ObjectDestination) -> Map<String, Value> {
    let mut shown = common(destination);
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("S3BackupMode", json!("Disabled"));
    if let Some(shown) = &destination.processing {
        put("ProcessingConfiguration", processing(shown));
    }
    if let Some(shown) = &destination.conversion {
        put("DataFormatConversionConfiguration", conversion(shown));
    }
    if let Some(shown) = destination.dynamic_partitioning {
        put(
            "DynamicPartitioningConfiguration",
            json!({ "Enabled": shown.enabled, "RetryOptions": { "DurationInSeconds": shown.retry_s } }),
        );
    }
    if !destination.file_extension.is_empty() {
        put("FileExtension", json!(destination.file_extension));
    }
    put("CustomTimeZone", json!(destination.custom_time_zone));
    shown
}

fn processing(processing: &Processing) -> Value {
    let parameter = |(name, value): &(String, String)| json!({ "ParameterName": name, "ParameterValue": value });
    let processors: Vec<Value> = processing
        .processors
        .iter()
        .map(|(kind, parameters)| {
            json!({ "Type": kind, "Parameters": parameters.iter().map(parameter).collect::<Vec<_>>() })
        })
        .collect();
    json!({ "Enabled": processing.enabled, "Processors": processors })
}

fn conversion(conversion: &Conversion) -> Value {
    let mut shown = conversion.shown.clone();
    if let Value::Object(parts) = &mut shown {
        parts.insert("Enabled".to_owned(), json!(conversion.enabled));
    }
    shown
}
