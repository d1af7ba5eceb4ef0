//! A disk that is only looked at: it reads what lies there, and every change is taken and forgotten. So a
//! stopped directory can be judged by the very code that starts from it.

use std::io;
use std::path::Path;

use super::{Disk, DiskFile, Lock};

/// What lies on another disk, unchanged whatever is asked for. A folder that is not there is an empty one.
#[derive(Debug)]
pub(crate) struct Unchanged<'a>(pub(crate) &'a dyn Disk);

impl Disk for Unchanged<'_> {
    fn create(&self, _path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Kept(None)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(Kept(Some(self.0.open(path)?))))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        match self.0.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_bytes(dir)
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(Nothing))
    }
}

/// Where nothing is written, nothing is to be locked.
#[derive(Debug)]
struct Nothing;

impl Lock for Nothing {}

/// A file as it lies there; none: one that was to be created.
#[derive(Debug)]
struct Kept(Option<Box<dyn DiskFile>>);

impl DiskFile for Kept {
    fn write_all_at(&self, _bufs: &[&[u8]], _offset: u64) -> io::Result<()> {
        Ok(())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.0 {
            Some(file) => file.read_exact_at(buf, offset),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), |file| file.len())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
}
