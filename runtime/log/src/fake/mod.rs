//! A disk in memory with its live and its durable image apart: what a power cut leaves is chosen by
//! a seed. Faults are injected by operation, and any operation can be the last before a crash.

mod image;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, Lock};
use image::{Fault, Image, errno};

/// The operations that faults can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `write_all_at`
    Write,
    /// `sync_data`
    SyncData,
    /// `allocate`
    Allocate,
    /// `set_len`
    SetLen,
    /// `create`
    Create,
    /// `rename`
    Rename,
    /// `remove`
    Remove,
    /// `sync_dir`
    SyncDir,
    /// `read_exact_at`; not among the operations that [`FakeDisk::ops`] counts.
    Read,
}

/// A disk in memory. Cloning shares it.
#[derive(Clone)]
pub struct FakeDisk {
    image: Arc<Mutex<Image>>,
}

impl fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDisk").finish_non_exhaustive()
    }
}

impl Default for FakeDisk {
    fn default() -> Self {
        Self::new(0)
    }
}

impl FakeDisk {
    /// An empty disk without a limit; `seed` decides what failed syncs and writes leave.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { image: Arc::new(Mutex::new(Image::new(seed))) }
    }

    /// Limits the bytes that files may take in all.
    pub fn set_capacity(&self, bytes: u64) {
        self.image.lock().capacity_bytes = bytes;
    }

    /// The disk behind a power cut now: the durable image and a part of the unsynced changes that
    /// `seed` chooses, by change and by sector. This disk goes on unchanged.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        Self { image: Arc::new(Mutex::new(self.image.lock().crash(seed))) }
    }

    /// Power cut at the `nth` changing operation from now (1: the next), which fails as all later
    /// ones do; [`Self::crashed`] is what is left.
    pub fn crash_at(&self, nth: u64, seed: u64) {
        let mut image = self.image.lock();
        image.crash_at = Some((image.ops + nth, seed));
    }

    /// What the power cut left, once it came.
    #[must_use]
    pub fn crashed(&self) -> Option<Self> {
        let left = self.image.lock().crashed.take()?;
        Some(Self { image: Arc::new(Mutex::new(*left)) })
    }

    /// True once the power cut came: every operation fails.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.image.lock().halted
    }

    /// Lets the `nth` `op` from now (1: the next) fail with the error number `code`.
    pub fn fail_at(&self, op: Op, nth: u64, code: i32) {
        self.fault(Some(op), None, nth, code);
    }

    /// The same of those operations alone whose file's path contains `part` (of a rename: the new path).
    pub fn fail_within(&self, op: Op, part: &str, nth: u64, code: i32) {
        self.fault(Some(op), Some(part.to_owned()), nth, code);
    }

    /// Lets the `nth` changing operation from now, of whatever kind, fail with the error number `code`.
    pub fn fail_op(&self, nth: u64, code: i32) {
        self.fault(None, None, nth, code);
    }

    fn fault(&self, op: Option<Op>, within: Option<String>, left: u64, code: i32) {
        self.image.lock().faults.push(Fault { op, within, left, code });
    }

    /// Faults that were asked for and have not come.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.image.lock().faults.len()
    }

    /// Operations of one kind so far on files whose path contains `part`.
    #[must_use]
    pub fn ops_within(&self, op: Op, part: &str) -> u64 {
        self.image.lock().done_within(op, part)
    }

    /// Changing operations so far.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.image.lock().ops
    }

    /// Operations of one kind so far.
    #[must_use]
    pub fn ops_of(&self, op: Op) -> u64 {
        self.image.lock().done(op)
    }

    /// Bytes read so far.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.image.lock().read_bytes
    }

    /// Changes a file's bytes behind everybody's back, as bit rot does; false when there is no such file.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.image.lock().corrupt(path, change)
    }
}

impl Disk for FakeDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.image.lock().create(path)?;
        Ok(Box::new(FakeFile { image: Arc::clone(&self.image), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.image.lock().find(path)?;
        Ok(Box::new(FakeFile { image: Arc::clone(&self.image), inode }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.image.lock().list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.image.lock().create_dir_all(dir);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.image.lock().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.image.lock().remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.image.lock().sync_dir(dir)
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.image.lock().free_bytes())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        if !self.image.lock().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(FakeLock { image: Arc::clone(&self.image), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct FakeLock {
    image: Arc<Mutex<Image>>,
    path: PathBuf,
}

impl Lock for FakeLock {}

impl Drop for FakeLock {
    fn drop(&mut self) {
        self.image.lock().locks.remove(&self.path);
    }
}

struct FakeFile {
    image: Arc<Mutex<Image>>,
    inode: u64,
}

impl fmt::Debug for FakeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeFile").field("inode", &self.inode).finish_non_exhaustive()
    }
}

impl DiskFile for FakeFile {
    fn write_all_at(&self, bufs: &[&[u8]], offset: u64) -> io::Result<()> {
        self.image.lock().write(self.inode, &bufs.concat(), offset)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.image.lock().read(self.inode, buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.image.lock().sync_data(self.inode)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.image.lock().len(self.inode))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.image.lock().set_len(self.inode, len, Op::SetLen)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut image = self.image.lock();
        let len = len.max(image.len(self.inode));
        image.set_len(self.inode, len, Op::Allocate)
    }
}

/// `EIO`
pub const EIO: i32 = errno::EIO;
/// `ENOSPC`
pub const ENOSPC: i32 = errno::ENOSPC;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &FakeDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path)).ok()?;
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        Some(bytes)
    }

    #[test]
    fn only_what_was_synced_is_sure_to_be_left() {
        let disk = FakeDisk::new(1);
        disk.create_dir_all(Path::new("d")).unwrap();
        let file = disk.create(Path::new("d/a")).unwrap();
        file.write_all_at(&[b"syn", b"ced"], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.write_all_at(&[b"LOST"], 6).unwrap();
        let (mut lost, mut kept) = (0, 0);
        for seed in 0..40 {
            let bytes = read(&disk.crash(seed), "d/a").unwrap();
            assert_eq!(&bytes[..6], b"synced");
            if bytes.get(6..) == Some(b"LOST") { kept += 1 } else { lost += 1 }
        }
        assert!(lost > 0 && kept > 0, "both happen: {lost} {kept}");
        assert_eq!(read(&disk, "d/a").unwrap(), b"syncedLOST");
    }

    #[test]
    fn a_failed_sync_leaves_clean_pages_and_lost_data() {
        let mut lost = 0;
        for seed in 0..20 {
            let disk = FakeDisk::new(seed);
            disk.create_dir_all(Path::new("d")).unwrap();
            let file = disk.create(Path::new("d/a")).unwrap();
            disk.sync_dir(Path::new("d")).unwrap();
            file.write_all_at(&[b"data"], 0).unwrap();
            disk.fail_at(Op::SyncData, 1, EIO);
            assert!(file.sync_data().is_err());
            file.sync_data().unwrap();
            assert_eq!(read(&disk, "d/a").unwrap(), b"data", "still in the cache");
            lost += usize::from(read(&disk.crash(seed), "d/a").unwrap() != b"data");
        }
        assert!(lost > 0);
    }

    #[test]
    fn names_need_their_directory_synced_and_a_full_disk_refuses() {
        let disk = FakeDisk::new(2);
        disk.create_dir_all(Path::new("d")).unwrap();
        disk.set_capacity(10);
        let file = disk.create(Path::new("d/a")).unwrap();
        let gone = (0..40).filter(|seed| read(&disk.crash(*seed), "d/a").is_none()).count();
        assert!(gone > 0 && gone < 40, "{gone}");
        let full = file.write_all_at(&[&[1; 11]], 0).unwrap_err();
        assert_eq!(full.raw_os_error(), Some(ENOSPC));
        disk.crash_at(1, 3);
        assert!(file.write_all_at(&[b"x"], 0).is_err());
        assert!(disk.crashed().is_some());
    }
}
