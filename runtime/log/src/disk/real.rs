//! The machine's file systems.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, DiskFile, Lock};

/// Buffers in one `pwritev`; Linux takes at most 1024 (`UIO_MAXIOV`).
const GATHER_MAX: usize = 1024;
/// Zeros written at a time where `fallocate` does not exist.
const ZEROS_BYTES: usize = 1 << 20;

/// The machine's file systems.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Ok(Box::new(RealFile(file))),
            Err(error) => match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Ok(Box::new(RealFile(File::open(path)?)))
                }
                _ => Err(error),
            },
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir_all(parent)?;
        }
        match fs::create_dir(dir) {
            // Somebody else has made it meanwhile; a file of that name is no folder.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            made => made?,
        }
        self.sync_dir(parent.unwrap_or_else(|| Path::new(".")))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(FileLock(file)))
    }
}

/// `flock` ends when the last descriptor closes: also when the process is killed.
#[derive(Debug)]
struct FileLock(#[expect(dead_code, reason = "held for its descriptor")] File);

impl Lock for FileLock {}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn write_all_at(&self, bufs: &[&[u8]], mut offset: u64) -> io::Result<()> {
        for group in bufs.chunks(GATHER_MAX) {
            let mut slices: Vec<_> = group.iter().map(|buf| IoSlice::new(buf)).collect();
            let mut left = &mut slices[..];
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                match rustix::io::pwritev(&self.0, left, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut left, written);
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // No fallocate here: zeros reserve the room as well, and a full disk shows now.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                let zeros = vec![0; ZEROS_BYTES];
                let mut at = self.len()?;
                while at < len {
                    let part = usize::try_from(len - at).map_or(ZEROS_BYTES, |left| left.min(ZEROS_BYTES));
                    self.0.write_all_at(&zeros[..part], at)?;
                    at += part as u64;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_more_buffers_than_one_call_takes() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&dir.path().join("a")).unwrap();
        let parts: Vec<Vec<u8>> = (0..2500u32).map(|n| n.to_le_bytes()[..(n % 4) as usize].to_vec()).collect();
        let bufs: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        file.write_all_at(&bufs, 3).unwrap();
        let expected = parts.concat();
        let mut back = vec![0; expected.len()];
        file.read_exact_at(&mut back, 3).unwrap();
        assert_eq!(back, expected);
        file.allocate(20_000).unwrap();
        assert_eq!(file.len().unwrap(), 20_000);
        assert!(RealDisk.create(&dir.path().join("a")).is_err(), "exists");
    }

    #[test]
    fn a_file_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        RealDisk.create_dir_all(&dir.path().join("f")).unwrap_err();
        RealDisk.create_dir_all(&dir.path().join("f/x")).unwrap_err();
    }

    #[test]
    fn a_lock_is_exclusive_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x/y");
        RealDisk.create_dir_all(&deep).unwrap();
        let held = RealDisk.lock(&deep.join("lock")).unwrap();
        let refused = RealDisk.lock(&deep.join("lock")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        RealDisk.lock(&deep.join("lock")).unwrap();
        assert_eq!(RealDisk.list(&deep).unwrap(), ["lock"]);
        assert!(RealDisk.free_bytes(&deep).unwrap() > 0);
    }
}
