//! Modules that call the host without end, or with what it cannot take.

use super::{Case, ERROR, Must, TIMED_OUT};
use crate::guests::{IDENTITY, example, guest, realloc};

/// Room at one address, whatever is asked for: the answers of host calls cost the guest nothing.
const SAME_ROOM: &str = "(i32.const 65536)";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "log-flood",
        does: "logs 2,000 lines of 64 bytes, then answers",
        must: Must::Answer,
        module: || {
            guest(
                &format!(
                    "(local $i i32) (loop $more (call $log (i32.const 1) (i32.const 1024) (i32.const 64)) \
                     (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const 2000)))) {IDENTITY}"
                ),
                "",
            )
        },
    },
    Case {
        name: "log-without-end",
        does: "logs one byte, for ever",
        must: Must::BeStopped,
        module: || {
            guest(
                "(loop $more (call $log (i32.const 1) (local.get $payload) (i32.const 1)) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "log-nothing-without-end",
        does: "logs empty lines, for ever",
        must: Must::BeStopped,
        module: || {
            guest("(loop $more (call $log (i32.const 3) (i32.const 8) (i32.const 0)) (br $more)) unreachable", "")
        },
    },
    Case {
        name: "log-huge-lines",
        does: "logs a line of 8 MiB",
        must: Must::Fail(ERROR, "passed more than 1048576 bytes to the host in one call"),
        module: || {
            guest(
                "(drop (memory.grow (i32.const 128))) (memory.fill (i32.const 131072) (i32.const 120) (i32.const 8388608)) \
             (loop $more (call $log (i32.const 3) (i32.const 131072) (i32.const 8388608)) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "log-large-lines",
        does: "logs lines of 512 KiB, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            guest(
                "(drop (memory.grow (i32.const 8))) (memory.fill (i32.const 131072) (i32.const 120) (i32.const 524288)) \
                 (loop $more (call $log (i32.const 3) (i32.const 131072) (i32.const 524288)) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "log-forged-lines",
        does: "logs line feeds and what looks like lines of the server",
        must: Must::Answer,
        module: || {
            guest(
                &format!("(call $log (i32.const 3) (i32.const 1024) (i32.const 24)) {IDENTITY}"),
                "(data (i32.const 1024) \"x\\0aFORGED line \\1b[31m\\0dred\\00\")",
            )
        },
    },
    Case {
        name: "log-not-utf8",
        does: "logs what is not UTF-8",
        must: Must::Fail(ERROR, "utf-8"),
        module: || {
            guest(
                "(call $log (i32.const 1) (i32.const 1024) (i32.const 2)) unreachable",
                "(data (i32.const 1024) \"\\ff\\fe\")",
            )
        },
    },
    Case {
        name: "log-out-of-bounds",
        does: "logs a text outside its memory",
        must: Must::Fail(ERROR, "out of bounds"),
        module: || guest("(call $log (i32.const 1) (i32.const -8) (i32.const 64)) unreachable", ""),
    },
    Case {
        name: "log-of-no-level",
        does: "logs at a level that there is not",
        must: Must::Fail(ERROR, "discriminant"),
        module: || guest("(call $log (i32.const 77) (i32.const 1024) (i32.const 1)) unreachable", ""),
    },
    Case {
        name: "random-flood",
        does: "asks for 65,536 random bytes, for ever, all at one address",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            realloc(SAME_ROOM, "(loop $more (call $bytes (i32.const 65536) (i32.const 1024)) (br $more)) unreachable")
        },
    },
    Case {
        name: "random-hoard",
        does: "asks for 65,536 random bytes, for ever, and keeps them",
        must: Must::Fail(ERROR, "needs more than the"),
        module: || {
            guest(
                "(drop (call $alloc (i32.const 15728640))) (loop $more (call $bytes (i32.const 65536) (i32.const 1024)) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "random-too-many",
        does: "asks for 65,537 random bytes",
        must: Must::Fail(ERROR, "at most 65536 bytes, 65537 were asked for"),
        module: || example("greedy-random"),
    },
    Case {
        name: "random-far-too-many",
        does: "asks for 4 GiB of random bytes",
        must: Must::Fail(ERROR, "at most 65536 bytes"),
        module: || guest("(call $bytes (i32.const -1) (i32.const 1024)) unreachable", ""),
    },
    Case {
        name: "clock-flood",
        does: "asks for the time, for ever",
        must: Must::BeStopped,
        module: || guest("(loop $more (drop (call $now)) (br $more)) unreachable", ""),
    },
    Case {
        name: "settings-flood",
        does: "asks for a setting, for ever",
        must: Must::BeStopped,
        module: || {
            realloc(
                SAME_ROOM,
                "(loop $more (call $get (i32.const 1024) (i32.const 4) (i32.const 1032)) (br $more)) unreachable",
            )
        },
    },
    Case {
        name: "settings-huge-names",
        does: "asks for a setting whose name has 8 MiB",
        must: Must::Fail(ERROR, "passed more than 1048576 bytes to the host in one call"),
        module: || {
            guest(
                "(drop (memory.grow (i32.const 128))) \
             (loop $more (call $get (i32.const 131072) (i32.const 8388608) (i32.const 1032)) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "answer-out-of-bounds",
        does: "wants a host call's answer written outside its memory",
        must: Must::Fail(ERROR, "out of bounds"),
        module: || guest("(call $bytes (i32.const 8) (i32.const -8)) unreachable", ""),
    },
];
