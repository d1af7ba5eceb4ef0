//! Compile bombs: the child that compiles ends at its bounds, whatever it is given, and says which it was.

use std::time::Duration;

use arbitrary::Unstructured;
use millrace_tests::server;
use millrace_transform::{CompileLimits, Compiler, Error, Grants};
use wasm_smith::{Config, Module};

use crate::raw::{component_with, functions, leb, one_function};

/// CPU time of the child in these tests, seconds.
const CPU_SECONDS: u64 = 1;
/// Address space of the child in these tests, bytes.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// Generated modules.
const GENERATED: u64 = 40;
/// Bytes from which one is generated.
const SEED_BYTES: usize = 20_000;

/// What became of a module.
fn compile(module: &[u8]) -> Result<usize, Error> {
    let limits = CompileLimits {
        address_space_bytes: ADDRESS_SPACE_BYTES,
        cpu_seconds: CPU_SECONDS,
        deadline: Duration::from_secs(60),
        ..CompileLimits::default()
    };
    let compiler = Compiler { exe: server::binary().expect("the server's binary"), limits };
    let judged = compiler.judge(module, &Grants::default())?;
    compiler.compile(&judged.bytes).map(|code| code.len())
}

fn is_stopped(name: &str, module: &[u8]) {
    match compile(module) {
        Err(Error::CompileStopped(text)) => {
            assert!(text.contains("of CPU time") || text.contains("of address space"), "{name}: {text}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// Links of `i32.store 0 (i32.load N + i32.load 0)`, none of which can be left out.
fn chain(links: usize) -> Vec<u8> {
    let mut code = Vec::new();
    for link in 0..links {
        let at = link % 15 * 4;
        // i32.const 0; i32.const at; i32.load; i32.const 0; i32.load; i32.add; i32.store
        code.extend([&[0x41, 0, 0x41][..], &leb(at), &[0x28, 2, 0, 0x41, 0, 0x28, 2, 0, 0x6a, 0x36, 2, 0]].concat());
    }
    code
}

/// Blocks in blocks, and in the innermost a table of `targets` branches to all of them.
fn branches(depth: usize, targets: usize) -> Vec<u8> {
    let mut code = [0x02, 0x40].repeat(depth);
    for _ in 0..200 {
        // i32.const 0; i32.load; br_table
        code.extend([&[0x02, 0x40, 0x41, 0, 0x28, 2, 0, 0x0e][..], &leb(targets)].concat());
        for target in 0..=targets {
            code.extend(leb(target % depth));
        }
        code.push(0x0b);
    }
    code.extend(vec![0x0b; depth]);
    code
}

#[test]
fn bombs_end_at_the_bounds_of_the_child() {
    is_stopped("one long chain of loads and stores", &one_function(&chain(400_000)));
    is_stopped("tables of branches", &one_function(&branches(1_000, 20_000)));
    is_stopped("fifty long functions", &functions(&vec![chain(20_000).as_slice(); 50]));
}

#[test]
fn generated_modules_compile_or_are_refused() {
    let (mut compiled, mut refused) = (0, 0);
    for seed in 0..GENERATED {
        let module = generated(seed);
        match compile(&component_with(&module)) {
            Ok(_) => compiled += 1,
            Err(Error::Compile(_) | Error::NotWasm(_) | Error::CompileStopped(_)) => refused += 1,
            Err(other) => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(compiled > 0 && refused > 0, "{compiled} compiled, {refused} refused: one kind was never seen");
}

/// A module made of the bytes that a seed gives, without imports, with much of everything.
fn generated(seed: u64) -> Vec<u8> {
    use millrace_types::{Entropy as _, SeededEntropy};
    let mut bytes = vec![0; SEED_BYTES];
    SeededEntropy::new(seed).fill(&mut bytes);
    let config = Config {
        max_imports: 0,
        min_funcs: 20,
        max_funcs: 200,
        max_instructions: 20_000,
        max_types: 500,
        max_tables: 20,
        max_nesting_depth: 1_000,
        // Half of them use whatever there is; the others mostly what the engine has.
        memory64_enabled: seed.is_multiple_of(2),
        exceptions_enabled: seed.is_multiple_of(2),
        gc_enabled: seed.is_multiple_of(2),
        threads_enabled: seed.is_multiple_of(2),
        reference_types_enabled: seed.is_multiple_of(2),
        ..Config::default()
    };
    Module::new(config, &mut Unstructured::new(&bytes)).expect("a module").to_bytes()
}
