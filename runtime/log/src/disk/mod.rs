//! The one layer under all durable data: journal, runs, outbox. A real disk and a fake one keep it.
//! Everything here blocks.

mod real;
mod unchanged;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use real::RealDisk;
pub(crate) use unchanged::Unchanged;

/// A file system, as far as durable data needs one.
pub trait Disk: Send + Sync + Debug {
    /// Creates a file for reading and writing; an error when it exists. Durable after
    /// [`Self::sync_dir`] of its directory.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading and writing (reading alone where the file system is read-only).
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Names of the files in `dir`, sorted; no directories.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates `dir` and what is missing above it, durable on return.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames, replacing `to`. Durable after [`Self::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable after [`Self::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that an unprivileged process may still write to the file system of `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the lock file `path` for this process; free again when the guard is dropped.
    /// [`io::ErrorKind::WouldBlock`] when another has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// Holds a lock until it is dropped.
pub trait Lock: Send + Sync + Debug {}

/// An open file. Offsets and lengths are bytes.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bufs`, one behind the other, at `offset`.
    fn write_all_at(&self, bufs: &[&[u8]], offset: u64) -> io::Result<()>;
    /// Fills `buf` from `offset`; [`io::ErrorKind::UnexpectedEof`] when the file is shorter.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes the content durable. After an error the content is unknown: never call it again on
    /// this file in the hope of a better answer.
    fn sync_data(&self) -> io::Result<()>;
    /// Length.
    fn len(&self) -> io::Result<u64>;
    /// True when the file has no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros) to `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves room up to `len` and extends the file to it, with zeros where there was nothing.
    fn allocate(&self, len: u64) -> io::Result<()>;
}
