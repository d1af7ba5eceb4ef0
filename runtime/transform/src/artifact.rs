//! Compiled functions on disk, and what compiling them again needs. The engine runs whatever machine code it is given,
//! so a file is believed only when its authentication code says that this server wrote it.
//!
//! ```text
//! magic 8: what it is | engine 32: SHA-256 of the engine's compatibility hash | HMAC-SHA256 32 of all the rest | code
//! ```

use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::hmac;
use wasmtime::Engine;

use crate::{Error, engine};

/// Code, and [`Compiled::cache`](crate::Compiled): neither passes for the other.
const CODE: &[u8; 8] = b"MILLFN\x00\x01";
const CACHE: &[u8; 8] = b"MILLCC\x00\x01";
const ENGINE_AT: usize = CODE.len();
const MAC_AT: usize = ENGINE_AT + SHA256_OUTPUT_LEN;
const CODE_AT: usize = MAC_AT + SHA256_OUTPUT_LEN;

/// Bytes that a seal adds to what it is around.
pub const SEAL_BYTES: usize = CODE_AT;

/// The key of a data directory under which its compiled functions are authenticated.
#[derive(Clone)]
pub struct ArtifactKey(hmac::Key);

impl std::fmt::Debug for ArtifactKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArtifactKey(..)")
    }
}

impl ArtifactKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    fn mac(&self, head: &[u8], code: &[u8]) -> hmac::Context {
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(head);
        mac.update(code);
        mac
    }
}

/// The bytes to store for `code`, which [`compile`](crate::compile) made.
///
/// # Errors
/// [`Error::Engine`] when no engine can be made on this machine.
pub fn seal(code: &[u8], key: &ArtifactKey) -> Result<Vec<u8>, Error> {
    seal_as(CODE, code, key)
}

/// The bytes to store for the `cache` of a [`Compiled`](crate::Compiled).
///
/// # Errors
/// [`Error::Engine`] when no engine can be made on this machine.
pub fn seal_cache(cache: &[u8], key: &ArtifactKey) -> Result<Vec<u8>, Error> {
    seal_as(CACHE, cache, key)
}

/// The cache in `file`, when it was sealed under `key` for this engine.
///
/// # Errors
/// [`Error::Artifact`], [`Error::Recompile`], [`Error::Engine`]: there is none.
pub fn open_cache<'a>(file: &'a [u8], key: &ArtifactKey) -> Result<&'a [u8], Error> {
    open_as(CACHE, file, key, &engine::compiling()?)
}

fn seal_as(magic: &[u8], content: &[u8], key: &ArtifactKey) -> Result<Vec<u8>, Error> {
    let mut file = Vec::with_capacity(CODE_AT + content.len());
    file.extend_from_slice(magic);
    file.extend_from_slice(&fingerprint(&engine::compiling()?));
    let mac = key.mac(&file, content).sign();
    file.extend_from_slice(mac.as_ref());
    file.extend_from_slice(content);
    Ok(file)
}

/// Machine code that may be mapped: it is what the compiler made, for this engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified<'a>(&'a [u8]);

impl<'a> Verified<'a> {
    /// Code that this process compiled itself.
    pub(crate) fn compiled_here(code: &'a [u8]) -> Self {
        Self(code)
    }

    /// Code that a worker got through its socket. The server sends what it has verified, and the other
    /// end of the socket was never held by anyone else.
    pub(crate) fn from_the_server(code: &'a [u8]) -> Self {
        Self(code)
    }

    pub(crate) fn code(self) -> &'a [u8] {
        self.0
    }
}

/// The code in `file`, when this server wrote it for `engine`.
pub(crate) fn open<'a>(file: &'a [u8], key: &ArtifactKey, engine: &Engine) -> Result<Verified<'a>, Error> {
    open_as(CODE, file, key, engine).map(Verified)
}

fn open_as<'a>(magic: &[u8], file: &'a [u8], key: &ArtifactKey, engine: &Engine) -> Result<&'a [u8], Error> {
    let (Some(head), Some(mac), Some(content)) = (file.get(..MAC_AT), file.get(MAC_AT..CODE_AT), file.get(CODE_AT..))
    else {
        return Err(Error::Artifact);
    };
    // Constant in time, and before any other byte is looked at.
    let expected = key.mac(head, content).sign();
    aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), mac).map_err(|_| Error::Artifact)?;
    if !head.starts_with(magic) || head.get(ENGINE_AT..) != Some(&fingerprint(engine)[..]) {
        return Err(Error::Recompile);
    }
    Ok(content)
}

/// SHA-256 of everything that decides whether code fits an engine: version, features, processor.
fn fingerprint(engine: &Engine) -> [u8; SHA256_OUTPUT_LEN] {
    struct Sha256(Context);
    impl Hasher for Sha256 {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Sha256(Context::new(&SHA256));
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let mut out = [0; SHA256_OUTPUT_LEN];
    out.copy_from_slice(hasher.0.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_bytes_are_believed() {
        let engine = engine::compiling().unwrap();
        let key = ArtifactKey::new(&[7; 32]);
        let file = seal(b"code", &key).unwrap();
        assert_eq!(open(&file, &key, &engine).unwrap().code(), b"code");
        assert!(matches!(open(&file, &ArtifactKey::new(&[8; 32]), &engine), Err(Error::Artifact)));
        for at in 0..file.len() {
            let mut other = file.clone();
            other[at] ^= 1;
            assert!(matches!(open(&other, &key, &engine), Err(Error::Artifact)), "byte {at}");
            assert!(matches!(open(&file[..at], &key, &engine), Err(Error::Artifact)), "cut at {at}");
        }
        assert_eq!(format!("{key:?}"), "ArtifactKey(..)");
    }

    #[test]
    fn a_cache_is_no_code_and_code_no_cache() {
        let engine = engine::compiling().unwrap();
        let key = ArtifactKey::new(&[7; 32]);
        let (code, cache) = (seal(b"code", &key).unwrap(), seal_cache(b"cache", &key).unwrap());
        assert_eq!(open_cache(&cache, &key).unwrap(), b"cache");
        assert!(matches!(open(&cache, &key, &engine), Err(Error::Recompile)));
        assert!(matches!(open_cache(&code, &key), Err(Error::Recompile)));
        assert!(matches!(open_cache(&cache, &ArtifactKey::new(&[8; 32])), Err(Error::Artifact)));
        for at in 0..cache.len() {
            let mut other = cache.clone();
            other[at] ^= 1;
            assert!(matches!(open_cache(&other, &key), Err(Error::Artifact)), "byte {at}");
        }
    }

    #[test]
    fn another_engine_asks_for_a_recompile() {
        let key = ArtifactKey::new(&[7; 32]);
        let file = seal(b"code", &key).unwrap();
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(false)).unwrap();
        assert!(matches!(open(&file, &key, &other), Err(Error::Recompile)));
    }
}
