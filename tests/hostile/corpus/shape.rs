//! Modules that are too large, too deep, too new, or not modules.

use super::{Case, Must};
use crate::guests::{IDENTITY, assemble, core, example, frame, guest};
use crate::raw::{component_of, leb, one_function, section};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "nothing-but-a-head",
        does: "is the first 8 bytes of a module",
        must: Must::BeRefused(&["carries no component type"]),
        module: || b"\0asm\x01\0\0\0".to_vec(),
    },
    Case {
        name: "script",
        does: "is a shell script",
        must: Must::BeRefused(&["not a WebAssembly module or component"]),
        module: || b"#!/bin/sh\nrm -rf /\n".to_vec(),
    },
    Case {
        name: "cut-short",
        does: "is the first half of a good component",
        must: Must::BeRefused(&["not a WebAssembly module or component"]),
        module: || {
            let whole = example("identity");
            whole[..whole.len() / 2].to_vec()
        },
    },
    Case {
        name: "garbled",
        does: "is a good component with every 50th byte turned over",
        must: Must::BeRefused(&["not a WebAssembly module or component"]),
        module: || {
            example("identity").iter().enumerate().map(|(at, byte)| if at % 50 == 49 { !byte } else { *byte }).collect()
        },
    },
    Case {
        name: "memory64",
        does: "has a memory of 64-bit addresses",
        must: Must::BeRefused(&["does not compile", "memory64"]),
        module: || guest(IDENTITY, "(memory i64 1)"),
    },
    Case {
        name: "shared-memory",
        does: "has a memory that threads share",
        must: Must::BeRefused(&["does not compile", "threads"]),
        module: || guest(IDENTITY, "(memory 1 1 shared)"),
    },
    Case {
        name: "atomic-wait",
        does: "waits for another thread to wake it",
        must: Must::BeRefused(&["does not compile", "threads"]),
        module: || {
            guest(&format!("(drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1))) {IDENTITY}"), "")
        },
    },
    Case {
        name: "garbage-collection",
        does: "uses structs of the GC proposal",
        must: Must::BeRefused(&["does not compile", "gc"]),
        module: || guest(IDENTITY, "(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))"),
    },
    Case {
        name: "exceptions",
        does: "throws",
        must: Must::BeRefused(&["does not compile", "exceptions"]),
        module: || guest(IDENTITY, "(tag $t) (func (throw $t))"),
    },
    Case {
        name: "stack-switching",
        does: "makes a continuation",
        must: Must::BeRefused(&["does not compile"]),
        module: || {
            guest(
                IDENTITY,
                "(type $f (func)) (type $c (cont $f)) (func $g) (elem declare func $g) (func (drop (cont.new $c (ref.func $g))))",
            )
        },
    },
    Case {
        name: "many-locals",
        does: "has a function of 60,000 locals",
        must: Must::BeRefused(&["locals"]),
        module: || guest(IDENTITY, &format!("(func (local {}))", "i64 ".repeat(60_000))),
    },
    Case {
        name: "many-functions",
        does: "has 20,000 functions",
        must: Must::Answer,
        module: || guest(IDENTITY, &"(func)".repeat(20_000)),
    },
    Case {
        name: "too-many-functions",
        does: "has 1,000,001 functions",
        must: Must::BeRefused(&["functions"]),
        module: || too_many(1_000_001),
    },
    Case {
        name: "too-many-types",
        does: "has 1,000,001 types",
        must: Must::BeRefused(&["types"]),
        module: too_many_types,
    },
    Case {
        name: "huge-function",
        does: "has a function of 8 MiB",
        must: Must::BeRefused(&["size"]),
        module: huge_function,
    },
    Case { name: "deep-blocks", does: "nests 100,000 blocks", must: Must::Answer, module: deep_blocks },
    Case { name: "deep-components", does: "nests 2,000 components", must: Must::Answer, module: || nest(2_000) },
    Case {
        name: "many-imports",
        does: "imports 20,000 functions that nobody granted",
        must: Must::BeRefused(&["imports what was not granted", "env.f00000"]),
        module: || {
            let imports: String = (0..20_000).map(|n| format!("(import \"env\" \"f{n:05}\" (func))")).collect();
            assemble(&format!("(module {imports})"))
        },
    },
    Case {
        name: "long-import",
        does: "imports one function whose name has 90,000 letters",
        must: Must::BeRefused(&["imports what was not granted"]),
        module: || assemble(&format!("(module (import \"env\" \"{}\" (func)))", "n".repeat(90_000))),
    },
    Case {
        name: "one-import-many-times",
        does: "imports one granted function 2,000 times",
        must: Must::Answer,
        module: || {
            core(
                &r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#.repeat(2_000),
                IDENTITY,
                "",
            )
        },
    },
    Case {
        name: "many-instances",
        does: "is a component that makes 60 instances of a module",
        must: Must::BeRefused(&["does not start", "instances"]),
        module: || {
            let more = "(core instance (instantiate $empty))".repeat(60);
            let frame = frame(IDENTITY, "");
            assemble(&frame.replacen(
                "(core module $libc",
                &format!("(core module $empty) {more} (core module $libc"),
                1,
            ))
        },
    },
    Case { name: "huge-section", does: "carries a custom section of 60 MiB", must: Must::Answer, module: huge_section },
    Case {
        name: "huge-data",
        does: "fills 12 MiB of its memory with data segments",
        must: Must::Answer,
        module: || {
            guest(
                IDENTITY,
                &format!(
                    "(memory 192) {}",
                    (0..12)
                        .map(|n| format!("(data (memory 1) (i32.const {}) \"{}\")", n << 20, "d".repeat(1 << 20)))
                        .collect::<String>()
                ),
            )
        },
    },
];

fn too_many(functions: usize) -> Vec<u8> {
    let types = section(1, &[1, 0x60, 0, 0]);
    let declared = section(3, &[leb(functions), vec![0; functions]].concat());
    component_of(&[types, declared, section(10, &[leb(functions), [2, 0, 0x0b].repeat(functions)].concat())])
}

fn too_many_types() -> Vec<u8> {
    const TYPES: usize = 1_000_001;
    component_of(&[section(1, &[leb(TYPES), [0x60, 0, 0].repeat(TYPES)].concat())])
}

fn huge_function() -> Vec<u8> {
    one_function(&vec![0x01; 8 << 20])
}

fn deep_blocks() -> Vec<u8> {
    one_function(&[[0x02, 0x40].repeat(100_000), vec![0x0b; 100_000]].concat())
}

/// Components in components. What is outside is judged last, so it is a good one.
fn nest(depth: usize) -> Vec<u8> {
    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut inner = HEAD.to_vec();
    for _ in 0..depth {
        inner = [HEAD, &section(4, &inner)].concat();
    }
    let mut component = example("identity");
    component.extend(section(4, &inner));
    component
}

fn huge_section() -> Vec<u8> {
    let mut component = example("identity");
    component.extend(section(0, &[&[4][..], b"huge", &vec![7; 60 << 20]].concat()));
    component
}
