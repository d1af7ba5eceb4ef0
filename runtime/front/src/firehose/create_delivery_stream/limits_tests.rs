//! Numbers, lengths and patterns of the reference, each at its edge with its whole text; what would be
//! found out too late is refused when the stream is made.

use serde_json::{Value, json};

use super::tests::{conversion, extended, good, lambda, parsed, refused};
use crate::error::Code;

/// One broken constraint of the destination, in the service's words.
fn broken(members: &Value, path: &str, rule: &str) {
    let error = parsed(&extended(members)).expect_err(rule);
    let wanted = format!(
        "1 validation error detected: Value at 'extendedS3DestinationConfiguration.{path}' failed to satisfy constraint: Member must {rule}"
    );
    assert_eq!((error.code, error.message), (Code::Validation, wanted));
}

#[test]
fn lengths_and_numbers_are_those_of_the_reference() {
    let kms = |arn: String| json!({ "EncryptionConfiguration": { "KMSEncryptionConfig": { "AWSKMSKeyARN": arn } } });
    let partitioning = |seconds: i64| json!({ "DynamicPartitioningConfiguration": { "RetryOptions": { "DurationInSeconds": seconds } } });
    let logs = |name: &str, length: usize| json!({ "CloudWatchLoggingOptions": { name: "x".repeat(length) } });
    let shorter = |limit: usize| format!("have length less than or equal to {limit}");
    for (members, path, rule) in [
        (json!({ "RoleARN": format!("arn:aws:iam::123456789012:role/{}", "r".repeat(482)) }), "roleARN", shorter(512)),
        (json!({ "BucketARN": format!("arn:{}:s3:::b", "x".repeat(2038)) }), "bucketARN", shorter(2048)),
        (json!({ "Prefix": "x".repeat(1025) }), "prefix", shorter(1024)),
        (json!({ "ErrorOutputPrefix": "x".repeat(1025) }), "errorOutputPrefix", shorter(1024)),
        (json!({ "FileExtension": format!(".{}", "x".repeat(128)) }), "fileExtension", shorter(128)),
        (json!({ "CustomTimeZone": "x".repeat(51) }), "customTimeZone", shorter(50)),
        (
            kms(format!("arn:aws:kms:us-east-1:123456789012:key/{}", "k".repeat(474))),
            "encryptionConfiguration.kMSEncryptionConfig.aWSKMSKeyARN",
            shorter(512),
        ),
        (logs("LogGroupName", 513), "cloudWatchLoggingOptions.logGroupName", shorter(512)),
        (logs("LogStreamName", 513), "cloudWatchLoggingOptions.logStreamName", shorter(512)),
        (
            partitioning(7201),
            "dynamicPartitioningConfiguration.retryOptions.durationInSeconds",
            "have value less than or equal to 7200".to_owned(),
        ),
        (
            partitioning(-1),
            "dynamicPartitioningConfiguration.retryOptions.durationInSeconds",
            "have value greater than or equal to 0".to_owned(),
        ),
    ] {
        broken(&members, path, &rule);
    }
    for (size, interval, path, rule) in [
        (0, 0, "sizeInMBs", "have value greater than or equal to 1"),
        (129, 0, "sizeInMBs", "have value less than or equal to 128"),
        (1, -1, "intervalInSeconds", "have value greater than or equal to 0"),
        (1, 901, "intervalInSeconds", "have value less than or equal to 900"),
    ] {
        let hints = json!({ "BufferingHints": { "SizeInMBs": size, "IntervalInSeconds": interval } });
        broken(&hints, &format!("bufferingHints.{path}"), rule);
    }
    for (size, interval) in [(1, 0), (128, 900)] {
        good(&extended(&json!({ "BufferingHints": { "SizeInMBs": size, "IntervalInSeconds": interval } })));
    }
}

#[test]
fn patterns_are_those_of_the_reference() {
    let kms = json!({ "EncryptionConfiguration": { "KMSEncryptionConfig": { "AWSKMSKeyARN": "key/orders" } } });
    for (members, path, pattern) in [
        (json!({ "RoleARN": "arn:aws:iam::1:role/r" }), "roleARN", r"arn:.*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+"),
        (json!({ "BucketARN": "arn:aws:s3:::a/b" }), "bucketARN", r"arn:.*:s3:::[\w\.\-]{1,255}"),
        (json!({ "Prefix": "a\nb" }), "prefix", ".*"),
        (json!({ "FileExtension": ".GZ" }), "fileExtension", r"^$|\.[0-9a-z!\-_.*'()]+"),
        (json!({ "CustomTimeZone": "Etc/GMT+1" }), "customTimeZone", "^$|[a-zA-Z/_]+"),
        (
            kms,
            "encryptionConfiguration.kMSEncryptionConfig.aWSKMSKeyARN",
            r"arn:.*:kms:[a-zA-Z0-9\-]+:\d{12}:(key|alias)/[a-zA-Z_0-9+=,.@\-_/]+",
        ),
    ] {
        broken(&members, path, &format!("satisfy regular expression pattern: {pattern}"));
    }
}

#[test]
fn tags_and_parameters_are_bounded() {
    let tagged = |tags: Value| {
        let mut request = extended(&json!({}));
        request["Tags"] = tags;
        request
    };
    let many = |count: usize| (0..count).map(|n| json!({ "Key": n.to_string() })).collect::<Value>();
    let key = r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$";
    for (tags, wanted) in [
        (json!([]), "Value at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned()),
        (many(51), "Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50".to_owned()),
        (json!([{ "Key": "" }]), "Value at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned()),
        (json!([{ "Key": "x".repeat(129) }]), "Value at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128".to_owned()),
        (json!([{ "Key": "aws:x" }]), format!("Value at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: {key}")),
        (json!([{ "Key": "a", "Value": "x".repeat(257) }]), "Value at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256".to_owned()),
        (json!([{ "Value": "a" }]), "Value at 'tags.1.member.key' failed to satisfy constraint: Member must not be null".to_owned()),
    ] {
        let error = parsed(&tagged(tags)).expect_err(&wanted);
        assert_eq!((error.code, error.message), (Code::Validation, format!("1 validation error detected: {wanted}")));
    }
    assert_eq!(parsed(&tagged(many(50))).expect("as many as there may be").tags.len(), 50);
    for (value, rule) in [
        ("x".repeat(5121), "Member must have length less than or equal to 5120"),
        (" ".to_owned(), r"Member must satisfy regular expression pattern: ^(?!\s*$).+"),
    ] {
        refused(&lambda(&[("LambdaArn", &value)]), Code::Validation, rule);
    }
}

#[test]
fn sizes_of_parquet_are_what_was_given_or_said_to_be_ours() {
    let with =
        |more: Value| conversion(&json!({ "OutputFormatConfiguration": { "Serializer": { "ParquetSerDe": more } } }));
    let found = good(&with(json!({ "BlockSizeBytes": 268_435_456, "PageSizeBytes": 65_536 })));
    let found = found.conversion.expect("a conversion");
    assert_eq!((found.parquet.block_bytes, found.parquet.page_bytes), (Some(268_435_456), Some(65_536)));
    let shown = &found.shown["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"];
    assert_eq!(shown, &json!({ "BlockSizeBytes": 268_435_456, "PageSizeBytes": 65_536 }));
    let found = good(&with(json!({}))).conversion.expect("a conversion");
    assert_eq!((found.parquet.block_bytes, found.parquet.page_bytes), (None, None));
    let shown = &found.shown["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"];
    assert_eq!(shown, &json!({ "BlockSizeBytes": 33_554_432 }), "smaller than AWS's, and shown");
    for (more, wanted) in [
        (
            json!({ "BlockSizeBytes": 67_108_863 }),
            "blockSizeBytes' failed to satisfy constraint: Member must have value greater than or equal to 67108864",
        ),
        (
            json!({ "PageSizeBytes": 65_535 }),
            "pageSizeBytes' failed to satisfy constraint: Member must have value greater than or equal to 65536",
        ),
    ] {
        refused(&with(more), Code::Validation, wanted);
    }
}

#[test]
fn formats_and_mappings_that_would_stop_or_lose_are_refused() {
    let input =
        |deserializer: Value| conversion(&json!({ "InputFormatConfiguration": { "Deserializer": deserializer } }));
    good(&input(json!({ "HiveJsonSerDe": { "TimestampFormats": ["millis", "yyyy-MM-dd'T'HH:mm:ss.SSSZ"] } })));
    for wrong in ["yyyy-QQ", "'open", "xx"] {
        refused(
            &input(json!({ "HiveJsonSerDe": { "TimestampFormats": ["millis", wrong] } })),
            Code::InvalidArgument,
            &format!("HiveJsonSerDe.TimestampFormats holds {wrong}, which is neither millis nor a pattern"),
        );
    }
    let mapped = |case_insensitive: bool, mappings: Value| {
        input(json!({ "OpenXJsonSerDe": { "CaseInsensitive": case_insensitive, "ColumnToJsonKeyMappings": mappings } }))
    };
    good(&mapped(true, json!({ "a": "x", "b": "y" })));
    good(&mapped(false, json!({ "a": "x", "A": "X" })));
    for (fold, mappings, named) in [
        (true, json!({ "a": "x", "b": "x" }), "the key x"),
        (true, json!({ "a": "x", "b": "X" }), "the key X"),
        (false, json!({ "a": "x", "b": "x" }), "the key x"),
        (true, json!({ "A": "x", "a": "y" }), "the column a"),
    ] {
        let wanted = format!("OpenXJsonSerDe.ColumnToJsonKeyMappings names {named} more than once");
        refused(&mapped(fold, mappings), Code::InvalidArgument, &wanted);
    }
}

#[test]
fn keys_that_no_store_takes_are_refused_when_the_stream_is_made() {
    let typed = "e/!{firehose:error-output-type}/";
    let long = format!("{}/", "x".repeat(256));
    let extension = format!(".{}", "x".repeat(127));
    let table = [
        (json!({ "Prefix": "a\u{0}b/" }), "Prefix holds the control character U+0000"),
        (
            json!({ "Prefix": "a/", "ErrorOutputPrefix": "e\u{1b}/" }),
            "ErrorOutputPrefix holds the control character U+001B",
        ),
        (json!({ "Prefix": "a/../b/" }), "Prefix makes a key with a segment '.' or '..'"),
        (json!({ "Prefix": long }), "Prefix makes a key with 256 bytes between two slashes"),
        (json!({ "ErrorOutputPrefix": long }), "ErrorOutputPrefix makes a key with 256 bytes between two slashes"),
        (
            json!({ "Prefix": format!("!{{timestamp:yyyy}}/{}", "x".repeat(68)), "ErrorOutputPrefix": typed, "FileExtension": extension }),
            "Prefix makes a key with 256 bytes between two slashes (dates at their longest, the object's name and FileExtension counted)",
        ),
        (
            json!({ "Prefix": format!("{}{}", "x/", "äää/".repeat(123)), "FileExtension": extension }),
            "Prefix makes a key of 1065 bytes",
        ),
        (
            json!({ "Prefix": format!("!{{timestamp:{}}}/", "EEEE/".repeat(52)), "ErrorOutputPrefix": typed }),
            "Length of evaluated prefix cannot be greater than 512",
        ),
    ];
    for (members, wanted) in table {
        refused(&extended(&members), Code::InvalidArgument, wanted);
    }
    // The service's own pattern comes first: no line ends.
    let line = extended(&json!({ "Prefix": "a\nb" }));
    refused(
        &line,
        Code::Validation,
        "extendedS3DestinationConfiguration.prefix' failed to satisfy constraint: Member must satisfy regular expression pattern: .*",
    );
    // An instruction file beside an encrypted object has a longer name.
    let name = |extra: usize| "x".repeat(255 - 4 - 56 - 8 - 12 + extra);
    let sealed = |extra: usize| {
        extended(&json!({
            "Prefix": format!("!{{timestamp:yyyy}}/{}", name(extra)), "ErrorOutputPrefix": typed,
            "EncryptionConfiguration": { "KMSEncryptionConfig": { "AWSKMSKeyARN": "arn:aws:kms:us-east-1:123456789012:key/orders" } },
        }))
    };
    good(&sealed(0));
    refused(&sealed(1), Code::InvalidArgument, "256 bytes between two slashes");
}
