//! Working memory of compressors, used again: to make it anew for each object costs more than to
//! compress a small one.

use std::ops::{Deref, DerefMut};

use millrace_types::MIB;
use parking_lot::Mutex;

/// Compressors of one kind that are kept while nobody uses them: a few threads compress at once.
const IDLE_MAX: usize = 4;
/// One that holds more than this (zstd at its highest levels) is not kept.
const IDLE_BYTES_MAX: usize = 8 * MIB;

/// Compressors that are not in use.
pub(super) struct Pool<T: 'static> {
    idle: Mutex<Vec<T>>,
    /// Bytes that one holds.
    bytes: fn(&T) -> usize,
}

/// A compressor in use; it goes back when this is dropped.
pub(super) struct Taken<T: 'static> {
    pool: &'static Pool<T>,
    /// `None` only while it is dropped.
    value: Option<T>,
}

impl<T> Pool<T> {
    pub(super) const fn new(bytes: fn(&T) -> usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), bytes }
    }

    /// One that is idle and `fits`, else a new one.
    pub(super) fn take(&'static self, fits: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> Taken<T> {
        let idle = {
            let mut idle = self.idle.lock();
            idle.iter().position(fits).map(|at| idle.remove(at))
        };
        Taken { pool: self, value: Some(idle.unwrap_or_else(new)) }
    }
}

impl<T> Deref for Taken<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("taken until dropped")
    }
}

impl<T> DerefMut for Taken<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("taken until dropped")
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        let kept = self.value.take().filter(|value| (self.pool.bytes)(value) <= IDLE_BYTES_MAX);
        let mut idle = self.pool.idle.lock();
        if kept.is_some() && idle.len() == IDLE_MAX {
            // The oldest: the settings may have changed since.
            idle.remove(0);
        }
        idle.extend(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_used_again_and_no_more_is_kept_than_the_limit() {
        static POOL: Pool<(u8, usize)> = Pool::new(|(_, bytes)| *bytes);
        let all: Vec<_> = (0..8).map(|n| POOL.take(|_| true, || (n % 2, 0))).collect();
        drop(all);
        assert_eq!(POOL.idle.lock().len(), IDLE_MAX);
        POOL.take(|(kind, _)| *kind == 1, || (1, 0)).1 += 7;
        let found = POOL.take(|(kind, used)| (*kind, *used) == (1, 7), || (9, 9));
        assert_eq!(*found, (1, 7));
        assert_eq!(*POOL.take(|(kind, _)| *kind == 2, || (2, IDLE_BYTES_MAX + 1)), (2, IDLE_BYTES_MAX + 1));
        assert_eq!(*POOL.take(|(kind, _)| *kind == 2, || (2, 0)), (2, 0), "the large one was not kept");
    }
}
