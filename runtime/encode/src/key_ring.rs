//! The key ring: named 256-bit keys in one file that only its owner may read.
//!
//! `{"keys":[{"id":"orders","key":"<base64 of 32 bytes>"}]}`. A destination names a key as it would
//! name one of AWS KMS: `arn:aws:kms:REGION:ACCOUNT:key/ID` or `:alias/ID`. Keys are never taken out:
//! objects that were sealed with them are still to be read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64_simd::STANDARD;
use millrace_types::Entropy;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::Error;

/// Bytes that the file may have.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Characters that an id may have.
const ID_CHARS_MAX: usize = 64;

/// A 256-bit key that wraps data keys. Shown without its bytes; wiped when dropped.
#[derive(Clone)]
pub struct EncryptionKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

impl EncryptionKey {
    /// The key `bytes` under the name `id`.
    #[must_use]
    pub fn new(id: &str, bytes: [u8; 32]) -> Self {
        Self { id: id.to_owned(), bytes: Zeroizing::new(bytes) }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys of one file.
#[derive(Debug, Clone)]
pub struct KeyRing {
    path: PathBuf,
    keys: Vec<EncryptionKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    keys: Vec<FileKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    id: String,
    key: String,
}

impl Drop for FileKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl KeyRing {
    /// Reads the ring at `path`; a file that is not there is an empty ring. Blocks on disk.
    ///
    /// # Errors
    /// [`Error::KeyRingMode`] when others may read the file, [`Error::KeyRingFormat`] when it is not
    /// a ring, [`Error::KeyRingIo`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let mut ring = Self { path: path.to_owned(), keys: Vec::new() };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ring),
            opened => opened.map_err(|source| ring.io("open", source))?,
        };
        let metadata = file.metadata().map_err(|source| ring.io("stat", source))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if !matches!(mode, 0o600 | 0o400) {
            return Err(Error::KeyRingMode { path: ring.path, mode });
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(ring.format(format!("longer than {FILE_BYTES_MAX} bytes")));
        }
        let mut text = Zeroizing::new(String::with_capacity(metadata.len() as usize));
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|source| ring.io("read", source))?;
        ring.keys = ring.parse(&text)?;
        Ok(ring)
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Vec<EncryptionKey>, Error> {
        // serde's message could quote what it met, so only the place is told.
        let form: FileForm = serde_json::from_str(text).map_err(|error| {
            self.format(format!("not a key ring at line {}, column {}", error.line(), error.column()))
        })?;
        let mut keys: Vec<EncryptionKey> = Vec::with_capacity(form.keys.len());
        for (index, entry) in form.keys.iter().enumerate() {
            if !is_id(&entry.id) {
                return Err(self.format(format!("keys[{index}].id is not 1 to 64 of letters, digits, '-' and '_'")));
            }
            if keys.iter().any(|key| key.id == entry.id) {
                return Err(self.format(format!("key '{}' is there twice", entry.id)));
            }
            let wrong = || self.format(format!("key '{}' is not the base64 of 32 bytes", entry.id));
            let bytes = Zeroizing::new(STANDARD.decode_to_vec(&entry.key).map_err(|_| wrong())?);
            let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong())?;
            keys.push(EncryptionKey::new(&entry.id, bytes));
        }
        Ok(keys)
    }

    /// The key of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&EncryptionKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The ids of all keys, in the file's order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Adds a key of random bytes; it is on the disk when this answers. Blocks on disk.
    ///
    /// # Errors
    /// [`Error::KeyId`], [`Error::KeyExists`], and those of [`Self::load`]: the file is read again
    /// before it is replaced, so a key that another process added is not lost.
    pub fn create(&mut self, id: &str, entropy: &dyn Entropy) -> Result<EncryptionKey, Error> {
        if !is_id(id) {
            return Err(Error::KeyId(id.to_owned()));
        }
        let mut ring = Self::load(&self.path)?;
        if ring.get(id).is_some() {
            return Err(Error::KeyExists(id.to_owned()));
        }
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let key = EncryptionKey::new(id, bytes);
        bytes.zeroize();
        ring.keys.push(key.clone());
        ring.store()?;
        *self = ring;
        Ok(key)
    }

    fn store(&self) -> Result<(), Error> {
        let keys = self.keys.iter();
        let keys = keys.map(|key| FileKey { id: key.id.clone(), key: STANDARD.encode_to_string(key.bytes()) });
        let form = FileForm { keys: keys.collect() };
        let text = serde_json::to_vec(&form).map_err(|error| self.io("encode", error.into()))?;
        let text = Zeroizing::new(text);
        let fresh = self.path.with_extension("new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io("replace", error)),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(|source| self.io("create", source))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(|source| self.io("write", source))?;
        fs::rename(&fresh, &self.path).map_err(|source| self.io("rename", source))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(|source| self.io("sync the folder of", source))
    }

    fn io(&self, action: &'static str, source: io::Error) -> Error {
        Error::KeyRingIo { path: self.path.clone(), action, source }
    }

    fn format(&self, what: String) -> Error {
        Error::KeyRingFormat { path: self.path.clone(), what }
    }
}

fn is_id(id: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The key id that a KMS key or alias ARN names: `arn:aws:kms:REGION:ACCOUNT:key/ID` or `:alias/ID`.
#[must_use]
pub fn key_id_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (scheme, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_region, _account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let id = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"))?;
    (scheme == "arn" && service == "kms" && is_id(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_types::SeededEntropy;

    fn put(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn created_keys_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let entropy = SeededEntropy::new(1);
        let mut ring = KeyRing::load(&path).unwrap();
        assert_eq!(ring.ids().count(), 0);
        let key = ring.create("orders", &entropy).unwrap();
        ring.create("clicks", &entropy).unwrap();
        assert!(matches!(ring.create("orders", &entropy), Err(Error::KeyExists(_))));
        assert!(matches!(ring.create("../x", &entropy), Err(Error::KeyId(_))));
        let again = KeyRing::load(&path).unwrap();
        assert_eq!(again.ids().collect::<Vec<_>>(), ["orders", "clicks"]);
        assert_eq!(again.get("orders").unwrap().bytes(), key.bytes());
        assert_ne!(again.get("orders").unwrap().bytes(), again.get("clicks").unwrap().bytes());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        put(&path, r#"{"keys":[]}"#, 0o644);
        let error = KeyRing::load(&path).unwrap_err();
        assert!(error.to_string().ends_with("mode is 0644, only 0600 or 0400 is accepted (chmod 600)"), "{error}");
    }

    #[test]
    fn odd_files_are_refused_without_showing_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let key = STANDARD.encode_to_string([9u8; 32]);
        let twice = format!(r#"{{"keys":[{{"id":"a","key":"{key}"}},{{"id":"a","key":"{key}"}}]}}"#);
        let short = r#"{"keys":[{"id":"a","key":"c2VjcmV0"}]}"#;
        for text in ["", "{", r#"{"key":"c2VjcmV0"}"#, r#"{"keys":"c2VjcmV0"}"#, short, &twice] {
            put(&path, text, 0o600);
            let error = KeyRing::load(&path).unwrap_err();
            assert!(matches!(error, Error::KeyRingFormat { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("c2VjcmV0"), "{error}");
        }
    }

    #[test]
    fn arns_name_keys() {
        assert_eq!(key_id_of_arn("arn:aws:kms:eu-west-1:111122223333:key/orders"), Some("orders"));
        assert_eq!(key_id_of_arn("arn:aws:kms:eu-west-1:111122223333:alias/orders"), Some("orders"));
        for wrong in [
            "orders",
            "arn:aws:s3:::key/orders",
            "arn:aws:kms:r:a:key/",
            "arn:aws:kms:r:a:orders",
            "arn:aws:kms:r:a:key/a/b",
        ] {
            assert_eq!(key_id_of_arn(wrong), None, "{wrong}");
        }
    }
}
