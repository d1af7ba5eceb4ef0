//! From a bucket's name to its sink: settings, one client for each bucket, connections shared by store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use millrace_sink::{Buckets, Sink, SinkError};
use object_store::client::HttpClient;
use parking_lot::Mutex;

use crate::local::Folders;
use crate::remote::Remote;
use crate::{ObjectError, ObjectSettings, StoreSettings, access, wire};

/// Clients that are kept; above, one that may be made again at any time is dropped.
const CLIENTS_MAX: usize = 1024;
/// S3: 3 to 63 characters.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 3..=63;

/// Finds an environment variable by name. A closure, so that tests need no process environment.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// All buckets, as the settings say.
pub struct ObjectBuckets {
    settings: ObjectSettings,
    lookup: Lookup,
    folders: Arc<Folders>,
    open: Mutex<Open>,
}

/// Where a bucket is.
pub(crate) enum Found {
    /// In this folder.
    Folder(PathBuf),
    /// At a store.
    Remote(Arc<Remote>),
}

#[derive(Default)]
struct Open {
    /// By the settings' table.
    connections: BTreeMap<String, HttpClient>,
    /// By bucket.
    remotes: BTreeMap<String, Arc<Remote>>,
}

impl std::fmt::Debug for ObjectBuckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectBuckets").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ObjectBuckets {
    /// Checks the settings, makes `objects_dir` (the folder of local buckets) and clears what an
    /// earlier process left half written. Blocking; once, at start, with the data directory's lock held.
    ///
    /// # Errors
    /// Unusable settings, by name; a folder that cannot be made.
    pub fn new(objects_dir: impl Into<PathBuf>, settings: ObjectSettings, lookup: Lookup) -> Result<Self, ObjectError> {
        settings.check()?;
        let folders = Arc::new(Folders::open(objects_dir.into())?);
        Ok(Self { settings, lookup, folders, open: Mutex::default() })
    }

    /// As [`Self::new`], for reading beside a server that is at work: makes and clears nothing.
    ///
    /// # Errors
    /// Unusable settings, by name.
    pub fn reading(
        objects_dir: impl Into<PathBuf>,
        settings: ObjectSettings,
        lookup: Lookup,
    ) -> Result<Self, ObjectError> {
        settings.check()?;
        let folders = Arc::new(Folders::reading(objects_dir.into()));
        Ok(Self { settings, lookup, folders, open: Mutex::default() })
    }

    fn find(&self, bucket: &str) -> Result<Arc<dyn Sink>, ObjectError> {
        Ok(match self.locate(bucket)? {
            Found::Folder(_) => Arc::new(self.folders.bucket(bucket)),
            Found::Remote(remote) => remote,
        })
    }

    /// Where a bucket is.
    pub(crate) fn locate(&self, bucket: &str) -> Result<Found, ObjectError> {
        check_name(bucket)?;
        let (store, table) = self.settings.of(bucket);
        if matches!(store, StoreSettings::Local(_)) {
            return Ok(Found::Folder(self.folders.path_of(bucket)));
        }
        let mut open = self.open.lock();
        if let Some(known) = open.remotes.get(bucket).filter(|remote| !remote.is_stale()) {
            return Ok(Found::Remote(Arc::clone(known)));
        }
        let remote = Arc::new(self.connect(bucket, store, &table, &mut open.connections)?);
        if open.remotes.len() >= CLIENTS_MAX {
            open.remotes.pop_first();
        }
        open.remotes.insert(bucket.to_owned(), Arc::clone(&remote));
        Ok(Found::Remote(remote))
    }

    fn connect(
        &self,
        bucket: &str,
        store: &StoreSettings,
        table: &str,
        connections: &mut BTreeMap<String, HttpClient>,
    ) -> Result<Remote, ObjectError> {
        let mut http = |endpoint: &str, transport| match connections.get(table) {
            Some(known) => Ok(known.clone()),
            None => {
                let made = wire::client(table, endpoint, transport)?;
                connections.insert(table.to_owned(), made.clone());
                Ok::<_, ObjectError>(made)
            }
        };
        let lookup = &self.lookup;
        let or_bucket = |name: &Option<String>| name.clone().unwrap_or_else(|| bucket.to_owned());
        let (access, location, transport) = match store {
            StoreSettings::S3(s3) => {
                let (remote, endpoint) = (or_bucket(&s3.bucket), access::s3_endpoint(s3));
                let access = access::s3(s3, &remote, http(&endpoint, &s3.transport)?, lookup)?;
                (access, format!("s3://{remote} at {endpoint}"), &s3.transport)
            }
            StoreSettings::Azure(azure) => {
                let remote = or_bucket(&azure.container);
                let client = http(azure.endpoint.as_deref().unwrap_or_default(), &azure.transport)?;
                let access = access::azure(azure, &remote, client, lookup)?;
                (access, format!("az://{}/{remote}", azure.account), &azure.transport)
            }
            StoreSettings::Gcs(gcs) => {
                let remote = or_bucket(&gcs.bucket);
                let client = http(gcs.endpoint.as_deref().unwrap_or_default(), &gcs.transport)?;
                (access::gcs(gcs, &remote, client, lookup)?, format!("gs://{remote}"), &gcs.transport)
            }
            StoreSettings::Local(_) => unreachable!("local buckets have no connection"),
        };
        Ok(Remote::new(access, bucket, location, transport.verify_length))
    }
}

impl Buckets for ObjectBuckets {
    fn open(&self, bucket: &str) -> Result<Arc<dyn Sink>, SinkError> {
        self.find(bucket).map_err(|error| SinkError::operator(error.code(), format!("bucket {bucket:?}: {error}")))
    }
}

/// A name that is safe as a folder and in a host name or a URL.
pub(crate) fn check_name(name: &str) -> Result<(), ObjectError> {
    let refuse = |why| Err(ObjectError::BucketName { name: name.chars().take(*NAME_BYTES.end()).collect(), why });
    if !NAME_BYTES.contains(&name.len()) {
        return refuse("has not 3 to 63 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return refuse("holds another character");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("does not begin and end with a letter or a digit");
    }
    if name.contains("..") {
        return refuse("holds two dots in a row");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AzureSettings, GcsSettings, S3Settings, Secret};
    use millrace_sink::Advice;

    fn buckets(default: StoreSettings) -> (tempfile::TempDir, ObjectBuckets) {
        let dir = tempfile::tempdir().unwrap();
        let settings = ObjectSettings { default, ..ObjectSettings::default() };
        let buckets = ObjectBuckets::new(dir.path().join("objects"), settings, Arc::new(|_| None)).unwrap();
        (dir, buckets)
    }

    fn inline(text: &str) -> Option<Secret> {
        Some(Secret::Inline(text.to_owned()))
    }

    #[test]
    fn names() {
        for name in ["abc", "a-b.c_d", "0ab", "Legacy-Bucket", &"a".repeat(63)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "ab", "a/b", "..", "...", "a..b", ".tmp", "-ab", "ab.", "a b", "abü", "a\0b", &"a".repeat(64)]
        {
            assert!(check_name(name).is_err(), "{name}");
        }
        let (_dir, buckets) = buckets(StoreSettings::default());
        let error = buckets.open("../up").unwrap_err();
        assert_eq!((error.code.as_str(), error.advice), ("InvalidBucketName", Advice::Operator));
    }

    #[test]
    fn reading_leaves_a_server_s_half_written_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let objects = dir.path().join("objects");
        drop(ObjectBuckets::new(&objects, ObjectSettings::default(), Arc::new(|_| None)).unwrap());
        let half = objects.join(".tmp/1-0");
        std::fs::write(&half, b"half").unwrap();
        drop(ObjectBuckets::reading(&objects, ObjectSettings::default(), Arc::new(|_| None)).unwrap());
        assert!(half.exists());
        let nowhere = dir.path().join("nowhere");
        drop(ObjectBuckets::reading(&nowhere, ObjectSettings::default(), Arc::new(|_| None)).unwrap());
        assert!(!nowhere.exists());
    }

    #[test]
    fn credentials_are_asked_for_by_name() {
        let (_dir, buckets) = buckets(StoreSettings::S3(S3Settings::default()));
        let error = buckets.open("abc").unwrap_err();
        assert_eq!(error.code, "InvalidCredentials");
        assert!(error.message.contains("MILLRACE_S3_ACCESS_KEY_ID"), "{}", error.message);
    }

    #[test]
    fn azure_and_google_are_built() {
        let azure =
            AzureSettings { account: "acc".to_owned(), access_key: inline("c2VjcmV0"), ..AzureSettings::default() };
        let (_dir, buckets_azure) = buckets(StoreSettings::Azure(azure.clone()));
        assert_eq!(buckets_azure.open("logs").unwrap().location(), "az://acc/logs");
        let gcs = GcsSettings { service_account: inline("{\"private_key\": \"hunter2\""), ..GcsSettings::default() };
        let (_dir, buckets_gcs) = buckets(StoreSettings::Gcs(gcs));
        let error = buckets_gcs.open("logs").unwrap_err();
        assert!(error.message.contains("service_account") && !error.message.contains("hunter2"), "{}", error.message);
        for bad in [
            AzureSettings { access_key: inline("no base64!"), ..azure.clone() },
            AzureSettings { access_key: None, ..azure.clone() },
            AzureSettings { sas_token: inline("sig=x"), ..azure },
        ] {
            let (_dir, buckets) = buckets(StoreSettings::Azure(bad));
            assert_eq!(buckets.open("logs").unwrap_err().code, "InvalidCredentials");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let s3 = S3Settings {
            access_key_id: inline("AKID1"),
            secret_access_key: inline("hunter2"),
            ..S3Settings::default()
        };
        let (_dir, buckets) = buckets(StoreSettings::S3(s3));
        let sink = buckets.open("abc").unwrap();
        for shown in [format!("{buckets:?}"), format!("{sink:?}"), sink.location()] {
            assert!(!shown.contains("hunter2") && !shown.contains("AKID1"), "{shown}");
        }
        let again = buckets.open("abc").unwrap();
        assert!(Arc::ptr_eq(&sink, &again), "the client is kept");
    }
}
