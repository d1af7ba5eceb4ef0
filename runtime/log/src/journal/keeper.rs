//! The keeper thread: whatever must not hold up the writer. It keeps the mark, prepares the next segment,
//! writes the indexes of sealed ones, removes what nobody needs and settles lagging shards. It looks at
//! the state as it is, so a lost ring costs nothing but time until the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::marker::MARK_INTERVAL;
use super::settle::{self, PassedOver};
use super::shared::Shared;
use crate::disk::DiskFile;
use crate::file::{FileHead, Source};
use crate::index::{self, Refs};
use crate::recovery;
use crate::store::Phase;

/// Serves until the writer has ended.
pub(super) fn run(shared: &Shared, bell: &Receiver<()>) {
    round(shared);
    loop {
        let heard = bell.recv_timeout(MARK_INTERVAL);
        if shared.is_stopping() || heard == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        match heard {
            Ok(()) => round(shared),
            Err(_) => shared.marker.keep(shared),
        }
    }
    // The writer has ended: this is the exact end.
    shared.marker.close(shared);
}

fn round(shared: &Shared) {
    shared.marker.keep(shared);
    shared.spares.prepare(shared);
    write_indexes(shared);
    let mut passed_over = PassedOver::new();
    loop {
        collect(shared);
        if shared.is_stopping() || !settle::settle_one(shared, &mut passed_over) {
            return;
        }
    }
}

/// Removes what nobody needs. What made it so is durable already.
fn collect(shared: &Shared) {
    let garbage = shared.store.lock().garbage();
    if garbage.is_empty() {
        return;
    }
    for source in &garbage {
        recovery::remove(&*shared.disk, &shared.dir, source);
    }
    shared.recheck.store(true, Ordering::Release);
}

struct Job {
    number: u64,
    valid_bytes: u64,
    file: Option<Arc<dyn DiskFile>>,
    refs: Arc<Refs>,
}

fn write_indexes(shared: &Shared) {
    let jobs: Vec<Job> = {
        let store = shared.store.lock();
        let sealed = store.segments.iter().filter(|(_, segment)| segment.pins > 0);
        let job = |(number, segment): (&u64, &crate::store::Segment)| match &segment.phase {
            Phase::Sealed(refs) => Some(Job {
                number: *number,
                valid_bytes: segment.valid_bytes,
                file: segment.file.clone(),
                refs: Arc::clone(refs),
            }),
            _ => None,
        };
        sealed.filter_map(job).collect()
    };
    for job in jobs {
        if shared.is_stopping() {
            return;
        }
        match write_index(shared, &job) {
            Ok(index_bytes) => {
                if let Some(segment) = shared.store.lock().segments.get_mut(&job.number) {
                    segment.phase = Phase::Indexed;
                    segment.file = None;
                    segment.index_bytes = index_bytes;
                    segment.file_bytes = segment.valid_bytes;
                }
            }
            // It stays in memory, and is tried again at the next ring.
            Err(error) => tracing::warn!(number = job.number, %error, "an index cannot be written"),
        }
    }
}

fn write_index(shared: &Shared, job: &Job) -> std::io::Result<u64> {
    let salt = match &job.file {
        Some(file) => {
            // Behind the valid part is nothing that was acknowledged.
            file.set_len(job.valid_bytes.min(file.len()?))?;
            FileHead::read(&**file)?.map_or(shared.salt, |head| head.salt)
        }
        None => shared.salt,
    };
    let head = FileHead::of_segment(job.number, salt);
    let bytes = index::encode(&head, job.valid_bytes, &job.refs);
    index::store(&*shared.disk, &Source::Segment(job.number).index_path(&shared.dir), &bytes)?;
    Ok(bytes.len() as u64)
}
