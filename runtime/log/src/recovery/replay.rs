//! State from frames: the snapshot at a segment's head, and what was decided behind it.

use std::io;

use bytes::Bytes;
use millrace_types::Seq;

use crate::Intent;
use crate::disk::DiskFile;
use crate::frame::{self, Header, Kind};
use crate::scan::{Scan, Window};
use crate::snapshot::{self, Snapshot};
use crate::store::Store;

/// The snapshot at the head of the scanned segment; none when no part of it is whole in either copy.
pub(super) fn read_snapshot(file: &dyn DiskFile, scan: &Scan) -> io::Result<Option<Snapshot>> {
    let mut window = Window::new(file, scan.valid_bytes);
    let mut parts: Vec<Option<Bytes>> = Vec::new();
    for (at, header) in scan.frames.iter().filter(|(_, header)| header.kind == Kind::Snapshot) {
        // A part takes 48 bytes at least, so there are no more than this.
        let count = (header.count as usize).min(scan.frames.len());
        parts.resize(parts.len().max(count).max(1), None);
        let nth = usize::try_from(header.first).unwrap_or(usize::MAX);
        if let Some(part @ None) = parts.get_mut(nth) {
            *part = window.body(*at, header)?;
        }
    }
    let whole: Option<Vec<Bytes>> = parts.into_iter().collect();
    Ok(whole.filter(|parts| !parts.is_empty()).and_then(|parts| match snapshot::decode(&parts) {
        Ok(snapshot) => Some(snapshot),
        Err(why) => {
            tracing::error!(why, "a snapshot with a valid checksum cannot be read");
            None
        }
    }))
}

/// Applies the frames of one segment.
pub(super) fn replay(store: &mut Store, file: &dyn DiskFile, scan: &Scan) -> io::Result<()> {
    let mut window = Window::new(file, scan.valid_bytes);
    for (at, header) in &scan.frames {
        match header.kind {
            Kind::Records => records(store, header),
            Kind::Intent => {
                if let Some(body) = window.body(*at, header)? {
                    match frame::decode_intent(header, &body) {
                        Ok(intent) => decided(store, intent),
                        Err(why) => tracing::error!(why, at, "an intent cannot be read"),
                    }
                }
            }
            Kind::Commit => {
                if let Some(body) = window.body(*at, header)? {
                    match frame::decode_commit(header, &body) {
                        Ok(commit) => store.commit(&commit),
                        Err(why) => tracing::error!(why, at, "a commit cannot be read"),
                    }
                }
            }
            Kind::Retire => {
                store.retire(header.shard);
            }
            Kind::Snapshot | Kind::Mark | Kind::Pad => {}
        }
    }
    // Records whose frame is damaged were accepted: their numbers are not given again.
    for damage in &scan.damage {
        if let Some(header) = damage.header.filter(|header| header.kind == Kind::Records)
            && !store.is_retired(header.shard)
        {
            records(store, &header);
        }
    }
    Ok(())
}

/// The members of an intent were accepted, though the frame that held them may be gone without a trace:
/// their numbers are not given again.
fn decided(store: &mut Store, intent: Intent) {
    if let Some((_, last)) = intent.members.span() {
        let shard = store.shards.entry(intent.shard).or_default();
        shard.next = shard.next.max(last.plus(1));
    }
    store.intent(intent);
}

fn records(store: &mut Store, header: &Header) {
    let shard = store.shards.entry(header.shard).or_default();
    shard.next = shard.next.max(Seq::new(header.end()));
}
