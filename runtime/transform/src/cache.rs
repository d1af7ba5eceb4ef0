//! Machine code of single WebAssembly functions by what it was made of: a component that changed in a few of
//! its functions is compiled in a few of them.
//!
//! Cranelift's keys are not the same from run to run for one function in twenty or so, even of the same component:
//! what a compilation did not need is kept as long as there is room, the next may.
//!
//! ```text
//! entries: (key 32: Cranelift's SHA-256 of all that decides the code | length 4, little-endian | code)…
//!          those needed last first
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::CacheStore;

/// Bytes of the entries of one function's components. Those of one Python component are 27 MB.
pub const CACHE_BYTES_MAX: usize = 64 << 20;

const KEY_BYTES: usize = 32;
const HEAD_BYTES: usize = KEY_BYTES + 4;

/// One compilation's entries: those that it was given, and those that it made. In memory, or as bytes between two
/// processes.
#[derive(Default)]
pub struct CompileCache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_key: HashMap<[u8; KEY_BYTES], Entry>,
    /// Of those that this compilation needed.
    needed_bytes: usize,
}

struct Entry {
    code: Arc<[u8]>,
    /// Place among those that were given; none when this compilation needed it.
    given: Option<usize>,
}

impl CompileCache {
    /// What the next compilation is to be given, in this process.
    #[must_use]
    pub fn next(&self) -> Self {
        Self::of(&self.entries())
    }

    /// What a compilation before gave as its [`Self::entries`]; what does not read is left out with all behind it.
    pub(crate) fn of(mut bytes: &[u8]) -> Self {
        let mut by_key = HashMap::new();
        while let Some((key, code, rest)) = entry(bytes) {
            by_key.insert(key, Entry { code: code.into(), given: Some(by_key.len()) });
            bytes = rest;
        }
        Self(Mutex::new(Entries { by_key, needed_bytes: 0 }))
    }

    /// What the next compilation is to be given: what this one needed, then what those before did, up to
    /// [`CACHE_BYTES_MAX`].
    pub(crate) fn entries(&self) -> Vec<u8> {
        let entries = self.0.lock();
        let mut all: Vec<_> = entries.by_key.iter().collect();
        // What was needed has no place of before, and comes first.
        all.sort_unstable_by_key(|(key, entry)| (entry.given, **key));
        let mut bytes = Vec::new();
        for (key, entry) in all {
            let Ok(length) = u32::try_from(entry.code.len()) else { continue };
            if bytes.len() + HEAD_BYTES + entry.code.len() > CACHE_BYTES_MAX {
                break;
            }
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&entry.code);
        }
        bytes
    }
}

fn entry(bytes: &[u8]) -> Option<([u8; KEY_BYTES], &[u8], &[u8])> {
    let (key, rest) = bytes.split_first_chunk::<KEY_BYTES>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (code, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((*key, code, rest))
}

impl Entries {
    /// Counts one more entry that is needed; false when there is no room for it.
    fn has_room(&mut self, code_bytes: usize) -> bool {
        let bytes = self.needed_bytes.saturating_add(HEAD_BYTES).saturating_add(code_bytes);
        let fits = bytes <= CACHE_BYTES_MAX;
        if fits {
            self.needed_bytes = bytes;
        }
        fits
    }
}

impl CacheStore for CompileCache {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut entries = self.0.lock();
        let entry = entries.by_key.get(key)?;
        let (code, is_new) = (Arc::clone(&entry.code), entry.given.is_some());
        if is_new && entries.has_room(code.len()) {
            entries.by_key.get_mut(key)?.given = None;
        }
        drop(entries);
        Some(Cow::Owned(code.to_vec()))
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        let Ok(key) = <[u8; KEY_BYTES]>::try_from(key) else { return false };
        let mut entries = self.0.lock();
        // Two threads may make the same one; the first is kept.
        if entries.by_key.get(&key).is_some_and(|entry| entry.given.is_none()) {
            return true;
        }
        let fits = entries.has_room(code.len());
        if fits {
            entries.by_key.insert(key, Entry { code: code.into(), given: None });
        }
        fits
    }
}

impl std::fmt::Debug for CompileCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CompileCache(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> [u8; KEY_BYTES] {
        [n; KEY_BYTES]
    }

    #[test]
    fn what_a_compilation_needed_is_what_the_next_is_given_first() {
        let first = CompileCache::default();
        for n in [3, 1, 2] {
            assert!(first.insert(&key(n), vec![n; n.into()]) && first.get(&key(n)).is_some());
        }
        let bytes = first.entries();
        assert_eq!(bytes.len(), 3 * HEAD_BYTES + 6);
        let second = CompileCache::of(&bytes);
        assert_eq!(second.get(&key(2)).as_deref(), Some(&[2, 2][..]));
        assert!(second.get(&key(4)).is_none() && second.insert(&key(4), vec![4]));
        let order = |bytes: &[u8]| {
            let (mut bytes, mut keys) = (bytes, Vec::new());
            while let Some((key, _, rest)) = entry(bytes) {
                keys.push(key[0]);
                bytes = rest;
            }
            keys
        };
        assert_eq!(order(&second.entries()), [2, 4, 1, 3], "what nobody needs is kept behind what somebody did");
        let third = second.next();
        assert!(third.get(&key(3)).is_some());
        assert_eq!(order(&third.entries()), [3, 2, 4, 1]);
    }

    #[test]
    fn what_was_not_needed_longest_goes_when_there_is_no_room() {
        let first = CompileCache::default();
        first.insert(&key(1), vec![1; 9]);
        first.insert(&key(2), vec![2; 9]);
        let second = first.next();
        second.get(&key(2));
        assert!(second.insert(&key(3), vec![3; CACHE_BYTES_MAX - 2 * HEAD_BYTES - 9]));
        assert_eq!(second.entries().len(), CACHE_BYTES_MAX);
        let third = second.next();
        assert!(third.get(&key(1)).is_none() && third.get(&key(2)).is_some());
    }

    #[test]
    fn more_than_the_limit_is_not_kept() {
        let cache = CompileCache::default();
        assert!(cache.insert(&key(1), vec![0; CACHE_BYTES_MAX - 2 * HEAD_BYTES]));
        assert!(!cache.insert(&key(2), vec![0]) && cache.get(&key(2)).is_none());
        assert!(cache.insert(&key(1), Vec::new()), "the first of the same stays");
        assert!(cache.insert(&key(3), Vec::new()));
        assert_eq!(cache.entries().len(), CACHE_BYTES_MAX);
        assert!(!cache.insert(b"short", Vec::new()));
    }

    #[test]
    fn entries_that_are_cut_are_left_out() {
        let cache = CompileCache::default();
        for n in [1, 2] {
            cache.insert(&key(n), vec![n; 5]);
        }
        let bytes = cache.entries();
        for at in 0..bytes.len() {
            let cut = CompileCache::of(&bytes[..at]);
            assert_eq!(cut.get(&key(1)).is_some(), at >= HEAD_BYTES + 5, "cut at {at}");
            assert!(cut.get(&key(2)).is_none(), "cut at {at}");
        }
    }
}
