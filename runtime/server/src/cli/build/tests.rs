//! Builds: the project's own command, outputs that stay whole.

use super::*;
use crate::cli::project::MANIFEST;

fn project(dir: &Path, command: &str) -> Project {
    let manifest =
        format!("[function]\nname = 'a'\nlanguage = 'c'\n[build]\ncommand = \"{command}\"\noutput = 'made.wasm'\n");
    std::fs::write(dir.join(MANIFEST), manifest).expect("writes");
    Project::open(Some(dir)).expect("a project")
}

#[test]
fn a_build_that_fails_leaves_the_last_output() {
    let dir = tempfile::tempdir().expect("dir");
    let output = dir.path().join("build/a.wasm");
    store(&output, b"before").expect("stores");
    for (command, slug) in [("exit 1", "project.build"), ("printf rubbish > made.wasm", "function.module")] {
        let error = build(&project(dir.path(), command)).expect_err(command);
        let named = error.downcast_ref::<Named>().map(Named::slug);
        let module = error.downcast_ref::<millrace_transform::Error>().map(millrace_transform::Error::slug);
        assert_eq!(named.or(module), Some(slug));
        assert_eq!(std::fs::read(&output).expect("there"), b"before");
    }
    assert_eq!(std::fs::read_dir(dir.path().join("build")).expect("reads").count(), 1, "nothing half written is left");
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::write(dir.path().join(MANIFEST), "[function]\nname = 'a'\nlanguage = 'go'\n").expect("writes");
    let error = build(&Project::open(Some(dir.path())).expect("a project")).expect_err("no source").to_string();
    assert!(error.ends_with("main.go is not there: function.source in millrace.toml names it"), "{error}");
}
