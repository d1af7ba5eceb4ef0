//! Functions in processes of their own: the same answers as in this process, and an end for every worker
//! that is not itself any more. This executable is its own worker, so it has no harness but a list of steps.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use millrace_transform::{
    ArtifactKey, CallContext, CallError, Error, Function, Host, HostSettings, Isolation, KeyValue, Limits, LogLevel,
    LogSink, Outbound, OutboundRequest, OutboundResponse, Setup, Writes, compile, function_child, seal,
};
use millrace_types::{Batch, BatchBuilder, Clock as _, MIB, Seq, SystemClock, SystemEntropy};
use parking_lot::Mutex;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let name = PathBuf::from(arguments.next().unwrap());
    if arguments.next().as_deref() == Some("run-function") {
        let environment: Vec<_> = std::env::vars().collect();
        assert_eq!(environment, [("ALL".to_owned(), "there is".to_owned())]);
        return match name.file_name().and_then(|name| name.to_str()).unwrap() {
            "dies" => ExitCode::from(3),
            "babbles" => says(&[&[0xff; 64]]),
            "promises" => says(&[&message(STARTED), &promise(1 << 30)]),
            "starts-twice" => says(&[&message(STARTED), &message(STARTED)]),
            "logs-on" => says(&[&message(STARTED), &message(LOGGED).repeat(40)]),
            "hangs" => says(&[&message(STARTED)]),
            _ => function_child(),
        };
    }
    let steps: [(&str, fn()); 10] = [
        ("batches give the same as in this process", same_batches),
        ("events, state and requests give the same as in this process", same_events),
        ("a guest that sleeps does as in this process", same_sleep),
        ("what does not load does not load", does_not_load),
        ("a worker is walled in", walled_in),
        ("a worker is kept, and a dead one is started anew", started_anew),
        ("a worker that is killed in the middle fails one call", killed_in_the_middle),
        ("workers are bounded in number", bounded_in_number),
        ("a worker that is not itself is an error", not_itself),
        ("what was written by a call whose answer is refused is not kept", refused_answer),
    ];
    for (name, step) in steps {
        step();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// What a worker says that runs a function of world `transform`.
const STARTED: &str = r#"{"Started":{"Ok":false}}"#;
/// A log line; forty are more than a function logs that may log one byte.
const LOGGED: &str = r#"{"Log":{"level":0,"line":"0123456789012345678901234567890123456789"}}"#;

/// A message without parts, as a worker writes it.
fn message(json: &str) -> Vec<u8> {
    [&u32::try_from(json.len()).unwrap().to_le_bytes()[..], &[0; 4], json.as_bytes()].concat()
}

/// The head of a message with one part of `bytes` bytes.
fn promise(bytes: u64) -> Vec<u8> {
    [&2_u32.to_le_bytes()[..], &1_u32.to_le_bytes(), &bytes.to_le_bytes()].concat()
}

/// Says one thing after the other, whatever the server says, and then nothing until it hangs up or ends this.
fn says(words: &[&[u8]]) -> ExitCode {
    let mut server = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    for word in words {
        server.write_all(word).unwrap();
    }
    drop(std::io::copy(&mut server, &mut std::io::sink()));
    ExitCode::SUCCESS
}

fn settings() -> HostSettings {
    HostSettings { calls_max: 2, warm_max: 2, epoch_tick: Duration::from_millis(1), ..HostSettings::default() }
}

fn here() -> Arc<Host> {
    Host::new(&settings(), Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap()
}

fn by(exe: PathBuf) -> Isolation {
    Isolation { exe, variables: &[("ALL", "there is")] }
}

fn isolated_by(exe: PathBuf) -> Arc<Host> {
    Host::isolated(&settings(), by(exe), Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap()
}

fn isolated() -> Arc<Host> {
    isolated_by(std::env::current_exe().unwrap())
}

fn text(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/wat");
    std::fs::read_to_string(format!("{dir}/{name}.wat")).unwrap()
}

fn guest(name: &str) -> Vec<u8> {
    wat::parse_str(text("component").replace(";; BODY", &text(name))).unwrap()
}

fn batch(records: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for record in records {
        builder.push(record.as_bytes(), 1_700_000_000_000).unwrap();
    }
    let mut batch = builder.finish();
    batch.set_first(Seq::new(42));
    batch
}

/// A log, a state, and a network of one host that answers what it is sent.
#[derive(Debug, Default)]
struct World {
    lines: Mutex<Vec<String>>,
    state: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl LogSink for World {
    fn line(&self, level: LogLevel, message: &str) {
        self.lines.lock().push(format!("{level:?} {message}"));
    }
}

impl KeyValue for World {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.state.lock().get(key).cloned())
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        let state = self.state.lock();
        let found =
            state.keys().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        Ok(found.take(limit).cloned().collect())
    }

    fn commit(&self, writes: &Writes) -> Result<(), String> {
        if writes.contains_key("refused") {
            return Err("the disk is full".to_owned());
        }
        for (key, value) in writes {
            match value {
                Some(value) => self.state.lock().insert(key.clone(), value.clone()),
                None => self.state.lock().remove(key),
            };
        }
        Ok(())
    }
}

impl Outbound for World {
    fn send(&self, request: OutboundRequest, _: Duration) -> Result<OutboundResponse, String> {
        if !request.url.contains("api.example.com") {
            return Err(format!("{} is not granted", request.url));
        }
        let body = format!("{} {} {:?}", request.method, request.body.escape_ascii(), request.headers);
        Ok(OutboundResponse { status: 200, headers: request.headers, body: body.into_bytes() })
    }
}

fn function(host: &Arc<Host>, component: &[u8], limits: Limits, world: &Arc<World>) -> Function {
    let module = host.load_component(component).unwrap();
    host.try_start(&module, Setup { limits: limits.clone(), ..Setup::default() }).unwrap();
    Function::with(
        module,
        Setup {
            settings: BTreeMap::from([("name".to_owned(), "value".to_owned())]),
            limits,
            log: Arc::<World>::clone(world),
            key_value: Some(Arc::<World>::clone(world)),
            http: Some(Arc::<World>::clone(world)),
            ..Setup::default()
        },
    )
}

/// All that a run gives, but times.
fn ran(host: &Arc<Host>, name: &str, limits: &Limits, records: &[&str]) -> String {
    let world = Arc::default();
    let ran = function(host, &guest(name), limits.clone(), &world).run(&batch(records), 1);
    let stats = &ran.stats;
    let counts =
        (stats.calls, stats.failed_calls, stats.deadlines, stats.failed_by_kind, stats.memory_high_water_bytes);
    format!("{:?} {:?} {counts:?} {:?}", ran.output, ran.failures, world.lines.lock())
}

fn same_batches() {
    let soon = Limits { deadline: Duration::from_millis(300), ..Limits::default() };
    let small = Limits { memory_bytes: 8 * MIB, ..Limits::default() };
    let kept = Limits { warm_batches_max: 10, ..Limits::default() };
    let long = "x".repeat(3 * MIB);
    let few: &[&str] = &["one", "", "t!o", "three"];
    for (name, limits, records) in [
        ("identity", &kept, &["one", &long, "", "three"][..]),
        ("identity", &small, &[&long, &long, &long, "short"]),
        ("identity", &kept, &[]),
        ("refuse", &kept, few),
        ("trap-on-one", &kept, few),
        ("spin-on-one", &soon, few),
        ("eat-memory", &small, few),
        ("deep-recursion", &kept, few),
        ("huge-output", &kept, few),
        ("rubbish", &kept, few),
        ("not-utf8", &kept, few),
        ("log-flood", &kept, few),
        ("greedy-random", &kept, few),
        ("canary", &Limits::default(), few),
    ] {
        let expected = ran(&here(), name, limits, records);
        assert_eq!(ran(&isolated(), name, limits, records), expected, "{name}");
    }
    // Chance and time are inside: the setting comes through, and what is random differs.
    let world = Arc::default();
    let function = function(&isolated(), &guest("host-calls"), kept, &world);
    let answers: Vec<Vec<u8>> = (0..2).map(|_| function.call(&batch(&["x"])).output.unwrap().payload).collect();
    assert!(answers.iter().all(|answer| answer.starts_with(b"value") && answer.len() == 5 + 16), "{answers:?}");
    assert_ne!(answers[0][5..13], answers[1][5..13]);
}

/// Orders for `handler.wat`.
fn orders(orders: &[(char, &str, &str)]) -> Vec<u8> {
    let mut event = Vec::new();
    for (order, first, second) in orders {
        event.push(u8::try_from(*order).unwrap());
        for word in [first, second] {
            event.extend_from_slice(&u32::try_from(word.len()).unwrap().to_le_bytes());
            event.extend_from_slice(word.as_bytes());
        }
    }
    event
}

fn same_events() {
    let events = [
        orders(&[('e', "echo", ""), ('L', "", "")]),
        orders(&[('s', "a", "1"), ('s', "b", "2"), ('g', "a", ""), ('k', "", "")]),
        orders(&[('g', "a", ""), ('d', "a", ""), ('k', "", "")]),
        orders(&[('s', "lost", "1"), ('f', "the function's own words", "")]),
        orders(&[('s', "lost", "1"), ('t', "", "")]),
        orders(&[('s', "refused", "1"), ('e', "not kept", "")]),
        orders(&[('k', "", "a"), ('g', "lost", "")]),
        orders(&[('h', "https://api.example.com/x", "body"), ('h', "https://other.example.com/", "")]),
        orders(&[('x', "", "")]),
        b"no orders".to_vec(),
    ];
    let all = |host: Arc<Host>| {
        let world = Arc::<World>::default();
        let limits = Limits { warm_batches_max: 10, ..Limits::default() };
        let function = function(&host, &wat::parse_str(text("handler")).unwrap(), limits, &world);
        let call = CallContext { request_id: "id".into(), client_context: Some("{}".into()), ..CallContext::default() };
        let answers: Vec<_> = events.iter().map(|event| function.handle(event, &call).output).collect();
        let context = function.handle(&orders(&[('c', "", "")]), &call).output.unwrap();
        assert!(context.starts_with(b"id "), "{}", context.escape_ascii());
        format!("{answers:#?} {:?} {:?}", world.lines.lock(), world.state.lock())
    };
    let expected = all(here());
    assert!(expected.contains("the function's own words") && expected.contains("the disk is full"), "{expected}");
    assert_eq!(all(isolated()), expected);
}

/// Exports a `handle` that takes and gives nothing.
const OTHER_TYPE: &str = r#"(component
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func (export "handle") (canon lift (core func $i "f"))))"#;

/// A handler that sleeps NANOSECONDS through WASI, then answers nothing.
const SLEEPS: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $p (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core module $m
        (import "w" "block" (func $block (param i32)))
        (import "w" "subscribe" (func $subscribe (param i64) (result i32)))
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "handle") (param i32 i32) (result i32)
            (call $block (call $subscribe (i64.const NANOSECONDS)))
            (i32.const 64)))
    (core instance $i (instantiate $m (with "w" (instance
        (export "block" (func $block)) (export "subscribe" (func $subscribe))))))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "realloc" (core func $realloc))
    (func (export "handle") (param "event" (list u8)) (result (result (list u8) (error string)))
        (canon lift (core func $i "handle") (memory $memory) (realloc $realloc))))"#;

/// The timers in which a guest waits work behind the walls.
fn same_sleep() {
    let limits = Limits { deadline: Duration::from_millis(100), ..Limits::default() };
    for nanoseconds in ["1000000", "3600000000000"] {
        let component = wat::parse_str(SLEEPS.replace("NANOSECONDS", nanoseconds)).unwrap();
        let slept = |host: Arc<Host>| {
            let function = function(&host, &component, limits.clone(), &Arc::default());
            format!("{:?}", function.handle(b"", &CallContext::default()).output)
        };
        let expected = slept(here());
        assert_eq!(expected.starts_with("Ok"), nanoseconds == "1000000", "{expected}");
        assert_eq!(slept(isolated()), expected);
    }
}

fn does_not_load() {
    // As the server does: sealed under its key.
    let key = ArtifactKey::new(&[7; 32]);
    let sealed = |component: &[u8]| seal(&compile(component).unwrap(), &key).unwrap();
    let big = sealed(&wat::parse_str(text("big-table")).unwrap_or_else(|_| guest("big-table")));
    let empty = sealed(&wat::parse_str("(component)").unwrap());
    for code in [&big, &empty] {
        let told = |host: Arc<Host>| host.load_bytes(code, &key).unwrap_err().to_string();
        assert_eq!(told(isolated()), told(here()));
    }
    let host = isolated();
    assert!(matches!(host.load_bytes(&big, &ArtifactKey::new(&[8; 32])), Err(Error::Artifact)));
    let other_type = sealed(&wat::parse_str(OTHER_TYPE).unwrap());
    for host in [here(), isolated()] {
        let module = host.load_bytes(&other_type, &key).unwrap();
        let told = host.try_start(&module, Setup::default()).unwrap_err();
        assert!(matches!(told, Error::World(_)), "{told}");
    }
    let module = host.load_component(&guest("identity")).unwrap();
    let tight = Limits { memory_bytes: 1, ..Limits::default() };
    let told = host.try_start(&module, Setup { limits: tight, ..Setup::default() }).unwrap_err();
    assert!(matches!(told, Error::Start(_)), "{told}");
    let settings = HostSettings { deterministic: true, ..settings() };
    let isolation = by(std::env::current_exe().unwrap());
    let refused = Host::isolated(&settings, isolation, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap_err();
    assert!(refused.to_string().contains("deterministic"), "{refused}");
}

/// Children of this process.
fn children() -> Vec<String> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().map(str::to_owned));
    }
    found
}

fn kill(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn identity(host: &Arc<Host>) -> Function {
    function(host, &guest("identity"), Limits::default(), &Arc::default())
}

/// The workers, once there are `count`: a process that nobody waited for is still a child.
fn workers(count: usize) -> Vec<String> {
    let end = SystemClock.monotonic() + Duration::from_secs(10);
    loop {
        let workers = children();
        if workers.len() == count {
            return workers;
        }
        assert!(SystemClock.monotonic() < end, "{workers:?} instead of {count}");
        std::thread::yield_now();
    }
}

/// What the kernel says of each thread of a worker that waits.
fn walled_in() {
    by(std::env::current_exe().unwrap()).check().unwrap();
    let host = isolated();
    let function = identity(&host);
    function.call(&batch(&["x"])).output.unwrap();
    let threads = Path::new("/proc").join(&workers(1)[0]).join("task");
    let mut count = 0;
    for thread in std::fs::read_dir(threads).unwrap() {
        let mut status = String::new();
        let file = std::fs::File::open(thread.unwrap().path().join("status")).unwrap();
        file.take(1 << 20).read_to_string(&mut status).unwrap();
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Seccomp_filters:\t1"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        count += 1;
    }
    assert_eq!(count, 3, "the guest's thread, the ticker and the timers");
    drop(function);
    workers(0);
}

fn started_anew() {
    let host = isolated();
    let function = identity(&host);
    assert!(function.call(&batch(&["x"])).cold_start);
    let first = workers(1);
    let _second = function.call(&batch(&["x"])).output.unwrap();
    assert_eq!(workers(1), first, "kept");
    kill(&first[0]);
    // Its memory is given back before its parent is told that it is dead, and its socket is open until its last thread
    // has gone.
    let (status, threads) = (format!("/proc/{}/status", first[0]), format!("/proc/{}/task", first[0]));
    while !std::fs::read_to_string(&status).unwrap().contains("State:\tZ")
        || std::fs::read_dir(&threads).unwrap().count() > 1
    {
        std::thread::yield_now();
    }
    let again = function.call(&batch(&["x"]));
    assert!(again.cold_start && again.output.is_ok());
    assert_ne!(workers(1), first);
}

/// This executable under another name, with which it is a worker of another kind.
fn named(folder: &Path, name: &str) -> PathBuf {
    let exe = folder.join(name);
    std::fs::hard_link(std::env::current_exe().unwrap(), &exe)
        .or_else(|_| std::fs::copy(std::env::current_exe().unwrap(), &exe).map(drop))
        .unwrap();
    exe
}

fn not_itself() {
    let folder = tempfile::tempdir().unwrap();
    for (name, words) in [("dies", "exit status: 3"), ("babbles", "does not keep to its words")] {
        let isolation = by(named(folder.path(), name));
        let told = isolation.check().unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
        let told = isolated_by(isolation.exe).load_component(&guest("identity")).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
    let error = isolated_by(folder.path().join("nothing")).load_component(&guest("identity")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let limits = Limits { deadline: Duration::from_millis(100), log_bytes_max: 1, ..Limits::default() };
    for (name, words) in [
        ("promises", "a message is too long"),
        ("starts-twice", "it started twice"),
        ("logs-on", "it logs more than it may"),
        ("hangs", "did not answer in time"),
    ] {
        let host = isolated_by(named(folder.path(), name));
        let function = function(&host, &guest("identity"), limits.clone(), &Arc::default());
        let error = function.call(&batch(&["x"])).output.unwrap_err();
        assert!(matches!(&error, CallError::Host(why) if why.contains(words)), "{name}: {error}");
        workers(0);
    }
}

/// Ends the worker that asks it for something.
#[derive(Debug)]
struct Killer;

impl Outbound for Killer {
    fn send(&self, _: OutboundRequest, _: Duration) -> Result<OutboundResponse, String> {
        kill(&workers(1)[0]);
        Err("too late".to_owned())
    }
}

/// A worker that is killed in the middle of a call fails this call, and keeps nothing that it wrote.
fn killed_in_the_middle() {
    let (host, world) = (isolated(), Arc::<World>::default());
    let module = host.load_component(&wat::parse_str(text("handler")).unwrap()).unwrap();
    let function = Function::with(
        module,
        Setup { key_value: Some(Arc::<World>::clone(&world)), http: Some(Arc::new(Killer)), ..Setup::default() },
    );
    let call = CallContext::default();
    let event = orders(&[('s', "lost", "1"), ('h', "https://api.example.com/x", ""), ('e', "not reached", "")]);
    let error = function.handle(&event, &call).output.unwrap_err();
    assert!(matches!(&error, CallError::Host(why) if why.contains("by signal 9")), "{error}");
    workers(0);
    assert!(world.state.lock().is_empty());
    let next = function.handle(&orders(&[('s', "kept", "1"), ('e', "answered", "")]), &call);
    assert_eq!(next.output.unwrap(), b"answered");
    assert_eq!(world.state.lock().keys().collect::<Vec<_>>(), ["kept"]);
}

fn bounded_in_number() {
    let (host, limits) = (isolated(), Limits { warm_batches_max: 10, ..Limits::default() });
    let functions: Vec<_> =
        (0..3).map(|_| function(&host, &guest("identity"), limits.clone(), &Arc::default())).collect();
    for function in &functions {
        function.call(&batch(&["x"])).output.unwrap();
    }
    // As many wait as `warm_max`.
    workers(2);
    drop(functions);
    workers(0);
}

/// A handler whose answer is no answer of a transformation: its batch failed, so its state must not change.
fn refused_answer() {
    for host in [here(), isolated()] {
        let world = Arc::<World>::default();
        let module = host.load_component(&wat::parse_str(text("handler")).unwrap()).unwrap();
        // As text, for settings are: each length below 128.
        let orders = String::from_utf8(orders(&[('s', "lost", "1"), ('e', "no JSON", "")])).unwrap();
        let settings = BTreeMap::from([("orders".to_owned(), orders)]);
        let key_value: Arc<dyn KeyValue> = Arc::<World>::clone(&world);
        let function = Function::with(module, Setup { settings, key_value: Some(key_value), ..Setup::default() });
        let ran = function.run(&batch(&["x"]), 0);
        assert_eq!((ran.failures.len(), ran.failures[0].code), (1, "Lambda.JsonProcessingException"));
        assert!(world.state.lock().is_empty());
    }
}
