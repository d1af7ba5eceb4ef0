//! The verdict: every id that was claimed, held against every record that lies in the bucket.

use std::collections::BTreeMap;

use anyhow::Context as _;
use millrace_tests::{Bucket, decode};
use serde::{Deserialize, Serialize};

use crate::record;
use crate::truth::{Claim, Said};
use crate::witness::Witness;

/// Examples of each fault that a report shows.
const EXAMPLES_MAX: usize = 5;

/// What a run came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Ids claimed.
    pub(crate) claimed: u64,
    /// Ids acknowledged.
    pub(crate) acked: u64,
    /// Ids refused.
    pub(crate) refused: u64,
    /// Ids without an answer.
    pub(crate) unknown: u64,
    /// Of those, how many were delivered.
    pub(crate) unknown_present: u64,
    /// Objects read.
    pub(crate) objects: u64,
    /// Records read.
    pub(crate) records: u64,
    /// Acknowledged and absent.
    pub(crate) lost: u64,
    /// Copies beyond the first.
    pub(crate) dup: u64,
    /// Delivered, but refused or never claimed.
    pub(crate) ghost: u64,
    /// Records or objects that are damaged.
    pub(crate) torn: u64,
    /// In another stream's prefix, or another partition's.
    pub(crate) misplaced: u64,
    /// Behind a later record of the same producer in the same object.
    pub(crate) reordered: u64,
    /// In an error object, where none belongs.
    pub(crate) errored: u64,
    /// Objects that were there at a fault and were others, or gone, at the end.
    pub(crate) changed: u64,
    /// Streams whose own count of delivered records is not what lies in the bucket.
    pub(crate) miscounted: u64,
    /// Some of the ids and objects behind the numbers.
    pub(crate) examples: BTreeMap<String, Vec<String>>,
}

/// What was asked for, as far as the judge must know.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    /// Prefix of each stream's objects, by the stream's index.
    pub(crate) prefixes: &'a [String],
    /// Prefix of each stream's error objects.
    pub(crate) error_prefixes: &'a [String],
    /// Whether a record's partition stands in its key as `part=…/`.
    pub(crate) partitioned: bool,
    /// Seed of the records.
    pub(crate) seed: u64,
}

/// What the bucket holds of one id.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    copies: u8,
    drawn: u64,
}

impl Verdict {
    /// Whether the contract was kept.
    pub(crate) fn is_good(&self) -> bool {
        let records = [self.lost, self.dup, self.ghost, self.torn, self.misplaced, self.reordered, self.errored];
        records.iter().chain(&[self.changed, self.miscounted]).all(|count| *count == 0)
    }

    fn example(&mut self, fault: &str, text: impl FnOnce() -> String) {
        let list = self.examples.entry(fault.to_owned()).or_default();
        if list.len() < EXAMPLES_MAX {
            list.push(text());
        }
    }
}

/// Judges. `delivered` is each stream's own count of delivered records; empty where it could not be asked,
/// which is a fault of its own.
pub(crate) async fn judge(
    bucket: &Bucket,
    claims: &[Claim],
    expected: &Expected<'_>,
    delivered: &[u64],
    witness: &mut Witness,
) -> anyhow::Result<Verdict> {
    let claimed = claims.last().map_or(0, |claim| claim.first + u64::from(claim.count));
    let mut verdict = Verdict { claimed, ..Verdict::default() };
    let mut found = vec![Found::default(); usize::try_from(claimed)?];
    let mut present = vec![0u64; expected.prefixes.len()];
    for key in bucket.list("").await? {
        let body = bucket.get(&key).await.with_context(|| format!("read {key}"))?;
        verdict.objects += 1;
        if !witness.is_same(&key, &body) {
            verdict.changed += 1;
            verdict.example("changed", || key.clone());
        }
        let records = match decode::records(&key, &body) {
            Ok(records) => records,
            Err(error) => {
                verdict.torn += 1;
                verdict.example("torn", || format!("{error:#}"));
                continue;
            }
        };
        if expected.error_prefixes.iter().any(|prefix| key.starts_with(prefix)) {
            // An error object without records is one too many as well.
            verdict.errored += records.len().max(1) as u64;
            let first = records.first().map_or(&[][..], Vec::as_slice);
            verdict.example("errored", || format!("{key}: {}", String::from_utf8_lossy(first)));
            continue;
        }
        judge_object(&mut verdict, &key, &records, claims, expected, &mut found, &mut present);
    }
    for key in witness.gone() {
        verdict.changed += 1;
        verdict.example("changed", || format!("{key} is gone"));
    }
    judge_claims(&mut verdict, claims, &found);
    for (stream, (present, own)) in present.iter().zip(delivered).enumerate() {
        if own != present {
            verdict.miscounted += 1;
            verdict.example("miscounted", || format!("stream {stream} says {own} delivered, {present} are there"));
        }
    }
    Ok(verdict)
}

fn judge_object(
    verdict: &mut Verdict,
    key: &str,
    records: &[Vec<u8>],
    claims: &[Claim],
    expected: &Expected<'_>,
    found: &mut [Found],
    present: &mut [u64],
) {
    let owner = expected.prefixes.iter().position(|prefix| key.starts_with(prefix));
    let mut last_of: BTreeMap<u16, u64> = BTreeMap::new();
    for bytes in records {
        verdict.records += 1;
        let Some(seen) = record::read(bytes, expected.seed) else {
            verdict.torn += 1;
            verdict.example("torn", || format!("{key}: {}", String::from_utf8_lossy(bytes)));
            continue;
        };
        let id = seen.id;
        let partition = record::partition(id, expected.seed);
        if owner != Some(usize::from(seen.stream))
            || expected.partitioned && !key.contains(&format!("/part={partition}/"))
        {
            verdict.misplaced += 1;
            verdict.example("misplaced", || format!("{id} in {key}"));
        }
        if last_of.insert(seen.producer, id).is_some_and(|last| last > id) {
            verdict.reordered += 1;
            verdict.example("reordered", || format!("{id} in {key}"));
        }
        let claim = Claim::of(claims, id).filter(|c| (c.producer, c.stream) == (seen.producer, seen.stream));
        match usize::try_from(id).ok().filter(|_| claim.is_some()).and_then(|index| found.get_mut(index)) {
            None => {
                verdict.ghost += 1;
                verdict.example("ghost", || format!("{id} was never claimed so: {key}"));
            }
            Some(found) => {
                if found.copies == 0 {
                    found.drawn = seen.drawn;
                    if let Some(stream) = owner {
                        present[stream] += 1;
                    }
                } else if found.drawn != seen.drawn || found.copies >= record::copies_of(seen.drawn) {
                    verdict.dup += 1;
                    verdict.example("dup", || format!("{id} again in {key}"));
                }
                found.copies = found.copies.saturating_add(1);
            }
        }
    }
}

fn judge_claims(verdict: &mut Verdict, claims: &[Claim], found: &[Found]) {
    for claim in claims {
        for offset in 0..claim.count {
            let id = claim.first + u64::from(offset);
            let found = usize::try_from(id).map_or_else(|_| Found::default(), |index| found[index]);
            let is_present = found.copies > 0;
            if is_present && found.copies < record::copies_of(found.drawn) {
                verdict.lost += 1;
                verdict.example("lost", || format!("one output of {id} of stream {}", claim.stream));
            }
            match claim.said(offset) {
                Said::Acked => {
                    verdict.acked += 1;
                    if !is_present {
                        verdict.lost += 1;
                        verdict.example("lost", || format!("{id} of stream {} in cycle {}", claim.stream, claim.cycle));
                    }
                }
                Said::Refused => {
                    verdict.refused += 1;
                    if is_present {
                        verdict.ghost += 1;
                        verdict.example("ghost", || format!("{id} was refused in cycle {}", claim.cycle));
                    }
                }
                Said::Unknown => {
                    verdict.unknown += 1;
                    verdict.unknown_present += u64::from(is_present);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Truth;

    const SEED: u64 = 3;

    async fn verdict(files: &[(&str, Vec<u8>)]) -> Verdict {
        verdict_after(&[], files, &[]).await
    }

    /// Ten ids of stream 0 (0–4 acknowledged, 5–7 unknown, 8–9 refused); what lay in the bucket at a fault,
    /// what lies in it at the end, and what the server says that it delivered.
    async fn verdict_after(before: &[(&str, Vec<u8>)], files: &[(&str, Vec<u8>)], delivered: &[u64]) -> Verdict {
        let dir = tempfile::tempdir().unwrap();
        let truth = Truth::create(&dir.path().join("truth")).unwrap();
        let acked = truth.claim(5, 0, 1, 0).unwrap();
        truth.claim(3, 0, 1, 0).unwrap();
        let refused = truth.claim(2, 0, 1, 0).unwrap();
        truth.note(acked, &[true; 5]).unwrap();
        truth.note(refused, &[false; 2]).unwrap();
        let root = dir.path().join("bucket");
        let fill = |files: &[(&str, Vec<u8>)]| {
            drop(std::fs::remove_dir_all(&root));
            for (key, body) in files {
                let path = root.join(key);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, body).unwrap();
            }
        };
        let bucket = Bucket::Folder(root.clone());
        let mut witness = Witness::default();
        fill(before);
        witness.look(&bucket).await.unwrap();
        fill(files);
        let prefixes = ["a/".to_owned(), "b/".to_owned()];
        let error_prefixes = ["errors-a/".to_owned()];
        let expected =
            Expected { prefixes: &prefixes, error_prefixes: &error_prefixes, partitioned: false, seed: SEED };
        judge(&bucket, &truth.claims(), &expected, delivered, &mut witness).await.unwrap()
    }

    fn lines(ids: impl IntoIterator<Item = u64>) -> Vec<u8> {
        ids.into_iter().flat_map(|id| [record::record(id, 1, 0, SEED), b"\n".to_vec()].concat()).collect()
    }

    #[tokio::test]
    async fn a_good_run_is_good() {
        let good = verdict(&[("a/1", lines(0..5)), ("a/2", lines(5..6))]).await;
        assert!(good.is_good(), "{good:?}");
        assert_eq!((good.acked, good.refused, good.unknown, good.unknown_present), (5, 2, 3, 1));
    }

    #[tokio::test]
    async fn each_fault_is_seen() {
        let v = verdict(&[("a/1", lines(0..4))]).await;
        assert_eq!((v.lost, v.is_good()), (1, false));
        let v = verdict(&[("a/1", lines(0..5)), ("a/2", lines(2..4))]).await;
        assert_eq!((v.dup, v.is_good()), (2, false));
        let v = verdict(&[("a/1", lines(0..5)), ("a/2", lines([8, 77]))]).await;
        assert_eq!((v.ghost, v.is_good()), (2, false));
        let v = verdict(&[("b/1", lines(0..5))]).await;
        assert_eq!((v.misplaced, v.is_good()), (5, false));
        let v = verdict(&[("a/1", lines([1, 0, 2, 3, 4]))]).await;
        assert_eq!((v.reordered, v.is_good()), (1, false));
        let v = verdict(&[("a/1", lines(0..5)), ("errors-a/1", lines(5..7))]).await;
        assert_eq!((v.errored, v.is_good()), (2, false));
        let mut torn = lines(0..5);
        torn.extend_from_slice(b"{\"id\":5");
        let v = verdict(&[("a/1", torn)]).await;
        assert_eq!((v.torn, v.lost, v.is_good()), (1, 5, false));
        let drawn = |number: u64| [format!("{number:016x} 1 ").into_bytes(), lines([0])].concat();
        let v = verdict(&[("a/1", [drawn(32), drawn(32), lines(1..5)].concat())]).await;
        assert!(v.is_good(), "the function made two of it: {v:?}");
        let v = verdict(&[("a/1", [drawn(33), drawn(35), lines(1..5)].concat())]).await;
        assert_eq!((v.dup, v.is_good()), (1, false), "two calls' outputs");
        let v = verdict(&[("a/1", [drawn(32), lines(1..5)].concat())]).await;
        assert_eq!((v.lost, v.is_good()), (1, false), "one of two outputs");
        let changed = String::from_utf8(lines(0..5)).unwrap().replacen("\"producer\":1", "\"producer\":2", 1);
        let v = verdict(&[("a/1", changed.into_bytes())]).await;
        assert_eq!((v.torn, v.lost), (1, 1));
        let v = verdict(&[("a/1", lines(0..5)), ("errors-a/1", Vec::new())]).await;
        assert_eq!((v.errored, v.is_good()), (1, false), "an empty error object");
        let whole = [("a/1", lines(0..5))];
        let v = verdict_after(&[("a/1", lines(0..4))], &whole, &[5, 0]).await;
        assert_eq!((v.changed, v.is_good()), (1, false), "another object under the same key");
        let v = verdict_after(&[("a/1", lines(0..5)), ("a/0", Vec::new())], &whole, &[5, 0]).await;
        assert_eq!((v.changed, v.is_good()), (1, false), "an object that is gone");
        let v = verdict_after(&whole, &whole, &[4, 0]).await;
        assert_eq!((v.miscounted, v.is_good()), (1, false));
        assert!(verdict_after(&whole, &whole, &[5, 0]).await.is_good());
    }
}
