//! Changes survive a reopening, names are unique, ids are never given twice.

use millrace_types::ManualClock;

use super::*;
use crate::{Buffering, BuildState, Code, Configuration, LastUpdate, ObjectDestination};

fn destination() -> ObjectDestination {
    ObjectDestination {
        extended: true,
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        bucket_arn: "arn:aws:s3:::b".into(),
        bucket: "b".into(),
        prefix: String::new(),
        error_output_prefix: String::new(),
        file_extension: String::new(),
        custom_time_zone: "UTC".into(),
        buffering: Buffering { size_mib: 5, interval_s: 300 },
        compression: "UNCOMPRESSED".into(),
        kms_key_arn: None,
        function: None,
        delimiter: None,
        processing: None,
        conversion: None,
        dynamic_partitioning: None,
    }
}

fn new(name: &str) -> NewStream {
    NewStream { name: name.into(), tags: BTreeMap::new(), destination: destination() }
}

fn open(dir: &Path) -> Catalog {
    let place = Place { region: "us-east-1".into(), account_id: "000000000000".into() };
    Catalog::open(&dir.join("catalog.redb"), place, Arc::new(ManualClock::at(5))).expect("opens")
}

#[test]
fn streams_survive_and_ids_are_not_reused() {
    let dir = tempfile::tempdir().expect("dir");
    let first = {
        let catalog = open(dir.path());
        let first = catalog.create_stream(new("a")).expect("made");
        assert!(matches!(catalog.create_stream(new("a")), Err(Error::StreamExists { .. })));
        catalog.mark_deleting("a").expect("marked");
        first
    };
    let catalog = open(dir.path());
    assert_eq!(catalog.stream("a").expect("there").status, StreamStatus::Deleting);
    catalog.remove_stream("a").expect("removed");
    let second = catalog.create_stream(new("a")).expect("made again");
    assert_ne!(first.id, second.id);
    assert_eq!(second.arn, "arn:aws:firehose:us-east-1:000000000000:deliverystream/a");
    assert!(matches!(catalog.mark_deleting("b"), Err(Error::NoStream { .. })));
}

fn function(name: &str) -> (Function, Revision) {
    let function = Function {
        id: 0,
        name: name.into(),
        arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
        created_ms: 1,
        latest: 1,
        last_revision: 1,
        last_update: LastUpdate::Successful,
        deploying: None,
        revision_id: "r".into(),
        versions: BTreeMap::new(),
        last_version: 0,
        aliases: BTreeMap::new(),
        reserved_concurrency: None,
        tags: BTreeMap::new(),
        event_configs: BTreeMap::new(),
        shadow: None,
    };
    let code = Code {
        sha256: "1".into(),
        component_bytes: 1,
        uploaded_sha256: String::new(),
        uploaded_bytes: 1,
        world: "transform".into(),
        imports: Vec::new(),
    };
    let config = Configuration::default();
    let state = BuildState::Building;
    (function, Revision { function: name.into(), function_id: 0, number: 1, created_ms: 1, code, config, state })
}

#[test]
fn a_functions_change_is_whole_or_not_at_all_and_survives() {
    let dir = tempfile::tempdir().expect("dir");
    let catalog = open(dir.path());
    let (f, first) = function("f");
    let make = |number| {
        assert_eq!(number, 1);
        (f.clone(), first.clone())
    };
    catalog.create_function("f", make).expect("made");
    assert!(matches!(catalog.create_function("f", make), Err(Error::FunctionExists { .. })));
    let refused = catalog.edit_function("f", |edit| {
        edit.function.latest = 9;
        Err::<(), _>(Error::Closed)
    });
    assert!(matches!(refused, Err(Error::Closed)));
    assert_eq!(catalog.snapshot().function("f").expect("there").latest, 1, "a refused edit shows nowhere");
    let edit = |edit: &mut FunctionEdit| {
        let mut second = (*edit.revisions[&1]).clone();
        (second.number, second.state) = (2, BuildState::Active);
        edit.revisions.insert(2, Arc::new(second));
        edit.revisions.remove(&1);
        edit.function.latest = 2;
        Ok::<_, Error>(())
    };
    catalog.edit_function("f", edit).expect("changed");
    let check = |snapshot: &Snapshot| {
        assert_eq!(snapshot.function("f").expect("there").latest, 2);
        assert_eq!(snapshot.revision("f", 2).expect("there").state, BuildState::Active);
        assert!(snapshot.revision("f", 1).is_none() && snapshot.function("g").is_none());
    };
    check(&catalog.snapshot());
    drop(catalog);
    let catalog = open(dir.path());
    check(&catalog.snapshot());
    let gone = catalog.remove_function("f").expect("removed");
    let (f, first) = function("f");
    let next = catalog.create_function(f, first).expect("made again");
    assert_ne!(gone.owner(), next.owner(), "the next of a name is somebody else");
    assert_eq!(catalog.snapshot().revision("f", 1).expect("there").owner(), next.owner());
    catalog.remove_function("f").expect("removed");
    assert!(matches!(catalog.remove_function("f"), Err(Error::NoFunction { .. })));
    drop(catalog);
    let snapshot = open(dir.path()).snapshot();
    assert_eq!((snapshot.functions().count(), snapshot.revisions().count()), (0, 0));
}

#[test]
fn name_and_number_of_a_revision_never_stand_for_two_codes() {
    let dir = tempfile::tempdir().expect("dir");
    let make = |number| {
        let (mut f, mut first) = function("f");
        (f.latest, f.last_revision, first.number) = (number, number + 4, number);
        (f, first)
    };
    let catalog = open(dir.path());
    assert_eq!(catalog.create_function("f", make).expect("made").latest, 1);
    catalog.remove_function("f").expect("removed");
    drop(catalog);
    let catalog = open(dir.path());
    assert_eq!(catalog.create_function("f", make).expect("made again").latest, 6);
}

#[test]
fn tables_keep_their_versions() {
    let dir = tempfile::tempdir().expect("dir");
    {
        let catalog = open(dir.path());
        catalog.put_table("d", "t", "{}".into()).expect("put");
        assert_eq!(catalog.put_table("d", "t", "{ }".into()).expect("again").version, 2);
        catalog.put_table("d", "t2", "[]".into()).expect("another");
    }
    let catalog = open(dir.path());
    assert_eq!(catalog.put_table("d", "t", "{  }".into()).expect("after a restart").version, 3);
    let snapshot = catalog.snapshot();
    let definition = |version| snapshot.table("d", "t", version).map(|table| table.definition.as_str());
    assert_eq!(
        [None, Some(1), Some(2), Some(3), Some(4)].map(definition),
        [Some("{  }"), Some("{}"), Some("{ }"), Some("{  }"), None]
    );
    assert_eq!(snapshot.tables().count(), 4);
    assert!(snapshot.table("d", "x", None).is_none() && snapshot.table("x", "t", None).is_none());
}

/// What the first release stored: a table without its version in the key, a choice without a version,
/// sizes of pages and row groups as numbers.
#[test]
fn entries_of_the_first_release_are_read() {
    let dir = tempfile::tempdir().expect("dir");
    let catalog = open(dir.path());
    {
        let database = catalog.database.lock();
        let write = database.begin_write().expect("write");
        let old = r#"{"database":"d","name":"t","version":4,"definition":"[]"}"#;
        write.open_table(TABLES).expect("table").insert("d\0t", old).expect("insert");
        write.commit().expect("commit");
    }
    drop(catalog);
    let catalog = open(dir.path());
    assert_eq!(catalog.put_table("d", "t", "{}".into()).expect("put").version, 5);
    assert_eq!(catalog.snapshot().table("d", "t", Some(4)).expect("kept").definition, "[]");
    let choice: crate::SchemaChoice = serde_json::from_str(r#"{"Table":{"database":"d","table":"t"}}"#).expect("reads");
    assert_eq!(choice, crate::SchemaChoice::Table { database: "d".into(), table: "t".into(), version: None });
    let old = r#"{"compression":"GZIP","block_bytes":268435456,"page_bytes":7,"dictionary":true,"writer_v2":false}"#;
    let parquet: crate::ParquetOutput = serde_json::from_str(old).expect("reads");
    assert_eq!((parquet.block_bytes, parquet.page_bytes), (Some(268_435_456), Some(7)));
}
