//! What deploy takes and what it refuses, by name.

use wit_component::{StringEncoding, embed_component_metadata};

use super::*;
use crate::testing::{batch, guest, text};

fn deploy(bytes: &[u8]) -> Result<Component, Error> {
    componentize(bytes, &DeployLimits::default())
}

/// A core module with the component type of our world, as wit-bindgen leaves it.
fn core(text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/transform");
    let (package, _) = resolve.push_dir(dir).unwrap();
    let world = resolve.select_world(&[package], Some("transform")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// A core guest that gives every record as it is, with further imports and core items.
fn identity(imports: &str, items: &str) -> Vec<u8> {
    core(&untyped(imports, items))
}

/// The text of [`identity`], which has no component type.
fn untyped(imports: &str, items: &str) -> String {
    let template = text("component");
    let between = |from: &str, to: &str| {
        let (_, rest) = template.split_once(from).unwrap();
        format!("{from}{}", rest.split_once(to).unwrap().0)
    };
    let helpers = between("(func $alloc", ";; BODY");
    let libc = between("(memory (export", "(core instance $libc");
    let libc = libc.trim_end().strip_suffix(')').unwrap().replace("(func (export \"reset\")", "(func");
    let libc = libc.replace("(export \"realloc\")", "$realloc (export \"cabi_realloc\")");
    format!("(module {imports} {libc} {helpers} {} {items} (export \"transform\" (func $transform)))", text("identity"))
}

fn refused(bytes: &[u8]) -> Vec<String> {
    match deploy(bytes) {
        Err(Error::Imports(names)) => names,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_component_of_the_world_is_taken_as_it_is() {
    let bytes = guest("identity");
    let component = deploy(&bytes).unwrap();
    assert_eq!(component.bytes, bytes);
    assert_eq!(component.imports, [abi::CLOCK, abi::LOG, abi::RANDOM, abi::SETTINGS]);
}

#[test]
fn a_core_module_is_wrapped_and_runs() {
    let component = deploy(&identity("", "")).unwrap();
    assert!(component.imports.is_empty());
    let function = crate::testing::function(&component.bytes, crate::Limits::default());
    assert_eq!(function.call(&batch(&["a", "b"])).output.unwrap().payload, b"ab");
}

#[test]
fn a_core_module_without_a_component_type_has_that_of_the_world_it_exports() {
    let module = |imports: &str, items: &str| wat::parse_str(untyped(imports, items)).unwrap();
    let component = deploy(&module("", "")).unwrap();
    assert_eq!((component.world, component.imports.len()), (World::Transform, 0));
    let function = crate::testing::function(&component.bytes, crate::Limits::default());
    assert_eq!(function.call(&batch(&["a", "b"])).output.unwrap().payload, b"ab");

    let answer = r#"(func (export "handle") (param i32 i32) (result i32) unreachable)"#;
    let handler = format!(
        r#"(module (memory (export "memory") 1) {answer}
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#
    );
    assert_eq!(deploy(&wat::parse_str(handler).unwrap()).unwrap().world, World::Handler);
    let both = deploy(&module("", answer)).unwrap_err().to_string();
    assert!(both.contains("it exports both"), "{both}");
    let other = wat::parse_str(r#"(module (func (export "transform") (param i32)))"#).unwrap();
    assert!(matches!(deploy(&other), Err(Error::World(_) | Error::NotWasm(_))));
    let constant = wat::parse_str(r#"(module (global (export "handle") i32 (i32.const 0)))"#).unwrap();
    assert!(deploy(&constant).unwrap_err().to_string().contains("not a function"));
}

#[test]
fn what_can_be_granted_is_refused_without_a_grant_however_it_is_typed() {
    let import = r#"(import "millrace:transform/key-value@0.1.0" "delete" (func (param i32 i32 i32)))"#;
    let module = wat::parse_str(untyped(import, "")).unwrap();
    assert_eq!(refused(&module), [abi::KEY_VALUE]);
    let grants = Grants { key_value: true, ..Grants::default() };
    let component = componentize(&module, &DeployLimits { grants, ..DeployLimits::default() }).unwrap();
    assert_eq!(component.imports, [abi::KEY_VALUE]);
}

#[test]
fn asking_which_directories_are_open_is_no_power() {
    let module = identity(
        r#"(import "wasi_snapshot_preview1" "fd_prestat_get" (func $get (param i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))"#,
        // Descriptor 3 would be the first directory: EBADF (8) says that there is none.
        r#"(func (export "_initialize")
             (if (i32.ne (call $get (i32.const 3) (i32.const 64)) (i32.const 8)) (then unreachable))
             (if (i32.ne (call $name (i32.const 3) (i32.const 64) (i32.const 1)) (i32.const 8)) (then unreachable)))"#,
    );
    let function = crate::testing::function(&deploy(&module).unwrap().bytes, crate::Limits::default());
    assert_eq!(function.call(&batch(&["a"])).output.unwrap().payload, b"a");
}

#[test]
fn a_preview1_module_is_adapted_and_runs() {
    let module = identity(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
           (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#,
        r#"(func (export "_initialize")
             (if (call $time (i32.const 0) (i64.const 1) (i32.const 64)) (then unreachable))
             (if (i64.eqz (i64.load (i32.const 64))) (then unreachable))
             (if (call $random (i32.const 72) (i32.const 8)) (then unreachable))
             (i32.store (i32.const 80) (i32.const 72))
             (i32.store (i32.const 84) (i32.const 8))
             (if (call $write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 88)) (then unreachable)))"#,
    );
    let component = deploy(&module).unwrap();
    assert_eq!(component.imports.len(), 3);
    assert!(component.imports.contains(&"wasi_snapshot_preview1.fd_write".to_owned()));
    let function = crate::testing::function(&component.bytes, crate::Limits::default());
    assert_eq!(function.call(&batch(&["a", "b"])).output.unwrap().payload, b"ab");
}

#[test]
fn a_sleep_ends_at_the_deadline() {
    // poll_oneoff of one relative clock subscription of an hour.
    let module = identity(
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#,
        r#"(func (export "_initialize")
             (i32.store (i32.const 80) (i32.const 1))
             (i64.store (i32.const 88) (i64.const 3600000000000))
             (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160))))"#,
    );
    let component = deploy(&module).unwrap();
    let host = crate::testing::host();
    // The probe at load has the default deadline of 5 s.
    match host.load_component(&component.bytes) {
        Err(Error::Start(text)) => assert!(text.contains("deadline"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ungranted_imports_are_all_named() {
    let module = identity(
        r#"(import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "fd_readdir" (func (param i32 i32 i32 i64 i32) (result i32)))
           (import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
           (import "env" "system" (func (param i32) (result i32)))"#,
        "",
    );
    assert_eq!(
        refused(&module),
        [
            "env.system",
            "wasi_snapshot_preview1.fd_readdir",
            "wasi_snapshot_preview1.path_open",
            "wasi_snapshot_preview1.sock_send",
        ]
    );
    let component = r#"(component
        (import "wasi:filesystem/types@0.2.0" (instance))
        (import "wasi:sockets/tcp@0.2.0" (instance))
        (import "wasi:http/outgoing-handler@0.2.0" (instance))
        (import "wasi:clocks/wall-clock@0.2.0" (instance))
        (import "do-anything" (func)))"#;
    assert_eq!(
        refused(&wat::parse_str(component).unwrap()),
        ["do-anything", "wasi:filesystem/types@0.2.0", "wasi:http/outgoing-handler@0.2.0", "wasi:sockets/tcp@0.2.0",]
    );
    let bare = wat::parse_str(r#"(module (import "env" "memory" (memory 1)))"#).unwrap();
    assert_eq!(refused(&bare), ["env.memory"]);
}

#[test]
fn what_is_no_function_is_refused_in_words() {
    let error = |bytes: &[u8]| deploy(bytes).unwrap_err().to_string();
    assert!(error(b"").contains("not a WebAssembly"));
    assert!(error(b"\0asm\x01\0\0").contains("not a WebAssembly"));
    assert!(error(b"#!/bin/sh").contains("not a WebAssembly"));
    assert!(error(&wat::parse_str("(module)").unwrap()).contains("no component type"));
    assert!(error(&wat::parse_str("(component)").unwrap()).contains("it exports nothing"));
    assert!(error(&core("(module)")).contains("transform"), "{}", error(&core("(module)")));
    let large = componentize(&guest("identity"), &DeployLimits { module_bytes_max: 100, ..DeployLimits::default() });
    assert!(matches!(large, Err(Error::TooLarge { max: 100, .. })));
}

#[test]
fn cut_short_modules_are_refused() {
    let bytes = guest("identity");
    for at in (0..bytes.len()).step_by(7) {
        assert!(deploy(&bytes[..at]).is_err(), "cut at {at}");
    }
    // Only what says nothing that is needed may be missing: names, and the component type.
    let bytes = identity("", "");
    for at in (0..bytes.len()).step_by(7) {
        if let Ok(component) = deploy(&bytes[..at]) {
            let function = crate::testing::function(&component.bytes, crate::Limits::default());
            assert_eq!(function.call(&batch(&["a", "b"])).output.unwrap().payload, b"ab", "cut at {at}");
        }
    }
}
