//! `CreateDeliveryStream`: checks in the service's order, then the destination in its checked form.

mod conversion;
#[cfg(test)]
mod limits_tests;
mod members;
mod processing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use millrace_catalog::{Buffering, DynamicPartitioning, NewStream, ObjectDestination};
use millrace_encode::{PrefixSettings, Prefixes};
use serde_json::Value;

use crate::error::ApiError;
use crate::protocol::shape::{check, refuse_unsupported};
use crate::protocol::view::View;

pub(crate) use members::MEMBERS;

/// `SizeInMBs` and `IntervalInSeconds` when no hints are given.
const BUFFERING_DEFAULT: Buffering = Buffering { size_mib: 5, interval_s: 300 };
/// The same with format conversion or dynamic partitioning.
const BUFFERING_LARGE_DEFAULT: Buffering = Buffering { size_mib: 128, interval_s: 300 };
/// Least `SizeInMBs` with format conversion or dynamic partitioning.
const LARGE_SIZE_MIB_MIN: u32 = 64;
/// Least `IntervalInSeconds` with dynamic partitioning.
const PARTITIONED_INTERVAL_S_MIN: u32 = 60;
/// `VersionId` of a new stream.
const FIRST_VERSION: u64 = 1;
/// `DurationInSeconds` of dynamic partitioning when none is given.
const PARTITIONING_RETRY_S: u32 = 300;

/// What the check asks of the rest of the server.
pub(crate) struct Known<'a> {
    /// Whether the key ring holds the key that a KMS ARN names.
    pub(crate) key: &'a dyn Fn(&str) -> bool,
    /// Whether a version (the newest when `None`) of a table of a database is registered.
    pub(crate) table: &'a dyn Fn(&str, &str, Option<u32>) -> bool,
}

/// Checks the request.
///
/// # Errors
/// As the service answers: constraints, then the number of destinations, then what is not
/// supported, by name, then the rest.
pub(crate) fn parse(request: &Value, known: &Known<'_>) -> Result<NewStream, ApiError> {
    check(&MEMBERS, request)?;
    let view = View(request);
    if members::DESTINATIONS.iter().filter(|name| view.get(name).is_some()).count() != 1 {
        return Err(ApiError::invalid("Exactly one destination configuration is supported for a Firehose"));
    }
    refuse_unsupported(&MEMBERS, request)?;
    let extended = view.structure("ExtendedS3DestinationConfiguration");
    let Some(given) = extended.or_else(|| view.structure("S3DestinationConfiguration")) else {
        return Err(ApiError::invalid("Exactly one destination configuration is supported for a Firehose"));
    };
    let name = view.text_or_empty("DeliveryStreamName");
    let (tags, destination) = (tags(view)?, destination(&name, given, extended.is_some(), known)?);
    Ok(NewStream { name, tags, destination })
}

fn tags(view: View<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in view.list("Tags") {
        let key = tag.text_or_empty("Key");
        if tags.insert(key.clone(), tag.text_or_empty("Value")).is_some() {
            return Err(ApiError::invalid(format!("Tags holds the key {key} more than once")));
        }
    }
    Ok(tags)
}

fn destination(
    stream: &str,
    given: View<'_>,
    extended: bool,
    known: &Known<'_>,
) -> Result<ObjectDestination, ApiError> {
    let bucket_arn = given.text_or_empty("BucketARN");
    let role_arn = given.text_or_empty("RoleARN");
    let partitioning = dynamic_partitioning(given);
    let partitioned = partitioning.is_some_and(|p| p.enabled);
    let compression = given.text("CompressionFormat").unwrap_or("UNCOMPRESSED").to_owned();
    let hints = hints(given)?;
    let conversion = conversion::parse(given, &compression, hints, known)?;
    let converted = conversion.as_ref().is_some_and(|c| c.enabled);
    if partitioned {
        check_partitioned_hints(hints)?;
    }
    let large = converted || partitioned;
    let buffering = hints.unwrap_or(if large { BUFFERING_LARGE_DEFAULT } else { BUFFERING_DEFAULT });
    let processing = processing::parse(given, &role_arn)?;
    let prefix = given.text_or_empty("Prefix");
    let error_output_prefix = given.text_or_empty("ErrorOutputPrefix");
    let custom_time_zone = given.text("CustomTimeZone").filter(|zone| !zone.is_empty()).unwrap_or("UTC").to_owned();
    let file_extension = given.text_or_empty("FileExtension");
    let kms_key_arn = encryption(given, known)?;
    Prefixes::new(&PrefixSettings {
        stream,
        version: FIRST_VERSION,
        prefix: &prefix,
        error_prefix: &error_output_prefix,
        time_zone: &custom_time_zone,
        file_extension: &file_extension,
        encrypted: kms_key_arn.is_some(),
        dynamic_partitioning: partitioned,
    })
    .map_err(ApiError::invalid)?;
    check_partition_source(&prefix, processing.function.is_some())?;
    Ok(ObjectDestination {
        extended,
        role_arn,
        bucket: bucket(&bucket_arn)?,
        bucket_arn,
        prefix,
        error_output_prefix,
        file_extension,
        custom_time_zone,
        buffering,
        compression,
        kms_key_arn,
        function: processing.function,
        delimiter: processing.delimiter,
        processing: processing.shown,
        conversion,
        dynamic_partitioning: partitioning,
    })
}

fn bucket(arn: &str) -> Result<String, ApiError> {
    let name = arn.rsplit(":::").next().unwrap_or_default();
    // The pattern lets them pass, and a local bucket is a folder.
    if name.is_empty() || name == "." || name == ".." {
        return Err(ApiError::invalid(format!("BucketARN {arn} does not name a bucket")));
    }
    Ok(name.to_owned())
}

fn hints(given: View<'_>) -> Result<Option<Buffering>, ApiError> {
    let Some(hints) = given.structure("BufferingHints") else { return Ok(None) };
    match (hints.number32("SizeInMBs"), hints.number32("IntervalInSeconds")) {
        (Some(size_mib), Some(interval_s)) => Ok(Some(Buffering { size_mib, interval_s })),
        (None, None) => Ok(None),
        _ => Err(ApiError::invalid("BufferingHints needs both SizeInMBs and IntervalInSeconds, or neither")),
    }
}

fn check_partitioned_hints(hints: Option<Buffering>) -> Result<(), ApiError> {
    let Some(hints) = hints else { return Ok(()) };
    if hints.size_mib < LARGE_SIZE_MIB_MIN {
        return Err(ApiError::invalid(
            "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.",
        ));
    }
    if hints.interval_s < PARTITIONED_INTERVAL_S_MIN {
        return Err(ApiError::invalid(
            "BufferingHints.IntervalInSeconds must be at least 60 when Dynamic Partitioning is enabled.",
        ));
    }
    Ok(())
}

fn dynamic_partitioning(given: View<'_>) -> Option<DynamicPartitioning> {
    let partitioning = given.structure("DynamicPartitioningConfiguration")?;
    let retry = partitioning.structure("RetryOptions").and_then(|retry| retry.number32("DurationInSeconds"));
    Some(DynamicPartitioning {
        enabled: partitioning.boolean("Enabled").unwrap_or(false),
        retry_s: retry.unwrap_or(PARTITIONING_RETRY_S),
    })
}

/// Keys come from the function alone: what would leave every record without its key is refused now.
fn check_partition_source(prefix: &str, has_function: bool) -> Result<(), ApiError> {
    if prefix.contains("!{partitionKeyFromQuery:") {
        return Err(ApiError::invalid(
            "!{partitionKeyFromQuery:…} in Prefix is not supported by Millrace: let the function give the keys and \
             use !{partitionKeyFromLambda:…}",
        ));
    }
    if prefix.contains("!{partitionKeyFromLambda:") && !has_function {
        return Err(ApiError::invalid(
            "Prefix uses !{partitionKeyFromLambda:…}, but ProcessingConfiguration has no enabled Lambda processor \
             that could give the keys",
        ));
    }
    Ok(())
}

fn encryption(given: View<'_>, known: &Known<'_>) -> Result<Option<String>, ApiError> {
    let Some(encryption) = given.structure("EncryptionConfiguration") else { return Ok(None) };
    match (encryption.text("NoEncryptionConfig"), encryption.structure("KMSEncryptionConfig")) {
        (Some(_), None) => Ok(None),
        (None, Some(kms)) => {
            let arn = kms.text_or_empty("AWSKMSKeyARN");
            if (known.key)(&arn) {
                return Ok(Some(arn));
            }
            Err(ApiError::slugged(
                crate::error::Code::InvalidArgument,
                "key.unknown",
                format!(
                    "the key ring holds no key for {arn}: run `millrace keys create ID --data-dir DIR` and use key/ID"
                ),
            ))
        }
        _ => Err(ApiError::invalid("Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified")),
    }
}
