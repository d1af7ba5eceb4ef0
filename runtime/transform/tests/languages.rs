//! Guests of other languages, through the deploy's way. They are built first, see
//! `guest-examples/README.md`; then `cargo test -p millrace-transform --test languages -- --ignored`.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_transform::{
    CallContext, Component, DeployLimits, Function, Grants, Host, HostSettings, KeyValue, Limits, Setup, Writes,
    componentize,
};
use millrace_types::{Batch, BatchBuilder, SystemClock, SystemEntropy};
use parking_lot::Mutex;

/// Batches that one instance turns. A collector that begins where it may not ends it within a few
/// hundred.
const BATCHES: u32 = 100_000;

/// A module below `guest-examples/`.
fn component(path: &str, grants: Grants) -> Component {
    let file = format!("{}/../../guest-examples/{path}", env!("CARGO_MANIFEST_DIR"));
    let module = std::fs::read(file).expect("the guest is built");
    componentize(&module, &DeployLimits { grants, ..DeployLimits::default() }).unwrap()
}

/// A function that keeps its instance.
fn function(path: &str, setup: Setup) -> Function {
    let component = component(path, Grants { key_value: setup.key_value.is_some(), ..Grants::default() });
    let settings = HostSettings { calls_max: 2, warm_max: 1, ..HostSettings::default() };
    let host = Host::new(&settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let module = host.load_component(&component.bytes).unwrap();
    let limits = Limits { warm_batches_max: u32::MAX, ..Limits::default() };
    Function::with(module, Setup { limits, ..setup })
}

fn batch(records: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        builder.push(record.as_bytes(), 0).unwrap();
    }
    builder.finish()
}

/// A state that lives as long as the test.
#[derive(Debug, Default)]
struct State(Mutex<BTreeMap<String, Vec<u8>>>);

impl KeyValue for State {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        let state = self.0.lock();
        let found =
            state.keys().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        Ok(found.take(limit).cloned().collect())
    }

    fn commit(&self, writes: &Writes) -> Result<(), String> {
        let mut state = self.0.lock();
        for (key, value) in writes {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        Ok(())
    }
}

#[test]
#[ignore = "needs the guests built"]
fn a_module_imports_only_what_it_calls() {
    let ours = |path: &str| {
        let imports = component(path, Grants { key_value: true, ..Grants::default() }).imports;
        let ours = imports.iter().filter_map(|name| name.strip_prefix("millrace:transform/")?.strip_suffix("@0.1.0"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    // A panic's message goes to the log.
    assert_eq!(ours("target/wasm32-unknown-unknown/release/identity.wasm"), ["log"]);
    assert_eq!(ours("go/target/identity.wasm"), ["log"]);
    assert_eq!(ours("go/target/state.wasm"), ["invocation", "key-value", "log"]);
    assert_eq!(ours("c/target/shout.wasm"), ["settings"]);
}

#[test]
#[ignore = "needs the guests built"]
fn gos_collector_never_runs_where_it_may_not() {
    let function = function("go/target/orders.wasm", Setup::default());
    let records: Vec<String> = (0..20)
        .map(|id| format!(r#"{{"id":{id},"price":1.5,"count":2,"items":["a","{}"]}}"#, "b".repeat(id)))
        .collect();
    let batch = batch(&records.iter().map(String::as_str).collect::<Vec<_>>());
    let mut memory = 0;
    for turn in 0..BATCHES {
        // A call, not a run: a run tries again with another instance, and hides what ended the first.
        let called = function.call(&batch);
        let output = called.output.unwrap_or_else(|error| panic!("batch {turn}: {error}"));
        assert_eq!((output.ends.len(), output.failures.len(), called.cold_start), (40, 0, turn == 0));
        if turn <= BATCHES / 10 {
            memory = called.memory_high_water_bytes;
        }
        assert_eq!(called.memory_high_water_bytes, memory, "batch {turn}: it grows");
    }
}

#[test]
#[ignore = "needs the guests built"]
fn a_transform_in_go_gives_every_outcome() {
    let function = function("go/target/orders.wasm", Setup::default());
    let ran = function.run(
        &batch(&[
            r#"{"id":1,"price":1.5,"count":2,"items":["a","b"]}"#,
            r#"{"id":2,"price":0,"count":1}"#,
            r#"{"id":3,"price":1}"#,
            r#"{"id":4,"price":1,"count":-1}"#,
            "no order",
        ]),
        0,
    );
    let records: Vec<&str> = ran.output.columns().iter().map(|record| std::str::from_utf8(record).unwrap()).collect();
    assert_eq!(records, [r#"{"id":"1/0","name":"a","total":3}"#, r#"{"id":"1/1","name":"b","total":3}"#]);
    assert_eq!((ran.output.partition(1, 0), ran.dropped(5)), ("2", 1));
    let reasons: Vec<(u32, &str)> = ran.failures.iter().map(|failed| (failed.index, &*failed.message)).collect();
    assert_eq!(reasons.len(), 3);
    for (index, words) in [(2, "no count"), (3, "panic: runtime error: makeslice"), (4, "the record cannot be read: ")]
    {
        let (_, reason) = reasons.iter().find(|(failed, _)| *failed == index).unwrap();
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
#[ignore = "needs the guests built"]
fn a_handler_in_go_answers_and_keeps_state() {
    let setup = Setup { key_value: Some(Arc::new(State::default())), ..Setup::default() };
    let function = function("go/target/state.wasm", setup);
    let call = CallContext { function_name: "state".to_owned(), ..CallContext::default() };
    let handle = |event: &str| {
        let answer = function.handle(event.as_bytes(), &call).output;
        answer.map(|answer| String::from_utf8(answer).unwrap()).map_err(|error| error.to_string())
    };
    assert_eq!(handle(r#"{"name":"a"}"#).unwrap(), r#"{"count":1,"function":"state","names":1}"#);
    assert_eq!(handle(r#"{"name":"b"}"#).unwrap(), r#"{"count":1,"function":"state","names":2}"#);
    assert!(handle(r#"{"name":"panic"}"#).unwrap_err().contains("panic: panic"));
    assert!(handle("{}").unwrap_err().contains("no name"));
    assert!(handle("a").unwrap_err().contains("the event cannot be read: "));
    for count in 2..5_000 {
        let answer = handle(r#"{"name":"a"}"#).unwrap();
        assert_eq!(answer, format!(r#"{{"count":{count},"function":"state","names":2}}"#));
    }
}

#[test]
#[ignore = "needs the guests built"]
fn a_transform_in_c_gives_every_outcome_and_loses_no_memory() {
    let function = function("c/target/shout.wasm", Setup::default());
    let batch = batch(&["abc", "", "a\0b", "Straße"]);
    let mut memory = 0;
    for turn in 0..BATCHES / 10 {
        let called = function.call(&batch);
        let output = called.output.unwrap();
        assert_eq!((&output.payload[..], &output.sources[..]), ("ABCSTRAßE".as_bytes(), &[0, 3][..]));
        assert_eq!([output.partition(0, 0), output.partition(1, 0)], ["loud"; 2]);
        assert_eq!((output.failures[0].index, output.failures[0].reason.as_str()), (2, "a zero byte"));
        if turn <= 100 {
            memory = called.memory_high_water_bytes;
        }
        assert_eq!(called.memory_high_water_bytes, memory, "batch {turn}: it grows");
    }
}

#[test]
#[ignore = "needs the guests built"]
fn a_handler_in_c_answers() {
    let settings = BTreeMap::from([("GREETING".to_owned(), "a \"good\"\n\\ one".to_owned())]);
    let function = function("c/target/wrap.wasm", Setup { settings, ..Setup::default() });
    let call = CallContext { function_name: "wrap".to_owned(), ..CallContext::default() };
    let answer = function.handle(b"[1]", &call).output.unwrap();
    let expected = r#"{"function":"wrap","greeting":"a \"good\"\u000a\\ one","event":[1]}"#;
    assert_eq!(String::from_utf8(answer).unwrap(), expected);
    assert!(function.handle(b"", &call).output.unwrap_err().to_string().contains("no event"));
}

/// Prints what a batch of 500 records of 1 KiB costs in each language: the figures of docs/sdk-*.md.
#[test]
#[ignore = "a measurement"]
fn what_a_batch_costs() {
    let records = vec!["a".repeat(1024); 500];
    let batch = batch(&records.iter().map(String::as_str).collect::<Vec<_>>());
    for path in
        ["target/wasm32-unknown-unknown/release/identity.wasm", "go/target/identity.wasm", "c/target/shout.wasm"]
    {
        let function = function(path, Setup::default());
        let cold = function.call(&batch);
        let mut warm: Vec<_> = (0..2_000).map(|_| function.call(&batch).duration).collect();
        warm.sort_unstable();
        println!("{path}: starts in {:?}, a batch {:?} (least {:?})", cold.init_duration, warm[1_000], warm[0]);
    }
}
