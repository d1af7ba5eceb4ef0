//! Which files a watch waits for, and when they changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::cli::project::{MANIFEST, Manifest};

/// Folders that are made, not written.
const MADE: [&str; 6] = ["build", "target", "node_modules", "__pycache__", "venv", "dist"];
/// Always watched, whatever the manifest says.
const ALWAYS: [&str; 2] = [MANIFEST, "tests/**"];
/// Files that one project may have; more are somebody's data, and looking at them would cost a core.
const FILES_MAX: usize = 20_000;

/// Files with the time of their last change and their length, bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Seen {
    /// When the newest file was saved, milliseconds since the Unix epoch.
    pub(super) fn newest_ms(&self) -> i64 {
        let newest = self.0.values().map(|(time, _)| *time).max().unwrap_or(UNIX_EPOCH);
        newest.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Looks at the files of the project in `dir`. A manifest that does not read is watched like any file.
pub(super) fn look(dir: &Path) -> Result<Seen> {
    let globs = Manifest::read(&dir.join(MANIFEST)).map_or_else(|_| Vec::new(), |manifest| manifest.build.watch);
    let mut seen = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        // A folder or a file may go away under the look.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if name.starts_with('.') || meta.is_dir() && MADE.contains(&name.as_str()) {
                continue;
            }
            if meta.is_dir() {
                open.push(path);
                continue;
            }
            let below = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
            if ALWAYS.iter().copied().chain(globs.iter().map(String::as_str)).any(|glob| matches(glob, &below)) {
                seen.insert(path, (meta.modified().context("the time of a file's change")?, meta.len()));
            }
        }
        ensure!(seen.len() <= FILES_MAX, "more than {FILES_MAX} files to watch: name fewer in build.watch");
    }
    Ok(Seen(seen))
}

/// Whether `path` is one that `glob` means: `*` and `?` stay within a folder, `**` is any folders.
fn matches(glob: &str, path: &str) -> bool {
    let (globs, parts): (Vec<_>, Vec<_>) = (glob.split('/').collect(), path.split('/').collect());
    // Which parts may come next: as a small table, so that no glob takes long.
    let mut reach = vec![false; parts.len() + 1];
    reach[0] = true;
    for glob in globs {
        let mut next = vec![false; parts.len() + 1];
        let mut deep = false;
        for at in 0..=parts.len() {
            if glob == "**" {
                deep |= reach[at];
                next[at] = deep;
            } else if at > 0 && reach[at - 1] {
                next[at] = part_matches(glob.as_bytes(), parts[at - 1].as_bytes());
            }
        }
        reach = next;
    }
    reach[parts.len()]
}

/// `*` is any letters, `?` one.
fn part_matches(glob: &[u8], part: &[u8]) -> bool {
    let mut reach = vec![false; part.len() + 1];
    reach[0] = true;
    for byte in glob {
        let mut next = vec![false; part.len() + 1];
        let mut any = false;
        for at in 0..=part.len() {
            if *byte == b'*' {
                any |= reach[at];
                next[at] = any;
            } else if at > 0 && reach[at - 1] {
                next[at] = *byte == b'?' || *byte == part[at - 1];
            }
        }
        reach = next;
    }
    reach[part.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, path, is) in [
            ("**", "a/b/c.rs", true),
            ("**", "a", true),
            ("src/**", "src/a/b.rs", true),
            ("src/**", "srcs/a", false),
            ("**/*.py", "a.py", true),
            ("**/*.py", "a/b/c.py", true),
            ("**/*.py", "a/b/c.pyc", false),
            ("*.py", "a/b.py", false),
            ("a?c", "abc", true),
            ("a*c*", "abbcd", true),
            ("a*c", "ab", false),
            ("src/*/x", "src/a/x", true),
            ("src/*/x", "src/a/b/x", false),
        ] {
            assert_eq!(matches(glob, path), is, "{glob} {path}");
        }
    }

    #[test]
    fn what_is_made_is_not_watched() {
        let dir = tempfile::tempdir().expect("dir");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("makes");
            std::fs::write(path, text).expect("writes");
        };
        write(MANIFEST, "[function]\nname = 'a'\nlanguage = 'rust'\n[build]\nwatch = ['src/**']\n");
        for path in
            ["src/lib.rs", "tests/t.toml", "README.md", "build/a.wasm", "src/target/x", ".millrace/x", "src/.x.swp"]
        {
            write(path, "x");
        }
        let names = |seen: &Seen| {
            let below = |path: &PathBuf| path.strip_prefix(dir.path()).expect("below").to_string_lossy().into_owned();
            seen.0.keys().map(below).collect::<Vec<_>>()
        };
        let seen = look(dir.path()).expect("looks");
        assert_eq!(names(&seen), ["millrace.toml", "src/lib.rs", "tests/t.toml"]);
        assert!(seen.newest_ms() > 0);
        write("src/lib.rs", "changed");
        assert_ne!(look(dir.path()).expect("looks"), seen);
        write(MANIFEST, "no manifest");
        assert_eq!(names(&look(dir.path()).expect("looks")), ["millrace.toml", "tests/t.toml"]);
    }
}
