//! A signed Firehose client of our own, and the destinations that the tests create.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Keys;
use crate::http::{Answer, Client};
use crate::signing::send_signed;

const TARGET: &str = "Firehose_20150804";
/// Role that every destination names; nothing looks at it.
const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/millrace-tests";
/// SizeInMBs that format conversion and dynamic partitioning demand at least.
const LARGE_WINDOW_MB: u32 = 64;

/// A client of the Firehose API.
#[derive(Debug, Clone)]
pub struct Firehose {
    client: Client,
    keys: Keys,
}

/// An S3 destination in the words of the tests.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Bucket name.
    pub bucket: String,
    /// Key prefix, `None` for the default.
    pub prefix: Option<String>,
    /// Error prefix.
    pub error_prefix: Option<String>,
    /// `UNCOMPRESSED`, `GZIP`, `ZSTD`, …
    pub compression: String,
    /// `Some` writes Parquet with this compression, schema inferred.
    pub parquet: Option<String>,
    /// Name of a function to call.
    pub function: Option<String>,
    /// Dynamic partitioning by the function's keys.
    pub partitioned: bool,
    /// A line feed behind each record (`AppendDelimiterToRecord`); not with Parquet.
    pub delimited: bool,
    /// Buffering hints: source megabytes (MiB) and seconds.
    pub window: (u32, u32),
}

impl Destination {
    /// JSON lines with a line feed behind each, gzip, windows of 1 MiB or 1 s.
    #[must_use]
    pub fn gzip(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            prefix: None,
            error_prefix: None,
            compression: "GZIP".to_owned(),
            parquet: None,
            function: None,
            partitioned: false,
            delimited: true,
            window: (1, 1),
        }
    }

    /// `ExtendedS3DestinationConfiguration`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let large = self.parquet.is_some() || self.partitioned;
        let size_mb = if large { self.window.0.max(LARGE_WINDOW_MB) } else { self.window.0 };
        let interval_s = if self.partitioned { self.window.1.max(60) } else { self.window.1 };
        let compression = if self.parquet.is_some() { "UNCOMPRESSED" } else { self.compression.as_str() };
        let mut config = json!({
            "RoleARN": ROLE_ARN,
            "BucketARN": format!("arn:aws:s3:::{}", self.bucket),
            "BufferingHints": { "SizeInMBs": size_mb, "IntervalInSeconds": interval_s },
            "CompressionFormat": compression,
        });
        if let Some(prefix) = &self.prefix {
            config["Prefix"] = json!(prefix);
        }
        if let Some(prefix) = &self.error_prefix {
            config["ErrorOutputPrefix"] = json!(prefix);
        }
        let processors = self.processors();
        if !processors.is_empty() {
            config["ProcessingConfiguration"] = json!({ "Enabled": true, "Processors": processors });
        }
        if self.partitioned {
            config["DynamicPartitioningConfiguration"] = json!({ "Enabled": true });
        }
        if let Some(compression) = &self.parquet {
            config["DataFormatConversionConfiguration"] = json!({
                "Enabled": true,
                "InputFormatConfiguration": { "Deserializer": { "OpenXJsonSerDe": {} } },
                "OutputFormatConfiguration": { "Serializer": { "ParquetSerDe": { "Compression": compression } } },
            });
        }
        config
    }

    fn processors(&self) -> Vec<Value> {
        let function = self.function.iter().map(|name| processor("Lambda", "LambdaArn", &function_arn(name)));
        let delimited = self.delimited && self.parquet.is_none();
        // Two characters, as the API has it: a backslash and an n.
        let delimiter = delimited.then(|| processor("AppendDelimiterToRecord", "Delimiter", "\\n"));
        function.chain(delimiter).collect()
    }
}

/// ARN under which a stream names a deployed function.
#[must_use]
pub fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

fn processor(kind: &str, parameter: &str, value: &str) -> Value {
    json!({ "Type": kind, "Parameters": [{ "ParameterName": parameter, "ParameterValue": value }] })
}

impl Firehose {
    /// A client of the server at `base`.
    #[must_use]
    pub fn new(base: &str, keys: &Keys) -> Self {
        Self { client: Client::new(base), keys: keys.clone() }
    }

    /// Calls an operation with a body that is made already.
    ///
    /// # Errors
    /// When no whole answer came: whether the server acted is unknown then.
    pub async fn call_raw(&self, operation: &str, body: Bytes) -> anyhow::Result<Answer> {
        let target = format!("{TARGET}.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        send_signed(&self.client, &self.keys, "firehose", "POST", "/", &headers, body).await
    }

    /// Calls an operation; answers status and body.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn call(&self, operation: &str, input: &Value) -> anyhow::Result<Answer> {
        self.call_raw(operation, input.to_string().into()).await
    }

    /// Creates a Direct PUT stream.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn create(&self, stream: &str, destination: &Destination) -> anyhow::Result<()> {
        let input = json!({
            "DeliveryStreamName": stream,
            "DeliveryStreamType": "DirectPut",
            "ExtendedS3DestinationConfiguration": destination.to_json(),
        });
        self.call("CreateDeliveryStream", &input).await?.ok()?;
        Ok(())
    }

    /// Describes a stream: `DeliveryStreamDescription`.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn describe(&self, stream: &str) -> anyhow::Result<Value> {
        let answer = self.call("DescribeDeliveryStream", &json!({ "DeliveryStreamName": stream })).await?.ok()?;
        Ok(answer.json()?["DeliveryStreamDescription"].clone())
    }

    /// Puts a batch: for each record whether it was acknowledged.
    ///
    /// # Errors
    /// When no whole answer came: what became of the records is unknown then; and as [`acked`].
    pub async fn put_batch(&self, stream: &str, records: &[Vec<u8>]) -> anyhow::Result<Vec<bool>> {
        acked(&self.call_raw("PutRecordBatch", batch_body(stream, records)).await?, records.len())
    }

    /// Puts one record; whether it was acknowledged.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn put(&self, stream: &str, record: &[u8]) -> anyhow::Result<bool> {
        Ok(self.call("PutRecord", &record_input(stream, record)).await?.status == 200)
    }
}

/// What an answer to `PutRecordBatch` says of each of `count` records: whether it was acknowledged. A
/// refusal of the whole call is all `false`.
///
/// # Errors
/// When the answer says otherwise than the API does.
pub fn acked(answer: &Answer, count: usize) -> anyhow::Result<Vec<bool>> {
    if answer.status != 200 {
        return Ok(vec![false; count]);
    }
    let value = answer.json()?;
    let entries = value["RequestResponses"].as_array().cloned().unwrap_or_default();
    anyhow::ensure!(entries.len() == count, "{} entries for {count} records", entries.len());
    let acked: Vec<bool> = entries.iter().map(|entry| entry["RecordId"].is_string()).collect();
    let failed = acked.iter().filter(|acked| !**acked).count() as u64;
    anyhow::ensure!(value["FailedPutCount"] == failed, "FailedPutCount does not match the entries");
    Ok(acked)
}

/// The input of a `PutRecord`.
#[must_use]
pub fn record_input(stream: &str, record: &[u8]) -> Value {
    let data = base64_simd::STANDARD.encode_to_string(record);
    json!({ "DeliveryStreamName": stream, "Record": { "Data": data } })
}

/// The body of a `PutRecordBatch`.
#[must_use]
pub fn batch_body(stream: &str, records: &[Vec<u8>]) -> Bytes {
    let bytes: usize = records.iter().map(|record| record.len() * 4 / 3 + 16).sum();
    let mut body = String::with_capacity(bytes + 64);
    body.push_str(&format!("{{\"DeliveryStreamName\":\"{stream}\",\"Records\":["));
    for (index, record) in records.iter().enumerate() {
        body.push_str(if index == 0 { "{\"Data\":\"" } else { ",{\"Data\":\"" });
        base64_simd::STANDARD.encode_append(record, &mut body);
        body.push_str("\"}");
    }
    body.push_str("]}");
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_body_is_json() {
        let body = batch_body("s", &[b"hi".to_vec(), Vec::new()]);
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value, json!({"DeliveryStreamName": "s", "Records": [{"Data": "aGk="}, {"Data": ""}]}));
    }

    #[test]
    fn large_windows_are_asked_for_where_the_api_demands_them() {
        let mut destination = Destination::gzip("b");
        assert_eq!(destination.to_json()["BufferingHints"], json!({"SizeInMBs": 1, "IntervalInSeconds": 1}));
        let processors = &destination.to_json()["ProcessingConfiguration"]["Processors"];
        assert_eq!(processors[0]["Parameters"][0]["ParameterValue"], "\\n");
        destination.parquet = Some("ZSTD".to_owned());
        assert_eq!(destination.to_json()["BufferingHints"]["SizeInMBs"], 64);
        assert_eq!(destination.to_json()["CompressionFormat"], "UNCOMPRESSED");
        destination.partitioned = true;
        assert_eq!(destination.to_json()["BufferingHints"]["IntervalInSeconds"], 60);
    }
}
