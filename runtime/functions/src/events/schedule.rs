//! Which event runs next: of the function with the fewest running ones the one that is due longest, so that no
//! function keeps the others waiting, however many events it has.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use millrace_catalog::EventId;

/// Events that run at once, of all functions and of one.
pub(super) const RUNNING_MAX: usize = 32;
const RUNNING_OF_ONE_MAX: usize = 8;

/// What is left of an event behind an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Done,
    Again {
        wait: Duration,
        /// Attempts that came to nothing, one behind the other, through no fault of the event.
        delays: u32,
    },
}

/// Events that wait and run.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Numbers of all of them: none is in here twice.
    known: HashSet<u64>,
    running: usize,
    owners: BTreeMap<String, OfOne>,
}

#[derive(Debug, Default)]
struct OfOne {
    running: usize,
    /// By when they are due and their number: their delays.
    waiting: BTreeMap<(Duration, u64), u32>,
}

impl OfOne {
    /// The first that waits, when there is a place for it.
    fn first(&self) -> Option<(Duration, u64)> {
        self.waiting.keys().next().copied().filter(|_| self.running < RUNNING_OF_ONE_MAX)
    }
}

impl Schedule {
    /// An event came; one that is here already is not taken a second time.
    pub(super) fn add(&mut self, id: EventId, due: Duration) {
        if self.known.insert(id.number) {
            self.owners.entry(id.owner).or_default().waiting.insert((due, id.number), 0);
        }
    }

    /// The event that is to run now, with its delays; it keeps a place until [`Self::end`].
    pub(super) fn next(&mut self, now: Duration) -> Option<(EventId, u32)> {
        if self.running == RUNNING_MAX {
            return None;
        }
        let ready = self.owners.iter_mut().filter_map(|(owner, one)| {
            let first = one.first().filter(|(due, _)| *due <= now)?;
            Some((one.running, first, owner, one))
        });
        let (_, first, owner, one) = ready.min_by_key(|(running, first, ..)| (*running, *first))?;
        let delays = one.waiting.remove(&first).unwrap_or_default();
        one.running += 1;
        self.running += 1;
        Some((EventId { number: first.1, owner: owner.clone() }, delays))
    }

    /// When the next event is due that has a place.
    pub(super) fn due(&self) -> Option<Duration> {
        let first = self.owners.values().filter_map(OfOne::first).min();
        first.map(|(due, _)| due).filter(|_| self.running < RUNNING_MAX)
    }

    /// An attempt that [`Self::next`] gave has ended.
    pub(super) fn end(&mut self, id: &EventId, next: Next, now: Duration) {
        self.running -= 1;
        let Some(one) = self.owners.get_mut(&id.owner) else { return };
        one.running -= 1;
        match next {
            Next::Done => drop(self.known.remove(&id.number)),
            Next::Again { wait, delays } => drop(one.waiting.insert((now + wait, id.number), delays)),
        }
        if one.running == 0 && one.waiting.is_empty() {
            self.owners.remove(&id.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(owner: &str, number: u64) -> EventId {
        EventId { number, owner: owner.to_owned() }
    }

    fn all(schedule: &mut Schedule, now: u64) -> Vec<EventId> {
        std::iter::from_fn(|| schedule.next(Duration::from_secs(now))).map(|(id, _)| id).collect()
    }

    #[test]
    fn an_event_is_taken_once() {
        let mut schedule = Schedule::default();
        schedule.add(id("f", 7), Duration::ZERO);
        schedule.add(id("f", 7), Duration::from_secs(1));
        assert_eq!(all(&mut schedule, 9), [id("f", 7)]);
        schedule.add(id("f", 7), Duration::ZERO);
        assert_eq!(all(&mut schedule, 9), [], "it runs already");
        schedule.end(&id("f", 7), Next::Done, Duration::ZERO);
        assert_eq!((schedule.due(), schedule.owners.len(), schedule.known.len()), (None, 0, 0));
    }

    #[test]
    fn one_function_leaves_places_to_others_and_they_take_turns() {
        let mut schedule = Schedule::default();
        for number in 1..=100 {
            schedule.add(id("greedy", number), Duration::ZERO);
        }
        assert_eq!(all(&mut schedule, 0).len(), RUNNING_OF_ONE_MAX);
        assert_eq!(schedule.due(), None, "what has no place wakes nobody");
        for number in 101..=102 {
            schedule.add(id("small", number), Duration::from_secs(5));
        }
        assert_eq!(schedule.due(), Some(Duration::from_secs(5)));
        schedule.end(&id("greedy", 1), Next::Done, Duration::ZERO);
        assert_eq!(all(&mut schedule, 5), [id("small", 101), id("small", 102), id("greedy", 9)]);
        for owner in ["a", "b", "c", "d", "e"] {
            for number in 0..20 {
                let number = 1_000 * u64::from(owner.as_bytes()[0]) + number;
                schedule.add(id(owner, number), Duration::ZERO);
            }
        }
        let taken = all(&mut schedule, 5);
        assert_eq!(taken.len(), RUNNING_MAX - RUNNING_OF_ONE_MAX - 2);
        for owner in ["a", "b", "c", "d", "e"] {
            let share = taken.iter().filter(|id| id.owner == owner).count();
            assert!((4..=5).contains(&share), "{owner}: {share}");
        }
        assert_eq!(schedule.due(), None, "all places are taken");
    }

    #[test]
    fn what_comes_again_waits_its_time_and_keeps_its_count() {
        let mut schedule = Schedule::default();
        schedule.add(id("f", 1), Duration::ZERO);
        assert_eq!(schedule.next(Duration::ZERO), Some((id("f", 1), 0)));
        let again = Next::Again { wait: Duration::from_secs(2), delays: 3 };
        schedule.end(&id("f", 1), again, Duration::from_secs(10));
        assert_eq!((schedule.next(Duration::from_secs(11)), schedule.due()), (None, Some(Duration::from_secs(12))));
        assert_eq!(schedule.next(Duration::from_secs(12)), Some((id("f", 1), 3)));
    }
}
