//! The guests in Rust, through the deploy's way: `cargo build --release --target
//! wasm32-unknown-unknown` in `guest-examples` first, then `cargo test -p millrace-transform --test
//! guests -- --ignored`.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_transform::{DeployLimits, Error, Function, Host, HostSettings, Limits, NoLog, Ran, componentize};
use millrace_types::{Batch, BatchBuilder, SystemClock, SystemEntropy};

fn guest(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/target/wasm32-unknown-unknown/release");
    std::fs::read(format!("{dir}/{name}.wasm")).expect("guest-examples is built")
}

fn function(name: &str) -> Function {
    let component = componentize(&guest(name), &DeployLimits::default()).unwrap();
    let settings = HostSettings { calls_max: 2, warm_max: 0, ..HostSettings::default() };
    let host = Host::new(&settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let module = host.load_component(&component.bytes).unwrap();
    let limits = Limits { deadline: Duration::from_millis(300), ..Limits::default() };
    Function::new(module, BTreeMap::new(), limits, Arc::new(NoLog))
}

fn batch(records: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        builder.push(record.as_bytes(), 0).unwrap();
    }
    builder.finish()
}

fn run(name: &str, records: &[&str]) -> Ran {
    function(name).run(&batch(records), 1)
}

fn texts(ran: &Ran) -> Vec<String> {
    ran.output.columns().iter().map(|record| String::from_utf8(record.to_vec()).unwrap()).collect()
}

#[test]
#[ignore = "needs the guests built"]
fn the_good_ones_do_what_they_say() {
    assert_eq!(texts(&run("identity", &["a", "", "c"])), ["a", "", "c"]);
    let ran = run("fan_out", &["a\nb", "", "c"]);
    assert_eq!((texts(&ran), &ran.output.sources[..]), (vec!["a".into(), "b".into(), "c".into()], &[0, 0, 2][..]));
    assert_eq!(ran.dropped(3), 1);
    let ran = run("partition", &["region=eu;tenant=7;x", "tenant=8;y", "bad;z"]);
    assert_eq!(texts(&ran), ["x", "y"]);
    assert_eq!(ran.output.partition_names, ["region", "tenant"]);
    assert_eq!([ran.output.partition(0, 0), ran.output.partition(0, 1)], ["eu", "7"]);
    assert_eq!([ran.output.partition(1, 0), ran.output.partition(1, 1)], ["", "8"]);
    assert_eq!((ran.failures[0].index, ran.failures[0].code), (2, "Lambda.ProcessingFailedStatus"));
    assert_eq!(&*ran.failures[0].message, "ProcessingFailed status set for record: a head without `=`");
    let random = function("random");
    assert_ne!(random.run(&batch(&["x"]), 0).output, random.run(&batch(&["x"]), 0).output);
}

#[test]
#[ignore = "needs the guests built"]
fn the_hostile_ones_are_contained() {
    for (name, code, words) in [
        ("spin", "Lambda.FunctionTimedOut", "spin"),
        ("eat_memory", "Lambda.FunctionError", "67108864 bytes of memory"),
        ("deep_recursion", "Lambda.FunctionError", "call stack exhausted"),
        ("huge_output", "Lambda.FunctionError", "more than 1048576 bytes"),
        ("rubbish", "Lambda.InvalidReturnFormat", "ends reach to"),
        ("trap_on_one", "Lambda.FunctionError", "record 0 is poison"),
    ] {
        let ran = run(name, &["some poison here"]);
        let [failed] = &ran.failures[..] else { panic!("{name}: {ran:?}") };
        assert_eq!(failed.code, code, "{name}");
        assert!(failed.message.contains(words), "{name}: {}", failed.message);
        assert!(ran.stats.memory_high_water_bytes <= Limits::default().memory_bytes);
    }
    let ran = run("trap_on_one", &["a", "b", "poison", "d"]);
    assert_eq!(texts(&ran), ["a", "b", "d"]);
    assert!(ran.failures[0].message.contains("look_at"), "{}", ran.failures[0].message);
    let refused = componentize(&guest("file_system"), &DeployLimits::default()).unwrap_err();
    assert!(matches!(refused, Error::Imports(names) if names == ["wasi_snapshot_preview1.path_open"]));
}
