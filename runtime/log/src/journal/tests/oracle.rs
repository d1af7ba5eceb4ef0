//! The judge: what was asked, what was answered, and what therefore may, must and must not be there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millrace_types::{Entropy, Members, SeededEntropy};

use super::*;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Acked,
    Refused,
    Unknown,
}

fn end_of<T>(answer: &Result<T, Error>) -> End {
    match answer {
        Ok(_) => End::Acked,
        Err(Error::Failed(_) | Error::Closed) => End::Unknown,
        Err(_) => End::Refused,
    }
}

/// One shard in the judge's book.
#[derive(Debug, Default)]
struct Book {
    /// Acknowledged records by place.
    acked: BTreeMap<u64, Vec<u8>>,
    refused: BTreeSet<Vec<u8>>,
    unknown: BTreeSet<Vec<u8>>,
    intents: BTreeMap<u64, Intent>,
    done: Members,
    watermark: u64,
    delivered: u64,
    /// A decision's fate is unknown: the state may be either.
    blurred: bool,
    retired: bool,
}

/// Asks at random, by seed, and keeps book.
pub(super) struct Oracle {
    random: SeededEntropy,
    books: BTreeMap<ShardId, Book>,
    tag: u64,
    pub(super) acked: u64,
    pub(super) refused: u64,
}

impl Oracle {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: SeededEntropy::new(seed), books: BTreeMap::new(), tag: 0, acked: 0, refused: 0 }
    }

    fn below(&self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn count(&mut self, end: End) {
        match end {
            End::Acked => self.acked += 1,
            End::Refused => self.refused += 1,
            End::Unknown => {}
        }
    }

    /// One step: a few appends at once, an intent, a commit, or rarely a retirement. False when the
    /// journal is of no more use.
    pub(super) async fn step(&mut self, journal: &Journal) -> bool {
        let id = shard(u32::try_from(self.below(4)).unwrap());
        if self.books.entry(id).or_default().retired {
            return true;
        }
        match self.below(40) {
            0..22 => self.append(journal).await,
            22..29 => self.intent(journal, id).await,
            29..39 => self.commit(journal, id).await,
            _ if id == shard(3) && self.below(4) == 0 => self.retire(journal, id).await,
            _ => true,
        }
    }

    async fn append(&mut self, journal: &Journal) -> bool {
        let mut asked = Vec::new();
        for _ in 0..=self.below(3) {
            let id = shard(u32::try_from(self.below(3)).unwrap());
            let size = if self.below(12) == 0 { 9_000 } else { usize::try_from(self.below(900)).unwrap() };
            let records = usize::try_from(1 + self.below(4)).unwrap();
            self.tag += 1;
            asked.push((id, self.tag, records, size));
        }
        let mut appends = tokio::task::JoinSet::new();
        for (nth, (id, tag, records, size)) in asked.iter().copied().enumerate() {
            let journal = journal.clone();
            appends.spawn(async move { (nth, journal.append(id, batch(tag, records, size)).await) });
        }
        let mut useful = true;
        for (nth, answer) in appends.join_all().await {
            let (id, tag, records, size) = asked[nth];
            let end = end_of(&answer);
            let book = self.books.entry(id).or_default();
            for at in 0..records as u64 {
                let record = record(tag, at, size);
                match (&answer, end) {
                    (Ok(first), _) => assert!(book.acked.insert(first.get() + at, record).is_none(), "a place twice"),
                    (_, End::Refused) => drop(book.refused.insert(record)),
                    _ => drop(book.unknown.insert(record)),
                }
            }
            useful &= end != End::Unknown;
            self.count(end);
        }
        useful
    }

    async fn intent(&mut self, journal: &Journal, id: ShardId) -> bool {
        self.tag += 1;
        // What is decided has been accepted.
        let book = &self.books[&id];
        let (watermark, next) = (book.watermark, book.acked.last_key_value().map_or(0, |(last, _)| last + 1));
        if watermark >= next {
            return true;
        }
        let from = watermark + self.below(5.min(next - watermark));
        let to = from + 1 + self.below(6.min(next - from));
        let mut members = Members::new();
        members.insert(u32::try_from(self.below(2)).unwrap(), Seq::new(from), Seq::new(to));
        let body = Bytes::from(vec![7; usize::try_from(self.below(300)).unwrap()]);
        let intent = Intent { shard: id, id: self.tag, members, body };
        let end = end_of(&journal.intent(intent.clone()).await);
        let book = self.books.entry(id).or_default();
        match end {
            End::Acked => drop(book.intents.insert(intent.id, intent)),
            End::Unknown => book.blurred = true,
            End::Refused => {}
        }
        self.count(end);
        end != End::Unknown
    }

    async fn commit(&mut self, journal: &Journal, id: ShardId) -> bool {
        let book = &self.books[&id];
        let next = book.acked.last_key_value().map_or(book.watermark, |(last, _)| last + 1);
        let watermark = book.watermark + self.below(1 + next.saturating_sub(book.watermark));
        let closed: Vec<u64> = book.intents.keys().copied().filter(|_| self.below(2) == 0).collect();
        let counts = Counts { delivered: self.below(9), ..Counts::default() };
        let commit = Commit { shard: id, intents: closed.clone(), watermark: Seq::new(watermark), counts };
        let end = end_of(&journal.commit(commit).await);
        let book = self.books.entry(id).or_default();
        match end {
            End::Acked => {
                for id in closed {
                    book.done.merge(&book.intents.remove(&id).unwrap().members);
                }
                book.watermark = watermark;
                book.done.trim(Seq::new(watermark));
                book.delivered += counts.delivered;
            }
            End::Unknown => book.blurred = true,
            End::Refused => {}
        }
        self.count(end);
        end != End::Unknown
    }

    async fn retire(&mut self, journal: &Journal, id: ShardId) -> bool {
        let end = end_of(&journal.retire(id).await);
        let book = self.books.entry(id).or_default();
        match end {
            End::Acked => book.retired = true,
            End::Unknown => (book.retired, book.blurred) = (true, true),
            End::Refused => {}
        }
        end != End::Unknown
    }

    /// Holds a journal that was just opened against the book, and takes over what it says of requests
    /// whose fate was unknown.
    pub(super) async fn judge(&mut self, journal: &Journal, what: &str) {
        for (id, book) in &mut self.books {
            let state = journal.shard(*id);
            if book.retired {
                assert!(book.blurred || state.is_none(), "{what}: {id} is retired");
                (book.retired, book.acked, book.unknown) = (true, BTreeMap::new(), BTreeSet::new());
                continue;
            }
            let state = state.unwrap_or_default();
            let intents: BTreeMap<u64, Intent> =
                journal.open_intents(*id).into_iter().map(|intent| (intent.id, intent)).collect();
            if !book.blurred {
                let seen = (&intents, &state.done, state.watermark.get(), state.counts.delivered);
                let told = (&book.intents, &book.done, book.watermark, book.delivered);
                assert_eq!(seen, told, "{what}: decisions of {id}");
            }
            assert!(state.watermark.get() >= book.watermark, "{what}: the watermark went back");
            let (records, gaps) = read_to(&mut journal.reader(*id, state.watermark), state.next).await;
            assert_eq!(gaps, [], "{what}: gaps in {id}");
            let found: BTreeMap<u64, Vec<u8>> = records.into_iter().collect();
            let watermark = state.watermark.get();
            for (place, record) in book.acked.range(watermark..) {
                assert_eq!(found.get(place), Some(record), "{what}: {id} at {place} was acknowledged");
            }
            for (place, record) in &found {
                assert!(!book.refused.contains(record), "{what}: {id} at {place} was refused");
                let legal = book.acked.get(place) == Some(record) || book.unknown.contains(record);
                assert!(legal, "{what}: {id} at {place} was never sent");
            }
            assert_eq!(state.counts.accepted, state.next.get());
            (book.acked, book.intents, book.done) = (found, intents, state.done);
            (book.watermark, book.delivered, book.blurred) = (watermark, state.counts.delivered, false);
            book.unknown.clear();
        }
    }
}
