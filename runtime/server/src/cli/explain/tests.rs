//! The pages and the code name the same errors: nothing is emitted without a page, no page is stale.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;

/// Chapters of dotted names: what stands before the dot.
const HEADS: &[&str] = &[
    "auth",
    "catalog",
    "delivery",
    "front",
    "function",
    "internal",
    "journal",
    "key",
    "keys",
    "limit",
    "outbox",
    "project",
    "record",
    "request",
    "route",
    "schema",
    "server",
    "stream",
    "DataFormatConversion",
    "DynamicPartitioning",
    "KMS",
    "Lambda",
];
/// Folders whose words in capitals are names of errors, too.
const UNDOTTED: &[&str] = &["sinks/", "runtime/delivery/"];
/// Words of that shape which are none: elements of a store's answer, a type's name in `Debug`.
const NO_NAMES: &[&str] = &["Code", "LogShare", "Message", "Region"];
/// Words of the dotted shape which are none: a file, a member in the words of the service.
const NO_DOTTED: &[&str] = &["catalog.redb", "record.data"];

/// Every text literal of the code that is built (tests left out) that looks like an error's name, and where it is.
fn emitted(files: &[(String, String)]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in files {
        // What follows in a file of ours is its tests.
        let built = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in built.lines().filter(|l| !l.trim_start().starts_with("//") && !l.contains("debug_struct(")) {
            for literal in line.split('"').skip(1).step_by(2).filter(|literal| is_name(path, literal)) {
                found.entry(literal.to_owned()).or_insert_with(|| path.clone());
            }
        }
    }
    found
}

fn is_name(path: &str, literal: &str) -> bool {
    if let Some((head, tail)) = literal.split_once('.') {
        let letters = |b: u8| b.is_ascii_alphabetic() || b == b'-';
        return HEADS.contains(&head) && !tail.is_empty() && tail.bytes().all(letters) && !NO_DOTTED.contains(&literal);
    }
    UNDOTTED.iter().any(|folder| path.starts_with(folder))
        && literal.starts_with(|c: char| c.is_ascii_uppercase())
        && literal.bytes().any(|b| b.is_ascii_lowercase())
        && literal.bytes().all(|b| b.is_ascii_alphanumeric())
        && !NO_NAMES.contains(&literal)
}

/// Names that `files` emit and `pages` do not have; names that `pages` have and no file says.
fn differences(files: &[(String, String)], pages: &str) -> Vec<String> {
    let sections = sections(pages);
    let slugs: BTreeSet<&str> = sections.iter().flat_map(|section| section.slugs.iter().copied()).collect();
    let emitted = emitted(files);
    let mut complaints: Vec<String> = emitted
        .iter()
        .filter(|(name, _)| !slugs.contains(heading(name)))
        .map(|(name, path)| format!("{path} emits {name}, which docs/errors.md does not explain"))
        .collect();
    let bare = files.iter().any(|(_, text)| text.contains("\"Http{status}\""));
    complaints.extend(
        slugs
            .iter()
            .filter(|slug| !(emitted.contains_key(**slug) || bare && **slug == BARE_STATUS))
            .map(|slug| format!("docs/errors.md explains {slug}, which nothing emits")),
    );
    complaints
}

/// Sources below `dir` that are built into the server, by their paths below `tree`.
fn sources(tree: &Path, dir: PathBuf, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(&dir).expect("a folder of the tree").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let test =
            name.ends_with("tests.rs") || ["tests", "benches", "fuzz", "fuzz.rs", "target"].contains(&name.as_str());
        if path.is_dir() && !test {
            sources(tree, path, into);
        } else if name.ends_with(".rs") && !test {
            let text = std::fs::read_to_string(&path).expect("a source file");
            into.push((path.strip_prefix(tree).expect("below the tree").display().to_string(), text));
        }
    }
}

fn tree() -> Vec<(String, String)> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the tree").to_path_buf();
    let mut files = Vec::new();
    for folder in ["runtime", "sinks"] {
        sources(&tree, tree.join(folder), &mut files);
    }
    files.retain(|(path, _)| !path.ends_with("fake_s3.rs"));
    files
}

#[test]
fn every_name_has_a_page_and_every_page_a_name() {
    let complaints = differences(&tree(), PAGES);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn planted_differences_are_seen() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file(
            "runtime/log/src/error.rs",
            "// \"journal.comment\"\nf(\"journal.full\"); g(\"journal.lost\"); h(\"a.b\")\n",
        ),
        file("sinks/object/src/local.rs", "(\"NoSuchBucket\", \"SlowDown\")\n#[cfg(test)]\nmod tests { \"TestOnly\" }"),
        file("runtime/front/src/error.rs", "\"ValidationException\""),
    ];
    let pages = "## J\n### journal.full\nA.\n\n### journal.stale\nB.\n## D\n### NoSuchBucket\nC.\n";
    assert_eq!(
        differences(&files, pages),
        [
            "sinks/object/src/local.rs emits SlowDown, which docs/errors.md does not explain",
            "runtime/log/src/error.rs emits journal.lost, which docs/errors.md does not explain",
            "docs/errors.md explains journal.stale, which nothing emits",
        ]
    );
}

#[test]
fn pages_are_found_by_any_of_their_names() {
    let found =
        sections("# T\nintro\n## One\n\n### a.b\n### a.c\nText\nmore.\n\n### d.e\n\nOther.\n\n## Two\nnot of it\n");
    let names: Vec<_> = found.iter().map(|s| s.slugs.clone()).collect();
    assert_eq!(names, [vec!["a.b", "a.c"], vec!["d.e"]]);
    assert_eq!(page(&found, "a.c").expect("there"), "a.c (One)\n\nText more.\n");
    assert_eq!(page(&found, "d.e").expect("there"), "d.e (One)\n\nOther.\n");
    assert_eq!(list(&found), "One\n  a.b\n  a.c\n  d.e\n");
}

#[test]
fn an_unknown_name_leads_to_the_nearest() {
    let found = sections(PAGES);
    let error = page(&found, "journal.ful").expect_err("unknown").to_string();
    assert_eq!(error, "no error is named journal.ful; did you mean journal.full? (`millrace explain` lists all)");
    assert!(page(&found, "Http504").expect("a bare status").starts_with("Http504 (Destinations)"));
    assert!(page(&found, "Http50").is_err());
    for section in &found {
        assert!(!section.body.trim().is_empty(), "{:?} has no text", section.slugs);
    }
}

#[test]
fn errors_of_commands_lead_to_their_pages() {
    use anyhow::Context as _;
    let refused = Named::new("function.imports", "no");
    let error = Err::<(), _>(refused).context("deploying").expect_err("error");
    assert_eq!(slug_of(&error), Some("function.imports"));
    let io = Err::<(), _>(std::io::Error::other("no"));
    let error = io.context(Named::new("server.address", "listening")).context("starting").expect_err("error");
    assert_eq!(slug_of(&error), Some("server.address"));
    let error: anyhow::Error = Err::<(), _>(millrace_log::Error::Closed).context("opening").expect_err("error");
    assert_eq!(slug_of(&error), Some("journal.closed"));
    let error: anyhow::Error = millrace_transform::Error::Imports(vec!["env.x".into()]).into();
    assert_eq!(slug_of(&error), Some("function.imports"));
    let error: anyhow::Error = millrace_encode::Error::KeyRingMode { path: "k".into(), mode: 0o644 }.into();
    assert_eq!(slug_of(&error), Some("keys.read"));
    let shard = millrace_types::ShardId::new(millrace_types::StreamId(1), millrace_types::Lane(0));
    let no = || std::io::Error::other("no");
    for (error, slug) in [(StartError::Outbox(no()), "outbox.open"), (StartError::CatalogLost(shard), "catalog.lost")] {
        assert_eq!(slug_of(&error.into()), Some(slug));
    }
    let source = serde_json::from_str::<bool>("x").expect_err("no JSON");
    let error: anyhow::Error = millrace_catalog::Error::Damaged { table: "t", key: "k".into(), source }.into();
    assert_eq!(slug_of(&error), Some("catalog.damaged"));
    assert_eq!(slug_of(&anyhow::anyhow!("anything")), None);
    for (message, shown) in [
        ("The disk.", "The disk; see: millrace explain journal.full"),
        ("no x; did you mean y?", "no x; did you mean y? See: millrace explain journal.full"),
    ] {
        assert_eq!(told(&Named::new("journal.full", message).into()), shown);
    }
    assert_eq!(told(&anyhow::anyhow!("Anything.")), "Anything.");
    assert_eq!(hint("journal.full"), "; see: millrace explain journal.full");
    assert_eq!(hint("SomethingOfTheStore"), "");
}
