//! What a call costs beside its floor: the packed batch against memcpy, the benchmark's function
//! against a bare wasmtime loop over the same guest. `cargo bench -p millrace-transform`.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use millrace_transform::{DeployLimits, Function, Host, HostSettings, Limits, NoLog, componentize};
use millrace_types::{Batch, BatchBuilder, SeededEntropy, SystemClock};
use wasmtime::component::{Component, ComponentType, Instance, Lift, Linker, Lower};
use wasmtime::{Engine, Store};

fn main() {
    divan::main();
}

fn batch(records: usize, record: impl Fn(usize) -> String) -> Batch {
    let mut builder = BatchBuilder::default();
    for at in 0..records {
        builder.push(record(at).as_bytes(), 1_700_000_000_000).unwrap();
    }
    builder.finish()
}

/// 100-byte records.
fn plain(records: usize) -> Batch {
    batch(records, |at| format!("{at:0100}"))
}

/// 315-byte access-log records.
fn access(records: usize) -> Batch {
    batch(records, |at| {
        format!(
            r#"{{"timestamp":"2026-01-02T03:04:05.{:03}Z","remote_addr":"10.1.{}.{}","method":"GET","path":"/products/{at:08}/reviews","status":200,"bytes":{},"referer":"https://shop.example/search","user_agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0","request_id":"{at:032x}","duration_ms":{}.5,"host":"www{}.example"}}"#,
            at % 1000,
            at % 250,
            at % 99,
            at * 7 % 100_000,
            at % 400,
            at % 10
        )
    })
}

fn wat_guest(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/wat");
    let read = |name: &str| std::fs::read_to_string(format!("{dir}/{name}.wat")).unwrap();
    wat::parse_str(read("component").replace(";; BODY", &read(name))).unwrap()
}

/// A guest in Rust, where `guest-examples` was built.
fn rust_guest(name: &str) -> Option<Vec<u8>> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/target/wasm32-unknown-unknown/release");
    let module = std::fs::read(format!("{dir}/{name}.wasm")).ok()?;
    Some(componentize(&module, &DeployLimits::default()).unwrap().bytes)
}

fn function(component: &[u8], warm_batches_max: u32) -> Function {
    let host = Host::new(&HostSettings::default(), Arc::new(SystemClock), Arc::new(SeededEntropy::new(1))).unwrap();
    let limits = Limits { warm_batches_max, ..Limits::default() };
    Function::new(host.load_component(component).unwrap(), BTreeMap::new(), limits, Arc::new(NoLog))
}

fn run(bencher: Bencher<'_, '_>, function: &Function, batch: &Batch) {
    bencher.counter(ItemsCount::new(batch.len())).bench(|| function.run(black_box(batch), 0));
}

const RECORDS: [usize; 2] = [500, 5000];

/// The floor: the same columns copied there and back.
#[divan::bench(args = RECORDS)]
fn boundary_memcpy(bencher: Bencher<'_, '_>, records: usize) {
    let batch = plain(records);
    bencher.counter(ItemsCount::new(records)).bench(|| {
        let there = (batch.payload().to_vec(), batch.ends().to_vec(), batch.arrivals_ms().to_vec());
        let back = (there.0.clone(), there.1.clone(), there.1.clone());
        (black_box(there), back)
    });
}

#[divan::bench(args = RECORDS)]
fn boundary_fresh(bencher: Bencher<'_, '_>, records: usize) {
    run(bencher, &function(&wat_guest("identity"), 0), &plain(records));
}

#[divan::bench(args = RECORDS)]
fn boundary_warm(bencher: Bencher<'_, '_>, records: usize) {
    run(bencher, &function(&wat_guest("identity"), u32::MAX), &plain(records));
}

#[divan::bench(args = RECORDS)]
fn access_log_fresh(bencher: Bencher<'_, '_>, records: usize) {
    let Some(guest) = rust_guest("access_log") else { return };
    run(bencher, &function(&guest, 0), &access(records));
}

#[divan::bench(args = RECORDS)]
fn access_log_warm(bencher: Bencher<'_, '_>, records: usize) {
    let Some(guest) = rust_guest("access_log") else { return };
    run(bencher, &function(&guest, u32::MAX), &access(records));
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
struct BareBatch<'a> {
    payload: &'a [u8],
    ends: &'a [u32],
    #[component(name = "arrivals-ms")]
    arrivals_ms: &'a [i64],
    keys: &'a [u8],
    #[component(name = "key-ends")]
    key_ends: &'a [u32],
    #[component(name = "first-sequence")]
    first_sequence: u64,
}

#[derive(ComponentType, Lift)]
#[component(record)]
#[expect(dead_code, reason = "lifted, not looked at")]
struct BareFailure {
    index: u32,
    reason: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
#[expect(dead_code, reason = "lifted, not looked at")]
struct BareOutput {
    payload: Vec<u8>,
    ends: Vec<u32>,
    sources: Vec<u32>,
    failures: Vec<BareFailure>,
    #[component(name = "partition-names")]
    partition_names: Vec<String>,
    #[component(name = "partition-values")]
    partition_values: Vec<u8>,
    #[component(name = "partition-ends")]
    partition_ends: Vec<u32>,
}

/// The floor: the same guest, one instance for ever, no pool, no limits, no epochs, no checks.
#[divan::bench(args = RECORDS)]
fn access_log_bare_wasmtime(bencher: Bencher<'_, '_>, records: usize) {
    let Some(guest) = rust_guest("access_log") else { return };
    let batch = access(records);
    let engine = Engine::default();
    let component = Component::from_binary(&engine, &guest).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let mut store = Store::new(&engine, ());
    let instance: Instance = linker.instantiate(&mut store, &component).unwrap();
    let transform = instance.get_func(&mut store, "transform").unwrap();
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let argument = BareBatch {
            payload: batch.payload(),
            ends: batch.ends(),
            arrivals_ms: batch.arrivals_ms(),
            keys: batch.keys(),
            key_ends: batch.key_ends(),
            first_sequence: 0,
        };
        let typed = transform.typed::<(BareBatch<'_>,), (Result<BareOutput, String>,)>(&store).unwrap();
        typed.call(&mut store, (argument,)).unwrap()
    });
}
