//! What the binary carries of the tree: SDKs, templates and the world, and how a project gets them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Kind, Language};

/// Files by their path in the tree, sorted (`build.rs` makes the list).
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
/// Stands in templates where the function's name is to stand.
const NAME: &str = "{{name}}";
/// Folder of a project that holds what is not the user's own: SDK, world, toolchains' files.
pub(crate) const HIDDEN: &str = ".millrace";
/// What toolchains make in an SDK's folder.
const MADE: [&str; 3] = ["node_modules", "__pycache__", "target"];

/// Files of a template: path in the project, content.
pub(crate) fn template(language: Language, kind: Kind, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = format!("sdk/{}/templates/{}/", language.word(), kind.word());
    let of_it = FILES.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(folder.as_str())?, bytes)));
    of_it.map(|(path, bytes)| (PathBuf::from(path.replace(NAME, name)), named(bytes, name))).collect()
}

/// A template's bytes with the name put in; bytes that are no text stay as they are.
fn named(bytes: &[u8], name: &str) -> Vec<u8> {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.to_vec(), |text| text.replace(NAME, name).into_bytes())
}

/// Writes the SDK of `language` and the world below the project's hidden folder, and removes what an older
/// binary wrote there and this one has not. A file that is there and the same is left alone, so that nothing is
/// built again for it.
pub(crate) fn refresh(project: &Path, language: Language) -> Result<()> {
    let sdk = format!("sdk/{}/", language.word());
    let templates = format!("{sdk}templates/");
    let hidden = project.join(HIDDEN);
    let mut ours = BTreeSet::new();
    for (path, bytes) in FILES {
        if path.starts_with("wit/") || path.starts_with(&sdk) && !path.starts_with(&templates) {
            let path = hidden.join(path);
            write_if_new(&path, bytes)?;
            ours.extend(path.ancestors().map(Path::to_owned));
        }
    }
    ["sdk", "wit"].iter().try_for_each(|root| prune(&hidden.join(root), &ours))
}

/// Removes what is below `dir` and neither in `ours` nor made by a toolchain.
fn prune(dir: &Path, ours: &BTreeSet<PathBuf>) -> Result<()> {
    let removing = || format!("removing what an older SDK left in {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(removing)? {
        let entry = entry.with_context(removing)?;
        let (path, is_dir) = (entry.path(), entry.file_type().with_context(removing)?.is_dir());
        let is_ours = ours.contains(&path);
        if is_ours && is_dir {
            prune(&path, ours)?;
        } else if !is_ours && !MADE.iter().any(|made| entry.file_name() == *made) {
            let removed = if is_dir { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.with_context(removing)?;
        }
    }
    Ok(())
}

fn write_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() == bytes.len() as u64)
        && std::fs::read(path).is_ok_and(|there| there == bytes)
    {
        return Ok(());
    }
    write(path, bytes)
}

/// Writes a file and the folders that it lies in.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, bytes)).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_and_the_sdk_are_there_and_nothing_that_was_made() {
        let has = |name: &str| FILES.iter().any(|(path, _)| *path == name);
        assert!(has("wit/transform/world.wit") && has("sdk/rust/src/lib.rs") && has("sdk/rust/macros/src/lib.rs"));
        for (path, _) in FILES {
            assert!(!path.contains("/target/") && !path.starts_with("sdk/rust/tests/"), "{path}");
        }
    }

    #[test]
    fn a_file_that_is_the_same_is_not_written_again() {
        let dir = tempfile::tempdir().expect("dir");
        let world = dir.path().join(HIDDEN).join("wit/transform/world.wit");
        refresh(dir.path(), Language::Rust).expect("writes");
        let old = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        std::fs::File::options().write(true).open(&world).expect("opens").set_times(old).expect("sets");
        let lib = dir.path().join(HIDDEN).join("sdk/rust/src/lib.rs");
        std::fs::write(&lib, "changed").expect("writes");
        refresh(dir.path(), Language::Rust).expect("writes");
        let modified = std::fs::metadata(&world).and_then(|meta| meta.modified()).expect("there");
        assert_eq!(modified, std::time::UNIX_EPOCH);
        assert_ne!(std::fs::read(&lib).expect("reads"), b"changed");
        assert!(!dir.path().join(HIDDEN).join("sdk/rust/templates").exists());
    }

    #[test]
    fn what_an_older_sdk_left_is_removed_and_what_toolchains_made_is_not() {
        let dir = tempfile::tempdir().expect("dir");
        let at = |path: &str| dir.path().join(HIDDEN).join(path);
        let old = ["sdk/python/millrace/old.py", "sdk/python/older/x.py", "sdk/rust/src/lib.rs", "wit/old/world.wit"];
        let made =
            ["sdk/python/millrace/__pycache__/x.pyc", "sdk/python/node_modules/x/y.js", "venv/x", "out/app.wasm"];
        for path in old.iter().chain(&made) {
            write(&at(path), b"x").expect("writes");
        }
        refresh(dir.path(), Language::Python).expect("refreshes");
        assert!(old.iter().all(|path| !at(path).exists()) && !at("sdk/rust").exists() && !at("wit/old").exists());
        assert!(made.iter().all(|path| at(path).exists()));
        assert!(at("sdk/python/build.py").exists() && at("wit/transform/world.wit").exists());
    }
}
