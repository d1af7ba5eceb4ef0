//! Conversion read back: OpenX, Hive, inference, rejected records between good ones.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use millrace_types::{Columns, SeededEntropy};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::FileReader;
use proptest::prelude::*;

use super::*;
use crate::{Compression, EncoderSettings, Format, Levels, ObjectEncoder};

fn parquet(schema: SchemaSource, deserializer: Deserializer) -> ParquetSettings {
    ParquetSettings {
        compression: ParquetCompression::Zstd,
        block_bytes: None,
        page_bytes: None,
        dictionary: true,
        writer_v2: false,
        schema,
        deserializer,
    }
}

pub(super) fn open_x() -> Deserializer {
    Deserializer::OpenX { dots_to_underscores: false, case_insensitive: true, mappings: BTreeMap::new() }
}

/// Parquet by relaxed inference.
pub(crate) fn relaxed() -> ParquetSettings {
    parquet(SchemaSource::Infer(Inference::Relaxed), open_x())
}

pub(super) fn table(columns: &[(&str, &str)], deserializer: Deserializer) -> ParquetSettings {
    let columns: Vec<_> =
        columns.iter().map(|(name, hive)| serde_json::json!({ "name": name, "type": hive })).collect();
    let table = Table::parse("d", "t", &serde_json::to_vec(&columns).unwrap()).unwrap();
    parquet(SchemaSource::Table(Arc::new(table)), deserializer)
}

pub(super) struct Written {
    pub(super) file: Vec<u8>,
    rejected: Vec<Rejected>,
    records: u64,
}

pub(super) fn write(settings: ParquetSettings, pushes: &[&[&str]]) -> Written {
    let settings = EncoderSettings {
        format: Format::Parquet(settings),
        compression: Compression::Uncompressed,
        levels: Levels::default(),
        encryption: None,
    };
    let mut encoder = ObjectEncoder::new(&settings, &SeededEntropy::new(1)).unwrap();
    let (mut file, mut rejected) = (Vec::new(), Vec::new());
    for records in pushes {
        let payload = records.concat();
        let ends: Vec<u32> = records
            .iter()
            .scan(0u32, |end, record| {
                *end += u32::try_from(record.len()).unwrap();
                Some(*end)
            })
            .collect();
        rejected.extend(encoder.push(Columns { payload: payload.as_bytes(), ends: &ends }, None).unwrap());
        file.extend(encoder.take_output());
    }
    let finished = encoder.finish().unwrap();
    file.extend(&finished.rest);
    assert_eq!(finished.extension, ".parquet");
    Written { file, rejected, records: finished.records }
}

fn read(file: &[u8]) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::copy_from_slice(file)).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

/// Rows as JSON lines, nulls left out, by Arrow's own writer.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let mut out = Vec::new();
    let mut writer = arrow_json::LineDelimitedWriter::new(&mut out);
    writer.write(&crate::preview::without_zones(batch).unwrap()).unwrap();
    writer.finish().unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| format!("{}:{}", field.name(), field.data_type())).collect()
}

#[test]
fn a_table_takes_what_open_x_takes() {
    let settings = table(
        &[
            ("id", "bigint"),
            ("name", "string"),
            ("ok", "boolean"),
            ("score", "double"),
            ("tags", "array<string>"),
            ("at", "timestamp"),
            ("day", "date"),
            ("price", "decimal(10,2)"),
            ("who", "struct<first:string,age:int>"),
            ("attributes", "map<string,int>"),
            ("small", "tinyint"),
            ("raw", "binary"),
        ],
        open_x(),
    );
    let written = write(
        settings,
        &[&[
            r#"{"ID":1,"Name":"a","ok":true,"score":1,"tags":["x","y"],"at":"2026-07-13T14:05:09Z","day":"2026-07-13","price":"12.34","who":{"First":"f","AGE":7},"attributes":{"K":1},"small":-128,"raw":"aGk="}"#,
            r#"{"id":"2","name":{"B":[1, 2]},"ok":"FALSE","score":"2.5","tags":"one","at":1783951509,"who":["g",8],"unknown":{"x":[1]}}"#,
            r#"{"id":3}{"id":4,"at":1783951509123}"#,
        ]],
    );
    assert_eq!(written.rejected, Vec::new());
    assert_eq!(written.records, 3, "records, not rows");
    assert_eq!(
        rows(&read(&written.file)),
        [
            r#"{"id":1,"name":"a","ok":true,"score":1.0,"tags":["x","y"],"at":"2026-07-13T14:05:09","day":"2026-07-13","price":12.34,"who":{"first":"f","age":7},"attributes":{"k":1},"small":-128,"raw":"6869"}"#,
            r#"{"id":2,"name":"{\"b\":[1,2]}","ok":false,"score":2.5,"tags":["one"],"at":"2026-07-13T14:05:09","who":{"first":"g","age":8}}"#,
            r#"{"id":3}"#,
            r#"{"id":4,"at":"2026-07-13T14:05:09.123"}"#,
        ]
    );
}

#[test]
fn records_that_do_not_fit_fail_alone_and_leave_nothing() {
    let settings = table(&[("id", "bigint"), ("name", "string"), ("who", "struct<a:array<int>>")], open_x());
    let records = [
        r#"{"id":1,"name":"good"}"#,
        r#"{"id":1.5}"#,
        r#"{"id":2"#,
        "",
        "  ",
        "[{\"id\":1}]",
        "7",
        "null",
        r#"{"name":"x","who":7}"#,
        r#"{"name":"x","who":{"a":[1,2,"z"]}}"#,
        r#"{"id":3}{"id":"x"}"#,
        r#"{"id":4,}"#,
        r#"{"id":5} x"#,
        "{\"name\":\"\u{0}\"}",
        r#"{"name":"\ud800"}"#,
        r#"{"id":6,"name":"last"}"#,
    ];
    let written = write(settings, &[&records]);
    let found: Vec<(u32, &str)> =
        written.rejected.iter().map(|r| (r.index, r.code.rsplit('.').next().unwrap())).collect();
    let (parse, malformed) = ("ParseError", "MalformedData");
    assert_eq!(
        found,
        [
            (1, malformed),
            (2, parse),
            (3, parse),
            (4, parse),
            (5, malformed),
            (6, malformed),
            (7, malformed),
            (8, malformed),
            (9, malformed),
            (10, malformed),
            (11, parse),
            (12, parse),
            (13, parse),
            (14, parse),
        ]
    );
    assert_eq!(
        written.rejected[0].message,
        "Data does not match the schema. column 'id': 1.5 is not a whole number of 64 bits"
    );
    assert_eq!(
        written.rejected[7].message,
        "Data does not match the schema. column 'who': Data is not JSONObject  but java.lang.Number with value 7"
    );
    assert!(written.rejected[8].message.starts_with("Data does not match the schema. column 'who.a[2]': z is not"));
    assert!(written.rejected[1].message.starts_with("Encountered malformed JSON. EOF while parsing"));
    assert_eq!(rows(&read(&written.file)), [r#"{"id":1,"name":"good"}"#, r#"{"id":6,"name":"last"}"#]);
    assert_eq!(written.records, 2);
}

#[test]
fn records_that_are_no_utf8_are_refused() {
    let settings = EncoderSettings {
        format: Format::Parquet(relaxed()),
        compression: Compression::Uncompressed,
        levels: Levels::default(),
        encryption: None,
    };
    let mut encoder = ObjectEncoder::new(&settings, &SeededEntropy::new(1)).unwrap();
    let payload = b"{\"a\":\"\xff\"}{\"a\":\"\xc3";
    // A character that only the next record would complete is no character either.
    let rejected = encoder.push(Columns { payload, ends: &[9, 16] }, None).unwrap();
    assert_eq!(rejected.iter().map(|r| r.code).collect::<Vec<_>>(), ["DataFormatConversion.ParseError"; 2]);
}

#[test]
fn hive_converts_less() {
    let hive = Deserializer::Hive { timestamp_formats: vec!["millis".into(), "yyyy/MM/dd".into()] };
    let settings = table(&[("id", "int"), ("name", "string"), ("tags", "array<string>"), ("at", "timestamp")], hive);
    let written = write(
        settings,
        &[&[
            r#"{"ID":1,"name":7,"tags":["x"],"at":1783951509000}"#,
            r#"{"id":"2"}"#,
            r#"{"tags":"x"}"#,
            r#"{"name":{}}"#,
            r#"{"at":"2026/07/13"}"#,
        ]],
    );
    let messages: Vec<&str> = written.rejected.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "Data does not match the schema. column 'id': Current token (VALUE_STRING) not numeric",
            "Data does not match the schema. column 'tags': java.io.IOException: Start of Array expected",
            "Data does not match the schema. column 'name': an object where a text is expected",
        ]
    );
    assert_eq!(
        rows(&read(&written.file)),
        [r#"{"id":1,"name":"7","tags":["x"],"at":"2026-07-13T14:05:09"}"#, r#"{"at":"2026-07-13T00:00:00"}"#,]
    );
}

#[test]
fn mappings_and_dots_name_columns() {
    let mappings = [("ts".to_owned(), "timestamp".to_owned())].into();
    let deserializer = Deserializer::OpenX { dots_to_underscores: true, case_insensitive: true, mappings };
    let written =
        write(table(&[("ts", "bigint"), ("a_b", "string")], deserializer), &[&[r#"{"TimeStamp":5,"A.b":"x","ts":9}"#]]);
    assert_eq!(rows(&read(&written.file)), [r#"{"ts":5,"a_b":"x"}"#]);
}

/// A sample of `n` records of one shape, so that the schema is settled behind them.
fn sample(n: usize) -> Vec<String> {
    (0..n).map(|n| format!(r#"{{"Id":{n},"name":"n{n}","in":{{"x":{n}}},"list":[{{"y":true}}]}}"#)).collect()
}

#[test]
fn relaxed_inference_loses_nothing_behind_the_sample() {
    let first = sample(1_000);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let late = [
        r#"{"id":1000,"New":[1, {"K":2}],"in":{"x":1,"z":"deep"},"list":[{"y":false},{"q":1}]}"#,
        r#"{"id":1.5,"name":"x"}"#,
        r#"{"id":"1001","name":{"a":[1, 2]},"_other":{"mine":1}}"#,
    ];
    let written = write(relaxed(), &[&first, &late]);
    assert_eq!(written.rejected.len(), 1);
    assert_eq!((written.rejected[0].index, written.rejected[0].code), (1, "DataFormatConversion.MalformedData"));
    let batch = read(&written.file);
    assert_eq!(batch.num_rows(), 1_002);
    assert_eq!(
        names(&batch),
        [
            "id:Int64",
            "name:Utf8",
            "in:Struct(\"x\": Int64)",
            "list:List(Struct(\"y\": Boolean), field: 'element')",
            "_other:Utf8",
        ]
    );
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values()[..1_000], (0..1_000).collect::<Vec<i64>>());
    let last = rows(&batch.slice(1_000, 2));
    assert_eq!(
        last,
        [
            r#"{"id":1000,"in":{"x":1},"list":[{"y":false},{}],"_other":"{\"New\":[1, {\"K\":2}],\"in.z\":\"deep\",\"list[1].q\":1}"}"#,
            r#"{"id":1001,"name":"{\"a\":[1, 2]}","_other":"{\"_other\":{\"mine\":1}}"}"#,
        ]
    );
}

#[test]
fn strict_inference_refuses_what_the_sample_did_not_have() {
    let first = sample(1_000);
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    let late = [
        r#"{"id":1000}"#,
        r#"{"id":1,"new":1}"#,
        r#"{"id":"1"}"#,
        r#"{"name":1}"#,
        r#"{"in":{"z":1}}"#,
        r#"{"list":{}}"#,
    ];
    let strict = parquet(SchemaSource::Infer(Inference::Strict), open_x());
    let written = write(strict, &[&first, &late]);
    let messages: Vec<&str> = written.rejected.iter().map(|r| r.message.rsplit("schema. ").next().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "column 'new': the schema has no such key",
            "column 'id': a text where a whole number is expected",
            "column 'name': a number where a text is expected",
            "column 'in.z': the schema has no such key",
        ]
    );
    assert_eq!(read(&written.file).num_rows(), 1_002);
}

#[test]
fn a_small_object_has_the_schema_of_all_its_records() {
    let pushes: [&[&str]; 3] = [&[r#"{"a":1}"#], &[r#"{"b":"x"}"#, "broken"], &[r#"{"a":2.5}"#]];
    let written = write(relaxed(), &pushes);
    assert_eq!(written.rejected.iter().map(|r| r.index).collect::<Vec<_>>(), [1]);
    let batch = read(&written.file);
    assert_eq!(names(&batch), ["a:Float64", "b:Utf8", "_other:Utf8"]);
    let a: Vec<Option<f64>> = batch.column(0).as_primitive::<Float64Type>().iter().collect();
    assert_eq!(a, [Some(1.0), None, Some(2.5)]);
    assert!(batch.column(2).null_count() == 3);
}

#[test]
fn every_setting_makes_a_readable_file_in_several_row_groups() {
    let records: Vec<String> = (0..20_000)
        .map(|n| {
            format!(
                r#"{{"id":{n},"at":{},"text":"{:x}"}}"#,
                1_700_000_000 + n,
                (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
        })
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    for compression in [
        ParquetCompression::Uncompressed,
        ParquetCompression::Gzip,
        ParquetCompression::Snappy,
        ParquetCompression::Zstd,
    ] {
        for writer_v2 in [false, true] {
            let mut settings = table(&[("id", "int"), ("at", "timestamp"), ("text", "string")], open_x());
            settings = ParquetSettings {
                compression,
                writer_v2,
                dictionary: writer_v2,
                block_bytes: Some(100_000),
                page_bytes: Some(65_536),
                ..settings
            };
            let written = write(settings, &[&records[..5], &records[5..]]);
            let reader =
                parquet::file::reader::SerializedFileReader::new(bytes::Bytes::from(written.file.clone())).unwrap();
            let metadata = reader.metadata();
            assert!(metadata.num_row_groups() > 1);
            assert!(metadata.file_metadata().created_by().unwrap().starts_with("Millrace version "));
            assert!(metadata.row_group(0).column(0).statistics().is_some());
            let batch = read(&written.file);
            assert_eq!(batch.num_rows(), 20_000);
            assert_eq!(batch.column(1).as_primitive::<TimestampMicrosecondType>().value(19_999), 1_700_019_999_000_000);
        }
    }
}

fn json(depth: u32) -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Into::into),
        "\\PC{0,6}".prop_map(serde_json::Value::String),
    ];
    leaf.prop_recursive(depth, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            prop::collection::btree_map("[aAbB._é]{0,2}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn objects() -> impl Strategy<Value = Vec<serde_json::Value>> {
    let member = prop_oneof!["[aAbB._é]{0,2}", Just("_other".to_owned())];
    prop::collection::vec(
        prop::collection::btree_map(member, json(12), 0..5)
            .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        1..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The invariant of the sample; a break of it makes the object fail.
    #[test]
    fn no_record_of_a_sample_is_refused_late(objects in objects(), strict in any::<bool>(), hive in any::<bool>()) {
        let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let inference = if strict { Inference::Strict } else { Inference::Relaxed };
        let deserializer = if hive { Deserializer::Hive { timestamp_formats: Vec::new() } } else { open_x() };
        let written = write(parquet(SchemaSource::Infer(inference), deserializer), &[&texts]);
        if !strict {
            prop_assert_eq!(&written.rejected, &Vec::new());
        }
        prop_assert_eq!(written.records as usize + written.rejected.len(), texts.len());
        if written.records > 0 {
            prop_assert_eq!(read(&written.file).num_rows() as u64, written.records);
        }
    }

    /// Whatever a record is, it is either in the file or refused, and the others are unharmed.
    #[test]
    fn odd_records_harm_no_other(
        objects in objects(),
        odd in prop::collection::vec("[\\[\\]{}\",:0-9a-z\\\\ ]{0,16}", 0..8),
        hive in any::<bool>(),
    ) {
        let deserializer = if hive { Deserializer::Hive { timestamp_formats: Vec::new() } } else { open_x() };
        let settings = table(
            &[("a", "array<struct<a:int,b:map<string,string>>>"), ("b", "struct<a:timestamp,aa:decimal(5,1)>"), ("ab", "string"), ("k", "int")],
            deserializer,
        );
        let mut texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
        texts.extend(odd);
        let mut all = vec![r#"{"k":1}"#];
        for text in &texts {
            all.extend([text.as_str(), r#"{"k":1}"#]);
        }
        let written = write(settings, &[&all]);
        prop_assert_eq!(written.records as usize + written.rejected.len(), all.len());
        prop_assert!(written.rejected.iter().all(|rejected| rejected.index % 2 == 1));
        let batch = read(&written.file);
        let good = batch.column(3).as_primitive::<arrow::datatypes::Int32Type>().iter().filter(|k| *k == Some(1)).count();
        prop_assert!(good > texts.len());
    }
}
