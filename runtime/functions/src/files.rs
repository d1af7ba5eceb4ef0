//! The files of functions: `functions/<sha256>.wasm` is a component, `functions/<sha256>.cwasm` what was
//! compiled from it and sealed; the second can always be made again from the first.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_log::Disk;
use parking_lot::Mutex;

/// The folder.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// Files are written and removed by one at a time.
    changing: Mutex<()>,
}

impl Files {
    /// Makes the folder when it is not there. Blocks, as all of it.
    pub(crate) fn open(dir: PathBuf, disk: Arc<dyn Disk>) -> io::Result<Self> {
        disk.create_dir_all(&dir)?;
        Ok(Self { dir, disk, changing: Mutex::new(()) })
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

    /// Removes files that belong to none of the components `used`.
    pub(crate) fn retain(&self, used: &BTreeSet<String>) -> io::Result<()> {
        let _alone = self.changing.lock();
        for name in self.disk.list(&self.dir)? {
            let ours = name.strip_suffix(".wasm").or_else(|| name.strip_suffix(".cwasm"));
            let part = name.strip_suffix(".part");
            if part.is_some() || ours.is_some_and(|sha256| !used.contains(sha256)) {
                self.disk.remove(&self.dir.join(&name))?;
            }
        }
        self.disk.sync_dir(&self.dir)
    }

    /// Writes a file whole or not at all: beside its place, synced, renamed, folder synced.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let _alone = self.changing.lock();
        let beside = path.with_extension("part");
        if let Err(error) = self.disk.remove(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = self.disk.create(&beside)?;
        file.write_all_at(&[bytes], 0)?;
        file.sync_data()?;
        self.disk.rename(&beside, path)?;
        self.disk.sync_dir(&self.dir)
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
