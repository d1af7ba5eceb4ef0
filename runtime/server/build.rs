//! Lists the files that `millrace new` writes: the SDKs, their templates and the world, as they lie in the
//! tree when the binary is built. An installed binary has no clone beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folders of the tree whose files are embedded.
const ROOTS: [&str; 2] = ["sdk", "wit"];
/// Folders that are made, not written.
const MADE: [&str; 8] =
    ["target", "node_modules", "__pycache__", ".venv", "venv", ".millrace", ".pytest_cache", "build"];
/// Folders of an SDK that only its own tests need.
const TESTS: [&str; 2] = ["tests", "test"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let tree = own.ancestors().nth(2).ok_or("the crate lies two folders below the tree")?.to_owned();
    let mut files = Vec::new();
    for root in ROOTS {
        walk(&tree, &tree.join(root), &mut files)?;
    }
    files.sort();
    let mut list = String::from("&[\n");
    for path in &files {
        let name = path.strip_prefix(&tree)?.to_str().ok_or("a name that is not UTF-8")?.to_owned();
        writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())?;
    }
    list.push_str("]\n");
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("embedded.rs"), list)?;
    Ok(())
}

/// Adds the files below `dir`; a change of the folder itself runs this again.
fn walk(tree: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // `sdk/LANGUAGE/tests` is the SDK's; a template's own folder of that name is the user's.
        let of_sdk = path.strip_prefix(tree).is_ok_and(|below| below.components().count() == 3);
        let left_out = MADE.contains(&name.as_str()) || of_sdk && TESTS.contains(&name.as_str());
        if path.is_dir() && !left_out {
            walk(tree, &path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
