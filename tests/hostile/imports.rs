//! Every import that links, asked of the server one by one, against the page that lists them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::MetadataCommand;
use millrace_tests::guests::tree;
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, WorldId};

use crate::guests::{assemble, embed, typed};
use crate::world::World;

/// The page.
const PAGE: &str = "docs/imports.md";
/// What stands above its rows of what needs a grant.
const GRANTED_HEADLINE: &str = "## With a grant";
/// Asks for every grant there is.
const ALL_GRANTS: &str = "?grant.key-value=true&grant.http=example.com";

/// All of WASI preview 1, with its parameters: `i` for i32, `I` for i64.
const PREVIEW1: &str = "args_get ii, args_sizes_get ii, environ_get ii, environ_sizes_get ii, clock_res_get ii, \
    clock_time_get iIi, fd_advise iIIi, fd_allocate iII, fd_close i, fd_datasync i, fd_fdstat_get ii, \
    fd_fdstat_set_flags ii, fd_fdstat_set_rights iII, fd_filestat_get ii, fd_filestat_set_size iI, \
    fd_filestat_set_times iIIi, fd_pread iiiIi, fd_prestat_get ii, fd_prestat_dir_name iii, fd_pwrite iiiIi, \
    fd_read iiii, fd_readdir iiiIi, fd_renumber ii, fd_seek iIii, fd_sync i, fd_tell ii, fd_write iiii, \
    path_create_directory iii, path_filestat_get iiiii, path_filestat_set_times iiiiIIi, path_link iiiiiii, \
    path_open iiiiiIIii, path_readlink iiiiii, path_remove_directory iii, path_rename iiiiii, path_symlink iiiii, \
    path_unlink_file iii, poll_oneoff iiii, proc_exit i, proc_raise i, sched_yield -, random_get ii, \
    sock_accept iii, sock_recv iiiiii, sock_send iiiii, sock_shutdown ii";

/// An import: interface without its version, and function.
type Name = (String, String);

/// WASI 0.2 as the engine knows it, and our own package, in one world that imports every interface.
fn everything() -> (Resolve, WorldId) {
    let manifest = tree().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata answers");
    let wasi =
        metadata.packages.iter().find(|package| package.name.as_str() == "wasmtime-wasi").expect("wasmtime-wasi");
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    resolve.push_dir(wasi.manifest_path.with_file_name("src/p2/wit")).expect("the interfaces of WASI");
    resolve.push_dir(tree().join("wit/transform")).expect("our interfaces");
    let imports: String = resolve
        .interfaces
        .iter()
        .filter_map(|(id, _)| resolve.id_of(id))
        .filter(|id| !id.starts_with("wasmtime:"))
        .map(|id| format!("import {id};\n"))
        .collect();
    let world = format!(
        "package millrace-test:imports;\nworld probe {{ {imports} use millrace:transform/types@0.1.0.{{batch, output}};\n\
         export transform: func(batch: batch) -> result<output, string>; }}"
    );
    let package = resolve.push_str("probe.wit", &world).expect("a world of everything");
    let world = resolve.select_world(&[package], None).expect("the world");
    (resolve, world)
}

/// A core module that imports one function and is a `transform` otherwise.
fn probe(interface: &str, function: &str, signature: &str) -> Vec<u8> {
    assemble(&format!(
        "(module (import \"{interface}\" \"{function}\" (func {signature})) (memory (export \"memory\") 1) \
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable) \
           (func (export \"transform\") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32) unreachable))"
    ))
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let names = |types: &[WasmType]| {
        let name = |ty: &WasmType| match ty {
            WasmType::I64 | WasmType::PointerOrI64 => "i64 ",
            WasmType::F32 => "f32 ",
            WasmType::F64 => "f64 ",
            WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32 ",
        };
        types.iter().map(name).collect::<String>()
    };
    format!("(param {}) (result {})", names(&signature.params), names(&signature.results))
}

/// A module for each function that could be imported, by its name.
fn candidates() -> BTreeMap<Name, Vec<u8>> {
    let (resolve, world) = everything();
    let mut candidates = BTreeMap::new();
    for (id, interface) in resolve.interfaces.iter() {
        let Some(name) = resolve.id_of(id) else { continue };
        let bare = name.split('@').next().unwrap_or_default().to_owned();
        for (function, definition) in &interface.functions {
            let module = probe(&name, function, &signature(&resolve, definition));
            candidates.insert((bare.clone(), function.clone()), embed(&module, &resolve, world));
        }
    }
    for line in PREVIEW1.split(", ") {
        let (function, parameters) = line.trim().split_once(' ').expect("a name and parameters");
        let parameters: String = parameters.chars().map(|c| if c == 'I' { "i64 " } else { "i32 " }).collect();
        let parameters = if line.ends_with('-') { String::new() } else { parameters };
        let result = if function == "proc_exit" { "" } else { "i32" };
        let module = probe("wasi_snapshot_preview1", function, &format!("(param {parameters}) (result {result})"));
        candidates.insert(("wasi_snapshot_preview1".to_owned(), function.to_owned()), typed(&module, "transform"));
    }
    candidates
}

/// The rows of the page: without a grant, with one.
fn listed() -> (BTreeSet<Name>, BTreeSet<Name>) {
    let page = std::fs::read_to_string(tree().join(PAGE)).expect("the page");
    let rows = |text: &str| {
        let mut names = BTreeSet::new();
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, interface, function, reach, _] = cells[..] else { panic!("{PAGE}: {line}") };
            assert!(!reach.is_empty(), "{PAGE}: what can it reach? {line}");
            let name = (interface.trim_matches('`').to_owned(), function.trim_matches('`').to_owned());
            assert!(names.insert(name), "{PAGE}: twice: {line}");
        }
        names
    };
    let (without, with) = page.split_once(GRANTED_HEADLINE).expect("the headline of what needs a grant");
    (rows(without), rows(with))
}

/// Holds what links against what is listed.
fn compare(what: &str, links: &BTreeSet<Name>, listed: &BTreeSet<Name>) {
    let lines = |names: Vec<&Name>| names.iter().map(|(i, f)| format!("\n| `{i}` | `{f}` | |")).collect::<String>();
    let missing = lines(links.difference(listed).collect());
    let gone = lines(listed.difference(links).collect());
    assert!(
        missing.is_empty() && gone.is_empty(),
        "{PAGE}, {what}: missing:{missing}\nlisted, but does not link:{gone}"
    );
}

#[tokio::test]
async fn the_page_lists_every_import_that_links() -> anyhow::Result<()> {
    let world = World::start().await?;
    let plain = world.plain();
    let (mut free, mut granted) = (BTreeSet::new(), BTreeSet::new());
    for (name, module) in candidates() {
        let headers = [("content-type", "application/wasm")];
        let answer = plain.send("PUT", "/v1/functions/probe", &headers, module.clone()).await?;
        if answer.status == 200 {
            free.insert(name);
            continue;
        }
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text());
        assert!(answer.text().contains(&name.0), "the import is not named: {name:?}: {}", answer.text());
        let path = format!("/v1/functions/probe{ALL_GRANTS}");
        if plain.send("PUT", &path, &headers, module).await?.status == 200 {
            granted.insert(name);
        }
    }
    let (listed_free, listed_granted) = listed();
    compare("without a grant", &free, &listed_free);
    compare("with a grant", &granted, &listed_granted);
    Ok(())
}
