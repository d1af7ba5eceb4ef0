//! The encoders beside their floors, on 315-byte JSON access-log records: `cargo bench -p millrace-encode`.
//!
//! First come the ratios (whole / floor of the best of several rounds, taken in turn, so that a noisy
//! neighbour meets both), then divan's own table. Nothing here fails a build.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema;
use divan::counter::BytesCount;
use millrace_encode::{
    Compression, Deserializer, EncoderSettings, EncryptionKey, Format, Inference, Levels, ObjectEncoder,
    ParquetCompression, ParquetSettings, SchemaSource, Table,
};
use millrace_types::{Batch, BatchBuilder, SeededEntropy};
use parquet::arrow::ArrowWriter;
use parquet::basic::ZstdLevel;
use parquet::file::properties::WriterProperties;

/// Records of one push, and pushes of one object.
const PUSH_RECORDS: usize = 4_000;
const PUSHES: usize = 12;
const ROUNDS: usize = 7;

fn access_log() -> Vec<Batch> {
    let entropy = SeededEntropy::new(1);
    let draw = |below: u64| millrace_types::Entropy::next_u64(&entropy) % below;
    let push = || {
        let mut builder = BatchBuilder::with_capacity(PUSH_RECORDS, PUSH_RECORDS * 320);
        for _ in 0..PUSH_RECORDS {
            let record = format!(
                "{{\"time\":\"2026-07-13T{:02}:{:02}:{:02}.{:03}Z\",\"remote\":\"10.{}.{}.{}\",\"method\":\"{}\",\"path\":\"/shop/items/{}?page={}\",\"status\":{},\"bytes\":{},\"duration\":{}.{},\"referer\":\"https://www.example.com/catalogue/{}\",\"agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0\",\"user\":\"user-{:06}\",\"request\":\"{:016x}\"}}\n",
                draw(24),
                draw(60),
                draw(60),
                draw(1000),
                draw(256),
                draw(256),
                draw(256),
                ["GET", "GET", "GET", "POST", "PUT"][draw(5) as usize],
                draw(90_000),
                draw(20),
                [200, 200, 200, 304, 404, 500][draw(6) as usize],
                draw(60_000),
                draw(3),
                draw(1000),
                draw(500),
                draw(30) + 90,
                draw(30) + 90,
                draw(300_000),
                draw(u64::MAX),
            );
            builder.push(record.as_bytes(), 0).expect("a batch takes this many");
        }
        builder.finish()
    };
    (0..PUSHES).map(|_| push()).collect()
}

fn lines(compression: Compression, encryption: Option<EncryptionKey>) -> EncoderSettings {
    EncoderSettings {
        format: Format::JsonLines { delimiter: None },
        compression,
        levels: Levels::default(),
        encryption,
    }
}

fn columnar(schema: SchemaSource) -> EncoderSettings {
    let parquet = ParquetSettings {
        compression: ParquetCompression::Zstd,
        block_bytes: None,
        page_bytes: None,
        dictionary: true,
        writer_v2: false,
        schema,
        deserializer: Deserializer::OpenX {
            dots_to_underscores: false,
            case_insensitive: true,
            mappings: std::collections::BTreeMap::new(),
        },
    };
    EncoderSettings { format: Format::Parquet(parquet), ..lines(Compression::Uncompressed, None) }
}

fn table() -> SchemaSource {
    let columns = [
        ("time", "string"),
        ("remote", "string"),
        ("method", "string"),
        ("path", "string"),
        ("status", "bigint"),
        ("bytes", "bigint"),
        ("duration", "double"),
        ("referer", "string"),
        ("agent", "string"),
        ("user", "string"),
        ("request", "string"),
    ];
    let columns: Vec<_> =
        columns.iter().map(|(name, hive)| serde_json::json!({ "name": name, "type": hive })).collect();
    let table = Table::parse("bench", "log", columns_json(&columns).as_bytes()).expect("the table is right");
    SchemaSource::Table(Arc::new(table))
}

fn columns_json(columns: &[serde_json::Value]) -> String {
    serde_json::Value::from(columns.to_vec()).to_string()
}

fn encode(settings: &EncoderSettings, batches: &[Batch]) -> usize {
    let mut encoder = ObjectEncoder::new(settings, &SeededEntropy::new(1)).expect("settings are right");
    let mut bytes = 0;
    for batch in batches {
        let rejected = encoder.push(batch.columns(), None).expect("the encoder works");
        assert!(rejected.is_empty(), "{:?}", rejected.first());
        bytes += encoder.take_output().len();
    }
    bytes + encoder.finish().expect("the encoder works").rest.len()
}

fn floor_gzip(batches: &[Batch]) -> usize {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    batches.iter().for_each(|batch| encoder.write_all(batch.payload()).expect("memory takes it"));
    encoder.finish().expect("memory takes it").len()
}

fn floor_zstd(batches: &[Batch]) -> usize {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("level 3 exists");
    encoder.include_checksum(true).expect("a parameter of zstd");
    batches.iter().for_each(|batch| encoder.write_all(batch.payload()).expect("memory takes it"));
    encoder.finish().expect("memory takes it").len()
}

/// arrow-json and the Parquet writer with nothing around them: no rejects, no rules, no sample.
fn floor_parquet(batches: &[Batch]) -> usize {
    let (schema, _) = infer_json_schema(batches[0].payload().as_ref(), Some(1000)).expect("it is JSON");
    let schema = Arc::new(schema);
    let compression = parquet::basic::Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1 exists"));
    // The same writer settings as the encoder's, so that only what is around the writer differs.
    let properties =
        WriterProperties::builder().set_compression(compression).set_dictionary_page_size_limit(128 * 1024).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).expect("a flat schema");
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(8192).build_decoder().expect("a flat schema");
    for batch in batches {
        let mut rest: &[u8] = batch.payload();
        while !rest.is_empty() {
            rest = &rest[decoder.decode(rest).expect("it is JSON")..];
            if let Some(batch) = decoder.flush().expect("it fits") {
                writer.write(&batch).expect("memory takes it");
            }
        }
    }
    writer.into_inner().expect("memory takes it").len()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn seconds(run: &mut dyn FnMut() -> usize) -> (f64, usize) {
    let start = std::time::Instant::now();
    let bytes = black_box(run());
    (start.elapsed().as_secs_f64(), bytes)
}

fn ratio(name: &str, source_bytes: usize, whole: &mut dyn FnMut() -> usize, floor: &mut dyn FnMut() -> usize) {
    let (mut best_whole, mut best_floor) = (f64::MAX, f64::MAX);
    let mut sizes = (0, 0);
    for _ in 0..ROUNDS {
        let (whole_s, whole_bytes) = seconds(whole);
        let (floor_s, floor_bytes) = seconds(floor);
        (best_whole, best_floor) = (best_whole.min(whole_s), best_floor.min(floor_s));
        sizes = (whole_bytes, floor_bytes);
    }
    let megabytes = source_bytes as f64 / 1e6;
    println!(
        "{name:<28} {:>6.0} MB/s, floor {:>6.0} MB/s, whole / floor {:.2}, output {} / {} bytes",
        megabytes / best_whole,
        megabytes / best_floor,
        best_whole / best_floor,
        sizes.0,
        sizes.1,
    );
}

fn ratios() {
    let batches = access_log();
    let source_bytes: usize = batches.iter().map(|batch| batch.payload().len()).sum();
    println!("{} records of {} bytes", PUSHES * PUSH_RECORDS, source_bytes / (PUSHES * PUSH_RECORDS));
    let against = |name: &str, settings: EncoderSettings, floor: fn(&[Batch]) -> usize| {
        ratio(name, source_bytes, &mut || encode(&settings, &batches), &mut || floor(&batches));
    };
    let key = || Some(EncryptionKey::new("bench", [1; 32]));
    against("gzip 6", lines(Compression::Gzip, None), floor_gzip);
    against("zstd 3", lines(Compression::Zstd, None), floor_zstd);
    against("zstd 3, encrypted", lines(Compression::Zstd, key()), floor_zstd);
    against("plain, encrypted", lines(Compression::Uncompressed, key()), |batches| {
        batches.iter().map(|batch| batch.payload().to_vec().len()).sum()
    });
    against("parquet zstd 1, table", columnar(table()), floor_parquet);
    against("parquet zstd 1, relaxed", columnar(SchemaSource::Infer(Inference::Relaxed)), floor_parquet);
    against("parquet zstd 1, strict", columnar(SchemaSource::Infer(Inference::Strict)), floor_parquet);
}

#[divan::bench(args = ["gzip", "zstd", "snappy", "parquet"])]
fn whole(bencher: divan::Bencher<'_, '_>, name: &str) {
    let batches = access_log();
    let settings = match name {
        "gzip" => lines(Compression::Gzip, None),
        "zstd" => lines(Compression::Zstd, None),
        "snappy" => lines(Compression::Snappy, None),
        _ => columnar(table()),
    };
    let bytes: usize = batches.iter().map(|batch| batch.payload().len()).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| encode(&settings, &batches));
}

#[divan::bench(args = ["gzip", "zstd", "parquet"])]
fn floor(bencher: divan::Bencher<'_, '_>, name: &str) {
    let batches = access_log();
    let bytes: usize = batches.iter().map(|batch| batch.payload().len()).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| match name {
        "gzip" => floor_gzip(&batches),
        "zstd" => floor_zstd(&batches),
        _ => floor_parquet(&batches),
    });
}

fn main() {
    ratios();
    divan::main();
}
