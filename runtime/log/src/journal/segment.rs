//! The segment that is written: its beginning, its end, its room.

use std::io;
use std::sync::Arc;

use super::shared::Shared;
use crate::disk::DiskFile;
use crate::file::{FRAMES_AT, FileHead, FileKind, Source};
use crate::frame::{Body, HEADER_BYTES, Kind, plain};
use crate::index::Refs;
use crate::snapshot;
use crate::store::{Phase, Segment};

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes reserved.
    pub(super) capacity: u64,
    /// Where the next frame begins.
    pub(super) end: u64,
    /// Everything below is durable.
    pub(super) synced: u64,
    /// Takes nothing more.
    pub(super) closed: bool,
}

impl Active {
    pub(super) fn fits(&self, bytes: u64) -> bool {
        !self.closed && self.end + bytes <= self.capacity
    }

    /// Reserves room for a large request, and half a segment behind it for decisions.
    pub(super) fn extend(&mut self, shared: &Shared, bytes: u64) -> io::Result<()> {
        let capacity = self.end + bytes + shared.settings.segment_bytes / 2;
        self.file.allocate(capacity)?;
        self.capacity = capacity;
        if let Some(segment) = shared.store.lock().segments.get_mut(&self.number) {
            segment.file_bytes = capacity;
        }
        Ok(())
    }

    /// Notes, when nothing else is to do, that everything before is durable: so a damaged last frame
    /// is not taken for a torn one. Nobody waits for the note, it is not synced.
    pub(super) fn mark(&mut self, salt: u64) {
        if self.end != self.synced || !self.fits(HEADER_BYTES as u64) {
            return;
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        plain(Kind::Mark, Vec::new()).write_to(&mut bytes, self.synced, salt);
        match self.file.write_all_at(&[&bytes], self.end) {
            Ok(()) => self.end += bytes.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "a segment takes no mark; it is closed");
                self.closed = true;
            }
        }
    }
}

/// A prepared file that becomes the active segment.
pub(super) struct NewSegment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes reserved.
    pub(super) capacity: u64,
    /// The segment before and its valid bytes; zeros when there is none.
    pub(super) previous: (u64, u64),
}

impl NewSegment {
    /// Writes head and snapshot (twice), durable on return, and seals the segment before.
    pub(super) fn begin(self, shared: &Shared) -> io::Result<Active> {
        let head = FileHead {
            kind: FileKind::Segment,
            number: self.number,
            salt: shared.salt,
            previous: self.previous.0,
            previous_valid_bytes: self.previous.1,
            reserved_bytes: self.capacity,
        };
        let snapshot = snapshot::encode(&shared.store.lock());
        let bytes = beginning(&head, &snapshot);
        let end = bytes.len() as u64;
        let written = self.file.write_all_at(&[&bytes], 0).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // It says nothing false, should it stay; it only takes room.
            if let Err(left) = shared.disk.remove(&Source::Segment(self.number).path(&shared.dir)) {
                tracing::warn!(number = self.number, error = %left, "a segment that could not be begun stays");
            }
            return Err(error);
        }
        let mut store = shared.store.lock();
        if let Some(old) = store.segments.get_mut(&self.previous.0)
            && let Phase::Active(refs) = &mut old.phase
        {
            old.phase = Phase::Sealed(Arc::new(std::mem::take(refs)));
            old.valid_bytes = self.previous.1;
        }
        store.segments.insert(
            self.number,
            Segment {
                valid_bytes: end,
                file_bytes: self.capacity.max(end),
                index_bytes: 0,
                pins: 0,
                phase: Phase::Active(Refs::new()),
                keep: false,
                file: Some(Arc::clone(&self.file)),
            },
        );
        drop(store);
        let Self { number, file, capacity, .. } = self;
        Ok(Active { number, file, capacity: capacity.max(end), end, synced: end, closed: false })
    }
}

/// The bytes of a new segment: head, snapshot, padding to a page, snapshot.
fn beginning(head: &FileHead, parts: &[Body]) -> Vec<u8> {
    let mut bytes = head.encode();
    let write = |bytes: &mut Vec<u8>| parts.iter().for_each(|part| part.write_to(bytes, FRAMES_AT, head.salt));
    write(&mut bytes);
    let end = bytes.len() as u64;
    #[expect(clippy::cast_possible_truncation, reason = "less than two pages")]
    let pad = (snapshot::second_copy_at(end) - end) as usize - HEADER_BYTES;
    plain(Kind::Pad, vec![0; pad]).write_to(&mut bytes, FRAMES_AT, head.salt);
    write(&mut bytes);
    bytes
}
