//! The lines of error objects: one JSON object per failed record, fields in the order and with the
//! spelling of the wire (numbers as numbers, `lambdaARN`).

use std::borrow::Cow;

use base64_simd::STANDARD;
use serde::Serialize;

/// A record that processing could not turn: by the function, or for want of a partition key.
#[derive(Debug, Clone, Copy)]
pub struct ProcessingFailure<'a> {
    /// The record as it was put, before any function.
    pub raw: &'a [u8],
    /// `errorCode`, as `Lambda.FunctionError`.
    pub code: &'a str,
    /// `errorMessage`.
    pub message: &'a str,
    /// `attemptsMade`.
    pub attempts: u32,
    /// `arrivalTimestamp`, milliseconds since the Unix epoch.
    pub arrival_ms: i64,
    /// `attemptEndingTimestamp`, milliseconds since the Unix epoch.
    pub ended_ms: i64,
    /// `lambdaARN`, with its qualifier; null where no function was involved.
    pub function_arn: Option<&'a str>,
}

/// A record that format conversion could not turn.
#[derive(Debug, Clone)]
pub struct ConversionFailure<'a> {
    /// The record as conversion met it.
    pub raw: &'a [u8],
    /// `lastErrorCode`, as `DataFormatConversion.ParseError`.
    pub code: &'a str,
    /// `lastErrorMessage`.
    pub message: &'a str,
    /// `attemptsMade`.
    pub attempts: u32,
    /// `arrivalTimestamp`, milliseconds since the Unix epoch.
    pub arrival_ms: i64,
    /// `attemptEndingTimestamp`, milliseconds since the Unix epoch.
    pub ended_ms: i64,
    /// `sequenceNumber`; null unless the source is a Kinesis stream.
    pub sequence_number: Option<&'a str>,
    /// `subSequenceNumber`; null unless the source is a Kinesis stream.
    pub sub_sequence_number: Option<u64>,
    /// `dataCatalogTable`; null where the schema was inferred.
    pub table: Option<CatalogTable<'a>>,
}

/// `dataCatalogTable` of a conversion failure.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogTable<'a> {
    /// The account that holds the catalog.
    pub catalog_id: &'a str,
    /// The database.
    pub database_name: &'a str,
    /// The table.
    pub table_name: &'a str,
    /// The region.
    pub region: &'a str,
    /// `LATEST`, or a version.
    pub version_id: Cow<'a, str>,
    /// The role that reads the catalog.
    pub role_arn: &'a str,
}

impl ProcessingFailure<'_> {
    /// Appends the line, its newline included.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"rawData\":\"");
        base64(out, self.raw);
        out.extend_from_slice(b"\"");
        field(out, "errorCode", &self.code);
        field(out, "errorMessage", &self.message);
        field(out, "attemptsMade", &self.attempts);
        field(out, "arrivalTimestamp", &self.arrival_ms);
        field(out, "attemptEndingTimestamp", &self.ended_ms);
        field(out, "lambdaARN", &self.function_arn);
        out.extend_from_slice(b"}\n");
    }
}

impl ConversionFailure<'_> {
    /// Appends the line, its newline included.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"attemptsMade\":");
        value(out, &self.attempts);
        field(out, "arrivalTimestamp", &self.arrival_ms);
        field(out, "lastErrorCode", &self.code);
        field(out, "lastErrorMessage", &self.message);
        field(out, "attemptEndingTimestamp", &self.ended_ms);
        out.extend_from_slice(b",\"rawData\":\"");
        base64(out, self.raw);
        out.extend_from_slice(b"\"");
        field(out, "sequenceNumber", &self.sequence_number);
        field(out, "subSequenceNumber", &self.sub_sequence_number);
        field(out, "dataCatalogTable", &self.table);
        out.extend_from_slice(b"}\n");
    }
}

fn base64(out: &mut Vec<u8>, raw: &[u8]) {
    STANDARD.encode_append(raw, out);
}

fn field(out: &mut Vec<u8>, name: &str, of: &impl Serialize) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    value(out, of);
}

fn value(out: &mut Vec<u8>, of: &impl Serialize) {
    #[expect(clippy::expect_used, reason = "strings, numbers and structs of them always serialise into memory")]
    serde_json::to_writer(out, of).expect("plain values serialise");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processing_failure_has_the_fields_of_the_wire_in_order() {
        let failure = ProcessingFailure {
            raw: b"hi\"",
            code: "Lambda.FunctionError",
            message: "it \"broke\"",
            attempts: 4,
            arrival_ms: 1_510_109_208_016,
            ended_ms: 1_510_109_209_000,
            function_arn: Some("arn:aws:lambda:us-east-1:111122223333:function:f:$LATEST"),
        };
        let mut line = b"before\n".to_vec();
        failure.write_line(&mut line);
        let golden = "before\n{\"rawData\":\"aGki\",\"errorCode\":\"Lambda.FunctionError\",\"errorMessage\":\"it \\\"broke\\\"\",\
            \"attemptsMade\":4,\"arrivalTimestamp\":1510109208016,\"attemptEndingTimestamp\":1510109209000,\
            \"lambdaARN\":\"arn:aws:lambda:us-east-1:111122223333:function:f:$LATEST\"}\n";
        assert_eq!(String::from_utf8(line).unwrap(), golden);
    }

    #[test]
    fn a_conversion_failure_has_the_fields_of_the_wire_in_order() {
        let table = CatalogTable {
            catalog_id: "111122223333",
            database_name: "d",
            table_name: "t",
            region: "us-east-1",
            version_id: "LATEST".into(),
            role_arn: "arn:aws:iam::111122223333:role/r",
        };
        let mut failure = ConversionFailure {
            raw: b"[1]",
            code: "DataFormatConversion.ParseError",
            message: "m",
            attempts: 1,
            arrival_ms: 1,
            ended_ms: 2,
            sequence_number: None,
            sub_sequence_number: None,
            table: Some(table),
        };
        let mut line = Vec::new();
        failure.write_line(&mut line);
        let golden = "{\"attemptsMade\":1,\"arrivalTimestamp\":1,\"lastErrorCode\":\"DataFormatConversion.ParseError\",\
            \"lastErrorMessage\":\"m\",\"attemptEndingTimestamp\":2,\"rawData\":\"WzFd\",\"sequenceNumber\":null,\
            \"subSequenceNumber\":null,\"dataCatalogTable\":{\"catalogId\":\"111122223333\",\"databaseName\":\"d\",\
            \"tableName\":\"t\",\"region\":\"us-east-1\",\"versionId\":\"LATEST\",\"roleArn\":\"arn:aws:iam::111122223333:role/r\"}}\n";
        assert_eq!(String::from_utf8(line).unwrap(), golden);
        failure.table = None;
        failure.raw = b"";
        let mut line = Vec::new();
        failure.write_line(&mut line);
        assert!(String::from_utf8(line).unwrap().contains(
            "\"rawData\":\"\",\"sequenceNumber\":null,\"subSequenceNumber\":null,\"dataCatalogTable\":null}"
        ));
    }
}
