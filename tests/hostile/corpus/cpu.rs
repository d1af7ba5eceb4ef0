//! Modules that never end, that call without end, that trap.

use super::{Case, ERROR, Must, TIMED_OUT};
use crate::guests::{changed, example, guest, realloc};

/// How the frame gives its memory back behind a call.
const RESET: &str = "(func (export \"reset\") (param i32) (global.set $top (i32.const 65536)))";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "endless-loop",
        does: "loops for ever",
        must: Must::Fail(TIMED_OUT, "transform"),
        module: || example("spin"),
    },
    Case {
        name: "loop-in-start",
        does: "loops for ever in its start function",
        must: Must::BeRefused(&["does not start", "deadline"]),
        module: || guest("unreachable", "(func $init (loop $again (br $again))) (start $init)"),
    },
    Case {
        name: "loop-in-realloc",
        does: "loops for ever where the host asks it for room",
        must: Must::Fail(TIMED_OUT, ""),
        module: || realloc("(loop $again (br $again)) unreachable", "unreachable"),
    },
    Case {
        name: "loop-behind-the-answer",
        does: "answers, then loops for ever in its clean-up",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            let endless = "(func (export \"reset\") (param i32) (loop $again (br $again)))";
            changed(crate::guests::IDENTITY, "", &[(RESET, endless)])
        },
    },
    Case {
        name: "trap-behind-the-answer",
        does: "answers, then traps in its clean-up",
        must: Must::Fail(ERROR, "unreachable"),
        module: || {
            changed(crate::guests::IDENTITY, "", &[(RESET, "(func (export \"reset\") (param i32) unreachable)")])
        },
    },
    Case {
        name: "call-tree",
        does: "calls itself twice, 60 deep: 2^60 calls and no loop",
        must: Must::Fail(TIMED_OUT, "fork"),
        module: || {
            guest(
                "(call $fork (i32.const 60)) unreachable",
                "(func $fork (param $n i32) (if (local.get $n) (then \
                   (call $fork (i32.sub (local.get $n) (i32.const 1))) \
                   (call $fork (i32.sub (local.get $n) (i32.const 1))))))",
            )
        },
    },
    Case {
        name: "recursion",
        does: "calls itself without end",
        must: Must::Fail(ERROR, "call stack exhausted"),
        module: || example("deep-recursion"),
    },
    Case {
        name: "mutual-recursion",
        does: "two functions call each other without end",
        must: Must::Fail(ERROR, "call stack exhausted"),
        module: || {
            guest(
                "(call $left (i64.const 0)) unreachable",
                "(func $left (param i64) (call $right (local.get 0)) (drop (i64.add (local.get 0) (i64.const 1)))) \
                 (func $right (param i64) (call $left (local.get 0)) (drop (i64.add (local.get 0) (i64.const 2))))",
            )
        },
    },
    Case {
        name: "indirect-recursion",
        does: "calls itself without end through a table",
        must: Must::Fail(ERROR, "call stack exhausted"),
        module: || {
            guest(
                "(call $again) unreachable",
                "(type $plain (func)) (table 1 funcref) (elem (i32.const 0) $again) \
                 (func $again (call_indirect (type $plain) (i32.const 0)) (call_indirect (type $plain) (i32.const 0)))",
            )
        },
    },
    Case {
        name: "wide-frames",
        does: "recursion whose frames have 1,000 locals each",
        must: Must::Fail(ERROR, "call stack exhausted"),
        module: wide_frames,
    },
    Case {
        name: "fill-loop",
        does: "fills 8 MiB at a time, for ever: little of it is code that could be interrupted",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            guest(
                "(drop (memory.grow (i32.const 128))) \
                 (loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 8388608)) (br $again)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "copy-loop",
        does: "copies 8 MiB onto itself, shifted, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            guest(
                "(drop (memory.grow (i32.const 129))) \
                 (loop $again (memory.copy (i32.const 1) (i32.const 0) (i32.const 8388608)) (br $again)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "trap",
        does: "traps at once",
        must: Must::Fail(ERROR, "unreachable"),
        module: || guest("unreachable", ""),
    },
    Case {
        name: "division-by-zero",
        does: "divides by zero",
        must: Must::Fail(ERROR, "divide by zero"),
        module: || guest("(i32.div_u (local.get $payload) (i32.const 0))", ""),
    },
    Case {
        name: "division-overflow",
        does: "divides the least integer by -1",
        must: Must::Fail(ERROR, "integer overflow"),
        module: || guest("(i32.div_s (i32.const -2147483648) (i32.const -1))", ""),
    },
    Case {
        name: "float-out-of-range",
        does: "makes an integer of what is not a number",
        must: Must::Fail(ERROR, "invalid conversion to integer"),
        module: || guest("(i32.trunc_f64_u (f64.const nan))", ""),
    },
    Case {
        name: "load-out-of-bounds",
        does: "reads at the last address there could be",
        must: Must::Fail(ERROR, "out of bounds memory access"),
        module: || guest("(i32.load offset=4294967295 (i32.const -1))", ""),
    },
    Case {
        name: "store-out-of-bounds",
        does: "writes one byte behind its memory",
        must: Must::Fail(ERROR, "out of bounds memory access"),
        module: || guest("(i32.store8 (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 0)", ""),
    },
    Case {
        name: "null-call",
        does: "calls an empty entry of a table",
        must: Must::Fail(ERROR, "uninitialized element"),
        module: || guest("(call_indirect (result i32) (i32.const 3))", "(table 9 funcref)"),
    },
    Case {
        name: "wrong-call",
        does: "calls a function as one of another type",
        must: Must::Fail(ERROR, "indirect call type mismatch"),
        module: || {
            guest(
                "(call_indirect (result i32) (i32.const 0))",
                "(table 1 funcref) (elem (i32.const 0) $wrong) (func $wrong (param i64))",
            )
        },
    },
];

fn wide_frames() -> Vec<u8> {
    let locals = "i64 ".repeat(1_000);
    let kept: String =
        (1..=1_000).map(|at| format!("(local.set {at} (i64.add (local.get 0) (i64.const {at})))")).collect();
    let used: String =
        (1..=1_000).map(|at| format!("(local.set 0 (i64.xor (local.get 0) (local.get {at})))")).collect();
    guest(
        "(drop (call $deep (local.get $first))) unreachable",
        &format!(
            "(func $deep (param i64) (result i64) (local {locals}) {kept} \
             (local.set 0 (call $deep (local.get 0))) {used} (local.get 0))"
        ),
    )
}
