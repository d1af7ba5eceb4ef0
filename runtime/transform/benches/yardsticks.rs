//! What the boundary and the sandbox are held against: the benchmark's function as native code, a world
//! of `list<record>` instead of columns, and how many fresh instances a core starts in a second.
//! `cargo bench -p millrace-transform --bench yardsticks`.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use millrace_transform::{DeployLimits, Function, Host, HostSettings, Limits, NoLog, componentize};
use millrace_types::{Batch, BatchBuilder, SeededEntropy, SystemClock};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wasmtime::component::{Component, ComponentType, Lift, Linker, Lower};
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

/// Access-log records as those of `boundary`.
fn access(at: usize) -> String {
    format!(
        r#"{{"timestamp":"2026-01-02T03:04:05.{:03}Z","remote_addr":"10.1.{}.{}","method":"GET","path":"/products/{at:08}/reviews","status":200,"bytes":{},"referer":"https://shop.example/search","user_agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0","request_id":"{at:032x}","duration_ms":{}.5,"host":"www{}.example"}}"#,
        at % 1000,
        at % 250,
        at % 99,
        at * 7 % 100_000,
        at % 400,
        at % 10
    )
}

/// As in `guest-examples/access-log`.
#[derive(Deserialize, Serialize)]
struct Access<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    remote_addr: &'a RawValue,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    path: &'a RawValue,
    #[serde(borrow)]
    status: &'a RawValue,
    #[serde(borrow)]
    bytes: &'a RawValue,
    #[serde(borrow)]
    user_agent: &'a RawValue,
    #[serde(borrow)]
    request_id: &'a RawValue,
    #[serde(borrow)]
    duration_ms: &'a RawValue,
    #[serde(borrow)]
    host: &'a RawValue,
    #[serde(skip_deserializing)]
    processed: bool,
}

/// The benchmark's function without a sandbox: the same code, compiled for this machine.
#[divan::bench]
fn access_log_native(bencher: Bencher<'_, '_>) {
    let batch = batch(5_000, access);
    bencher.counter(ItemsCount::new(batch.len())).bench(|| {
        let mut out = Vec::with_capacity(batch.payload().len());
        for record in black_box(&batch).columns().iter() {
            let mut access: Access<'_> = serde_json::from_slice(record).unwrap();
            access.method.to_mut().make_ascii_lowercase();
            access.processed = true;
            serde_json::to_writer(&mut out, &access).unwrap();
        }
        out
    });
}

/// A function of a world that is given records one by one, and gives them back.
const LIST_WORLD: &str = r#"(component
  (core module $m
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $fits
        (loop $grow
          (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
          (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
          (br $grow)))
      (local.get $at))
    (func (export "reset") (param i32) (global.set $top (i32.const 65536)))
    (func (export "run") (param $list i32) (param $len i32) (result i32)
      (i32.store (i32.const 16) (local.get $list))
      (i32.store (i32.const 20) (local.get $len))
      (i32.const 16)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "reset" (core func $reset))
  (alias core export $i "run" (core func $run))
  (type $r (record (field "data" (list u8)) (field "arrival-ms" s64)))
  (export $record "record" (type $r))
  (func (export "run") (param "records" (list $record)) (result (list $record))
    (canon lift (core func $run) (memory $memory) (realloc $realloc) (post-return $reset))))"#;

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
struct Given<'a> {
    data: &'a [u8],
    #[component(name = "arrival-ms")]
    arrival_ms: i64,
}

#[derive(ComponentType, Lift)]
#[component(record)]
#[expect(dead_code, reason = "lifted, not looked at")]
struct Got {
    data: Vec<u8>,
    #[component(name = "arrival-ms")]
    arrival_ms: i64,
}

/// Records of 100 bytes through such a world: one instance for ever. Its like over columns is `boundary_warm`.
#[divan::bench(args = [500, 5_000])]
fn list_of_records_warm(bencher: Bencher<'_, '_>, records: usize) {
    let batch = batch(records, |at| format!("{at:0100}"));
    let engine = Engine::default();
    let component = Component::new(&engine, LIST_WORLD).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
    let run = instance.get_typed_func::<(&[Given<'_>],), (Vec<Got>,)>(&mut store, "run").unwrap();
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let times = batch.arrivals_ms().iter();
        let given: Vec<Given<'_>> =
            batch.columns().iter().zip(times).map(|(data, at)| Given { data, arrival_ms: *at }).collect();
        run.call(&mut store, (&given,)).unwrap()
    });
}

/// A function whose every call has a fresh instance, called with one record.
fn instances(bencher: Bencher<'_, '_>, component: &[u8], record: impl Fn(usize) -> String) {
    let host = Host::new(&HostSettings::default(), Arc::new(SystemClock), Arc::new(SeededEntropy::new(1))).unwrap();
    let module = host.load_component(component).unwrap();
    let function = Function::new(module, BTreeMap::new(), Limits::default(), Arc::new(NoLog));
    let one = batch(1, record);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| function.run(black_box(&one), 0));
}

#[divan::bench]
fn instances_of_identity(bencher: Bencher<'_, '_>) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/wat");
    let read = |name: &str| std::fs::read_to_string(format!("{dir}/{name}.wat")).unwrap();
    let component = wat::parse_str(read("component").replace(";; BODY", &read("identity"))).unwrap();
    instances(bencher, &component, |_| "1".to_owned());
}

/// The benchmark's function in Rust, where `guest-examples` was built.
#[divan::bench]
fn instances_of_access_log(bencher: Bencher<'_, '_>) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/target/wasm32-unknown-unknown/release");
    let Ok(module) = std::fs::read(format!("{dir}/access_log.wasm")) else { return };
    let component = componentize(&module, &DeployLimits::default()).unwrap().bytes;
    instances(bencher, &component, access);
}
