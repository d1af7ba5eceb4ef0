//! Fuzz target of the catalog: entries, as the file gives them back.

use std::collections::BTreeMap;
use std::fmt::Debug;

use millrace_types::StreamId;
use millrace_types::mutate::Target;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    Buffering, BuildState, Code, Configuration, Conversion, DynamicPartitioning, Function, FunctionCall, InputFormat,
    LastUpdate, ObjectDestination, ParquetOutput, Processing, QueuedEvent, Revision, SchemaChoice, Shadow, Stream,
    StreamStatus, Table,
};

/// Streams, functions and tables: what is read comes back when it is written.
pub fn entry(data: &[u8]) {
    comes_back::<Stream>(data);
    comes_back::<Function>(data);
    comes_back::<Revision>(data);
    comes_back::<QueuedEvent>(data);
    comes_back::<Table>(data);
}

fn comes_back<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) {
    let Ok(entry) = serde_json::from_slice::<T>(data) else { return };
    let bytes = serde_json::to_vec(&entry).expect("plain data");
    assert_eq!(serde_json::from_slice::<T>(&bytes).expect("our own form"), entry);
}

fn some_entries() -> Vec<Vec<u8>> {
    let text = str::to_owned;
    let stream = Stream {
        id: StreamId(7),
        name: text("s"),
        arn: text("arn:aws:firehose:us-east-1:000000000000:deliverystream/s"),
        created_ms: 1,
        version: 1,
        status: StreamStatus::Active,
        tags: [(text("k"), text("v"))].into(),
        destination: destination(),
    };
    let function = Function {
        id: 1,
        name: text("f"),
        arn: text("arn:aws:lambda:us-east-1:000000000000:function:f"),
        created_ms: 1,
        latest: 1,
        last_revision: 2,
        last_update: LastUpdate::InProgress(2),
        deploying: None,
        revision_id: text("r"),
        versions: BTreeMap::new(),
        last_version: 0,
        aliases: BTreeMap::new(),
        reserved_concurrency: Some(1),
        tags: BTreeMap::new(),
        event_configs: BTreeMap::new(),
        shadow: Some(Shadow { version: None, share: 0.5 }),
    };
    let revision = Revision {
        function: text("f"),
        function_id: 1,
        number: 1,
        created_ms: 1,
        code: Code {
            sha256: "0".repeat(64),
            component_bytes: 9,
            uploaded_sha256: text("AA=="),
            uploaded_bytes: 8,
            world: text("transform"),
            imports: vec![text("millrace:transform/log@0.1.0")],
        },
        config: Configuration { memory_bytes: 1 << 26, timeout_ms: 5_000, ..Configuration::default() },
        state: BuildState::Active,
    };
    let table = Table { database: text("d"), name: text("t"), version: 1, definition: text("[]") };
    let event = QueuedEvent {
        function: text("f"),
        qualifier: text("live"),
        request_id: text("r"),
        accepted_ms: 1,
        attempts: 3,
        client_context: Some(text("{}")),
        hops: 1,
        record: Some((text("arn:aws:s3:::b"), text("{}"))),
        ended_ms: Some(2),
        payload: vec![0xff],
    };
    let bytes = [
        serde_json::to_vec(&stream),
        serde_json::to_vec(&function),
        serde_json::to_vec(&revision),
        serde_json::to_vec(&table),
        serde_json::to_vec(&event),
    ];
    bytes.map(|bytes| bytes.expect("plain data")).to_vec()
}

fn destination() -> ObjectDestination {
    let text = str::to_owned;
    ObjectDestination {
        extended: true,
        role_arn: text("arn:aws:iam::000000000000:role/r"),
        bucket_arn: text("arn:aws:s3:::b"),
        bucket: text("b"),
        prefix: text("a/"),
        error_output_prefix: String::new(),
        file_extension: String::new(),
        custom_time_zone: text("UTC"),
        buffering: Buffering { size_mib: 5, interval_s: 300 },
        compression: text("GZIP"),
        kms_key_arn: Some(text("arn:aws:kms:r:000000000000:key/k")),
        function: Some(FunctionCall {
            arn: text("arn:aws:lambda:us-east-1:000000000000:function:f"),
            name: text("f"),
            qualifier: Some(text("3")),
            retries: 3,
            buffer_bytes: 1 << 20,
            buffer_interval_s: 60,
        }),
        delimiter: Some(text("\n")),
        processing: Some(Processing {
            enabled: true,
            processors: vec![(text("Lambda"), vec![(text("a"), text("b"))])],
        }),
        conversion: Some(Conversion {
            enabled: true,
            input: InputFormat::OpenX { dots_to_underscores: false, case_insensitive: true, mappings: BTreeMap::new() },
            parquet: ParquetOutput {
                compression: text("SNAPPY"),
                block_bytes: Some(1 << 26),
                page_bytes: Some(1 << 20),
                dictionary: true,
                writer_v2: false,
            },
            schema: SchemaChoice::Table { database: text("d"), table: text("t"), version: Some(2) },
            shown: serde_json::json!({ "a": [1.5, null] }),
        }),
        dynamic_partitioning: Some(DynamicPartitioning { enabled: false, retry_s: 300 }),
    }
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &[
        "null",
        "{\"",
        "\"\\u0000\"",
        "[[[[",
        "1e999",
        "0.1e-9",
        "18446744073709551616",
        "\"InferStrict\"",
        "{\"Hive\":",
    ];
    vec![Target { name: "entry", run: entry, seeds: some_entries, words, rounds: 10_000 }]
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
