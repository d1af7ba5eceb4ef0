//! Rules about the tree: what stands at the top, and what no file may name.

use std::path::{Path, PathBuf};

use crate::assert_clean;

/// Top-level entries, besides dot files: those of the design.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "docs",
    "runtime",
    "sinks",
    "sdk",
    "guest-examples",
    "wit",
    "tests",
];
/// Folders that are made, not written: `.gitignore` names them.
const MADE: &[&str] = &["target", "millrace-data", "__pycache__", "node_modules", ".git"];
/// Bytes of a file that is looked into: no text of ours is larger.
const TEXT_BYTES_MAX: u64 = 2 << 20;

/// Words that no file may hold: folders of one machine, and hosts of package registries. Put
/// together from halves, so that this file holds none of them.
const FORBIDDEN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("files.pythonhosted", ".org"),
    concat!("pypi", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("repo1.maven", ".org"),
    concat!("repo.maven.apache", ".org"),
    concat!("artifact", "ory"),
    concat!(".lib", "rary"),
];

/// All files below `dir` that are written and not made.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let made = path.file_name().is_some_and(|name| MADE.iter().any(|made| name == *made));
            if path.is_dir() && !path.is_symlink() {
                if !made {
                    open.push(path);
                }
            } else {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

/// `path` below `tree`, for messages.
pub(crate) fn relative(tree: &Path, path: &Path) -> String {
    path.strip_prefix(tree).unwrap_or(path).display().to_string()
}

fn top_complaints(names: &[String]) -> Vec<String> {
    names
        .iter()
        .filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()) && !MADE.contains(&name.as_str()))
        .map(|name| format!("{name} does not belong at the top of the tree"))
        .collect()
}

fn text_complaints(path: &str, text: &str) -> Vec<String> {
    // The lock file names its source by the index's address, as cargo writes it.
    if path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    FORBIDDEN
        .iter()
        .filter(|word| text.to_ascii_lowercase().contains(**word))
        .map(|word| format!("{path} names `{word}`: the tree names no folder of a machine and no registry"))
        .collect()
}

#[test]
fn nothing_stands_at_the_top_but_the_house() {
    let tree = millrace_tests::guests::tree();
    let entries = std::fs::read_dir(&tree).expect("tree");
    let names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert_clean(&top_complaints(&names));
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let tree = millrace_tests::guests::tree();
    let mut complaints = Vec::new();
    for path in files(&tree) {
        if path.metadata().is_ok_and(|meta| meta.len() <= TEXT_BYTES_MAX)
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            complaints.extend(text_complaints(&relative(&tree, &path), &text));
        }
    }
    assert_clean(&complaints);
}

#[test]
fn planted_strays_are_caught() {
    let names = ["runtime", ".ci", "target", "crates"].map(str::to_owned);
    assert_eq!(top_complaints(&names), ["crates does not belong at the top of the tree"]);
    assert_eq!(text_complaints("a.md", concat!("see /ho", "me/me/x")).len(), 1);
    assert_eq!(text_complaints("a.toml", concat!("https://PyPI", ".org/simple")).len(), 1);
    assert_clean(&text_complaints("Cargo.lock", concat!("registry+https://index.crates", ".io/")));
    assert_clean(&text_complaints("a.md", "plain words"));
}
