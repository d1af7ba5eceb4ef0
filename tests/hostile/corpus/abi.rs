//! Modules that break the rules of the boundary: rooms that are none, exports that are others, other worlds.

use super::{Case, ERROR, INVALID, Must};
use crate::guests::{IDENTITY, assemble, changed, foreign, frame, guest, realloc, typed};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "realloc-out-of-bounds",
        does: "gives the host room outside its memory",
        must: Must::Fail(INVALID, "beyond end of memory"),
        module: || realloc("(i32.const -8)", IDENTITY),
    },
    Case {
        name: "realloc-at-the-edge",
        does: "gives the host room whose last byte is outside its memory",
        must: Must::Fail(INVALID, "beyond end of memory"),
        module: || {
            realloc(
                "(i32.and (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.sub (local.get $size) (i32.const 1))) \
               (i32.sub (i32.const 0) (local.get $align)))",
                IDENTITY,
            )
        },
    },
    Case {
        name: "realloc-misaligned",
        does: "gives the host room at an odd address",
        must: Must::Fail(INVALID, "not aligned"),
        module: || realloc("(i32.const 4097)", IDENTITY),
    },
    Case {
        name: "realloc-traps",
        does: "traps where the host asks it for room",
        must: Must::Fail(ERROR, "unreachable"),
        module: || realloc("unreachable", IDENTITY),
    },
    Case {
        name: "realloc-of-nothing",
        does: "gives the host address 0 for everything: the columns lie over each other, as do the answer's own",
        must: Must::Fail(INVALID, ""),
        module: || realloc("(i32.const 0)", IDENTITY),
    },
    Case {
        name: "realloc-overlaps",
        does: "gives the host the same room each time, and answers with what lies there",
        must: Must::Fail(INVALID, "ends reach to"),
        module: || {
            realloc(
                "(i32.const 65536)",
                "(memory.fill (i32.const 1024) (i32.const 0) (i32.const 60)) (i32.store offset=1028 (i32.const 0) (i32.const 65536)) \
             (i32.store offset=1032 (i32.const 0) (i32.const 4)) (i32.store offset=1036 (i32.const 0) (i32.const 65536)) \
             (i32.store offset=1040 (i32.const 0) (i32.const 1)) (i32.store offset=1044 (i32.const 0) (i32.const 2048)) \
             (i32.store offset=1048 (i32.const 0) (i32.const 1)) (i32.store offset=1052 (i32.const 0) (i32.const 8)) \
             (i32.store offset=1060 (i32.const 0) (i32.const 8)) (i32.store offset=1068 (i32.const 0) (i32.const 8)) \
             (i32.store offset=1076 (i32.const 0) (i32.const 8)) (i32.const 1024)",
            )
        },
    },
    Case {
        name: "no-export",
        does: "exports nothing",
        must: Must::BeRefused(&["export `transform`", "it exports nothing"]),
        module: || assemble("(component)"),
    },
    Case {
        name: "other-export",
        does: "exports a function of another name",
        must: Must::BeRefused(&["export `transform`", "it exports"]),
        module: || changed(IDENTITY, "", &[("(func (export \"transform\")", "(func (export \"transmute\")")]),
    },
    Case {
        name: "export-of-another-type",
        does: "exports a `transform` that takes and gives a number",
        must: Must::BeRefused(&["export `transform`"]),
        module: || {
            assemble(
                "(component (core module $m (func (export \"transform\") (param i32) (result i32) (local.get 0))) \
               (core instance $i (instantiate $m)) (func (export \"transform\") (param \"n\" u32) (result u32) \
               (canon lift (core func $i \"transform\"))))",
            )
        },
    },
    Case {
        name: "export-of-an-instance",
        does: "exports an instance as `transform`",
        must: Must::BeRefused(&["the export is not a function"]),
        module: || assemble("(component (instance $i) (export \"transform\" (instance $i)))"),
    },
    Case {
        name: "another-world",
        does: "is a core module of another world, whose `transform` takes a text",
        must: Must::BeRefused(&["export `transform`"]),
        module: || {
            foreign(
                "(module (memory (export \"memory\") 1) (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 8)) \
               (func (export \"transform\") (param i32 i32) (result i32) (i32.const 0)))",
                "package other:thing@1.0.0; world w { export transform: func(batch: string) -> u32; }",
            )
        },
    },
    Case {
        name: "another-version",
        does: "imports the log of version 0.9.0 of our package",
        must: Must::BeRefused(&["millrace:transform/log@0.9.0"]),
        module: || changed(IDENTITY, "", &[("millrace:transform/log@0.1.0", "millrace:transform/log@0.9.0")]),
    },
    Case {
        name: "another-wasi",
        does: "imports a clock of WASI 0.3",
        must: Must::BeRefused(&["wasi:clocks/system-clock@0.3.0"]),
        module: || {
            changed(
                IDENTITY,
                "",
                &[(
                    "(core module $libc",
                    "(import \"wasi:clocks/system-clock@0.3.0\" (instance (export \"get-resolution\" (func (result u64))))) (core module $libc",
                )],
            )
        },
    },
    Case {
        name: "function-that-is-not-there",
        does: "imports from our log what the log has not",
        must: Must::BeRefused(&["erase"]),
        module: || {
            changed(
                IDENTITY,
                "",
                &[(
                    "(export \"log\" (func (param \"level\" $level) (param \"message\" string)))",
                    "(export \"log\" (func (param \"level\" $level) (param \"message\" string))) (export \"erase\" (func))",
                )],
            )
        },
    },
    Case {
        name: "function-of-another-type",
        does: "imports our clock as one that gives a text",
        must: Must::BeRefused(&["now-ms"]),
        module: || {
            changed(
                IDENTITY,
                "",
                &[("(export \"now-ms\" (func (result u64)))", "(export \"now-ms\" (func (result s64)))")],
            )
        },
    },
    Case {
        name: "module-without-type",
        does: "is a core module that no component tool has seen",
        must: Must::BeRefused(&["carries no component type"]),
        module: || assemble("(module (func (export \"main\")))"),
    },
    Case {
        name: "module-without-export",
        does: "is a core module of our world that exports nothing",
        must: Must::BeRefused(&["export `transform`"]),
        module: || typed(&assemble("(module)"), "transform"),
    },
    Case {
        name: "transform-within",
        does: "has a second whole function nested in it, which nobody calls",
        must: Must::Answer,
        module: || {
            let inner = frame("unreachable", "");
            assemble(&frame(IDENTITY, "").replacen("(component", &format!("(component {inner}"), 1))
        },
    },
    Case {
        name: "start-that-answers-nothing",
        does: "has a start function that calls the host",
        must: Must::Answer,
        module: || guest(IDENTITY, "(func $init (call $log (i32.const 0) (i32.const 8) (i32.const 0))) (start $init)"),
    },
];
