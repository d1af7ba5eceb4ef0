//! Requests and what becomes of them: the service's texts, our refusals by name, the checked form.

use millrace_catalog::{InputFormat, SchemaChoice, Stream, StreamStatus};
use millrace_types::StreamId;
use serde_json::json;

use super::*;
use crate::error::Code;
use crate::firehose::describe_delivery_stream;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";

/// An extended S3 request with these members besides.
pub(super) fn extended(more: &Value) -> Value {
    let mut destination = json!({ "RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::b" });
    let object = destination.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    json!({ "DeliveryStreamName": "s", "ExtendedS3DestinationConfiguration": destination })
}

pub(super) fn conversion(more: &Value) -> Value {
    let mut conversion = json!({
        "InputFormatConfiguration": { "Deserializer": { "OpenXJsonSerDe": {} } },
        "OutputFormatConfiguration": { "Serializer": { "ParquetSerDe": {} } },
    });
    let object = conversion.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    extended(&json!({ "DataFormatConversionConfiguration": conversion }))
}

pub(super) fn lambda(parameters: &[(&str, &str)]) -> Value {
    let parameters: Vec<Value> =
        parameters.iter().map(|(name, value)| json!({ "ParameterName": name, "ParameterValue": value })).collect();
    extended(&json!({ "ProcessingConfiguration": {
        "Enabled": true, "Processors": [{ "Type": "Lambda", "Parameters": parameters }],
    } }))
}

pub(super) fn parsed(request: &Value) -> Result<NewStream, ApiError> {
    let registered = |database: &str, table: &str, version: Option<u32>| {
        (database, table) == ("db", "t") && version.is_none_or(|version| version <= 2)
    };
    let known = Known { key: &|arn| arn.ends_with("key/orders"), table: &registered };
    parse(request, &known)
}

pub(super) fn good(request: &Value) -> ObjectDestination {
    parsed(request).unwrap_or_else(|error| panic!("{error}: {request}")).destination
}

pub(super) fn refused(request: &Value, code: Code, wanted: &str) {
    let error = parsed(request).expect_err(wanted);
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(wanted), "{error}\nis not\n{wanted}");
}

#[test]
fn defaults_are_filled_in() {
    let destination = good(&extended(&json!({})));
    assert_eq!(destination.buffering, Buffering { size_mib: 5, interval_s: 300 });
    assert_eq!((destination.bucket.as_str(), destination.compression.as_str()), ("b", "UNCOMPRESSED"));
    assert_eq!((destination.custom_time_zone.as_str(), destination.extended), ("UTC", true));
    let classic = json!({ "DeliveryStreamName": "s", "S3DestinationConfiguration": {
        "RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::b", "CompressionFormat": "ZSTD",
    } });
    let destination = good(&classic);
    assert_eq!((destination.compression.as_str(), destination.extended), ("ZSTD", false));
}

#[test]
fn constraints_are_the_services() {
    let table = [
        (
            extended(&json!({ "CompressionFormat": "SNAPPY" })),
            "1 validation error detected: Value at 'extendedS3DestinationConfiguration.compressionFormat' failed to \
             satisfy constraint: Member must satisfy enum value set: [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]",
        ),
        (
            extended(&json!({ "BufferingHints": { "SizeInMBs": 129, "IntervalInSeconds": 0 } })),
            "Value at 'extendedS3DestinationConfiguration.bufferingHints.sizeInMBs' failed to satisfy constraint: \
             Member must have value less than or equal to 128",
        ),
        (
            json!({ "DeliveryStreamName": "s", "S3DestinationConfiguration": { "BucketARN": "arn:aws:s3:::b" } }),
            "Value at 's3DestinationConfiguration.roleARN' failed to satisfy constraint: Member must not be null",
        ),
        (extended(&json!({ "Nested": 1 })), "Value at 'extendedS3DestinationConfiguration.nested' failed"),
        (extended(&json!({ "FileExtension": "gz" })), "pattern: ^$|\\.[0-9a-z!\\-_.*'()]+"),
        (
            json!({ "DeliveryStreamName": "s", "S3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::123456789012:role/r", "BucketARN": "arn:aws:s3:::b", "FileExtension": ".gz" } }),
            "Value at 's3DestinationConfiguration.fileExtension' failed",
        ),
        (json!({ "Tags": [] }), "2 validation errors detected: "),
    ];
    for (request, wanted) in table {
        refused(&request, Code::Validation, wanted);
    }
}

#[test]
fn semantics_are_the_services() {
    let two = json!({ "DeliveryStreamName": "s", "RedshiftDestinationConfiguration": {},
        "SplunkDestinationConfiguration": {} });
    let table = [
        (json!({ "DeliveryStreamName": "s" }), "Exactly one destination configuration is supported for a Firehose"),
        (two, "Exactly one destination configuration is supported for a Firehose"),
        (extended(&json!({ "BufferingHints": { "SizeInMBs": 5 } })), "both SizeInMBs and IntervalInSeconds"),
        (
            extended(&json!({ "EncryptionConfiguration": {} })),
            "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified",
        ),
        (
            extended(&json!({ "EncryptionConfiguration": { "KMSEncryptionConfig":
            { "AWSKMSKeyARN": "arn:aws:kms:us-east-1:123456789012:key/none" } } })),
            "the key ring holds no key",
        ),
        (
            extended(&json!({ "Prefix": "!{timestamp:yyyy}/" })),
            "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions",
        ),
        (extended(&json!({ "BucketARN": "arn:aws:s3:::.." })), "does not name a bucket"),
        (
            extended(&json!({ "DynamicPartitioningConfiguration": { "Enabled": true } })),
            "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled",
        ),
        (
            extended(&json!({ "DynamicPartitioningConfiguration": { "Enabled": true },
            "BufferingHints": { "SizeInMBs": 63, "IntervalInSeconds": 60 } })),
            "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.",
        ),
        (
            extended(&json!({ "DynamicPartitioningConfiguration": { "Enabled": true },
            "BufferingHints": { "SizeInMBs": 64, "IntervalInSeconds": 59 } })),
            "must be at least 60",
        ),
        (
            extended(
                &json!({ "DynamicPartitioningConfiguration": { "Enabled": true }, "ErrorOutputPrefix": "e/!{firehose:error-output-type}/",
            "Prefix": "!{partitionKeyFromLambda:k}/" }),
            ),
            "no enabled Lambda processor",
        ),
        (
            extended(
                &json!({ "DynamicPartitioningConfiguration": { "Enabled": true }, "ErrorOutputPrefix": "e/!{firehose:error-output-type}/",
            "Prefix": "!{partitionKeyFromQuery:k}/" }),
            ),
            "partitionKeyFromQuery",
        ),
    ];
    for (request, wanted) in table {
        refused(&request, Code::InvalidArgument, wanted);
    }
    let mut tagged = extended(&json!({}));
    tagged["Tags"] = json!([{ "Key": "a" }, { "Key": "a", "Value": "b" }]);
    refused(&tagged, Code::InvalidArgument, "more than once");
}

#[test]
fn what_millrace_does_not_do_is_refused_by_name() {
    let top = |name: &str, value: Value| {
        let mut request = extended(&json!({}));
        request[name] = value;
        request
    };
    let table = [
        (top("DeliveryStreamType", json!("KinesisStreamAsSource")), "DeliveryStreamType KinesisStreamAsSource"),
        (top("KinesisStreamSourceConfiguration", json!({})), "KinesisStreamSourceConfiguration"),
        (
            top("DeliveryStreamEncryptionConfigurationInput", json!({ "KeyType": "AWS_OWNED_CMK" })),
            "DeliveryStreamEncryptionConfigurationInput",
        ),
        (top("DirectPutSourceConfiguration", json!({ "ThroughputHintInMBs": 1 })), "DirectPutSourceConfiguration"),
        (
            json!({ "DeliveryStreamName": "s", "IcebergDestinationConfiguration": {} }),
            "IcebergDestinationConfiguration",
        ),
        (extended(&json!({ "S3BackupMode": "Enabled" })), "ExtendedS3DestinationConfiguration.S3BackupMode Enabled"),
        (extended(&json!({ "S3BackupConfiguration": {} })), "S3BackupConfiguration"),
        (
            extended(&json!({ "CloudWatchLoggingOptions": { "Enabled": true } })),
            "CloudWatchLoggingOptions.Enabled true",
        ),
        (
            extended(&json!({ "ProcessingConfiguration": { "Processors": [{ "Type": "MetadataExtraction" }] } })),
            "Processors.1.member.Type MetadataExtraction",
        ),
        (conversion(&json!({ "OutputFormatConfiguration": { "Serializer": { "OrcSerDe": {} } } })), "OrcSerDe"),
        (
            conversion(&json!({ "OutputFormatConfiguration": { "Serializer":
            { "ParquetSerDe": { "MaxPaddingBytes": 9 } } } })),
            "MaxPaddingBytes 9",
        ),
    ];
    for (request, wanted) in table {
        refused(&request, Code::InvalidArgument, &format!("{wanted} is not supported by Millrace: "));
    }
    good(&extended(&json!({ "S3BackupMode": "Disabled", "CloudWatchLoggingOptions": { "Enabled": false } })));
}

#[test]
fn functions_are_named_by_arn() {
    let full = format!("{ARN}:7");
    let destination =
        good(&lambda(&[("LambdaArn", &full), ("BufferSizeInMBs", "0.5"), ("BufferIntervalInSeconds", "0")]));
    let call = destination.function.expect("a function");
    assert_eq!((call.name.as_str(), call.qualifier.as_deref(), call.retries), ("f", Some("7"), 3));
    assert_eq!((call.buffer_bytes, call.buffer_interval_s), (524_288, 0));
    let shown = destination.processing.expect("shown").processors;
    let names: Vec<&str> = shown[0].1.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"]);
    assert_eq!(shown[0].1[2].1, "arn:aws:iam::123456789012:role/r");
    for arn in [ARN.to_owned(), format!("{ARN}:$LATEST")] {
        assert_eq!(good(&lambda(&[("LambdaArn", &arn)])).function.expect("a function").qualifier, None);
    }

    let alias = format!("{ARN}:live");
    let call = good(&lambda(&[("LambdaArn", &alias)])).function.expect("a function");
    assert_eq!(call.qualifier.as_deref(), Some("live"));

    let table: [(&[(&str, &str)], &str); 9] = [
        (&[], "LambdaArn is required when Lambda processor is used."),
        (&[("LambdaArn", ARN), ("LambdaArn", ARN)], "Duplicate ProcessorParameter passed to ProcessingConfiguration."),
        (&[("LambdaArn", ARN), ("NumberOfRetries", "301")], "Number of retries for lambda must be between 0 and 300."),
        (
            &[("LambdaArn", ARN), ("BufferSizeInMBs", "1")],
            "Both BufferSizeInMBs and BufferIntervalInSeconds are required",
        ),
        (&[("LambdaArn", ARN), ("BufferSizeInMBs", "4"), ("BufferIntervalInSeconds", "1")], "between 0.2 and 3."),
        (&[("LambdaArn", ARN), ("BufferSizeInMBs", "NaN"), ("BufferIntervalInSeconds", "1")], "between 0.2 and 3."),
        (&[("LambdaArn", ARN), ("BufferSizeInMBs", "1"), ("BufferIntervalInSeconds", "901")], "between 0 and 900."),
        (&[("LambdaArn", ARN), ("Delimiter", "x")], "The parameter Delimiter does not belong"),
        (&[("LambdaArn", "arn:aws:lambda:eu-west-1:123456789012:function:f:li.ve")], "Invalid lambda ARN."),
    ];
    for (parameters, wanted) in table {
        refused(&lambda(parameters), Code::InvalidArgument, wanted);
    }
    for arn in [
        "f",
        "arn:aws:lambda:r:1:function:f",
        &format!("{ARN}:0"),
        &format!("{ARN}:1:2"),
        "arn:aws:lambda:r:123456789012:function:",
    ] {
        refused(&lambda(&[("LambdaArn", arn)]), Code::InvalidArgument, "Invalid lambda ARN.");
    }
}

#[test]
fn processors_are_counted_and_delimiters_unescaped() {
    let processing = |enabled: bool, processors: Value| {
        extended(&json!({ "ProcessingConfiguration": { "Enabled": enabled, "Processors": processors } }))
    };
    let append = |delimiter: &str| {
        json!({ "Type": "AppendDelimiterToRecord",
            "Parameters": [{ "ParameterName": "Delimiter", "ParameterValue": delimiter }] })
    };
    let count = "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled.";
    refused(&processing(true, json!([])), Code::InvalidArgument, count);
    refused(&processing(true, json!(vec![append("\\n"); 6])), Code::InvalidArgument, count);
    let lambda = json!({ "Type": "Lambda", "Parameters": [{ "ParameterName": "LambdaArn", "ParameterValue": ARN }] });
    refused(
        &processing(true, json!([lambda, lambda])),
        Code::InvalidArgument,
        "Cannot have more than 1 Lambda processor.",
    );
    assert_eq!(good(&processing(true, json!([append(r"\r\n\\x")]))).delimiter.as_deref(), Some("\r\n\\x"));
    let plain = json!([{ "Type": "AppendDelimiterToRecord" }]);
    assert_eq!(good(&processing(true, plain.clone())).delimiter.as_deref(), Some("\n"));
    refused(&processing(true, json!([append(r"\q")])), Code::InvalidArgument, "unknown escape");
    // Not enabled: shown, not run.
    let off = good(&processing(false, plain));
    assert!(off.delimiter.is_none() && !off.processing.expect("shown").enabled);
}

#[test]
fn conversion_is_checked_in_the_measured_order() {
    let destination = good(&conversion(&json!({})));
    assert_eq!(destination.buffering, Buffering { size_mib: 128, interval_s: 300 });
    let found = destination.conversion.expect("a conversion");
    assert!(found.enabled && found.schema == SchemaChoice::InferRelaxed);
    assert!(matches!(found.input, InputFormat::OpenX { case_insensitive: true, dots_to_underscores: false, .. }));
    assert_eq!(found.parquet.compression, "SNAPPY");
    let strict = good(&conversion(&json!({ "SchemaConfiguration": { "VersionId": "INFER_STRICT" } })));
    assert_eq!(strict.conversion.expect("a conversion").schema, SchemaChoice::InferStrict);
    let table = good(&conversion(&json!({ "SchemaConfiguration": { "DatabaseName": "db", "TableName": "t" } })));
    let table = table.conversion.expect("a conversion");
    assert_eq!(table.schema, SchemaChoice::Table { database: "db".into(), table: "t".into(), version: None });
    assert_eq!(table.shown["SchemaConfiguration"]["VersionId"], "LATEST");

    let with = |name: &str, value: Value| {
        let mut request = conversion(&json!({ "InputFormatConfiguration": null, "OutputFormatConfiguration": null }));
        request["ExtendedS3DestinationConfiguration"][name] = value;
        request
    };
    let table = [
        (
            with("CompressionFormat", json!("GZIP")),
            "must be set to UNCOMPRESSED when data format conversion is enabled.",
        ),
        (
            with("BufferingHints", json!({ "SizeInMBs": 63, "IntervalInSeconds": 1 })),
            "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.",
        ),
        (with("Prefix", json!("")), "InputFormatConfiguration must not be null"),
        (conversion(&json!({ "OutputFormatConfiguration": null })), "OutputFormatConfiguration must not be null"),
        (conversion(&json!({ "InputFormatConfiguration": {} })), "Deserializer must not be null"),
        (conversion(&json!({ "OutputFormatConfiguration": { "Serializer": {} } })), "Serializer must not be null"),
        (
            conversion(&json!({ "InputFormatConfiguration": { "Deserializer":
            { "OpenXJsonSerDe": {}, "HiveJsonSerDe": {} } } })),
            "More than one deserializer specified. Only one may be chosen.",
        ),
        (conversion(&json!({ "SchemaConfiguration": { "DatabaseName": "db" } })), "TableName must not be null"),
        (
            conversion(&json!({ "SchemaConfiguration": { "DatabaseName": "db", "TableName": "x" } })),
            "is not registered",
        ),
        (
            conversion(&json!({ "SchemaConfiguration":
            { "DatabaseName": "db", "TableName": "t", "VersionId": "INFER_STRICT" } })),
            "leave one of them out",
        ),
    ];
    for (request, wanted) in table {
        refused(&request, Code::InvalidArgument, wanted);
    }
}

#[test]
fn a_table_is_named_in_its_newest_version_or_in_one() {
    let of = |version: &str| {
        let named = json!({ "DatabaseName": "db", "TableName": "t", "VersionId": version });
        conversion(&json!({ "SchemaConfiguration": named }))
    };
    for (text, version) in [("LATEST", None), ("1", Some(1)), ("2", Some(2))] {
        let found = good(&of(text)).conversion.expect("a conversion");
        assert_eq!(found.schema, SchemaChoice::Table { database: "db".into(), table: "t".into(), version });
        assert_eq!(found.shown["SchemaConfiguration"]["VersionId"], text);
    }
    for (text, wanted) in [
        ("3", "version 3 of the table db.t is not registered: run `millrace schema put db.t FILE`"),
        ("01", "SchemaConfiguration.VersionId 01 is no version: use LATEST"),
        ("latest", "SchemaConfiguration.VersionId latest is no version"),
        ("-1", "is no version"),
        ("4294967296", "is no version"),
    ] {
        refused(&of(text), Code::InvalidArgument, wanted);
    }
    refused(
        &conversion(&json!({ "SchemaConfiguration": { "VersionId": "1" } })),
        Code::InvalidArgument,
        "DatabaseName must not be null",
    );
}

#[test]
fn describe_shows_what_was_given_and_the_defaults() {
    let mut request = lambda(&[("LambdaArn", ARN)]);
    let destination = &mut request["ExtendedS3DestinationConfiguration"];
    destination["EncryptionConfiguration"] =
        json!({ "KMSEncryptionConfig": { "AWSKMSKeyARN": "arn:aws:kms:us-east-1:123456789012:key/orders" } });
    destination["FileExtension"] = json!(".log");
    let new = parsed(&request).expect("good");
    let stream = Stream {
        id: StreamId(1),
        name: new.name,
        arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/s".into(),
        created_ms: 1_700_000_000_250,
        version: 1,
        status: StreamStatus::Active,
        tags: new.tags,
        destination: new.destination,
    };
    let shown = describe_delivery_stream::answer(&stream, None);
    let shown = &shown["DeliveryStreamDescription"];
    assert_eq!(shown["CreateTimestamp"], 1_700_000_000.25);
    assert_eq!((&shown["VersionId"], &shown["HasMoreDestinations"]), (&json!("1"), &json!(false)));
    let destination = &shown["Destinations"][0];
    let common = json!({
        "RoleARN": "arn:aws:iam::123456789012:role/r",
        "BucketARN": "arn:aws:s3:::b",
        "BufferingHints": { "SizeInMBs": 5, "IntervalInSeconds": 300 },
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration":
            { "KMSEncryptionConfig": { "AWSKMSKeyARN": "arn:aws:kms:us-east-1:123456789012:key/orders" } },
        "CloudWatchLoggingOptions": { "Enabled": false },
    });
    assert_eq!(destination["S3DestinationDescription"], common);
    let extended = &destination["ExtendedS3DestinationDescription"];
    assert_eq!(extended["S3BackupMode"], "Disabled");
    assert_eq!(extended["FileExtension"], ".log");
    assert_eq!(extended["ProcessingConfiguration"]["Processors"][0]["Parameters"][1]["ParameterValue"], "3");
    let after = describe_delivery_stream::answer(&stream, Some("destinationId-000000000001"));
    assert_eq!(after["DeliveryStreamDescription"]["Destinations"], json!([]));
}
