//! Fuzz targets of the encoders: prefixes and date patterns, key rings, table definitions, and JSON
//! records on their way into columns.

use std::path::Path;
use std::sync::Arc;

use millrace_types::mutate::Target;
use millrace_types::{Columns, KIB, SeededEntropy};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{
    Compression, Deserializer, EncoderSettings, Error, Format, Inference, KeyParts, KeyRing, Levels, ObjectEncoder,
    ParquetCompression, ParquetSettings, PrefixSettings, Prefixes, Rejected, SchemaSource, Table, key_id_of_arn,
};

/// Bytes of a key at most, as S3 has it.
const KEY_BYTES_MAX: usize = 1024;
/// Bytes of a message at most: it quotes what it met only in part.
const MESSAGE_BYTES_MAX: usize = 4 * KIB;
/// Moments at which calendars break, milliseconds since the Unix epoch.
const INSTANTS_MS: [i64; 7] =
    [i64::MAX, 0, -1, 1_783_951_509_000, 1_798_761_599_999, 253_402_207_200_000, -62_135_596_800_000];

/// Prefix, error prefix, time zone, partition key's value: a line each. No key leaves its prefix.
pub fn prefix(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (prefix, error_prefix, zone, value) = (line(), line(), line(), line());
    let partitioned = prefix.contains("partitionKey");
    let settings = PrefixSettings {
        stream: "s",
        version: 1,
        prefix,
        error_prefix,
        time_zone: zone,
        file_extension: "",
        encrypted: true,
        dynamic_partitioning: partitioned,
    };
    let Ok(prefixes) = Prefixes::new(&settings) else { return };
    let names: Vec<&str> = prefixes.partition_keys().collect();
    assert_eq!(names.is_empty(), !partitioned);
    let keys: Vec<(&str, &str)> = names.iter().map(|name| (*name, value)).collect();
    let taken = prefixes.partition(&keys).is_ok();
    let entropy = SeededEntropy::new(1);
    for instant_ms in INSTANTS_MS {
        let parts = |partition_keys| KeyParts { instant_ms, uuid: "u", extension: ".gz", partition_keys };
        let data = taken.then(|| prefixes.data_key(&parts(&keys), &entropy));
        let error = prefixes.error_key(&parts(&[]), "processing-failed", &entropy);
        for key in data.into_iter().chain([error]) {
            assert!(key.len() <= KEY_BYTES_MAX && key.ends_with("-u.gz"), "{key}");
            assert!(!key.split('/').any(|segment| matches!(segment, "." | "..")), "{key} climbs");
        }
    }
}

/// A date pattern alone.
pub fn date_pattern(data: &[u8]) {
    let Ok(pattern) = std::str::from_utf8(data) else { return };
    if pattern.contains(['\n', '}']) {
        return;
    }
    for zone in ["UTC", "Asia/Calcutta", "America/New_York", "Africa/Monrovia"] {
        prefix(format!("!{{timestamp:{pattern}}}/\n!{{firehose:error-output-type}}/\n{zone}\n").as_bytes());
    }
}

/// Key rings, and the ARNs that name keys: no message shows a key.
pub fn key_ring(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(id) = key_id_of_arn(text) {
        assert!(text.ends_with(id));
    }
    let ring = KeyRing::load(Path::new("no such folder/ring.json")).expect("no file is an empty ring");
    match ring.parse(text) {
        Ok(keys) => assert!(keys.len() <= data.len()),
        Err(error) => assert!(error.to_string().len() <= 400, "says where, not what"),
    }
}

/// Table definitions: what is taken is a schema that objects can be made of, and comes back.
pub fn table(data: &[u8]) {
    let Ok(table) = Table::parse("d", "t", data) else { return };
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| serde_json::json!({ "name": column.name, "type": column.hive_type }))
        .collect();
    let again = serde_json::to_vec(&columns).expect("a list of texts");
    assert_eq!(Table::parse("d", "t", &again).as_ref(), Ok(&table));
    let (rejected, rows) = written(SchemaSource::Table(Arc::new(table)), open_x(), &[b"{}"]);
    assert!(rejected.is_empty() && rows == 1, "an empty object is a row of nulls");
}

/// Records, one a line, behind a byte that chooses schema and dialect.
pub fn rows(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let records: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
    let (schema, deserializer) = match mode % 4 {
        0 => (every_type(), open_x()),
        1 => (every_type(), Deserializer::Hive { timestamp_formats: Vec::new() }),
        2 => (SchemaSource::Infer(Inference::Relaxed), open_x()),
        _ => (SchemaSource::Infer(Inference::Strict), open_x()),
    };
    let (rejected, rows) = written(schema, deserializer, &records);
    assert!(rows + rejected.len() >= records.len(), "every record is a row or is refused");
    for one in rejected {
        assert!(matches!(one.code, "DataFormatConversion.ParseError" | "DataFormatConversion.MalformedData"));
        assert!(one.message.len() <= MESSAGE_BYTES_MAX + data.len(), "a message is bounded by its record");
    }
}

/// One value for every type, as JSON and as a text: numbers, decimals, dates, timestamps, base64.
pub fn scalar(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = text.replace('\n', " ");
    let quoted = serde_json::Value::String(text.clone()).to_string();
    let mut records = Vec::new();
    for column in COLUMNS.map(|(name, _)| name) {
        records.push(format!("{{\"{column}\":{text}}}"));
        records.push(format!("{{\"{column}\":{quoted}}}"));
    }
    for mode in 0..2 {
        rows(&[&[mode][..], records.join("\n").as_bytes()].concat());
    }
}

/// A pattern of `TimestampFormats`, and behind a line end the text that it reads.
pub fn timestamp_format(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (format, value) = text.split_once('\n').unwrap_or((text, "2026-07-13 14:05:09"));
    let record = serde_json::json!({ "timestamp": value }).to_string();
    let hive = Deserializer::Hive { timestamp_formats: vec![format.to_owned(), "millis".to_owned()] };
    match encoder(every_type(), hive) {
        Ok(encoder) => drop(finished(encoder, &[record.as_bytes()])),
        Err(error) => assert!(matches!(error, Error::TimestampFormat(_)), "{error}"),
    }
}

const COLUMNS: [(&str, &str); 15] = [
    ("tinyint", "tinyint"),
    ("int", "int"),
    ("bigint", "bigint"),
    ("float", "float"),
    ("double", "double"),
    ("boolean", "boolean"),
    ("string", "string"),
    ("binary", "binary"),
    ("date", "date"),
    ("timestamp", "timestamp"),
    ("decimal", "decimal(38,10)"),
    ("small", "decimal(5,5)"),
    ("list", "array<struct<a:int,b:array<string>>>"),
    ("struct", "struct<a:int,b:struct<c:decimal(9,2),d:timestamp>>"),
    ("map", "map<string,double>"),
];

fn every_type() -> SchemaSource {
    let columns = COLUMNS.map(|(name, hive)| serde_json::json!({ "name": name, "type": hive }));
    let definition = serde_json::to_vec(&columns).expect("a list of texts");
    SchemaSource::Table(Arc::new(Table::parse("d", "t", &definition).expect("good types")))
}

fn open_x() -> Deserializer {
    Deserializer::OpenX {
        dots_to_underscores: true,
        case_insensitive: true,
        mappings: [("int".to_owned(), "Mapped".to_owned())].into(),
    }
}

fn encoder(schema: SchemaSource, deserializer: Deserializer) -> Result<ObjectEncoder, Error> {
    let settings = EncoderSettings {
        format: Format::Parquet(ParquetSettings {
            compression: ParquetCompression::Uncompressed,
            block_bytes: Some(64 << 20),
            page_bytes: Some(1 << 20),
            dictionary: true,
            writer_v2: false,
            schema,
            deserializer,
        }),
        compression: Compression::Uncompressed,
        levels: Levels::default(),
        encryption: None,
    };
    ObjectEncoder::new(&settings, &SeededEntropy::new(1))
}

/// What was refused, and the rows of the file that an independent reader finds.
fn written(schema: SchemaSource, deserializer: Deserializer, records: &[&[u8]]) -> (Vec<Rejected>, usize) {
    finished(encoder(schema, deserializer).expect("good settings"), records)
}

fn finished(mut encoder: ObjectEncoder, records: &[&[u8]]) -> (Vec<Rejected>, usize) {
    let payload = records.concat();
    let ends: Vec<u32> = records
        .iter()
        .scan(0, |end, record| {
            *end += u32::try_from(record.len()).unwrap_or(u32::MAX);
            Some(*end)
        })
        .collect();
    let rejected = encoder.push(Columns { payload: &payload, ends: &ends }, None).expect("a record fails alone");
    let mut file = encoder.take_output();
    let finished = encoder.finish().expect("the file ends");
    file.extend_from_slice(&finished.rest);
    assert_eq!(finished.records as usize + rejected.len(), records.len(), "every record is taken or refused");
    if finished.records == 0 {
        return (rejected, 0);
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file)).expect("a Parquet file").build();
    let rows = reader.expect("readable").map(|batch| batch.expect("a batch").num_rows()).sum();
    (rejected, rows)
}

fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

fn some_prefixes() -> Vec<Vec<u8>> {
    texts(&[
        "\n\n\n",
        "raw/\nbad/\nAsia/Tokyo\n",
        "y=!{timestamp:yyyy}/!{firehose:random-string}-\ne/!{firehose:error-output-type}/!{timestamp:'d='dd}/\nUTC\n",
        "c=!{partitionKeyFromLambda:a}/!{timestamp:YYYY-'W'ww-e}/\ne/!{firehose:error-output-type}/\nEurope/Kiev\nx/y",
    ])
}

fn some_patterns() -> Vec<Vec<u8>> {
    texts(&["yyyy-MM-dd", "'day='dd''''[HH]", "G u M L d Q q Y w W E e c F a h K k H m s S A n N g B z v O X x Z D"])
}

fn some_rings() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"keys":[{"id":"orders","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}"#,
        r#"{"keys":[]}"#,
        "arn:aws:kms:us-east-1:000000000000:key/orders",
        "arn:aws:kms:us-east-1:000000000000:alias/a",
    ])
}

fn some_tables() -> Vec<Vec<u8>> {
    let columns = COLUMNS.map(|(name, hive)| serde_json::json!({ "name": name, "type": hive }));
    let mut seeds = texts(&[
        r#"{"columns":[{"name":"a","type":"bigint"},{"name":"b","type":"varchar(9)","comment":"x","nullable":true}]}"#,
        r#"[{"Name":"a","Type":"struct< a : int, b:array<map<string,decimal>> >"}]"#,
    ]);
    seeds.push(serde_json::to_vec(&columns).expect("a list of texts"));
    seeds
}

fn some_rows() -> Vec<Vec<u8>> {
    let records = concat!(
        r#"{"tinyint":1,"Mapped":-5,"bigint":9007199254740993,"float":1.5,"double":1e300,"boolean":true,"string":"aé\n"}"#,
        "\n",
        r#"{"binary":"AAEC","date":"2026-7-3","timestamp":"2026-07-13T14:05:09.123+02:00","decimal":"1234.5","small":0.5}"#,
        "\n",
        r#"{"list":[{"a":1,"b":["x",null]},[2,[]]],"struct":{"A":1,"b":{"c":-1.25e1,"d":1783951509}},"map":{"k":1}}"#,
        "\n",
        r#"{"a.b":1,"x":{"y":[{},{"z":null}]},"_other":2} {"x":{"w":1.5}}"#,
        "\n[1]\n{\"string\":{\"N\":[1, {}]}}\n",
    );
    (0..4).map(|mode| [&[mode][..], records.as_bytes()].concat()).collect()
}

fn some_scalars() -> Vec<Vec<u8>> {
    texts(&[
        "1",
        "-9223372036854775808",
        "123456789.987654321e-3",
        "1e76",
        "true",
        "2026-07-13T14:05:09.123456789+02:00",
        "2026-7-3 4:5:9.5",
        "1783951509.25",
        "AAECAw==",
        "[1,2]",
        r#"{"a":1}"#,
    ])
}

fn some_formats() -> Vec<Vec<u8>> {
    texts(&[
        "yyyy-MM-dd'T'HH:mm:ss.SSSZ\n2026-07-13T14:05:09.5+0200",
        "EEE, d MMM yy h:mm a\nMon, 13 July 26 12:05 AM",
        "millis\n1783951509000",
    ])
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &[
        "!{timestamp:",
        "!{firehose:",
        "!{partitionKeyFromLambda:a}",
        "random-string}",
        "error-output-type}",
        "../",
        "é",
        "'",
        "[",
        "{\"",
        "\":",
        "null",
        "\\ud83d\\ude00",
        "\\u0000",
        "[[[[",
        "{\"a\":{\"a\":",
        "1e999",
        "e-2147483648",
        "99999999999999999999",
        "decimal(38,38)",
        "struct<a:",
        "map<string,",
        "array<",
        "9999-12-31",
        "0000-01-01",
        "+18:00",
        "T",
        "Z",
        ".5",
        "-",
    ];
    let target = |name, run, seeds, rounds| Target { name, run, seeds, words, rounds };
    vec![
        target("prefix", prefix, some_prefixes, 5_000),
        target("date_pattern", date_pattern, some_patterns, 2_000),
        target("key_ring", key_ring, some_rings, 10_000),
        target("table", table, some_tables, 3_000),
        target("rows", rows, some_rows, 3_000),
        target("scalar", scalar, some_scalars, 1_500),
        target("timestamp_format", timestamp_format, some_formats, 2_000),
    ]
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
