//! Modules that lean on WASI: what it has not, and too much of what it has.

use super::{Case, ERROR, Must, TIMED_OUT};
use crate::guests::{IDENTITY, assemble, core, importing};

const FD_WRITE: &str =
    r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
const POLL: &str =
    r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
const RANDOM: &str = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
/// A sleep of an hour, as preview 1 has it.
const SLEEP: &str = "(i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const 3600000000000)) \
     (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160)))";

/// Clocks that make pollables, and what waits for them.
const POLLABLES: &str = r#"(import "wasi:io/poll@0.2.0" (instance $polls
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $polls "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $mono
    (alias outer 1 $pollable (type $outer)) (export "pollable" (type $own (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $own))))))"#;
const SUBSCRIBE: (&str, &str, &str) =
    ("subscribe", "(param i64) (result i32)", "(canon lower (func $mono \"subscribe-duration\"))");
const WAIT: (&str, &str, &str) =
    ("wait", "(param i32 i32 i32)", "(canon lower (func $polls \"poll\") (memory $memory) (realloc $realloc))");

pub(super) const CASES: &[Case] = &[
    Case {
        name: "write-flood",
        does: "writes 64 KiB to its standard output, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            core(
                FD_WRITE,
                "(i32.store (i32.const 80) (i32.const 0)) (i32.store (i32.const 84) (i32.const 65536)) \
             (loop $more (drop (call $write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 88))) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "sleep",
        does: "sleeps for an hour",
        must: Must::Fail(TIMED_OUT, "waited past its deadline"),
        module: || core(POLL, &format!("{SLEEP} unreachable"), ""),
    },
    Case {
        name: "sleep-often",
        does: "sleeps for a millisecond, for ever",
        must: Must::Fail(TIMED_OUT, ""),
        module: || {
            core(
                POLL,
                "(i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const 1000000)) \
             (loop $more (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160))) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "exit-well",
        does: "leaves the process with 0, as programs do",
        must: Must::Fail(ERROR, "exit"),
        module: || core(EXIT, "(call $exit (i32.const 0)) unreachable", ""),
    },
    Case {
        name: "exit-badly",
        does: "leaves the process with 1",
        must: Must::Fail(ERROR, "exit"),
        module: || core(EXIT, "(call $exit (i32.const 1)) unreachable", ""),
    },
    Case {
        name: "wasi-random-flood",
        does: "asks WASI for 8 MiB of random bytes at once",
        must: Must::Fail(ERROR, "random"),
        module: || {
            core(
                RANDOM,
                "(drop (memory.grow (i32.const 128))) (drop (call $random (i32.const 0) (i32.const 8388608))) unreachable",
                "",
            )
        },
    },
    Case {
        name: "pollables-leak",
        does: "makes sleeps and drops none of them",
        must: Must::Fail(ERROR, "table"),
        module: || {
            importing(
                POLLABLES,
                &[SUBSCRIBE],
                "(loop $more (drop (call $subscribe (i64.const 1000000000000))) (br $more)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "pollables-wait",
        does: "waits for 500 sleeps of an hour at once",
        must: Must::Fail(TIMED_OUT, "waited past its deadline"),
        module: || {
            importing(
                POLLABLES,
                &[SUBSCRIBE, WAIT],
                "(local $i i32) (loop $more (i32.store (i32.add (i32.const 2048) (i32.shl (local.get $i) (i32.const 2))) \
               (call $subscribe (i64.const 3600000000000))) (local.set $i (i32.add (local.get $i) (i32.const 1))) \
               (br_if $more (i32.lt_u (local.get $i) (i32.const 500)))) \
             (call $wait (i32.const 2048) (i32.const 500) (i32.const 1024)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "pollables-ready",
        does: "waits for one sleep that is over, named 200,000 times",
        must: Must::Fail(ERROR, "passed more than 1048576 bytes to the host in one call"),
        module: || {
            importing(
                POLLABLES,
                &[SUBSCRIBE, WAIT],
                "(local $i i32) (local $one i32) (local $at i32) (local.set $one (call $subscribe (i64.const 0))) \
             (local.set $at (call $alloc (i32.const 800000))) \
             (loop $more (i32.store (i32.add (local.get $at) (i32.shl (local.get $i) (i32.const 2))) (local.get $one)) \
               (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const 200000)))) \
             (call $wait (local.get $at) (i32.const 200000) (i32.const 1024)) unreachable",
                "",
            )
        },
    },
    Case {
        name: "files",
        does: "imports what opens files, makes folders, reads names",
        must: Must::BeRefused(&[
            "wasi_snapshot_preview1.path_open",
            "wasi_snapshot_preview1.path_create_directory",
            "wasi_snapshot_preview1.fd_readdir",
        ]),
        module: || {
            core(
                r#"(import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
               (import "wasi_snapshot_preview1" "path_create_directory" (func (param i32 i32 i32) (result i32)))
               (import "wasi_snapshot_preview1" "fd_readdir" (func (param i32 i32 i32 i64 i32) (result i32)))"#,
                IDENTITY,
                "",
            )
        },
    },
    Case {
        name: "sockets-of-preview1",
        does: "imports what sends and receives",
        must: Must::BeRefused(&["wasi_snapshot_preview1.sock_send", "wasi_snapshot_preview1.sock_recv"]),
        module: || {
            core(
                r#"(import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))
               (import "wasi_snapshot_preview1" "sock_recv" (func (param i32 i32 i32 i32 i32 i32) (result i32)))"#,
                IDENTITY,
                "",
            )
        },
    },
    Case {
        name: "files-sockets-http",
        does: "is a component that imports files, sockets, names and HTTP of WASI 0.2",
        must: Must::BeRefused(&[
            "wasi:filesystem/types@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:sockets/ip-name-lookup@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
        ]),
        module: || {
            assemble(
                r#"(component (import "wasi:filesystem/types@0.2.0" (instance)) (import "wasi:sockets/tcp@0.2.0" (instance))
               (import "wasi:sockets/ip-name-lookup@0.2.0" (instance)) (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#,
            )
        },
    },
    Case {
        name: "system",
        does: "imports `system` and a memory of its host",
        must: Must::BeRefused(&["env.memory", "env.system"]),
        module: || {
            assemble(
                r#"(module (import "env" "system" (func (param i32) (result i32))) (import "env" "memory" (memory 1)))"#,
            )
        },
    },
];
