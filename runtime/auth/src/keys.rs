//! The access keys and bearer tokens of a server, and the signing keys derived from them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::authorization::TERMINATOR;
use crate::digest::{Digest, Signer, sha256};
use crate::error::KeysError;

/// Characters of an access key id at most.
const KEY_ID_CHARS_MAX: usize = 128;
/// Characters of a bearer token at most.
const TOKEN_CHARS_MAX: usize = 4096;
/// Derived signing keys that are kept: one for each key, day, region and service in use.
const SIGNING_KEYS_MAX: usize = 256;

/// Who may do anything at all.
#[derive(Debug)]
pub enum Policy {
    /// Any credentials or none; no signature is checked. For loopback only.
    Dev,
    /// Only who holds one of these.
    Keys(AccessKeys),
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Somebody on this machine, under [`Policy::Dev`].
    Dev,
    /// The holder of an access key.
    AccessKey {
        /// The key's id.
        key_id: String,
        /// The region that the request was signed for.
        region: String,
    },
    /// The holder of a bearer token.
    Bearer,
}

/// Access keys by id, and the digests of bearer tokens. Secrets are wiped from memory on drop and
/// never shown; of a token only its SHA-256 is kept.
pub struct AccessKeys {
    /// `AWS4` and the secret: the first key of the derivation.
    seeds: HashMap<String, Zeroizing<Vec<u8>>>,
    tokens: Vec<Digest>,
    pub(crate) signing_keys: Arc<SigningKeys>,
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeys")
            .field("keys", &self.seeds.len())
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

impl AccessKeys {
    /// Keys from `(id, secret)` pairs and bearer tokens.
    ///
    /// # Errors
    /// See [`KeysError`]: nothing given, an id or token that can't stand in a header, an id twice,
    /// an empty secret.
    pub fn new(
        pairs: impl IntoIterator<Item = (String, String)>,
        tokens: impl IntoIterator<Item = String>,
    ) -> Result<Self, KeysError> {
        let mut seeds = HashMap::new();
        for (index, (id, secret)) in pairs.into_iter().enumerate() {
            let secret = Zeroizing::new(secret);
            let in_alphabet = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            if id.is_empty() || id.len() > KEY_ID_CHARS_MAX || !in_alphabet {
                return Err(KeysError::Id { position: index + 1 });
            }
            if secret.is_empty() {
                return Err(KeysError::NoSecret { id });
            }
            if seeds.contains_key(&id) {
                return Err(KeysError::IdRepeated { id });
            }
            seeds.insert(id, seed(&secret));
        }
        let mut digests = Vec::new();
        for (index, token) in tokens.into_iter().enumerate() {
            let token = Zeroizing::new(token);
            if token.is_empty() || token.len() > TOKEN_CHARS_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(KeysError::Token { position: index + 1 });
            }
            digests.push(sha256(token.as_bytes()));
        }
        if seeds.is_empty() && digests.is_empty() {
            return Err(KeysError::Nothing);
        }
        Ok(Self { seeds, tokens: digests, signing_keys: Arc::default() })
    }

    /// Whether this is one of the tokens. Both sides are hashed and all tokens compared, so the
    /// time says nothing about any of them.
    pub(crate) fn holds_token(&self, token: &str) -> bool {
        let digest = sha256(token.as_bytes());
        let none = Choice::from(0);
        self.tokens.iter().fold(none, |found, kept| found | kept.ct_eq(&digest)).into()
    }

    /// The signing key of a scope whose key is known, and whether it came from the cache.
    /// `key_scope` is `key_id/day/region/service`.
    pub(crate) fn signing_key(
        &self,
        key_id: &str,
        key_scope: &str,
        [day, region, service]: [&str; 3],
    ) -> Option<(Arc<Signer>, bool)> {
        let seed = self.seeds.get(key_id)?;
        if let Some(kept) = self.signing_keys.0.read().get(key_scope) {
            return Some((Arc::clone(kept), true));
        }
        Some((Arc::new(derive(seed, day, region, service)), false))
    }
}

/// Signing keys by `key_id/day/region/service`. Only a scope whose signature was right gets in, so a
/// stranger can't push the others out.
#[derive(Default)]
pub(crate) struct SigningKeys(RwLock<HashMap<Box<str>, Arc<Signer>>>);

impl SigningKeys {
    /// Keeps a key. When the map is full (a day's change doubles the scopes in use) it starts
    /// again: deriving a key costs four HMACs.
    pub(crate) fn keep(&self, key_scope: Box<str>, key: Arc<Signer>) {
        let mut kept = self.0.write();
        if kept.len() >= SIGNING_KEYS_MAX {
            kept.clear();
        }
        kept.insert(key_scope, key);
    }
}

/// `AWS4` and the secret.
pub(crate) fn seed(secret: &str) -> Zeroizing<Vec<u8>> {
    // The capacity is exact: growing would leave a copy behind.
    let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    seed.extend_from_slice(b"AWS4");
    seed.extend_from_slice(secret.as_bytes());
    seed
}

/// The chain of four HMACs from a secret to the key of one day, region and service.
pub(crate) fn derive(seed: &[u8], day: &str, region: &str, service: &str) -> Signer {
    let mut key = Signer::new(seed);
    for word in [day, region, service, TERMINATOR] {
        let mut next = key.sign(word.as_bytes());
        key = Signer::new(&next);
        next.zeroize();
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::hex;

    fn keys(pairs: &[(&str, &str)], tokens: &[&str]) -> Result<AccessKeys, KeysError> {
        AccessKeys::new(
            pairs.iter().map(|(id, secret)| ((*id).to_owned(), (*secret).to_owned())),
            tokens.iter().map(|token| (*token).to_owned()),
        )
    }

    #[test]
    fn a_key_is_derived_as_the_documentation_shows() {
        // AWS General Reference, "Deriving a signing key": 20150830/us-east-1/iam.
        let key = derive(&seed("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "20150830", "us-east-1", "iam");
        let to_sign = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
            f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(
            hex(&key.sign(to_sign.as_bytes())),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let keys = keys(&[("AKID", "canary-secret")], &["canary-token"]).unwrap();
        let shown = format!("{:?}", Policy::Keys(keys));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn unusable_settings_are_refused_without_their_secrets() {
        assert_eq!(keys(&[], &[]).unwrap_err(), KeysError::Nothing);
        for id in ["", "a/b", "a b", "a,b", "ä", &"a".repeat(KEY_ID_CHARS_MAX + 1)] {
            assert_eq!(keys(&[("fine", "s"), (id, "s")], &[]).unwrap_err(), KeysError::Id { position: 2 }, "{id}");
        }
        assert_eq!(keys(&[("a", "")], &[]).unwrap_err(), KeysError::NoSecret { id: "a".to_owned() });
        assert_eq!(keys(&[("a", "s"), ("a", "t")], &[]).unwrap_err(), KeysError::IdRepeated { id: "a".to_owned() });
        for token in ["", "a b", "ä", &"t".repeat(TOKEN_CHARS_MAX + 1)] {
            assert_eq!(keys(&[], &["fine", token]).unwrap_err(), KeysError::Token { position: 2 }, "{token}");
        }
    }

    #[test]
    fn the_cache_is_bounded_and_found_again() {
        let keys = keys(&[("a", "s")], &[]).unwrap();
        let scope = |day: usize| (format!("a/{day}/r/s"), format!("{day}"));
        for day in 0..3 * SIGNING_KEYS_MAX {
            let (key_scope, day) = scope(day);
            let (key, cached) = keys.signing_key("a", &key_scope, [&day, "r", "s"]).unwrap();
            assert!(!cached);
            keys.signing_keys.keep(key_scope.clone().into(), Arc::clone(&key));
            let (again, cached) = keys.signing_key("a", &key_scope, [&day, "r", "s"]).unwrap();
            assert!(cached && Arc::ptr_eq(&key, &again));
            assert!(keys.signing_keys.0.read().len() <= SIGNING_KEYS_MAX);
        }
        assert!(keys.signing_key("b", "b/1/r/s", ["1", "r", "s"]).is_none());
    }
}
