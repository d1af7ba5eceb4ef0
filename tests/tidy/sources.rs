//! Rules about source files: first line, length, words that must not stay, files that nobody reaches.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::assert_clean;
use crate::tree::{files, relative};

/// Lines of a file at most, tests apart.
const FILE_LINES_MAX: usize = 500;
/// Lines of a `lib.rs` at most: it is a page.
const LIB_LINES_MAX: usize = 100;

/// Whether the wall of lines holds for `path`: not for files that hold only tests or benches.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| matches!(part, "tests" | "benches" | "fixtures"))
}

fn file_complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if !text.starts_with("//! ") {
        complaints.push(format!("{path}: the first line must say what the file owns (`//! …`)"));
    }
    if lines > FILE_LINES_MAX && !is_test_file(path) {
        complaints.push(format!("{path}: {lines} lines, the wall stands at {FILE_LINES_MAX}"));
    }
    if path.ends_with("/lib.rs") && lines > LIB_LINES_MAX {
        complaints.push(format!("{path}: {lines} lines; a lib.rs is a page of at most {LIB_LINES_MAX}"));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if matches!(name, "utils.rs" | "util.rs" | "helpers.rs" | "helper.rs" | "common.rs" | "misc.rs") {
        complaints.push(format!("{path}: a file is a noun or a verb of the domain"));
    }
    for word in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!("), concat!("FIX", "ME")] {
        if text.contains(word) {
            complaints.push(format!("{path}: `{word}` must not stay"));
        }
    }
    complaints
}

/// Names of the modules that `text` declares in files of their own, with the path that `#[path]` gives.
fn declared(text: &str) -> Vec<(String, Option<String>)> {
    let mut out = Vec::new();
    let mut path = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path = rest.split('"').next().map(str::to_owned);
            continue;
        }
        let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
        let line = line.strip_prefix("pub ").unwrap_or(line);
        if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            out.push((name.to_owned(), path.take()));
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            path = None;
        }
    }
    out
}

/// Adds `file` and all modules below it. A root (`lib.rs`, `main.rs`, a test, a bench) and a
/// `mod.rs` keep their modules beside them, any other file in a folder of its own name.
fn reach(file: &Path, is_root: bool, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let Ok(text) = std::fs::read_to_string(file) else { return };
    let dir = file.parent().unwrap_or_else(|| Path::new(""));
    let home = if is_root || file.ends_with("mod.rs") { dir.to_owned() } else { file.with_extension("") };
    for (name, path) in declared(&text) {
        let candidates = match path {
            Some(path) => vec![dir.join(path)],
            None => vec![home.join(format!("{name}.rs")), home.join(&name).join("mod.rs")],
        };
        for candidate in candidates.iter().filter(|c| c.is_file()) {
            reach(candidate, false, reached);
        }
    }
}

/// Roots of compilation that cargo finds by itself in the crate at `dir`, and those its manifest names.
fn roots(dir: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> =
        ["src/lib.rs", "src/main.rs", "build.rs"].iter().map(|name| dir.join(name)).filter(|p| p.is_file()).collect();
    for folder in ["tests", "benches", "examples", "src/bin"] {
        let Ok(entries) = std::fs::read_dir(dir.join(folder)) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let main = path.join("main.rs");
            if path.extension().is_some_and(|e| e == "rs") {
                roots.push(path);
            } else if main.is_file() {
                roots.push(main);
            }
        }
    }
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
    for line in manifest.lines().filter_map(|line| line.trim().strip_prefix("path = \"")) {
        let path = dir.join(line.trim_end_matches('"'));
        if path.is_file() {
            roots.push(path);
        }
    }
    roots
}

/// `.rs` files below the crate at `dir` that no root reaches.
fn unreached(dir: &Path) -> Vec<PathBuf> {
    let mut reached = BTreeSet::new();
    for root in roots(dir) {
        reach(&root, true, &mut reached);
    }
    rust_files(dir)
        .into_iter()
        // A crate within a crate's folder has roots of its own.
        .filter(|file| nearest_crate(file).as_deref() == Some(dir) && !reached.contains(file))
        .collect()
}

fn nearest_crate(file: &Path) -> Option<PathBuf> {
    let is_crate =
        |dir: &&Path| std::fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|text| text.contains("[package]"));
    file.ancestors().skip(1).find(is_crate).map(Path::to_owned)
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    files(dir).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

#[test]
fn every_source_file_keeps_the_rules() {
    let tree = millrace_tests::guests::tree();
    let mut complaints = Vec::new();
    for path in rust_files(&tree) {
        let text = std::fs::read_to_string(&path).expect("source file");
        complaints.extend(file_complaints(&relative(&tree, &path), &text));
    }
    assert_clean(&complaints);
}

#[test]
fn every_source_file_is_reached() {
    let tree = millrace_tests::guests::tree();
    let crates: BTreeSet<PathBuf> = rust_files(&tree).iter().filter_map(|file| nearest_crate(file)).collect();
    let dead: Vec<String> = crates
        .iter()
        .flat_map(|dir| unreached(dir))
        .map(|file| format!("{}: no module declares it", relative(&tree, &file)))
        .collect();
    assert_clean(&dead);
}

#[test]
fn planted_files_are_caught() {
    let count = |path: &str, text: &str| file_complaints(path, text).len();
    assert_eq!(count("a/src/x.rs", "//! Fine.\n"), 0);
    assert_eq!(count("a/src/x.rs", "fn main() {}\n"), 1, "no first line");
    let long = format!("//! Long.\n{}", "//\n".repeat(FILE_LINES_MAX));
    assert_eq!(count("a/src/x.rs", &long), 1, "too long");
    assert_eq!(count("a/src/x/tests.rs", &long), 0, "tests may be longer");
    assert_eq!(count("a/src/lib.rs", &format!("//! Page.\n{}", "//\n".repeat(LIB_LINES_MAX))), 1);
    assert_eq!(count("a/src/utils.rs", "//! Things.\n"), 1);
    assert_eq!(count("a/src/x.rs", concat!("//! X.\nfn x() { todo", "!() }\n")), 1);
}

#[test]
fn planted_dead_files_are_caught() {
    let dir = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, text).expect("file");
    };
    write("Cargo.toml", "[package]\n[[bin]]\npath = \"tool/main.rs\"\n");
    write("src/lib.rs", "//! L\nmod a;\npub(crate) mod b;\n#[cfg(test)]\n#[path = \"odd.rs\"]\nmod c;\n// mod d;\n");
    write("src/a.rs", "mod inner;\n");
    write("src/a/inner.rs", "");
    write("src/b/mod.rs", "pub mod deep;\n");
    write("src/b/deep.rs", "");
    write("src/odd.rs", "");
    write("src/d.rs", "");
    write("tool/main.rs", "mod part;\n");
    write("tool/part.rs", "");
    write("tests/it.rs", "");
    write("nested/Cargo.toml", "[package]\n");
    write("nested/src/lib.rs", "");
    let dead: Vec<String> = unreached(dir.path()).iter().map(|f| relative(dir.path(), f)).collect();
    assert_eq!(dead, ["src/d.rs"]);
}
