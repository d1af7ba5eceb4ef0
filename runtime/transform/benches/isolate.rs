//! What a process of its own costs: the same function over the same batches in this process and in a
//! worker that waits. `cargo bench -p millrace-transform --bench isolate`.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use millrace_transform::{Function, Host, HostSettings, Isolation, Limits, Module, NoLog, function_child};
use millrace_types::{Batch, BatchBuilder, MIB, SystemClock, SystemEntropy};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("run-function") {
        return function_child();
    }
    divan::main();
    ExitCode::SUCCESS
}

fn batch(records: usize, bytes: usize) -> Batch {
    let (mut builder, record) = (BatchBuilder::default(), vec![b'x'; bytes]);
    for _ in 0..records {
        builder.push(&record, 1_700_000_000_000).unwrap();
    }
    builder.finish()
}

fn module(is_isolated: bool) -> Arc<Module> {
    let (settings, clock, entropy) = (HostSettings::default(), Arc::new(SystemClock), Arc::new(SystemEntropy));
    let host = if is_isolated {
        let isolation = Isolation { exe: std::env::current_exe().unwrap(), variables: &[] };
        Host::isolated(&settings, isolation, clock, entropy).unwrap()
    } else {
        Host::new(&settings, clock, entropy).unwrap()
    };
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/wat");
    let read = |name: &str| std::fs::read_to_string(format!("{dir}/{name}.wat")).unwrap();
    let component = wat::parse_str(read("component").replace(";; BODY", &read("identity"))).unwrap();
    host.load_component(&component).unwrap()
}

fn function(module: Arc<Module>) -> Function {
    Function::new(module, BTreeMap::new(), Limits::default(), Arc::new(NoLog))
}

fn calls(bencher: Bencher<'_, '_>, is_isolated: bool, batch: &Batch) {
    let function = function(module(is_isolated));
    function.call(batch).output.unwrap();
    bencher.counter(BytesCount::new(batch.payload().len())).bench_local(|| function.call(batch).output.unwrap());
}

/// A usual batch: 500 records of 256 bytes.
#[divan::bench(args = [false, true])]
fn batch_of_500(bencher: Bencher<'_, '_>, is_isolated: bool) {
    calls(bencher, is_isolated, &batch(500, 256));
}

/// What a MiB costs: 4,096 records of 256 bytes.
#[divan::bench(args = [false, true])]
fn one_mib(bencher: Bencher<'_, '_>, is_isolated: bool) {
    calls(bencher, is_isolated, &batch(MIB / 256, 256));
}

/// A process for each call: what the first call costs.
#[divan::bench(sample_count = 20)]
fn cold_process(bencher: Bencher<'_, '_>) {
    let (module, batch) = (module(true), batch(1, 256));
    bencher.bench_local(|| function(Arc::clone(&module)).call(&batch).output.unwrap());
}
