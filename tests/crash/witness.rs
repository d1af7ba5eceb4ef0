//! A witness of what lay in the bucket at each fault: an object that was there must never become
//! another one. A reader may have read it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use millrace_tests::Bucket;

/// Hashes of the objects seen so far, by key.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    seen: BTreeMap<String, u64>,
}

impl Witness {
    /// Looks at the objects that are new since the last look.
    pub(crate) async fn look(&mut self, bucket: &Bucket) -> anyhow::Result<()> {
        for key in bucket.list("").await? {
            if let Entry::Vacant(unseen) = self.seen.entry(key) {
                let hash = hash(&bucket.get(unseen.key()).await?);
                unseen.insert(hash);
            }
        }
        Ok(())
    }

    /// Whether `body` is what lay under `key`, if anything did. Forgets the key.
    pub(crate) fn is_same(&mut self, key: &str, body: &[u8]) -> bool {
        self.seen.remove(key).is_none_or(|seen| seen == hash(body))
    }

    /// Keys that were seen and not asked for since: they are gone.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &String> {
        self.seen.keys()
    }
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_and_a_vanished_object_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let mut witness = Witness::default();
        witness.look(&Bucket::Folder(dir.path().to_owned())).await.unwrap();
        assert!(witness.is_same("a", b"a") && !witness.is_same("b", b"x") && witness.is_same("new", b"n"));
        assert_eq!(witness.gone().collect::<Vec<_>>(), ["c"]);
    }
}
