//! When the mark is written, and what becomes of an error: the keeper thread's work, never the writer's,
//! so no acknowledgement waits for it.

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;

use super::shared::Shared;
use crate::disk::Disk;
use crate::mark::{Found, Mark, Writer};

/// While records come the mark is written so often: of what a second and a sync have made durable a loss
/// may pass for a torn tail.
pub(crate) const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// The one who keeps the mark.
#[derive(Debug)]
pub(crate) struct Marker {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    writer: Writer,
    said: Mark,
    /// When it was written last, or that was tried.
    at: Duration,
    has_failed: bool,
}

impl Marker {
    /// Goes on from the mark that a start found. Where none can be used it is made anew, before a segment
    /// is begun: so a journal without one has lost it.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, found: &Found, salt: u64) -> Self {
        let said = Mark { salt, segment: 0, durable_bytes: 0 };
        let mut state = State { writer: Writer::open(disk, dir, found), said, at: Duration::ZERO, has_failed: false };
        if !state.writer.is_open() {
            let mark = found.mark().unwrap_or(said);
            let made = state.writer.write(disk, dir, &mark);
            state.note(made);
        }
        Self { state: Mutex::new(state) }
    }

    /// Writes the mark when it is due: at once for another segment, else after [`MARK_INTERVAL`].
    pub(crate) fn keep(&self, shared: &Shared) {
        let Some(mark) = newest(shared) else { return };
        let mut state = self.state.lock();
        let now = shared.clock.monotonic();
        let is_early = now.saturating_sub(state.at) < MARK_INTERVAL;
        if mark != state.said && !(is_early && (state.has_failed || mark.segment == state.said.segment)) {
            state.write(shared, mark, now);
        }
    }

    /// Writes the mark when anything has changed: nothing comes behind.
    pub(super) fn close(&self, shared: &Shared) {
        let Some(mark) = newest(shared) else { return };
        let mut state = self.state.lock();
        if mark != state.said {
            state.write(shared, mark, shared.clock.monotonic());
        }
    }
}

impl State {
    fn write(&mut self, shared: &Shared, mark: Mark, now: Duration) {
        self.at = now;
        let written = self.writer.write(&*shared.disk, &shared.dir, &mark);
        if written.is_ok() {
            self.said = mark;
        }
        self.note(written);
    }

    fn note(&mut self, written: std::io::Result<()>) {
        match &written {
            Ok(()) if self.has_failed => tracing::info!("the journal's mark is written again"),
            Err(error) if !self.has_failed => {
                tracing::warn!(%error, "the journal's mark cannot be written; a loss of durable bytes may pass for a torn tail");
            }
            _ => {}
        }
        self.has_failed = written.is_err();
    }
}

/// What is durable in the segment that is written.
fn newest(shared: &Shared) -> Option<Mark> {
    let (segment, durable_bytes) = shared.store.lock().active()?;
    Some(Mark { salt: shared.salt, segment, durable_bytes })
}
