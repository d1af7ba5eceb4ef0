//! Canaries between tenants: one function fills all that it can write, another looks whether anything of it is left
//! where it begins. The pools are so small that both must get the same slots.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_transform::{CallError, Function, Host, HostSettings, Limits, Module, NoLog};
use millrace_types::{Batch, BatchBuilder, MIB, SystemClock, SystemEntropy};

use crate::guests::{IDENTITY, guest};

/// Times that one function fills and another looks.
const ALTERNATIONS: usize = 1_000;
/// Tables of each function in a pool for one instance: nearly all that the pool has.
const TABLES: usize = 48;
/// Tables of each in a pool for two: two have nearly all.
const TABLES_OF_TWO: usize = 28;
/// Entries of each.
const ENTRIES: usize = 500;
/// Globals of each function.
const GLOBALS: usize = 64;
/// Pages that each of its three memories has, or grows to.
const PAGES: usize = 48;
/// The marked byte.
const MARK: u8 = 0xc5;

/// How a function comes to its memory.
#[derive(Debug, Clone, Copy)]
enum Memory {
    /// It begins with all of it.
    Born,
    /// It begins with a page and grows to all of it.
    Grown,
    /// It begins with a page and grows to half of it.
    Half,
}

/// A function that on a record with `!` marks all its memory, globals and tables, and with `?` traps behind that; on
/// any other record it looks for what is not as it was born, and answers an error when there is any.
fn module(memory: Memory, tables: usize) -> Vec<u8> {
    let (born, end) = match memory {
        Memory::Born => (PAGES, PAGES),
        Memory::Grown => (1, PAGES),
        Memory::Half => (1, PAGES / 2),
    };
    let lines = |line: &dyn Fn(usize) -> String, count: usize| (0..count).map(line).collect::<String>();
    // The frame's memory has two pages; the batch and the answer lie in the second.
    let prepare = format!(
        "(drop (memory.grow 0 (i32.const {0}))) (drop (memory.grow 1 (i32.const {1}))) (drop (memory.grow 2 (i32.const {1}))) {2}",
        end.saturating_sub(2),
        end - born,
        lines(&|t| format!("(drop (table.grow {t} (ref.null func) (i32.const {})))", ENTRIES / 2), tables)
    );
    let mark = format!(
        "(memory.fill 0 (i32.const 1056) (i32.const {MARK}) (i32.const 64480)) \
         (memory.fill 0 (i32.const 131072) (i32.const {MARK}) (i32.const {0})) \
         (memory.fill 1 (i32.const 0) (i32.const {MARK}) (i32.const {1})) \
         (memory.fill 2 (i32.const 0) (i32.const {MARK}) (i32.const {1})) {2} {3}",
        (end - 2) << 16,
        end << 16,
        lines(&|g| format!("(global.set $g{g} (i64.const -1))"), GLOBALS),
        lines(&|t| format!("(table.fill {t} (i32.const 0) (ref.func $transform) (i32.const {ENTRIES}))"), tables),
    );
    let look = format!(
        "(local.set $found (i32.or \
           (i32.or (call $marks0 (i32.const 1056) (i32.const 65536)) (call $marks0 (call $alloc (i32.const 8)) (i32.const {0}))) \
           (i32.or (call $marks1 (i32.const 0) (i32.const {0})) (call $marks2 (i32.const 0) (i32.const {0}))))) {1} {2}",
        end << 16,
        lines(
            &|g| format!("(local.set $found (i32.or (local.get $found) (i64.ne (global.get $g{g}) (i64.const 0))))"),
            GLOBALS
        ),
        lines(&|t| format!("(local.set $found (i32.or (local.get $found) (call $entries{t})))"), tables),
    );
    let has = |letter: u8| format!("(call $has (local.get $payload) (local.get $bytes) (i32.const {letter}))");
    let code = format!(
        "(local $found i32) \
         (if (i32.and (i32.eqz {bang}) (i32.eqz {question})) (then {prepare_and_look} \
            (if (local.get $found) (then (return (call $error (i32.const 1024) (i32.const 13)))))) \
          (else {prepare} {mark} (if {question} (then unreachable)))) {IDENTITY}",
        bang = has(b'!'),
        question = has(b'?'),
        prepare_and_look = format!("{prepare} {look}"),
    );
    let items = format!(
        "(memory {born}) (memory {born}) (data (i32.const 1024) \"found a mark!\") (elem declare func $transform) {} {} {} {}",
        lines(&|g| format!("(global $g{g} (mut i64) (i64.const 0))"), GLOBALS),
        lines(&|_| format!("(table {} funcref)", ENTRIES - ENTRIES / 2), tables),
        lines(&entries, tables),
        lines(&marks, 3),
    );
    guest(&code, &items)
}

/// 1 when memory `memory` has anything between two addresses.
fn marks(memory: usize) -> String {
    format!(
        "(func $marks{memory} (param $at i32) (param $end i32) (result i32) \
           (loop $next (if (i64.ne (i64.load {memory} (local.get $at)) (i64.const 0)) (then (return (i32.const 1)))) \
             (local.set $at (i32.add (local.get $at) (i32.const 8))) \
             (br_if $next (i32.lt_u (i32.add (local.get $at) (i32.const 7)) (local.get $end)))) (i32.const 0))"
    )
}

/// 1 when table `table` has an entry.
fn entries(table: usize) -> String {
    format!(
        "(func $entries{table} (result i32) (local $at i32) \
           (loop $next (if (i32.eqz (ref.is_null (table.get {table} (local.get $at)))) (then (return (i32.const 1)))) \
             (local.set $at (i32.add (local.get $at) (i32.const 1))) \
             (br_if $next (i32.lt_u (local.get $at) (table.size {table})))) (i32.const 0))"
    )
}

fn batch(record: &str) -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(record.as_bytes(), 1_700_000_000_000).expect("a record");
    builder.finish()
}

/// A host whose pool has room for one instance, and for `warm_max` that are kept.
fn host(warm_max: u32) -> Arc<Host> {
    let settings = HostSettings { calls_max: 1, warm_max, keep_resident_bytes: MIB, ..HostSettings::default() };
    Host::new(&settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).expect("a host")
}

fn function(module: &Arc<Module>, warm: bool) -> Function {
    let limits = Limits { warm_batches_max: if warm { u32::MAX } else { 0 }, ..Limits::default() };
    Function::new(Arc::clone(module), BTreeMap::new(), limits, Arc::new(NoLog))
}

/// Marks everything; `how` is `!`, or `?` to end with a trap.
fn fill(function: &Function, how: &str) {
    let output = function.call(&batch(how)).output;
    let as_it_must = if how == "!" { output.is_ok() } else { matches!(output, Err(CallError::Trap { .. })) };
    assert!(as_it_must, "{how}: {output:?}");
}

/// Whether a mark was found.
fn finds(function: &Function) -> bool {
    match function.call(&batch("look")).output {
        Ok(_) => false,
        Err(CallError::Returned(text)) if text == "found a mark!" => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_function_has_all_memories_of_the_pool_or_does_not_start() {
    // What the tests below rest on: four memories are more than a slot has, so that three are all.
    let four = guest(IDENTITY, "(memory 1) (memory 1) (memory 1)");
    assert!(host(0).load_component(&four).is_err_and(|error| error.to_string().contains("memories")));
}

#[test]
fn the_test_would_see_a_mark() {
    let host = host(1);
    for memory in [Memory::Born, Memory::Grown, Memory::Half] {
        let warm = function(&host.load_component(&module(memory, TABLES_OF_TWO)).expect("loads"), true);
        assert!(!finds(&warm));
        fill(&warm, "!");
        assert!(finds(&warm), "{memory:?}: its own mark, in an instance that is kept");
        assert!(!finds(&warm), "{memory:?}: which is dropped when it fails");
    }
}

#[test]
fn fresh_instances_find_nothing_of_other_tenants() {
    let host = host(0);
    let modules =
        [Memory::Born, Memory::Grown, Memory::Half].map(|m| host.load_component(&module(m, TABLES)).expect("loads"));
    // The same code as two tenants' functions, and other code: the pool clears a slot in other ways.
    let tenants: Vec<[Function; 2]> = modules.iter().map(|m| [function(m, false), function(m, false)]).collect();
    let hits = (0..ALTERNATIONS)
        .filter(|turn| {
            let (one, other) = (turn % tenants.len(), turn / tenants.len() % tenants.len());
            fill(&tenants[one][0], if turn % 7 == 0 { "?" } else { "!" });
            finds(&tenants[other][1])
        })
        .count();
    assert_eq!(hits, 0);
}

#[test]
fn slots_of_warm_instances_are_clear_when_they_go() {
    let host = host(1);
    let modules = [Memory::Born, Memory::Grown, Memory::Half]
        .map(|m| host.load_component(&module(m, TABLES_OF_TWO)).expect("loads"));
    for turn in 0..60 {
        let (one, other) = (&modules[turn % 3], &modules[turn / 3 % 3]);
        let fresh = function(other, false);
        let warm = function(one, true);
        fill(&warm, "!");
        assert!(!finds(&fresh), "beside a kept instance that is full of marks");
        drop(warm);
        // One is kept, the other is beside it: between them they have all slots of the pool.
        let kept = function(other, true);
        assert!(!finds(&kept), "behind a kept instance that was full of marks");
        assert!(!finds(&fresh), "in what is left");
    }
}
