//! The truth: which ids were claimed, and what the server said about each. Kept in a file of its own.
//!
//! One line for each event: `claim FIRST COUNT STREAM PRODUCER CYCLE`, then `acked FIRST`,
//! `refused FIRST`, or `mixed FIRST 0110…` (1 = acknowledged). A claim without an outcome is unknown:
//! its records may be there or not. Lines are written before the request and synced with each cycle.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use parking_lot::Mutex;

/// What the server said about one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing: no whole answer came.
    Unknown,
    /// It is durable.
    Acked,
    /// It was not taken.
    Refused,
}

/// One request's ids.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// First id; the others follow without a gap.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u32,
    /// Index of the stream.
    pub(crate) stream: u8,
    /// Which producer.
    pub(crate) producer: u16,
    /// In which cycle.
    pub(crate) cycle: u32,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    All(Said),
    Each(Vec<bool>),
}

/// All claims so far.
#[derive(Debug)]
pub(crate) struct Truth {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    claims: Vec<Claim>,
    next: u64,
}

/// Names one claim until its outcome is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    index: usize,
    /// First id.
    pub(crate) first: u64,
}

impl Truth {
    /// Begins a new truth in `path`.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let inner = Inner { file: File::create(path)?, claims: Vec::new(), next: 0 };
        Ok(Self { inner: Mutex::new(inner) })
    }

    /// Claims `count` ids for one request.
    pub(crate) fn claim(&self, count: u32, stream: u8, producer: u16, cycle: u32) -> anyhow::Result<Ticket> {
        let mut inner = self.inner.lock();
        let first = inner.next;
        inner.next += u64::from(count);
        inner.claims.push(Claim { first, count, stream, producer, cycle, outcome: Outcome::All(Said::Unknown) });
        writeln!(inner.file, "claim {first} {count} {stream} {producer} {cycle}")?;
        Ok(Ticket { index: inner.claims.len() - 1, first })
    }

    /// Notes what the server said: for each record whether it was acknowledged.
    pub(crate) fn note(&self, ticket: Ticket, acked: &[bool]) -> anyhow::Result<()> {
        let mut inner = self.inner.lock();
        let first = ticket.first;
        let outcome = if acked.iter().all(|acked| *acked) {
            writeln!(inner.file, "acked {first}")?;
            Outcome::All(Said::Acked)
        } else if acked.iter().any(|acked| *acked) {
            let bits: String = acked.iter().map(|acked| if *acked { '1' } else { '0' }).collect();
            writeln!(inner.file, "mixed {first} {bits}")?;
            Outcome::Each(acked.to_vec())
        } else {
            writeln!(inner.file, "refused {first}")?;
            Outcome::All(Said::Refused)
        };
        inner.claims[ticket.index].outcome = outcome;
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        Ok(self.inner.lock().file.sync_data()?)
    }

    /// A copy of all claims, in the order of their ids.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.inner.lock().claims.clone()
    }
}

impl Claim {
    /// The claim among `claims` (in the order of their ids) that holds `id`.
    pub(crate) fn of(claims: &[Self], id: u64) -> Option<&Self> {
        let behind = claims.partition_point(|claim| claim.first <= id);
        claims[..behind].last().filter(|claim| id - claim.first < u64::from(claim.count))
    }

    /// What the server said about id `first + offset`.
    pub(crate) fn said(&self, offset: u32) -> Said {
        match &self.outcome {
            Outcome::All(said) => *said,
            Outcome::Each(acked) if acked[offset as usize] => Said::Acked,
            Outcome::Each(_) => Said::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_kept_for_each_id_and_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let truth = Truth::create(&dir.path().join("truth")).unwrap();
        let (a, b, c) =
            (truth.claim(2, 0, 1, 0).unwrap(), truth.claim(3, 1, 2, 0).unwrap(), truth.claim(1, 0, 1, 1).unwrap());
        truth.note(a, &[true, true]).unwrap();
        truth.note(b, &[true, false, true]).unwrap();
        truth.sync().unwrap();
        let claims = truth.claims();
        assert_eq!(
            [claims[0].said(1), claims[1].said(1), claims[1].said(2)],
            [Said::Acked, Said::Refused, Said::Acked]
        );
        assert_eq!((claims[2].said(0), c.first), (Said::Unknown, 5));
        let producers = [0, 1, 2, 4, 5, 6].map(|id| Claim::of(&claims, id).map(|claim| claim.producer));
        assert_eq!(producers, [Some(1), Some(1), Some(2), Some(2), Some(1), None]);
        let text = std::fs::read_to_string(dir.path().join("truth")).unwrap();
        assert_eq!(text, "claim 0 2 0 1 0\nclaim 2 3 1 2 0\nclaim 5 1 0 1 1\nacked 0\nmixed 2 101\n");
    }
}
