//! The compiling child, as the server runs it: this executable is its own child, so it has no
//! harness but a list of steps.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::ExitCode;
use std::time::Duration;

use millrace_transform::{CompileLimits, Compiler, Error, Grants, World, compile_child};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["compile-function"] {
        assert!(std::env::vars_os().all(|(name, _)| name == "RAYON_NUM_THREADS"), "the environment is empty");
        return compile_child();
    }
    // `cargo test NAME` runs every test binary: this one is small enough to ignore the filter.
    let steps: [(&str, fn()); 6] = [
        ("a good module is built", builds),
        ("what has not changed is not compiled again", again),
        ("refusals keep their names", refuses),
        ("memory ends the child", memory),
        ("CPU time and the deadline end the child", time),
        ("an executable that does not compile is an error", wrong_executable),
    ];
    for (name, step) in steps {
        step();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

fn compiler(limits: CompileLimits) -> Compiler {
    Compiler { exe: std::env::current_exe().unwrap(), limits }
}

fn read(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples/wat");
    std::fs::read_to_string(format!("{dir}/{name}.wat")).unwrap()
}

fn handler() -> Vec<u8> {
    wat::parse_str(read("handler")).unwrap()
}

fn guest() -> Vec<u8> {
    wat::parse_str(read("component").replace(";; BODY", &read("identity"))).unwrap()
}

fn builds() {
    let compiler = compiler(CompileLimits::default());
    let judged = compiler.judge(&guest(), &Grants::default()).unwrap();
    assert_eq!((&judged.bytes, judged.world, judged.imports.len()), (&guest(), World::Transform, 4));
    assert!(compiler.compile(&judged.bytes).unwrap().len() > judged.bytes.len());
}

/// A component of which function `changed` is another.
fn functions(changed: usize) -> Vec<u8> {
    let function = |n: usize| {
        let number = if n == changed { 1_000 } else { n };
        format!(
            "(func (export \"f{n}\") (param i32) (result i32) {} local.get 0)",
            "local.get 0 i32.const 3 i32.mul local.set 0 ".repeat(n + 1)
                + &format!("local.get 0 i32.const {number} i32.xor local.set 0 ")
        )
    };
    let text: String = (0..10).map(function).collect();
    wat::parse_str(format!("(component (core module {text}))")).unwrap()
}

/// The entries of a cache, each with the code of the one before it.
fn rotated(mut cache: &[u8]) -> Vec<u8> {
    let mut entries = Vec::new();
    while let Some((head, rest)) = cache.split_at_checked(36) {
        let (code, rest) = rest.split_at(u32::from_le_bytes(head[32..].try_into().unwrap()) as usize);
        entries.push((&head[..32], code));
        cache = rest;
    }
    let codes: Vec<&[u8]> = entries.iter().map(|(_, code)| *code).collect();
    let before = codes.iter().cycle().skip(codes.len() - 1);
    let entry = |((key, _), code): (&(&[u8], &[u8]), &&[u8])| {
        let length = u32::try_from(code.len()).unwrap().to_le_bytes();
        [*key, length.as_slice(), code].concat()
    };
    entries.iter().zip(before).flat_map(entry).collect()
}

fn again() {
    let compiler = compiler(CompileLimits::default());
    let first = compiler.compile_after(&functions(10), &[]).unwrap();
    assert!(!first.cache.is_empty());
    let same = compiler.compile_after(&functions(10), &first.cache).unwrap();
    assert!(same.code == first.code, "the cache leaves no trace in the code");
    let fresh = compiler.compile_after(&functions(4), &[]).unwrap();
    let changed = compiler.compile_after(&functions(4), &first.cache).unwrap();
    assert!(changed.code == fresh.code && changed.code != first.code, "the cache leaves no trace in the code");
    assert!(changed.cache.len() > first.cache.len(), "what is new is kept with what was");
    // The child believes what it is given: with the code of other functions under the same keys it makes other
    // code, or falls. The seal around a cache is what stands against that.
    let swapped = compiler.compile_after(&functions(10), &rotated(&first.cache)).ok();
    assert!(swapped.is_none_or(|made| made.code != first.code), "the cache is what the code is made of");
    assert!(compiler.compile_after(&functions(10), b"rubbish").unwrap().code == first.code, "rubbish is no cache");
}

fn refuses() {
    let compiler = compiler(CompileLimits::default());
    let module = wat::parse_str(r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#).unwrap();
    assert!(
        matches!(compiler.judge(&module, &Grants::default()), Err(Error::Imports(names)) if names == ["wasi:sockets/tcp@0.2.0"])
    );
    let handler = handler();
    let grants = Grants { http_hosts: vec!["api.example.com".into()], key_value: false };
    let error = compiler.judge(&handler, &grants).unwrap_err();
    assert!(matches!(&error, Error::Imports(names) if names == &["millrace:transform/key-value@0.1.0"]), "{error:?}");
    let judged = compiler.judge(&handler, &Grants { key_value: true, ..grants }).unwrap();
    assert_eq!((judged.world, judged.imports.len()), (World::Handler, 5));
    let nothing = wat::parse_str("(component)").unwrap();
    assert!(
        matches!(compiler.judge(&nothing, &Grants::default()), Err(Error::World(text)) if text == "it exports nothing")
    );
    assert!(matches!(compiler.judge(b"junk", &Grants::default()), Err(Error::NotWasm(_))));
    assert!(matches!(compiler.compile(b"junk"), Err(Error::Compile(_))));
    let mut small = compiler;
    small.limits.deploy.module_bytes_max = 3;
    assert!(matches!(small.judge(b"junk", &Grants::default()), Err(Error::TooLarge { bytes: 4, max: 3 })));
}

/// A module that takes long and much to compile: a function of hundreds of thousands of instructions,
/// none of which can be left out.
fn bomb() -> Vec<u8> {
    let body = "(i32.store (local.get 0) (local.tee 1 (i32.xor (i32.load offset=8 (local.get 0)) (local.get 1))))\
                (local.set 0 (i32.add (local.get 0) (i32.load offset=4 (local.get 1))))"
        .repeat(60_000);
    let text = format!("(component (core module (memory 1) (func (export \"f\") (param i32 i32) {body})))");
    wat::parse_str(text).unwrap()
}

/// Why compiling the bomb was stopped.
fn stopped(limits: CompileLimits) -> String {
    match compiler(limits).compile(&bomb()) {
        Err(Error::CompileStopped(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(code) => panic!("it compiled to {} bytes", code.len()),
    }
}

fn memory() {
    let text = stopped(CompileLimits { address_space_bytes: 150 << 20, ..CompileLimits::default() });
    assert!(text.contains("150 MiB"), "{text}");
}

fn time() {
    let text = stopped(CompileLimits { cpu_seconds: 1, ..CompileLimits::default() });
    assert!(text.contains("1 s of CPU time"), "{text}");
    let text = stopped(CompileLimits { deadline: Duration::from_millis(50), ..CompileLimits::default() });
    assert!(text.contains("longer than"), "{text}");
}

fn wrong_executable() {
    let other = Compiler { exe: "/bin/true".into(), limits: CompileLimits::default() };
    assert!(matches!(other.compile(&guest()), Err(Error::CompileStopped(_))));
    let none = Compiler { exe: "/no/such/file".into(), limits: CompileLimits::default() };
    assert!(matches!(none.compile(&guest()), Err(Error::Io { .. })));
}
