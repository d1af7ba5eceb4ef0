//! What the binary carries of the tree: SDKs, templates and the world, and how a project gets them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Kind, Language};

/// Files by their path in the tree, sorted (`build.rs` makes the list).
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
/// Stands in templates where the function's name is to stand.
const NAME: &str = "{{name}}";
/// Folder of a project that holds what is not the user's own: SDK, world, toolchains' files.
pub(crate) const HIDDEN: &str = ".millrace";

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

/// Writes the SDK of `language` and the world below the project's hidden folder. A file that is there and the
/// same is left alone, so that nothing is built again for it.
pub(crate) fn refresh(project: &Path, language: Language) -> Result<()> {
    let sdk = format!("sdk/{}/", language.word());
    let templates = format!("{sdk}templates/");
    for (path, bytes) in FILES {
        if path.starts_with("wit/") || path.starts_with(&sdk) && !path.starts_with(&templates) {
            write_if_new(&project.join(HIDDEN).join(path), bytes)?;
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
}
