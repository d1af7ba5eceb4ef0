//! Modules that want memory, tables, globals.

use super::{Case, ERROR, Must, TIMED_OUT};
use crate::guests::{IDENTITY, example, guest};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "grow-to-the-limit",
        does: "grows page by page until it is refused, writes to each page, then answers",
        must: Must::Answer,
        module: || {
            guest(
                &format!(
                    "(block $full (loop $more (br_if $full (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) \
             (i32.store (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)) (i32.const 1)) (br $more))) {IDENTITY}"
                ),
                "",
            )
        },
    },
    Case {
        name: "grow-past-the-limit",
        does: "grows until it is refused, then traps",
        must: Must::Fail(ERROR, "needs more than the"),
        module: || example("eat-memory"),
    },
    Case {
        name: "grow-by-everything",
        does: "asks for 4 GiB at once, again and again, then answers",
        must: Must::Answer,
        module: || {
            guest(
                &format!(
                    "(local $i i32) (loop $more (drop (memory.grow (i32.const 65535))) \
             (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const 1000)))) {IDENTITY}"
                ),
                "",
            )
        },
    },
    Case {
        name: "grow-by-nothing",
        does: "grows by 0 pages, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || guest("(loop $more (drop (memory.grow (i32.const 0))) (br $more)) unreachable", ""),
    },
    Case {
        name: "grow-in-two-memories",
        does: "grows two memories by turns: they count together",
        must: Must::Fail(ERROR, "needs more than the"),
        module: || {
            guest(
                "(loop $more (if (i32.eq (memory.grow 1 (i32.const 1)) (i32.const -1)) (then unreachable)) \
               (if (i32.eq (memory.grow 0 (i32.const 1)) (i32.const -1)) (then unreachable)) (br $more)) unreachable",
                "(memory 1)",
            )
        },
    },
    Case {
        name: "grow-in-start",
        does: "grows and writes all the memory that it gets, in its start function",
        must: Must::BeRefused(&["does not start", "needs more than the"]),
        module: || {
            guest(
                "unreachable",
                "(func $init (loop $more (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) \
               (memory.fill (i32.mul (i32.sub (memory.size) (i32.const 16)) (i32.const 65536)) (i32.const 7) (i32.const 1048576)) \
               (br $more))) (start $init)",
            )
        },
    },
    Case {
        name: "born-large",
        does: "begins with 500 MiB of memory",
        must: Must::BeRefused(&["does not start", "needs more than the"]),
        module: || guest(IDENTITY, "(memory 8000)"),
    },
    Case {
        name: "born-too-large",
        does: "begins with 3 GiB of memory",
        must: Must::BeRefused(&["does not start", "memory"]),
        module: || guest(IDENTITY, "(memory 49152)"),
    },
    Case {
        name: "four-memories",
        does: "has four memories",
        must: Must::BeRefused(&["does not start", "memories"]),
        module: || guest(IDENTITY, "(memory 1) (memory 1) (memory 1)"),
    },
    Case {
        name: "table-growth",
        does: "grows a table until it is refused, then answers",
        must: Must::Answer,
        module: || {
            guest(
                &format!(
                    "(block $full (loop $more (br_if $full (i32.eq (table.grow 0 (ref.null func) (i32.const 1000)) (i32.const -1))) \
             (br $more))) (if (i32.gt_u (table.size 0) (i32.const 60000)) (then unreachable)) {IDENTITY}"
                ),
                "(table 0 funcref)",
            )
        },
    },
    Case {
        name: "table-growth-by-everything",
        does: "grows a table by 4 G entries, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            guest(
                "(loop $more (drop (table.grow 0 (ref.func $transform) (i32.const -1))) (br $more)) unreachable",
                "(table 1 funcref) (elem declare func $transform)",
            )
        },
    },
    Case {
        name: "table-fill-loop",
        does: "fills and copies a table of 50,000 entries, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            guest(
                "(loop $more (table.fill 0 (i32.const 0) (ref.func $transform) (i32.const 50000)) \
               (table.copy 0 0 (i32.const 1) (i32.const 0) (i32.const 49999)) (br $more)) unreachable",
                "(table 50000 funcref) (elem declare func $transform)",
            )
        },
    },
    Case {
        name: "big-table",
        does: "has a table of 100 million entries",
        must: Must::BeRefused(&["does not start", "table"]),
        module: || example("big-table"),
    },
    Case {
        name: "many-tables",
        does: "has 51 tables",
        must: Must::BeRefused(&["does not start", "tables"]),
        module: || guest(IDENTITY, &"(table 1 funcref)".repeat(51)),
    },
    Case {
        name: "many-globals",
        does: "has 200,000 globals, 3 MiB of an instance's own records",
        must: Must::BeRefused(&["does not start"]),
        module: || guest(IDENTITY, &"(global (mut i64) (i64.const 1))".repeat(200_000)),
    },
    Case {
        name: "data-out-of-bounds",
        does: "has a data segment that reaches out of its memory",
        must: Must::BeRefused(&["does not start", "out of bounds"]),
        module: || guest(IDENTITY, "(data (i32.const -1) \"xyz\")"),
    },
];
