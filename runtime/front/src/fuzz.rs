//! Fuzz targets of the port: bodies of the Firehose operations, ingest bodies in every form and
//! encoding, deploy options and routes, packages and names of functions.

use std::io::Write;

use base64_simd::STANDARD;
use http::Method;
use millrace_types::mutate::Target;
use millrace_types::{Batch, KIB, MIB};
use serde_json::Value;

use crate::error::ApiError;
use crate::firehose::create_delivery_stream::{self, Known};
use crate::firehose::records::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Put, decode};
use crate::firehose::{
    Operation, delete_delivery_stream, describe_delivery_stream, list_delivery_streams, list_tags_for_delivery_stream,
};
use crate::ingest::{Encoding, Form, Limits, cut, decompressed};
use crate::protocol::shape::{check, refuse_unsupported};
use crate::route::Route;
use crate::settings::RECORD_BYTES_MAX;

/// Bytes of an error's message at most, but for what names or quotes of the request it holds.
const MESSAGE_BYTES_MAX: usize = 16 * KIB;
/// Far below the real limits, so that bombs are found with small memory.
const LIMITS: Limits = Limits { bytes_max: MIB, ratio_max: 100, ratio_free_bytes: 64 * KIB };

fn is_short(error: &ApiError) {
    assert!(error.message.len() <= MESSAGE_BYTES_MAX, "a hostile request has a short answer");
}

fn refused<T>(parsed: Result<T, ApiError>) {
    if let Err(error) = parsed {
        is_short(&error);
    }
}

/// `PutRecord`: the fast reader says what a tree of the same body says.
pub fn put_record(data: &[u8]) {
    put(data, Put::One);
}

/// `PutRecordBatch`: the same.
pub fn put_record_batch(data: &[u8]) {
    put(data, Put::Batch);
}

fn put(body: &[u8], put: Put) {
    let (name, batch) = match decode(body, put, 7) {
        Ok(decoded) => decoded,
        Err(error) => return is_short(&error),
    };
    assert!((1..=64).contains(&name.len()) && (1..=BATCH_RECORDS_MAX).contains(&batch.len()));
    assert!(batch.payload().len() <= BATCH_BYTES_MAX && batch.payload().len() <= body.len());
    let tree: Value = serde_json::from_slice(body).expect("the fast reader takes no more than the slow one");
    assert_eq!(tree["DeliveryStreamName"], name.as_str());
    let records = if put == Put::One { std::slice::from_ref(&tree["Record"]) } else { list(&tree["Records"]) };
    assert_eq!(records.len(), batch.len());
    for (record, taken) in records.iter().zip(batch.columns().iter()) {
        let base64 = record["Data"].as_str().expect("a text");
        assert_eq!(STANDARD.decode_to_vec(base64).expect("base64"), taken);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// The other operations, chosen by the first byte: members, constraints, what is refused by name.
pub fn operation(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return };
    let operation = Operation::ALL[usize::from(*choice) % Operation::ALL.len()];
    if let Err(error) = check(operation.members(), &request) {
        is_short(&error);
    } else if let Err(error) = refuse_unsupported(operation.members(), &request) {
        assert!(error.message.len() <= MESSAGE_BYTES_MAX + body.len());
    }
    match operation {
        Operation::CreateDeliveryStream => create(&request, body.len()),
        Operation::DeleteDeliveryStream => refused(delete_delivery_stream::parse(&request)),
        Operation::DescribeDeliveryStream => refused(describe_delivery_stream::parse(&request)),
        Operation::ListTagsForDeliveryStream => refused(list_tags_for_delivery_stream::parse(&request)),
        Operation::ListDeliveryStreams => {
            let names = ["a", "b", "c"].map(str::to_owned).into_iter();
            if let Ok(answer) = list_delivery_streams::answer(&request, names) {
                assert!(list(&answer["DeliveryStreamNames"]).len() <= 3);
            }
        }
        Operation::PutRecord | Operation::PutRecordBatch => {}
    }
}

fn create(request: &Value, bytes: usize) {
    for known in [true, false] {
        let known = Known { key: &|_| known, table: &|_, _, _| known };
        match create_delivery_stream::parse(request, &known) {
            Ok(new) => {
                assert_eq!(request["DeliveryStreamName"], new.name.as_str());
                assert!(!new.destination.bucket.is_empty() && !new.destination.bucket.contains('/'));
            }
            // What is refused by name is quoted.
            Err(error) => assert!(error.message.len() <= MESSAGE_BYTES_MAX + bytes),
        }
    }
}

/// Ingest bodies; the first byte chooses form and encoding.
pub fn ingest(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let form = [Form::Lines, Form::Array, Form::Raw][usize::from(choice & 15) % 3];
    let encoding = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd][usize::from(choice >> 4) % 3];
    let plain = match decompressed(encoding, body, LIMITS) {
        Ok(plain) => plain,
        Err(error) => return is_short(&error),
    };
    assert!(plain.len() <= LIMITS.bytes_max.max(body.len()), "bounded");
    match cut(form, &plain, 7) {
        Ok(batch) => check_cut(form, &plain, &batch),
        Err(error) => is_short(&error),
    }
}

fn check_cut(form: Form, body: &[u8], batch: &Batch) {
    assert!(!batch.is_empty() && batch.payload().len() <= body.len());
    assert!(batch.columns().iter().all(|record| record.len() <= RECORD_BYTES_MAX));
    match form {
        Form::Raw => assert_eq!(batch.record(0), body),
        Form::Lines => {
            let lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
            assert!(lines.filter(|line| !line.is_empty()).eq(batch.columns().iter()), "a record a line");
        }
        Form::Array => {
            let values: Vec<serde::de::IgnoredAny> = serde_json::from_slice(body).expect("a JSON array");
            assert_eq!(values.len(), batch.len());
            for record in batch.columns().iter() {
                assert!(serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok(), "an element is JSON");
            }
        }
    }
}

/// Path and query of a deploy, then its headers, a line each; every method on the path.
pub fn route(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let target = lines.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
        match Route::find(&method, path) {
            Ok(route) => assert!(!route.name().is_empty()),
            Err(error) => is_short(&error),
        }
    }
    let mut request = http::Request::builder().uri(target);
    for (name, value) in lines.filter_map(|line| line.split_once(':')).take(100) {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else { return };
    match crate::admin::options(&request.into_parts().0) {
        Ok(options) => assert!(options.settings.len() <= 64),
        Err(error) => assert!(error.message.len() <= MESSAGE_BYTES_MAX + data.len()),
    }
}

/// A deployment package of a function, under small limits.
pub fn package(data: &[u8]) {
    refused(crate::lambda::fuzz::package(data));
}

/// A function's name in any of its forms, and the ARN of a resource.
pub fn function_name(data: &[u8]) {
    refused(crate::lambda::fuzz::name(&String::from_utf8_lossy(data)));
}

fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn some_records() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"DeliveryStreamName":"s.1-a_b","Record":{"Data":"aGVsbG8="}}"#,
        r#"{"Record":{"Data":""},"DeliveryStreamName":"s"}"#,
        r#"{"DeliveryStreamName":"s","Record":{"Data":"aGVs\u0062G8\u003d","Data2":[1,{"x":null}]}}"#,
    ])
}

fn some_batches() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"aGVsbG8="},{"Data":""},{"Data":"AAEC\/w=="}]}"#,
        r#"{ "Records" : [ { "Data" : "aGVsbG8K" } ] , "DeliveryStreamName" : "s" }"#,
        r#"{"DeliveryStreamName":"s","Records":[null,{"Data":null},{}]}"#,
    ])
}

fn some_operations() -> Vec<Vec<u8>> {
    let create = serde_json::json!({
        "DeliveryStreamName": "s", "DeliveryStreamType": "DirectPut",
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/r", "BucketARN": "arn:aws:s3:::b",
            "Prefix": "a=!{partitionKeyFromLambda:a}/!{timestamp:yyyy}/",
            "ErrorOutputPrefix": "e/!{firehose:error-output-type}/", "CustomTimeZone": "Asia/Tokyo",
            "BufferingHints": { "SizeInMBs": 64, "IntervalInSeconds": 60 }, "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": { "KMSEncryptionConfig": { "AWSKMSKeyARN": "arn:aws:kms:r:000000000000:key/k" } },
            "ProcessingConfiguration": { "Enabled": true, "Processors": [
                { "Type": "Lambda", "Parameters": [ { "ParameterName": "LambdaArn",
                  "ParameterValue": "arn:aws:lambda:us-east-1:000000000000:function:f:3" } ] },
                { "Type": "AppendDelimiterToRecord", "Parameters": [ { "ParameterName": "Delimiter", "ParameterValue": "\\n" } ] } ] },
            "DynamicPartitioningConfiguration": { "Enabled": true, "RetryOptions": { "DurationInSeconds": 60 } },
            "DataFormatConversionConfiguration": { "Enabled": true,
                "SchemaConfiguration": { "DatabaseName": "d", "TableName": "t", "Region": "us-east-1", "RoleARN": "arn:aws:iam::000000000000:role/r" },
                "InputFormatConfiguration": { "Deserializer": { "OpenXJsonSerDe": { "ColumnToJsonKeyMappings": { "a": "B" } } } },
                "OutputFormatConfiguration": { "Serializer": { "ParquetSerDe": { "Compression": "ZSTD", "BlockSizeBytes": 67108864 } } } }
        },
        "Tags": [ { "Key": "k", "Value": "v" } ]
    });
    let small = r#"{"DeliveryStreamName":"s","Limit":3,"ExclusiveStartDestinationId":"x-1","AllowForceDelete":true}"#;
    let mut seeds: Vec<Vec<u8>> =
        (0..Operation::ALL.len()).map(|nth| [&[nth as u8][..], small.as_bytes()].concat()).collect();
    let nth = Operation::ALL.iter().position(|operation| *operation == Operation::CreateDeliveryStream);
    let plain = r#"{"DeliveryStreamName":"s","S3DestinationConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::b"}}"#;
    for text in [create.to_string(), plain.to_owned()] {
        seeds.push([&[nth.unwrap_or(0) as u8][..], text.as_bytes()].concat());
    }
    seeds
}

fn some_bodies() -> Vec<Vec<u8>> {
    let plain: [&[u8]; 3] =
        [b"one\r\n\n{\"two\":2}\nthree", b" [ 1, \"x\\\"\", {\"a\":[null]} , [[]] ]\n", &[0, 255, 10, 13]];
    let mut seeds = Vec::new();
    for (form, body) in plain.iter().enumerate() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(body).expect("memory takes it");
        let gzip = gzip.finish().expect("memory takes it");
        let zstd = zstd::bulk::compress(body, 1).expect("compresses");
        for (encoding, bytes) in [body.to_vec(), gzip, zstd].into_iter().enumerate() {
            seeds.push([&[(encoding << 4 | form) as u8][..], &bytes].concat());
        }
    }
    let bomb = zstd::bulk::compress(&vec![b'x'; 2 * MIB], 1).expect("compresses");
    seeds.push([&[0x20], &bomb[..]].concat());
    seeds
}

fn some_routes() -> Vec<Vec<u8>> {
    texts(&[
        "/v1/functions/f?setting.Mode=a%20b&deadline-ms=9&warm=true\nx-millrace-setting-level:debug\nx-millrace-memory-bytes:1024",
        "/v1/delivery-streams/s/records",
        "/v1/schemas/d/t",
        "/health/live",
        "/",
    ])
}

fn some_names() -> Vec<Vec<u8>> {
    texts(&[
        "f",
        "function:f:live",
        "000000000000:function:f-_9:7",
        "us-gov-west-1:f:$LATEST",
        "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST.PUBLISHED",
        "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:01234567-89ab-cdef-0123-456789abcdef",
    ])
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &[
        "\"Data\":",
        "\"Records\":[",
        "\"Record\":",
        "null",
        "{\"",
        "\\u0000",
        "\\ud800",
        "[[[[[[[[",
        "{\"a\":",
        "1e999",
        "-0.0",
        "\r\n",
        "%zz",
        "%2e%2e",
        "setting.",
        "/v1/",
        "arn:aws:",
        "!{timestamp:",
        "\u{1f}\u{8b}",
        "\u{0}\u{0}\u{0}\u{0}",
        "é",
    ];
    let target = |name, run, seeds, rounds| Target { name, run, seeds, words, rounds };
    vec![
        target("put_record", put_record, some_records, 10_000),
        target("put_record_batch", put_record_batch, some_batches, 10_000),
        target("operation", operation, some_operations, 5_000),
        target("ingest", ingest, some_bodies, 5_000),
        target("route", route, some_routes, 5_000),
        target("package", package, crate::lambda::fuzz::some_packages, 5_000),
        target("function_name", function_name, some_names, 10_000),
    ]
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
