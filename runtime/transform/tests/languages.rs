//! Guests of other languages, through the deploy's way: built in `guest-examples/go` and
//! `guest-examples/c` first, as their pages say, then `cargo test -p millrace-transform --test
//! languages -- --ignored`.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_transform::{DeployLimits, Function, Host, HostSettings, Limits, NoLog, componentize};
use millrace_types::{Batch, BatchBuilder, SystemClock, SystemEntropy};

/// Batches that one instance turns: in dependencies' tries a collector that begins where it may not
/// ended it within a few hundred.
const BATCHES: u32 = 100_000;

fn function(path: &str) -> Function {
    let file = format!("{}/../../guest-examples/{path}", env!("CARGO_MANIFEST_DIR"));
    let module = std::fs::read(file).expect("the guest is built");
    let component = componentize(&module, &DeployLimits::default()).unwrap();
    let settings = HostSettings { calls_max: 2, warm_max: 1, ..HostSettings::default() };
    let host = Host::new(&settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let module = host.load_component(&component.bytes).unwrap();
    let limits = Limits { deadline: Duration::from_secs(5), warm_batches_max: u32::MAX, ..Limits::default() };
    Function::new(module, BTreeMap::new(), limits, Arc::new(NoLog))
}

fn batch(records: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        builder.push(record.as_bytes(), 0).unwrap();
    }
    builder.finish()
}

#[test]
#[ignore = "needs the guests built"]
fn gos_collector_never_runs_where_it_may_not() {
    let function = function("go/target/orders.wasm");
    let records: Vec<String> = (0..20)
        .map(|id| format!(r#"{{"id":{id},"price":1.5,"count":2,"items":["a","{}"]}}"#, "b".repeat(id)))
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let batch = batch(&records);
    let mut memory = 0;
    for turn in 0..BATCHES {
        // A call, not a run: a run tries again with another instance, and hides what ended the first.
        let called = function.call(&batch);
        let output = called.output.unwrap_or_else(|error| panic!("batch {turn}: {error}"));
        assert_eq!((output.ends.len(), output.failures.len()), (40, 0));
        let now = called.memory_high_water_bytes;
        if turn <= BATCHES / 10 {
            memory = now;
        }
        // It neither grows nor begins anew in another instance.
        assert_eq!(now, memory, "batch {turn}");
    }
}
