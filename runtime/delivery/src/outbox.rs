//! The outbox: finished objects, synced, until their commit. Small objects share segment files, so
//! that a thousand quiet streams cost a few syncs; large and spilled ones have a file of their own.
//! Files are named by a number and hold object bytes only: where an object lies, its length and its
//! checksum are in its intent.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use millrace_log::{Disk, DiskFile};
use millrace_sink::Content;
use millrace_types::MIB;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Objects below this share a segment.
const SHARED_BYTES_MAX: usize = MIB;
/// A shared segment that has grown to this is closed. Small, because one parked object pins it.
const SEGMENT_BYTES: u64 = 8 * MIB as u64;
/// An object is read from its file in pieces of this size when its checksum is verified.
const VERIFY_BYTES: usize = MIB;

/// Where an object lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// File name in the outbox folder.
    pub(crate) file: String,
    /// Offset of its first byte.
    pub(crate) offset: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// The outbox of one data directory.
#[derive(Debug)]
pub(crate) struct Outbox {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    next_file: AtomicU64,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Objects per file that are not released yet.
    live: HashMap<String, usize>,
    current: Option<Arc<Segment>>,
}

/// A shared segment. Whoever needs a sync takes the lock; all that was written before goes with it.
#[derive(Debug)]
struct Segment {
    name: String,
    file: Box<dyn DiskFile>,
    written: Mutex<u64>,
    synced: Mutex<Synced>,
}

/// How far a shared segment is durable.
#[derive(Debug, Default)]
struct Synced {
    bytes: u64,
    /// A sync has failed: a later one that succeeds would say nothing about what was written before.
    failed: bool,
}

impl Outbox {
    /// Opens the folder and removes files that no intent names: objects that were never decided.
    pub(crate) fn open<'a>(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        live: impl Iterator<Item = &'a Place>,
    ) -> io::Result<Self> {
        disk.create_dir_all(&dir)?;
        let mut files = Files::default();
        for place in live {
            *files.live.entry(place.file.clone()).or_default() += 1;
        }
        let number = |name: &str| name.strip_suffix(".obj").and_then(|n| n.parse::<u64>().ok());
        // A name that an intent still uses is not given again, even when its file is lost.
        let mut highest = files.live.keys().filter_map(|name| number(name)).max().unwrap_or(0);
        for name in disk.list(&dir)? {
            let Some(number) = number(&name) else { continue };
            highest = highest.max(number);
            if !files.live.contains_key(&name) {
                disk.remove(&dir.join(&name))?;
            }
        }
        Ok(Self { disk, dir, next_file: AtomicU64::new(highest + 1), files: Mutex::new(files) })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    fn create(&self) -> io::Result<(String, Box<dyn DiskFile>)> {
        let name = format!("{:020}.obj", self.next_file.fetch_add(1, Ordering::Relaxed));
        let file = self.disk.create(&self.path(&name))?;
        Ok((name, file))
    }

    /// Stores a finished object; durable when it answers. Blocks.
    ///
    /// # Errors
    /// What the disk says. The file that failed is not used again; calling once more takes another.
    pub(crate) fn store(&self, bytes: &[u8]) -> io::Result<Place> {
        if bytes.len() >= SHARED_BYTES_MAX {
            let mut spill = self.begin_spill()?;
            spill.append(bytes)?;
            return self.finish_spill(spill);
        }
        let segment = self.current()?;
        let stored = segment.store(bytes);
        if stored.is_err() {
            self.abandon(&segment);
        }
        stored
    }

    /// The current shared segment, counted as live for the object that goes into it.
    fn current(&self) -> io::Result<Arc<Segment>> {
        let mut files = self.files.lock();
        if let Some(current) = files.current.clone() {
            if *current.written.lock() < SEGMENT_BYTES {
                *files.live.entry(current.name.clone()).or_default() += 1;
                return Ok(current);
            }
            files.current = None;
            self.remove_if_dead(&files, &current.name);
        }
        let (name, file) = self.create()?;
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            self.remove_if_dead(&files, &name);
            return Err(error);
        }
        let segment = Arc::new(Segment { name, file, written: Mutex::new(0), synced: Mutex::default() });
        files.live.insert(segment.name.clone(), 1);
        files.current = Some(Arc::clone(&segment));
        Ok(segment)
    }

    /// A segment whose write or sync failed is never written again (its pages may be marked clean).
    fn abandon(&self, segment: &Segment) {
        let mut files = self.files.lock();
        if files.current.as_ref().is_some_and(|c| c.name == segment.name) {
            files.current = None;
        }
        Self::uncount(&mut files, &segment.name);
        self.remove_if_dead(&files, &segment.name);
    }

    fn uncount(files: &mut Files, name: &str) {
        if let Some(count) = files.live.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                files.live.remove(name);
            }
        }
    }

    /// Space is all that is lost when the file cannot be removed now; the next start tries again.
    fn remove_if_dead(&self, files: &Files, name: &str) {
        let current = files.current.as_ref().is_some_and(|c| c.name == name);
        if !current
            && !files.live.contains_key(name)
            && let Err(error) = self.disk.remove(&self.path(name))
            // Somebody has lost it: its objects were made again elsewhere.
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = name, %error, "an outbox file could not be removed");
        }
    }

    /// The object is committed (or given up): its bytes are no longer needed. Blocks.
    pub(crate) fn release(&self, place: &Place) {
        let mut files = self.files.lock();
        Self::uncount(&mut files, &place.file);
        self.remove_if_dead(&files, &place.file);
    }

    /// Begins a file for one object that arrives in parts.
    pub(crate) fn begin_spill(&self) -> io::Result<Spill> {
        let (name, file) = self.create()?;
        let path = self.path(&name);
        Ok(Spill { name, file, length: 0, cleanup: Some((Arc::clone(&self.disk), path)) })
    }

    /// Syncs a spilled object.
    pub(crate) fn finish_spill(&self, mut spill: Spill) -> io::Result<Place> {
        spill.file.sync_data()?;
        self.disk.sync_dir(&self.dir)?;
        spill.cleanup = None;
        let file = spill.name.clone();
        self.files.lock().live.insert(file.clone(), 1);
        Ok(Place { file, offset: 0, length: spill.length })
    }

    /// The bytes at `place`, read when they are asked for.
    pub(crate) fn content(&self, place: &Place) -> io::Result<StoredContent> {
        let file = self.disk.open(&self.path(&place.file))?;
        Ok(StoredContent { file: Arc::from(file), place: place.clone() })
    }

    /// The bytes at `place`, when they are those of the checksum. Blocks.
    pub(crate) fn read(&self, place: &Place, crc64: u64) -> Option<Bytes> {
        let file = self.disk.open(&self.path(&place.file)).ok()?;
        let mut bytes = vec![0; usize::try_from(place.length).ok()?];
        file.read_exact_at(&mut bytes, place.offset).ok()?;
        let mut digest = digest();
        digest.update(&bytes);
        (digest.finalize() == crc64).then(|| Bytes::from(bytes))
    }

    /// True when the bytes at `place` are those of the checksum. Blocks.
    pub(crate) fn is_whole(&self, place: &Place, crc64: u64) -> bool {
        let check = || -> io::Result<bool> {
            let file = self.disk.open(&self.path(&place.file))?;
            let mut digest = digest();
            let mut piece = vec![0; VERIFY_BYTES];
            let mut done = 0;
            while done < place.length {
                let length = usize::try_from(place.length - done).unwrap_or(usize::MAX).min(VERIFY_BYTES);
                file.read_exact_at(&mut piece[..length], place.offset + done)?;
                digest.update(&piece[..length]);
                done += length as u64;
            }
            Ok(digest.finalize() == crc64)
        };
        check().unwrap_or(false)
    }

    /// The folder, for messages.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Segment {
    fn store(&self, bytes: &[u8]) -> io::Result<Place> {
        let offset = {
            let mut written = self.written.lock();
            let offset = *written;
            self.file.write_all_at(&[bytes], offset)?;
            *written += bytes.len() as u64;
            offset
        };
        let end = offset + bytes.len() as u64;
        let mut synced = self.synced.lock();
        if synced.failed {
            return Err(io::Error::other("an earlier sync of this segment failed"));
        }
        if synced.bytes < end {
            let upto = *self.written.lock();
            synced.failed = true;
            self.file.sync_data()?;
            *synced = Synced { bytes: upto, failed: false };
        }
        Ok(Place { file: self.name.clone(), offset, length: bytes.len() as u64 })
    }
}

/// A file that one object is spilled into. Removed when it is dropped before it is finished.
#[derive(Debug)]
pub(crate) struct Spill {
    name: String,
    file: Box<dyn DiskFile>,
    length: u64,
    cleanup: Option<(Arc<dyn Disk>, PathBuf)>,
}

impl Drop for Spill {
    fn drop(&mut self) {
        if let Some((disk, path)) = self.cleanup.take()
            && let Err(error) = disk.remove(&path)
        {
            tracing::warn!(file = self.name, %error, "an outbox file could not be removed");
        }
    }
}

impl Spill {
    /// Appends a part; not yet durable.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(&[bytes], self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// The checksum of outbox objects: CRC-64/NVME, which S3 stores compute as well.
pub(crate) fn digest() -> crc_fast::Digest {
    crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)
}

/// An object's bytes on disk.
#[derive(Debug)]
pub(crate) struct StoredContent {
    file: Arc<dyn DiskFile>,
    place: Place,
}

#[async_trait]
impl Content for StoredContent {
    fn len(&self) -> u64 {
        self.place.length
    }

    async fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if offset + length as u64 > self.place.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (file, at) = (Arc::clone(&self.file), self.place.offset + offset);
        millrace_tasks::blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            Ok(Bytes::from(bytes))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use millrace_log::FakeDisk;

    use super::*;

    #[test]
    fn what_is_damaged_or_gone_is_neither_read_nor_whole() {
        let disk = FakeDisk::new(1);
        let outbox = Outbox::open(Arc::new(disk.clone()), PathBuf::from("outbox"), std::iter::empty()).unwrap();
        let bytes = vec![b'x'; 2 * VERIFY_BYTES + 5];
        let mut crc = digest();
        crc.update(&bytes);
        let crc = crc.finalize();
        let place = outbox.store(&bytes).unwrap();
        let looks = |place: &Place, crc64| (outbox.read(place, crc64), outbox.is_whole(place, crc64));
        assert_eq!(looks(&place, crc), (Some(Bytes::from(bytes)), true));
        assert_eq!(looks(&place, crc + 1), (None, false));
        assert_eq!(looks(&Place { length: place.length + 1, ..place.clone() }, crc), (None, false));
        disk.open(&outbox.path(&place.file)).unwrap().write_all_at(&[b"y"], place.length - 1).unwrap();
        assert_eq!(looks(&place, crc), (None, false));
        outbox.release(&place);
        assert_eq!(looks(&place, crc), (None, false));
    }
}
