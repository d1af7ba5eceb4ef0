//! The files of functions: `functions/<sha256>.wasm` is a component, `functions/<sha256>.cwasm` what was
//! compiled from it and sealed; the second can always be made again from the first. `functions/<name>.cache` is what
//! compiling the function `<name>` once more needs not do again, sealed as well.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_log::Disk;
use parking_lot::Mutex;

/// Bytes of the caches of all functions: six of Python's.
const CACHES_BYTES_MAX: u64 = 256 << 20;
const CACHE_SUFFIX: &str = ".cache";

/// The folder.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// Files are written and removed by one at a time.
    changing: Mutex<()>,
    caches_bytes_max: u64,
    /// Functions whose caches were stored, the latest last.
    cached: Mutex<Vec<String>>,
}

impl Files {
    /// Makes the folder when it is not there. Blocks, as all of it.
    pub(crate) fn open(dir: PathBuf, disk: Arc<dyn Disk>) -> io::Result<Self> {
        disk.create_dir_all(&dir)?;
        Ok(Self { dir, disk, changing: Mutex::new(()), caches_bytes_max: CACHES_BYTES_MAX, cached: Mutex::default() })
    }

    /// Where the sealed code of a component lies.
    pub(crate) fn sealed_path(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}.cwasm"))
    }

    fn component_path(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}.wasm"))
    }

    /// Stores a component and answers its SHA-256. One that lies there whole is not written again.
    pub(crate) fn put_component(&self, component: &[u8]) -> io::Result<String> {
        let sha256 = sha256_hex(component);
        if self.component(&sha256).is_err() {
            self.write(&self.component_path(&sha256), component)?;
        }
        Ok(sha256)
    }

    /// Stores sealed code.
    pub(crate) fn put_sealed(&self, sha256: &str, sealed: &[u8]) -> io::Result<()> {
        self.write(&self.sealed_path(sha256), sealed)
    }

    /// A stored component; an error when its bytes are others than its name says.
    pub(crate) fn component(&self, sha256: &str) -> io::Result<Vec<u8>> {
        let file = self.disk.open(&self.component_path(sha256))?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        if sha256_hex(&bytes) == sha256 {
            return Ok(bytes);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "a stored component is damaged: deploy the function again"))
    }

    /// The sealed cache of a function, whole or damaged; none of more than `bytes_max` bytes.
    pub(crate) fn cache(&self, function: &str, bytes_max: usize) -> Option<Vec<u8>> {
        let file = self.disk.open(&self.cache_path(function)).ok()?;
        let length = usize::try_from(file.len().ok()?).ok().filter(|length| *length <= bytes_max)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0).ok()?;
        Some(bytes)
    }

    /// Stores the sealed cache of a function, and removes the oldest of others until all fit. Nothing is synced: one
    /// that is not whole after a crash is none.
    pub(crate) fn put_cache(&self, function: &str, sealed: &[u8]) -> io::Result<()> {
        let _alone = self.changing.lock();
        let path = self.cache_path(function);
        let beside = self.dir.join(format!("{function}{CACHE_SUFFIX}.part"));
        self.remove_if_there(&beside)?;
        self.disk.create(&beside)?.write_all_at(&[sealed], 0)?;
        self.disk.rename(&beside, &path)?;
        let mut cached = self.cached.lock();
        cached.retain(|name| name != function);
        cached.push(function.to_owned());
        let mut others = Vec::new();
        for file in self.disk.list(&self.dir)? {
            let Some(name) = file.strip_suffix(CACHE_SUFFIX) else { continue };
            // Those of before the start come first.
            let age = cached.iter().position(|cached| cached == name);
            others.push((age, file.clone(), self.disk.open(&self.dir.join(&file))?.len()?));
        }
        others.sort();
        let mut bytes: u64 = others.iter().map(|(_, _, length)| length).sum();
        for (_, file, length) in others {
            if bytes <= self.caches_bytes_max {
                break;
            }
            self.disk.remove(&self.dir.join(file))?;
            bytes -= length;
        }
        Ok(())
    }

    fn cache_path(&self, function: &str) -> PathBuf {
        self.dir.join(format!("{function}{CACHE_SUFFIX}"))
    }

    /// Removes files that belong to none of the components `used`, and to none of `functions`.
    pub(crate) fn retain(&self, used: &BTreeSet<String>, functions: &BTreeSet<String>) -> io::Result<()> {
        let _alone = self.changing.lock();
        self.cached.lock().retain(|function| functions.contains(function));
        for name in self.disk.list(&self.dir)? {
            let ours = name.strip_suffix(".wasm").or_else(|| name.strip_suffix(".cwasm"));
            let cache = name.strip_suffix(CACHE_SUFFIX);
            let part = name.strip_suffix(".part");
            let is_of_none = ours.is_some_and(|sha256| !used.contains(sha256));
            if part.is_some() || is_of_none || cache.is_some_and(|function| !functions.contains(function)) {
                self.disk.remove(&self.dir.join(&name))?;
            }
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Writes a file whole or not at all: beside its place, synced, renamed, folder synced.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let _alone = self.changing.lock();
        let beside = path.with_extension("part");
        self.remove_if_there(&beside)?;
        let file = self.disk.create(&beside)?;
        file.write_all_at(&[bytes], 0)?;
        file.sync_data()?;
        self.disk.rename(&beside, path)?;
        self.disk.sync_dir(&self.dir)
    }

    fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// `CodeSha256`.
pub(crate) fn sha256_base64(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    base64_simd::STANDARD.encode_to_string(digest.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_log::RealDisk;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .expect("reads")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_caches_go_when_all_are_too_much() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("before.cache"), [0; 4]).expect("writes");
        let mut files = Files::open(dir.path().into(), Arc::new(RealDisk)).expect("opens");
        files.caches_bytes_max = 10;
        for function in ["b", "a"] {
            files.put_cache(function, &[1; 4]).expect("stores");
        }
        assert_eq!(names(dir.path()), ["a.cache", "b.cache"], "that of before the start is the oldest");
        files.put_cache("b", &[2; 5]).expect("stores");
        assert_eq!(names(dir.path()), ["a.cache", "b.cache"]);
        files.put_cache("c", &[3; 5]).expect("stores");
        assert_eq!(names(dir.path()), ["b.cache", "c.cache"]);
        assert_eq!((files.cache("b", 5), files.cache("b", 4)), (Some(vec![2; 5]), None));
        assert_eq!(files.cache("a", 5), None);
        files.put_cache("d", &[4; 11]).expect("stores");
        assert_eq!(names(dir.path()), Vec::<String>::new(), "one that is too much alone is not kept");
    }

    #[test]
    fn what_belongs_to_nothing_is_removed() {
        let dir = tempfile::tempdir().expect("dir");
        let files = Files::open(dir.path().into(), Arc::new(RealDisk)).expect("opens");
        let sha256 = files.put_component(b"component").expect("stores");
        for function in ["is", "was"] {
            files.put_cache(function, b"cache").expect("stores");
        }
        std::fs::write(dir.path().join("is.cache.part"), "").expect("writes");
        files.retain(&[sha256.clone()].into(), &["is".to_owned()].into()).expect("removes");
        assert_eq!(names(dir.path()), [format!("{sha256}.wasm"), "is.cache".to_owned()]);
    }
}
