//! What deploy takes and what it refuses, by name.

use wit_component::{StringEncoding, embed_component_metadata};

use super::*;
use crate::testing::{batch, guest, text};

fn deploy(bytes: &[u8]) -> Result<Component, Error> {
    componentize(bytes, &DeployLimits::default())
}

/// A core module with the component type of our world, as wit-bindgen leaves it.
fn core(text: &str) -> Vec<u8> {
    core_of("transform", text)
}

fn core_of(world: &str, text: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/transform");
    let (package, _) = resolve.push_dir(dir).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(text).unwrap();
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
fn calls_of_wasi_count_as_calls_of_the_host() {
    let module = identity(
        r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#,
        r#"(func (export "_initialize") (local $i i32)
             (loop $again
               (drop (call $random (i32.const 72) (i32.const 8)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 100)))))"#,
    );
    let component = deploy(&module).unwrap();
    let call = |host_calls_max| {
        let limits = crate::Limits { host_calls_max, ..crate::Limits::default() };
        crate::testing::function(&component.bytes, limits).call(&batch(&["a"])).output
    };
    assert!(call(200).is_ok());
    assert_eq!(call(99).unwrap_err(), crate::CallError::HostCalls { max: 99 });
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

/// Why a component in WAT is of no world.
fn no_world(component: &str) -> String {
    match deploy(&wat::parse_str(component).unwrap()) {
        Err(error @ Error::World(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A component with these imports and exports. What it exports is a function that does nothing.
fn exporting(imports: &str, exports: &str) -> String {
    format!(
        r#"(component {imports}
             (core module $m (func (export "f")))
             (core instance $m (instantiate $m))
             (func $f (canon lift (core func $m "f")))
             (instance $i (export "handle" (func $f)))
             {exports})"#
    )
}

#[test]
fn a_handler_is_of_its_world() {
    let bytes = wat::parse_str(text("handler")).unwrap();
    let grants = Grants { http_hosts: vec!["api.example.com".into()], key_value: true };
    let component = componentize(&bytes, &DeployLimits { grants, ..DeployLimits::default() }).unwrap();
    assert_eq!(component.world, World::Handler);
    assert_eq!(component.imports, [abi::HTTP, abi::INVOCATION, abi::KEY_VALUE, abi::LOG, abi::SETTINGS]);
    for world in [World::Transform, World::Handler] {
        assert_eq!(World::of_name(world.name()), Some(world));
    }
    assert_eq!(World::of_name("handle"), None);
}

#[test]
fn a_core_module_of_the_handlers_world_is_wrapped_and_runs() {
    let module = core_of(
        "handler",
        r#"(module
             (memory (export "memory") 1)
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
             (func (export "handle") (param i32 i32) (result i32)
               (i32.store offset=1028 (i32.const 0) (local.get 0))
               (i32.store offset=1032 (i32.const 0) (local.get 1))
               (i32.const 1024)))"#,
    );
    let component = deploy(&module).unwrap();
    assert_eq!(component.world, World::Handler);
    let function = crate::testing::function(&component.bytes, crate::Limits::default());
    assert_eq!(function.handle(b"echo", &crate::CallContext::default()).output.unwrap(), b"echo");
}

#[test]
fn grants_allow_their_interfaces_and_nothing_else() {
    let bytes = wat::parse_str(text("handler")).unwrap();
    let hosts = vec!["api.example.com".to_owned()];
    let (http, key_value) = (abi::HTTP.to_owned(), abi::KEY_VALUE.to_owned());
    for (grants, refused, words) in [
        (Grants::default(), vec![http.clone(), key_value.clone()], "`http = [\"HOST\"]` and `key_value = true`"),
        (
            Grants { http_hosts: hosts.clone(), key_value: false },
            vec![key_value],
            "`key_value = true` under `[grants]`",
        ),
        (Grants { http_hosts: Vec::new(), key_value: true }, vec![http], "`http = [\"HOST\"]` under `[grants]`"),
        (Grants { http_hosts: hosts, key_value: true }, Vec::new(), ""),
    ] {
        let granted = componentize(&bytes, &DeployLimits { grants: grants.clone(), ..DeployLimits::default() });
        let all = [abi::LOG, abi::HTTP, abi::SETTINGS, abi::KEY_VALUE].map(str::to_owned);
        if refused.is_empty() {
            assert!(granted.is_ok() && grants.judge(&all).is_ok());
            continue;
        }
        let error = granted.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let Error::Imports(names) = error else { panic!("{error:?}") };
        assert_eq!(names, refused);
        assert!(matches!(grants.judge(&all), Err(Error::Imports(names)) if names == refused));
    }
    let error = deploy(&wat::parse_str(r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#).unwrap());
    assert!(!error.unwrap_err().to_string().contains("[grants]"), "no grant allows this");
}

#[test]
fn other_worlds_are_refused_in_one_sentence() {
    let both = exporting("", r#"(export "transform" (func $f)) (export "handle" (func $f))"#);
    let says = |component: &str, words: &str| {
        let refusal = no_world(component);
        assert!(refusal.contains(words), "`{refusal}` does not say `{words}`");
        assert!(refusal.contains("`transform` (world transform) or `handle` (world handler)"), "{refusal}");
    };
    says(&both, "it exports both");
    says(&exporting("", r#"(export "run" (func $f)) (export "stop" (func $f))"#), "it exports run, stop");
    says(&exporting("", r#"(export "handle" (instance $i))"#), "the export is not a function");
    let proxy = exporting(
        r#"(import "wasi:http/types@0.2.3" (instance))"#,
        r#"(export "wasi:http/incoming-handler@0.2.3" (instance $i))"#,
    );
    says(&proxy, "wasi:http/proxy");
    says(&exporting("", r#"(export "wasi:cli/run@0.2.0" (instance $i))"#), "wasi:cli/command");
    let handle = r#"(export "handle" (func $f))"#;
    for other in ["millrace:transform/log@0.2.0", "millrace:transform/log", "millrace:other/log@0.1.0"] {
        let component = exporting(&format!(r#"(import "{other}" (instance))"#), handle);
        says(&component, &format!("it is built for `{other}`"));
    }
    let third = exporting(r#"(import "wasi:clocks/monotonic-clock@0.3.0" (instance))"#, handle);
    says(&third, "`wasi:clocks/monotonic-clock@0.3.0`");
    let second = exporting(r#"(import "wasi:clocks/monotonic-clock@0.2.7" (instance))"#, handle);
    assert_eq!(deploy(&wat::parse_str(second).unwrap()).unwrap().world, World::Handler);
    let asynchronous = r#"(component
        (core module $m (func (export "f") (result i32) unreachable) (func (export "c") (param i32 i32 i32) (result i32) unreachable))
        (core instance $m (instantiate $m))
        (func (export "handle") async (canon lift (core func $m "f") async (callback (core func $m "c")))))"#;
    says(asynchronous, "asynchronous functions (WASI 0.3)");
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
