//! Rules about fuzz targets: every function of a crate's module `fuzz` is driven by its unit test, and
//! is a target in `tests/fuzz/`; no target is left without its function.

use std::collections::BTreeSet;
use std::path::Path;

use crate::assert_clean;

/// What a crate's `fuzz.rs` offers: the names of its public targets.
fn offered(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split_once("(data: &[u8])"));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// `krate` as it is imported; `text` its `fuzz.rs`; `targets` are file name and text of each target.
fn complaints(krate: &str, text: &str, manifest: &str, targets: &[(String, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let offered = offered(text);
    for name in &offered {
        if !text.contains(&format!("\"{name}\"")) {
            complaints.push(format!("{krate}::fuzz::{name} is not in its list of targets"));
        }
        let call = format!("{krate}::fuzz::{name}(data)");
        let there = targets.iter().any(|(file, text)| *file == format!("{name}.rs") && text.contains(&call));
        if !there || !manifest.contains(&format!("path = \"targets/{name}.rs\"")) {
            complaints.push(format!("tests/fuzz has no target {name} that calls {krate}::fuzz::{name}"));
        }
    }
    let called = targets.iter().filter_map(|(_, text)| text.split(&format!("|data: &[u8]| {krate}::fuzz::")).nth(1));
    let called = called.filter_map(|rest| rest.split('(').next());
    complaints.extend(
        called
            .filter(|name| !offered.contains(*name))
            .map(|name| format!("tests/fuzz calls {krate}::fuzz::{name}, which is not there")),
    );
    complaints
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file of the tree")
}

#[test]
fn every_decoder_s_target_is_a_target_of_the_fuzzer() {
    let tree = millrace_tests::guests::tree();
    let fuzz = tree.join("tests/fuzz");
    let manifest = read(&fuzz.join("Cargo.toml"));
    let entries = std::fs::read_dir(fuzz.join("targets")).expect("targets").flatten();
    let targets: Vec<(String, String)> =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path()))).collect();
    let mut found = Vec::new();
    let mut crates = 0;
    for folder in ["runtime", "sinks"] {
        for dir in std::fs::read_dir(tree.join(folder)).expect("crates").flatten() {
            let (file, lib) = (dir.path().join("src/fuzz.rs"), dir.path().join("src/lib.rs"));
            // The server is a binary: nothing can link its targets.
            if file.is_file() && lib.is_file() {
                let krate = format!("millrace_{}", dir.file_name().to_string_lossy());
                found.extend(complaints(&krate, &read(&file), &manifest, &targets));
                crates += 1;
            }
        }
    }
    assert!(crates >= 9, "the modules are found");
    assert_clean(&found);
}

#[test]
fn planted_gaps_are_caught() {
    let target = |name: &str, call: &str| {
        (format!("{name}.rs"), format!("libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_x::fuzz::{call}(data));"))
    };
    let manifest = "path = \"targets/a.rs\"\npath = \"targets/b.rs\"\n";
    let text = "pub fn a(data: &[u8]) {\npub fn b(data: &[u8]) {\n(\"a\", \"b\")";
    let all = [target("a", "a"), target("b", "b")];
    assert_clean(&complaints("millrace_x", text, manifest, &all));
    assert_eq!(complaints("millrace_x", text, manifest, &all[..1]).len(), 1, "no target");
    assert_eq!(complaints("millrace_x", text, "path = \"targets/a.rs\"", &all).len(), 1, "no binary");
    assert_eq!(complaints("millrace_x", &text.replace("\"b\"", ""), manifest, &all).len(), 1, "not driven");
    assert_eq!(complaints("millrace_x", text, manifest, &[target("a", "a"), target("b", "c")]).len(), 2, "another");
}
