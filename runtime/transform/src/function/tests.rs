//! Single calls: what goes in and comes out, and that no guest gets out of its limits.

use millrace_types::{KIB, MIB};
use parking_lot::Mutex;

use super::*;
use crate::testing::{batch, function, function_with, guest, text};
use crate::{LogLevel, NoLog};

fn error_of(name: &str, limits: Limits) -> CallError {
    function(&guest(name), limits).call(&batch(&["one", "t!o"])).output.unwrap_err()
}

fn soon() -> Limits {
    Limits { deadline: Duration::from_millis(200), ..Limits::default() }
}

#[test]
fn identity_gives_back_every_record() {
    let function = function(&guest("identity"), Limits::default());
    let batch = batch(&["one", "", "three"]);
    let invocation = function.call(&batch);
    assert!(invocation.memory_high_water_bytes >= 2 * 64 * KIB);
    let output = invocation.output.unwrap();
    assert_eq!(output.payload, b"onethree");
    assert_eq!(output.ends, batch.ends());
    assert_eq!(output.sources, [0, 1, 2]);
    assert!(output.partition_names.is_empty() && output.failures.is_empty());
}

#[test]
fn the_lists_survive_the_guests_own_clean_up() {
    // `reset` runs behind the call: what was lifted must not lie in the guest any more.
    let function = function(&guest("identity"), Limits { warm_batches_max: 100, ..Limits::default() });
    let first = function.call(&batch(&["first batch"])).output.unwrap();
    let second = function.call(&batch(&["SECOND BATCH"])).output.unwrap();
    assert_eq!((&first.payload[..], &second.payload[..]), (&b"first batch"[..], &b"SECOND BATCH"[..]));
}

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    assert!(matches!(error_of("spin", soon()), CallError::Deadline { trace } if trace.contains("transform")));
}

#[test]
fn memory_is_refused_beyond_the_limit() {
    let limits = Limits { memory_bytes: 8 * MIB, ..Limits::default() };
    assert!(matches!(error_of("eat-memory", limits), CallError::Memory { bytes, .. } if bytes == 8 * MIB));
    let function = function(&guest("eat-memory"), Limits { memory_bytes: 8 * MIB, ..Limits::default() });
    assert!(function.call(&batch(&["x"])).memory_high_water_bytes <= 8 * MIB);
}

#[test]
fn a_batch_larger_than_the_memory_is_a_failure_of_the_batch() {
    let function = function(&guest("identity"), Limits { memory_bytes: MIB, ..Limits::default() });
    let invocation = function.call(&batch(&[&"x".repeat(2 * MIB)]));
    assert!(matches!(invocation.output, Err(CallError::Memory { .. })), "{invocation:?}");
}

#[test]
fn a_stack_without_end_traps() {
    let CallError::Trap { trace } = error_of("deep-recursion", Limits::default()) else { panic!("no trap") };
    assert!(trace.contains("call stack exhausted"), "{trace}");
    assert!(trace.contains("main!down") && trace.lines().count() < 30, "{trace}");
}

#[test]
fn a_trap_names_the_guests_functions() {
    let CallError::Trap { trace } = error_of("trap-on-one", Limits::default()) else { panic!("no trap") };
    assert!(trace.contains("unreachable") && trace.contains("poisoned"), "{trace}");
}

#[test]
fn rubbish_is_refused() {
    for (name, expected) in [
        ("rubbish", "ends decrease"),
        ("outside", "out of bounds"),
        ("misaligned", "not aligned"),
        ("not-utf8", "utf-8"),
    ] {
        let error = error_of(name, Limits::default());
        assert!(matches!(&error, CallError::Invalid(text) if text.contains(expected)), "{name}: {error:?}");
    }
}

#[test]
fn a_huge_output_is_never_copied() {
    let bytes_max = Limits::OUTPUT_BYTES_FREE;
    assert_eq!(error_of("huge-output", Limits::default()), CallError::OutputTooLarge { bytes_max });
}

#[test]
fn the_functions_own_error_comes_back() {
    assert_eq!(error_of("refuse", Limits::default()), CallError::Returned("a quirk".to_owned()));
}

#[test]
fn fresh_instances_find_nothing_of_others() {
    // Two functions in one host share its pool, and so its slots.
    let host = crate::testing::host();
    let new = |name: &str, warm_batches_max| {
        let limits = Limits { warm_batches_max, ..Limits::default() };
        Function::new(host.load_component(&guest(name)).unwrap(), BTreeMap::new(), limits, Arc::new(NoLog))
    };
    let (canary, scan) = (new("canary", 0), new("scan", 0));
    for _ in 0..20 {
        assert!(canary.call(&batch(&["x"])).output.is_ok());
        assert!(scan.call(&batch(&["x"])).output.is_ok());
    }
    let warm = new("canary", 3);
    let answers: Vec<bool> = (0..6).map(|_| warm.call(&batch(&["x"])).output.is_ok()).collect();
    assert_eq!(answers, [true, false, true, false, true, false], "kept, and dropped when it fails");
}

#[test]
fn warm_instances_are_counted_and_given_back() {
    let host = crate::testing::host();
    let module = host.load_component(&guest("identity")).unwrap();
    let limits = Limits { warm_batches_max: 1000, ..Limits::default() };
    // The host keeps two at most; nothing fails for want of a slot.
    for _ in 0..3 {
        let functions: Vec<Function> = (0..5)
            .map(|_| Function::new(Arc::clone(&module), BTreeMap::new(), limits.clone(), Arc::new(NoLog)))
            .collect();
        for function in functions.iter().chain(&functions) {
            assert!(function.call(&batch(&["x"])).output.is_ok());
        }
        assert_eq!(functions.iter().map(|f| f.warm.lock().len()).sum::<usize>(), 2);
    }
}

#[test]
fn host_calls_give_what_was_granted() {
    let function = function_with(&guest("host-calls"), Limits::default(), &[("name", "mill")], Arc::new(NoLog));
    let (one, two) = (function.call(&batch(&["x"])).output.unwrap(), function.call(&batch(&["x"])).output.unwrap());
    assert!(one.payload.starts_with(b"mill") && one.payload.len() == 20);
    assert_ne!(one.payload[4..12], two.payload[4..12], "random bytes");
    let now_ms = i64::from_le_bytes(one.payload[12..].try_into().unwrap());
    assert!(now_ms > 1_700_000_000_000);
    assert!(matches!(error_of("greedy-random", Limits::default()),
        CallError::Trap { trace } if trace.contains("at most 65536 bytes")));
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    #[derive(Default)]
    struct Count(Mutex<(usize, usize)>);
    impl LogSink for Count {
        fn line(&self, _: LogLevel, message: &str) {
            let mut count = self.0.lock();
            count.0 += 1;
            count.1 += message.len();
        }
    }
    let count = Arc::new(Count::default());
    let limits = Limits { log_bytes_max: 1000, deadline: Duration::from_secs(60), ..Limits::default() };
    let function = function_with(&guest("log-flood"), limits, &[], Arc::clone(&count) as Arc<dyn LogSink>);
    assert!(function.call(&batch(&["a line of twenty-four by"])).output.is_ok());
    let (lines, bytes) = *count.0.lock();
    assert!(lines < 50 && bytes < 1200, "{lines} lines, {bytes} bytes");
}

#[test]
fn what_asks_for_too_much_does_not_load() {
    let load = |component: &[u8]| crate::testing::host().load_component(component).unwrap_err();
    let big = load(&guest("big-table"));
    assert!(matches!(&big, crate::Error::Compile(text) if text.contains("table")), "{big:?}");
    let key = crate::ArtifactKey::new(&[3; 32]);
    let sealed = crate::seal(&crate::compile(&guest("big-table")).unwrap(), &key).unwrap();
    let big = crate::testing::host().load_bytes(&sealed, &key).unwrap_err();
    assert!(matches!(&big, crate::Error::Start(text) if text.contains("table")), "{big:?}");
    let other = text("component").replace("(field \"first-sequence\" u64)", "(field \"first-sequence\" s64)");
    let other = other.replace(";; BODY", &text("identity"));
    assert!(
        matches!(load(&wat::parse_str(other).unwrap()), crate::Error::World(text) if text.contains("first-sequence")
        || text.contains("u64"))
    );
    assert!(matches!(load(&wat::parse_str("(component)").unwrap()), crate::Error::World(_)));
}

#[test]
fn a_sealed_artifact_loads_and_a_damaged_one_does_not() {
    let key = crate::ArtifactKey::new(&[3; 32]);
    let code = crate::compile(&guest("identity")).unwrap();
    let mut file = crate::seal(&code, &key).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.cwasm");
    std::fs::write(&path, &file).unwrap();
    let host = crate::testing::host();
    let module = host.load(&path, &key).unwrap();
    let function = Function::new(module, BTreeMap::new(), Limits::default(), Arc::new(NoLog));
    assert!(function.call(&batch(&["x"])).output.is_ok());
    let middle = file.len() / 2;
    file[middle] ^= 1;
    assert!(matches!(host.load_bytes(&file, &key), Err(crate::Error::Artifact)));
    assert!(matches!(host.load(&dir.path().join("none"), &key), Err(crate::Error::Io { .. })));
}
