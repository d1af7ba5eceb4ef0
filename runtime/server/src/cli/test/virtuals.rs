//! What a test has in place of the world: a clock that stands, randomness of a seed, state in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_transform::{KeyValue, Writes};
use millrace_types::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
use parking_lot::Mutex;

/// A clock that stands where a test puts it, or the machine's own.
///
/// Its monotonic time stands, too, until the run has had its time: then it is past the deadline, and the run
/// ends as it would at a server.
#[derive(Debug, Default)]
pub(super) struct VirtualClock(Mutex<Standing>);

#[derive(Debug, Default, Clone, Copy)]
struct Standing {
    wall_ms: Option<i64>,
    /// When the run began on the machine's monotonic clock, and how long it may take.
    began: Duration,
    deadline: Duration,
}

impl VirtualClock {
    /// Begins a run that may take `deadline`, at `wall_ms` (the machine's time when none).
    pub(super) fn set(&self, wall_ms: Option<i64>, deadline: Duration) {
        *self.0.lock() = Standing { wall_ms, began: SystemClock.monotonic(), deadline };
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.0.lock().wall_ms.unwrap_or_else(|| SystemClock.now_ms())
    }

    fn monotonic(&self) -> Duration {
        let Standing { wall_ms, began, deadline } = *self.0.lock();
        let now = SystemClock.monotonic();
        if wall_ms.is_some() && now < began + deadline { began } else { now }
    }
}

/// Randomness of a seed, or the machine's own.
#[derive(Debug, Default)]
pub(super) struct VirtualEntropy(Mutex<Option<SeededEntropy>>);

impl VirtualEntropy {
    /// Begins the sequence of `seed`.
    pub(super) fn set(&self, seed: Option<u64>) {
        *self.0.lock() = seed.map(SeededEntropy::new);
    }
}

impl Entropy for VirtualEntropy {
    fn fill(&self, out: &mut [u8]) {
        match &*self.0.lock() {
            Some(seeded) => seeded.fill(out),
            None => SystemEntropy.fill(out),
        }
    }
}

/// A function's state for one test.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl KeyValue for Memory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String> {
        let state = self.0.lock();
        let keys = state.keys().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        Ok(keys.take(limit).cloned().collect())
    }

    fn commit(&self, writes: &Writes) -> Result<(), String> {
        let mut state = self.0.lock();
        for (key, value) in writes {
            match value {
                Some(value) => drop(state.insert(key.clone(), value.clone())),
                None => drop(state.remove(key)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_until_it_is_over() {
        let clock = VirtualClock::default();
        clock.set(Some(7), Duration::from_secs(3600));
        let at = clock.monotonic();
        assert_eq!((clock.now_ms(), clock.monotonic()), (7, at));
        clock.set(Some(7), Duration::ZERO);
        let before = SystemClock.monotonic();
        assert!(clock.monotonic() >= before, "the run has had its time");
        clock.set(None, Duration::from_secs(3600));
        assert!(clock.now_ms() > 1_700_000_000_000);
    }

    #[test]
    fn a_seed_gives_the_same_bytes_again() {
        let entropy = VirtualEntropy::default();
        let bytes = |seed| {
            entropy.set(seed);
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            bytes
        };
        assert_eq!(bytes(Some(1)), bytes(Some(1)));
        assert_ne!(bytes(Some(1)), bytes(Some(2)));
        assert_ne!(bytes(None), bytes(None));
    }

    #[test]
    fn state_is_listed_in_order_behind_a_key() {
        let state = Memory::default();
        let writes = ["a1", "a2", "a3", "b"].map(|key| (key.to_owned(), Some(b"x".to_vec())));
        state.commit(&writes.into_iter().collect()).expect("keeps");
        assert_eq!(state.keys("a", Some("a1"), 1).expect("lists"), ["a2"]);
        state.commit(&[("a2".to_owned(), None)].into_iter().collect()).expect("keeps");
        assert_eq!((state.get("a2"), state.keys("a", None, 9)), (Ok(None), Ok(vec!["a1".to_owned(), "a3".to_owned()])));
    }
}
