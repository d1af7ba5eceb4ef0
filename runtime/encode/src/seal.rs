//! Client-side encryption of one object: AES-256-GCM as a stream, in the envelope of the S3
//! Encryption Client's format V2 with a raw AES wrapping key.
//!
//! - Content: a fresh data key and a fresh 12-byte IV per object, no additional data; the body is
//!   the ciphertext with the 16-byte tag behind it. No key seals two objects, so the nonce is safe.
//! - Wrapped data key: IV (12 bytes), encrypted key (32), tag (16); the additional data of the wrap
//!   is the text `AES/GCM/NoPadding`. Both travel as user metadata of the object.
//!
//! GCM is put together from the parts that the `aes-gcm` crate is made of (counter mode and GHASH),
//! because the ciphertext must leave before the plaintext is complete. The tests hold it against
//! `aes-gcm` in one call over arbitrary chunkings.

use aes::Aes256;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64_simd::STANDARD;
use ctr::cipher::{BlockCipherEncrypt, KeyIvInit, StreamCipher};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use millrace_types::Entropy;
use zeroize::{Zeroize, Zeroizing};

use crate::{EncryptionKey, Error};

/// Algorithm of the content, and additional data of the wrap.
const CONTENT_ALGORITHM: &str = "AES/GCM/NoPadding";
/// Algorithm of the wrap.
const WRAP_ALGORITHM: &str = "AES/GCM";
/// Bytes of an IV.
const IV_BYTES: usize = 12;
/// Bytes of the tag behind the ciphertext.
const TAG_BYTES: usize = 16;
/// Plaintext bytes that one key and IV may seal: (2^32 - 2) blocks (NIST SP 800-38D, section 5.2.1.1).
const SEALED_BYTES_MAX: u64 = ((1 << 32) - 2) * 16;
/// Bytes that are encrypted and then hashed while they lie in the first-level cache.
const STRIDE_BYTES: usize = 8 * 1024;
/// Bytes of a block of AES and of GHASH.
const BLOCK_BYTES: usize = 16;

/// The running encryption of one object.
pub(crate) struct Seal {
    stream: GcmStream,
    key_id: String,
    wrapped_key: Vec<u8>,
    iv: [u8; IV_BYTES],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Seal {
    /// Makes a data key and wraps it with `key`.
    pub(crate) fn new(key: &EncryptionKey, entropy: &dyn Entropy) -> Self {
        let mut data_key = Zeroizing::new([0u8; 32]);
        let (mut iv, mut wrap_iv) = ([0u8; IV_BYTES], [0u8; IV_BYTES]);
        entropy.fill(data_key.as_mut());
        entropy.fill(&mut iv);
        entropy.fill(&mut wrap_iv);
        let wrapped_key = wrap(key.bytes(), &data_key, wrap_iv);
        Self { stream: GcmStream::new(&data_key, iv), key_id: key.id().to_owned(), wrapped_key, iv }
    }

    /// Encrypts `bytes` in place; they follow what was encrypted before.
    pub(crate) fn seal(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.stream.encrypt(bytes)
    }

    /// Appends the tag and answers the object's user metadata (without the `x-amz-meta-` before each name).
    pub(crate) fn finish(self, output: &mut Vec<u8>) -> Vec<(String, String)> {
        let plain_bytes = self.stream.bytes;
        output.extend_from_slice(&self.stream.tag());
        let description = serde_json::json!({ "millrace-key": self.key_id }).to_string();
        [
            ("x-amz-key-v2", STANDARD.encode_to_string(&self.wrapped_key)),
            ("x-amz-iv", STANDARD.encode_to_string(self.iv)),
            ("x-amz-cek-alg", CONTENT_ALGORITHM.to_owned()),
            ("x-amz-tag-len", (TAG_BYTES * 8).to_string()),
            ("x-amz-wrap-alg", WRAP_ALGORITHM.to_owned()),
            ("x-amz-matdesc", description),
            ("x-amz-unencrypted-content-length", plain_bytes.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

fn wrap(key: &[u8; 32], data_key: &[u8; 32], iv: [u8; IV_BYTES]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(key.into());
    let payload = Payload { msg: data_key, aad: CONTENT_ALGORITHM.as_bytes() };
    #[expect(clippy::expect_used, reason = "fails only above 64 GiB, and 32 bytes are given")]
    let sealed = cipher.encrypt(&Nonce::from(iv), payload).expect("32 bytes are below the limit of GCM");
    let mut wrapped = iv.to_vec();
    wrapped.extend_from_slice(&sealed);
    wrapped
}

/// AES-256-GCM without additional data, as a stream.
struct GcmStream {
    cipher: ctr::Ctr32BE<Aes256>,
    hash: GHash,
    /// Encrypted first counter block: masks the tag.
    mask: [u8; BLOCK_BYTES],
    /// Ciphertext that does not fill a block yet: its length is `bytes % BLOCK_BYTES`.
    partial: [u8; BLOCK_BYTES],
    /// Plaintext bytes so far.
    bytes: u64,
}

impl GcmStream {
    fn new(key: &[u8; 32], iv: [u8; IV_BYTES]) -> Self {
        let mut hash_key = ghash::Key::default();
        Aes256::new(key.into()).encrypt_block(&mut hash_key);
        let hash = GHash::new(&hash_key);
        hash_key.zeroize();
        let mut counter = [0u8; BLOCK_BYTES];
        counter[..IV_BYTES].copy_from_slice(&iv);
        counter[BLOCK_BYTES - 1] = 1;
        let mut cipher = ctr::Ctr32BE::<Aes256>::new(key.into(), &counter.into());
        let mut mask = [0u8; BLOCK_BYTES];
        cipher.apply_keystream(&mut mask);
        Self { cipher, hash, mask, partial: [0; BLOCK_BYTES], bytes: 0 }
    }

    fn encrypt(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let after = self.bytes.saturating_add(bytes.len() as u64);
        if after > SEALED_BYTES_MAX {
            return Err(Error::SealTooLong { max_bytes: SEALED_BYTES_MAX });
        }
        for stride in bytes.chunks_mut(STRIDE_BYTES) {
            self.cipher.apply_keystream(stride);
            self.absorb(stride);
        }
        Ok(())
    }

    /// Hashes ciphertext; `bytes` counts it.
    fn absorb(&mut self, mut ciphertext: &[u8]) {
        let held = (self.bytes % BLOCK_BYTES as u64) as usize;
        self.bytes += ciphertext.len() as u64;
        if held > 0 {
            let (head, rest) = ciphertext.split_at(ciphertext.len().min(BLOCK_BYTES - held));
            self.partial[held..held + head.len()].copy_from_slice(head);
            ciphertext = rest;
            if held + head.len() < BLOCK_BYTES {
                return;
            }
            self.hash.update(&[self.partial.into()]);
        }
        let (whole, rest) = ciphertext.split_at(ciphertext.len() / BLOCK_BYTES * BLOCK_BYTES);
        // A whole number of blocks: nothing is padded.
        self.hash.update_padded(whole);
        self.partial[..rest.len()].copy_from_slice(rest);
    }

    fn tag(mut self) -> [u8; TAG_BYTES] {
        let held = (self.bytes % BLOCK_BYTES as u64) as usize;
        self.hash.update_padded(&self.partial[..held]);
        let mut lengths = [0u8; BLOCK_BYTES];
        // Length of the additional data (none), then of the ciphertext, in bits.
        lengths[8..].copy_from_slice(&(self.bytes * 8).to_be_bytes());
        self.hash.update(&[lengths.into()]);
        let mut tag = self.mask;
        for (byte, hashed) in tag.iter_mut().zip(self.hash.finalize()) {
            *byte ^= hashed;
        }
        self.mask.zeroize();
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::SeededEntropy;
    use proptest::prelude::*;

    fn one_shot(key: &[u8; 32], iv: [u8; 12], plain: &[u8]) -> Vec<u8> {
        Aes256Gcm::new(key.into()).encrypt(&Nonce::from(iv), plain).unwrap()
    }

    /// The official clients' side: unwrap with the ring's key, then open the body.
    fn open(key: &EncryptionKey, metadata: &[(String, String)], body: &[u8]) -> Option<Vec<u8>> {
        let get = |name: &str| metadata.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let decode = |name: &str| STANDARD.decode_to_vec(get(name)?).ok();
        let wrapped = decode("x-amz-key-v2")?;
        let nonce: [u8; 12] = wrapped[..12].try_into().ok()?;
        let data_key = Aes256Gcm::new(key.bytes().into())
            .decrypt(&Nonce::from(nonce), Payload { msg: &wrapped[12..], aad: b"AES/GCM/NoPadding" })
            .ok()?;
        let data_key: [u8; 32] = data_key.try_into().ok()?;
        let iv: [u8; 12] = decode("x-amz-iv")?.try_into().ok()?;
        Aes256Gcm::new((&data_key).into()).decrypt(&Nonce::from(iv), body).ok()
    }

    proptest! {
        #[test]
        fn any_chunking_equals_one_call(
            plain in prop::collection::vec(any::<u8>(), 0..20_000),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            key in any::<[u8; 32]>(),
            iv in any::<[u8; 12]>(),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(plain.len() + 1)).collect();
            at.extend([0, plain.len()]);
            at.sort_unstable();
            let mut stream = GcmStream::new(&key, iv);
            let mut sealed = plain.clone();
            for pair in at.windows(2) {
                stream.encrypt(&mut sealed[pair[0]..pair[1]]).unwrap();
            }
            sealed.extend_from_slice(&stream.tag());
            prop_assert_eq!(sealed, one_shot(&key, iv, &plain));
        }
    }

    #[test]
    fn the_envelope_opens_and_a_changed_byte_does_not() {
        let entropy = SeededEntropy::new(5);
        let key = EncryptionKey::new("orders", [7; 32]);
        let mut seal = Seal::new(&key, &entropy);
        let mut body = b"records".to_vec();
        seal.seal(&mut body).unwrap();
        let metadata = seal.finish(&mut body);
        assert_eq!(open(&key, &metadata, &body).unwrap(), b"records");
        let names: Vec<&str> = metadata.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..3], ["x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg"]);
        assert!(metadata.contains(&("x-amz-tag-len".into(), "128".into())));
        assert!(metadata.contains(&("x-amz-unencrypted-content-length".into(), "7".into())));
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, &metadata, &changed), None);
        }
        assert_eq!(open(&EncryptionKey::new("other", [8; 32]), &metadata, &body), None);
    }

    #[test]
    fn no_two_objects_share_a_key_and_nothing_secret_is_shown() {
        let entropy = SeededEntropy::new(5);
        let key = EncryptionKey::new("orders", [7; 32]);
        let (one, two) = (Seal::new(&key, &entropy), Seal::new(&key, &entropy));
        assert_ne!(one.iv, two.iv);
        assert_ne!(one.wrapped_key, two.wrapped_key);
        assert_eq!(format!("{one:?}"), "Seal { key_id: \"orders\", .. }");
        assert!(!format!("{key:?}").contains('7'));
    }

    #[test]
    fn a_message_above_the_limit_of_gcm_is_refused() {
        let mut stream = GcmStream::new(&[0; 32], [0; 12]);
        stream.bytes = SEALED_BYTES_MAX - 3;
        assert!(matches!(stream.encrypt(&mut [0; 4]), Err(Error::SealTooLong { .. })));
    }
}
