//! Rules about crates: the layer table of the design, who may wrap a heavy dependency, lints.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::assert_clean;

/// Layer of each crate: imports go strictly downward, never sideways. A crate that is not here has
/// no layer yet and is refused.
const LAYERS: &[(&str, u8)] = &[
    ("millrace-server", 7),
    ("millrace-front", 6),
    ("millrace-console", 6),
    ("millrace-delivery", 5),
    ("millrace-streams", 5),
    ("millrace-query", 5),
    ("millrace-video", 5),
    ("millrace-functions", 4),
    ("millrace-transform", 3),
    ("millrace-catalog", 3),
    ("millrace-log", 2),
    ("millrace-encode", 2),
    ("millrace-auth", 2),
    ("millrace-sink", 2),
    ("millrace-outbound", 2),
    ("millrace-tasks", 1),
    ("millrace-types", 0),
];
/// What a crate of `sinks/` sees; only the server sees it.
const SEEN_BY_SINKS: &[&str] = &["millrace-sink", "millrace-types"];
/// The harness sees everything and is seen by nobody.
const HARNESS: &str = "millrace-tests";
const SERVER: &str = "millrace-server";

/// Heavy crates and the crates of ours that may name them. The harness may speak HTTP and decode
/// Parquet with the same libraries; the server's client commands do as well. A test double of another
/// crate may (development dependencies are not held to this).
const WRAPPERS: &[(&str, &[&str])] = &[
    ("wasmtime", &["millrace-transform"]),
    ("wasmtime-wasi", &["millrace-transform"]),
    ("datafusion", &["millrace-query"]),
    ("redb", &["millrace-catalog"]),
    ("object_store", &["millrace-object"]),
    ("parquet", &["millrace-encode", SERVER, HARNESS]),
    ("hyper", &["millrace-front", "millrace-outbound", SERVER, HARNESS]),
    ("hyper-util", &["millrace-front", "millrace-outbound", SERVER, HARNESS]),
];

/// A crate and what it names, whatever the kind of the dependency.
struct Crate {
    name: String,
    folder: String,
    dependencies: Vec<String>,
    /// Those of them that it is built with, not only tested.
    built_with: Vec<String>,
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

fn layer_complaints(crates: &[Crate]) -> Vec<String> {
    let sinks: Vec<&str> = crates.iter().filter(|c| c.folder.starts_with("sinks/")).map(|c| c.name.as_str()).collect();
    let mut complaints = Vec::new();
    for krate in crates {
        let name = krate.name.as_str();
        let is_sink = sinks.contains(&name);
        if !is_sink && name != HARNESS && layer(name).is_none() {
            complaints.push(format!("{name} is not in the layer table"));
        }
        for used in krate.dependencies.iter().map(String::as_str).filter(|d| d.starts_with("millrace-")) {
            let allowed = if used == name || name == HARNESS {
                true
            } else if is_sink {
                SEEN_BY_SINKS.contains(&used)
            } else if sinks.contains(&used) {
                name == SERVER
            } else {
                matches!((layer(name), layer(used)), (Some(own), Some(other)) if other < own)
            };
            if !allowed {
                complaints.push(format!("{name} must not import {used}: imports go strictly downward"));
            }
        }
    }
    complaints
}

fn wrapper_complaints(crates: &[Crate]) -> Vec<String> {
    let mut complaints = Vec::new();
    for krate in crates {
        for (heavy, wrappers) in WRAPPERS {
            if krate.built_with.iter().any(|d| d == heavy) && !wrappers.contains(&krate.name.as_str()) {
                complaints.push(format!("{} must not name {heavy}: only {} may", krate.name, wrappers.join(", ")));
            }
        }
    }
    complaints
}

/// `manifest` is the text of a crate's `Cargo.toml`.
fn manifest_complaints(name: &str, folder: &str, manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let inherits = manifest.contains("[lints]\nworkspace = true") || manifest.contains("lints.workspace = true");
    if !inherits {
        complaints.push(format!("{name}: `lints.workspace = true` is missing"));
    }
    for key in ["edition", "rust-version", "license", "publish", "version"] {
        if !manifest.contains(&format!("{key}.workspace = true")) {
            complaints.push(format!("{name}: `{key}.workspace = true` is missing"));
        }
    }
    let last = folder.rsplit('/').next().unwrap_or(folder);
    if name != format!("millrace-{last}") {
        complaints.push(format!("{name} lies in {folder}: a crate is called millrace-<folder>"));
    }
    complaints
}

/// Lints that the workspace must have, as they stand in its `Cargo.toml`; and settings of `.clippy.toml`.
fn lint_complaints(workspace: &str, clippy: &str) -> Vec<String> {
    const LINTS: &[&str] = &[
        "unsafe_code = \"deny\"",
        "too_many_lines",
        "unwrap_used",
        "await_holding_lock = \"deny\"",
        "allow_attributes_without_reason",
        "todo = \"deny\"",
        "unimplemented = \"deny\"",
        "disallowed_methods = \"deny\"",
        "disallowed_types = \"deny\"",
        "self_named_module_files = \"deny\"",
    ];
    const SETTINGS: &[&str] = &["too-many-lines-threshold = 70", "std::time::SystemTime::now", "tokio::spawn"];
    let absent = |text: &str, wanted: &[&str], file: &str| -> Vec<String> {
        wanted.iter().filter(|w| !text.contains(**w)).map(|w| format!("{file} lacks {w}")).collect()
    };
    let mut complaints = absent(workspace, LINTS, "Cargo.toml");
    complaints.extend(absent(clippy, SETTINGS, ".clippy.toml"));
    complaints
}

fn workspace() -> Metadata {
    let manifest = millrace_tests::guests::tree().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata answers")
}

fn crates(metadata: &Metadata) -> Vec<Crate> {
    let root = metadata.workspace_root.as_str();
    metadata
        .packages
        .iter()
        .map(|package| Crate {
            name: package.name.to_string(),
            folder: package
                .manifest_path
                .parent()
                .map_or(String::new(), |dir| dir.as_str().trim_start_matches(root).trim_start_matches('/').to_owned()),
            dependencies: package.dependencies.iter().map(|d| d.name.clone()).collect(),
            built_with: package
                .dependencies
                .iter()
                .filter(|d| d.kind != DependencyKind::Development)
                .map(|d| d.name.clone())
                .collect(),
        })
        .collect()
}

#[test]
fn imports_go_strictly_downward() {
    assert_clean(&layer_complaints(&crates(&workspace())));
}

#[test]
fn heavy_crates_have_one_wrapper() {
    assert_clean(&wrapper_complaints(&crates(&workspace())));
}

#[test]
fn every_crate_takes_lints_and_package_facts_from_the_workspace() {
    let metadata = workspace();
    let mut complaints = Vec::new();
    for (krate, package) in crates(&metadata).iter().zip(&metadata.packages) {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("manifest");
        complaints.extend(manifest_complaints(&krate.name, &krate.folder, &manifest));
    }
    assert_clean(&complaints);
}

#[test]
fn the_lints_are_on() {
    let tree = millrace_tests::guests::tree();
    let read = |name: &str| std::fs::read_to_string(tree.join(name)).expect("file of the tree");
    assert_clean(&lint_complaints(&read("Cargo.toml"), &read(".clippy.toml")));
}

fn sample(name: &str, folder: &str, dependencies: &[&str]) -> Crate {
    Crate {
        name: name.to_owned(),
        folder: folder.to_owned(),
        dependencies: dependencies.iter().map(|d| (*d).to_owned()).collect(),
        built_with: dependencies.iter().map(|d| (*d).to_owned()).collect(),
    }
}

#[test]
fn planted_imports_are_caught() {
    for (crates, word) in [
        (vec![sample("millrace-log", "runtime/log", &["millrace-delivery"])], "millrace-log must not import"),
        (vec![sample("millrace-log", "runtime/log", &["millrace-encode"])], "sideways is refused too"),
        (vec![sample("millrace-new", "runtime/new", &[])], "not in the layer table"),
        (
            vec![sample("millrace-object", "sinks/object", &["millrace-log"])],
            "a sink sees only its contract and the types",
        ),
        (
            vec![
                sample("millrace-object", "sinks/object", &["millrace-sink"]),
                sample("millrace-delivery", "runtime/delivery", &["millrace-object"]),
            ],
            "only the server names a sink",
        ),
        (vec![sample("millrace-front", "runtime/front", &["millrace-tests"])], "nobody imports the harness"),
    ] {
        assert_eq!(layer_complaints(&crates).len(), 1, "{word}");
    }
    let good = [sample("millrace-server", "runtime/server", &["millrace-front", "serde"])];
    assert_clean(&layer_complaints(&good));
}

#[test]
fn planted_wrappers_and_manifests_are_caught() {
    let bad = [sample("millrace-front", "runtime/front", &["wasmtime"])];
    assert_eq!(wrapper_complaints(&bad).len(), 1);
    assert_eq!(manifest_complaints("millrace-log", "runtime/log", "[package]\nname = \"millrace-log\"").len(), 6);
    let manifest = "version.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                    license.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";
    assert_clean(&manifest_complaints("millrace-log", "runtime/log", manifest));
    assert_eq!(manifest_complaints("millrace-lag", "runtime/log", manifest).len(), 1);
    assert!(!lint_complaints("too_many_lines = \"warn\"", "").is_empty());
}
