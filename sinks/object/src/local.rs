//! Buckets as folders: `objects/<bucket>/<key>`. Written to `objects/.tmp/`, synced, renamed, and the
//! folders synced up to where they were known to be durable. Written here and not by `object_store`,
//! whose local store syncs nothing.
//!
//! A folder keeps no headers: content type, encoding and metadata are not stored, with one exception.
//! The envelope of a client-side encrypted object (`x-amz-key-v2` and what goes with it), without which
//! nobody could decrypt it, becomes the S3 Encryption Client's instruction file: `<key>.instruction`.
//! An empty segment of a key (`a//b`) is what it is to the file system: nothing.

use std::collections::{BTreeMap, HashSet};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use millrace_sink::{Content, Object, Sink, SinkError, Stored};
use parking_lot::Mutex;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use crate::classify::Place;
use crate::{ObjectError, key};

/// Folder of half-written files beside the buckets: no bucket's name begins with a dot.
const TEMPORARY: &str = ".tmp";
/// Bytes that are read and written in one go.
const STEP_BYTES: usize = 4 << 20;
/// Folders remembered as durable; above, all are forgotten and synced once more.
const DURABLE_MAX: usize = 16 * 1024;
/// Metadata that say that an object is encrypted at the client: S3 Encryption Client V2 and V3.
const ENVELOPE: [&str; 2] = ["x-amz-key-v2", "x-amz-3"];
/// Metadata of the envelope all begin so.
const ENVELOPE_PREFIX: &str = "x-amz-";
/// What the S3 Encryption Client appends to the key of an object for its envelope.
const INSTRUCTION: &str = ".instruction";

/// The folder of all local buckets.
#[derive(Debug)]
pub(crate) struct Folders {
    root: PathBuf,
    temporary: PathBuf,
    /// Names of temporary files; the folder was cleared at open.
    next: AtomicU64,
    /// Folders whose own entry in the parent is known to be synced.
    durable: Mutex<HashSet<PathBuf>>,
}

/// One bucket.
#[derive(Debug)]
pub(crate) struct Folder {
    folders: Arc<Folders>,
    bucket: String,
}

impl Folders {
    /// For reading only: nothing is made or cleared, so a server may be at work there.
    pub(crate) fn reading(root: PathBuf) -> Self {
        Self { temporary: root.join(TEMPORARY), root, next: AtomicU64::new(0), durable: Mutex::default() }
    }

    /// Makes the folder and clears temporary files. Blocking.
    pub(crate) fn open(root: PathBuf) -> Result<Self, ObjectError> {
        let temporary = root.join(TEMPORARY);
        let prepare = || {
            std::fs::create_dir_all(&temporary)?;
            for entry in std::fs::read_dir(&temporary)? {
                std::fs::remove_file(entry?.path())?;
            }
            let parent =
                root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            [root.as_path(), parent].iter().try_for_each(|dir| std::fs::File::open(dir)?.sync_all())
        };
        prepare().map_err(|source| ObjectError::Folder { path: root.clone(), source })?;
        Ok(Self { root, temporary, next: AtomicU64::new(0), durable: Mutex::default() })
    }

    /// The folder of `bucket`, whose name is already checked.
    pub(crate) fn path_of(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket)
    }

    /// The sink of `bucket`, whose name is already checked.
    pub(crate) fn bucket(self: &Arc<Self>, bucket: &str) -> Folder {
        Folder { folders: Arc::clone(self), bucket: bucket.to_owned() }
    }

    /// Stores `content` at `target`, below `root`.
    async fn store(&self, target: &Path, content: &dyn Content) -> std::io::Result<()> {
        let name = format!("{}-{}", std::process::id(), self.next.fetch_add(1, Ordering::Relaxed));
        let temporary = self.temporary.join(name);
        let stored = async {
            write_synced(&temporary, content).await?;
            self.settle(&temporary, target).await
        };
        let stored = stored.await;
        if stored.is_err() && fs::remove_file(&temporary).await.is_err() {
            // Not made, or cleared at the next start.
            tracing::debug!(file = %temporary.display(), "a temporary file stays");
        }
        stored
    }

    /// Renames, and makes the name and its folders durable.
    async fn settle(&self, temporary: &Path, target: &Path) -> std::io::Result<()> {
        let parent = target.parent().unwrap_or(&self.root);
        let mut fresh = self.make_dirs(parent).await?;
        let mut renamed = fs::rename(temporary, target).await;
        if renamed.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            // Somebody has removed a folder that was remembered.
            self.durable.lock().clear();
            fresh = self.make_dirs(parent).await?;
            renamed = fs::rename(temporary, target).await;
        }
        renamed?;
        sync_dir(parent).await?;
        for dir in &fresh {
            sync_dir(dir.parent().unwrap_or(&self.root)).await?;
        }
        let mut durable = self.durable.lock();
        if durable.len() + fresh.len() > DURABLE_MAX {
            durable.clear();
        }
        durable.extend(fresh);
        Ok(())
    }

    /// Makes what is missing between `root` and `dir`; answers the folders that are not known to be
    /// durable, whoever made them: another put may not have synced yet.
    async fn make_dirs(&self, dir: &Path) -> std::io::Result<Vec<PathBuf>> {
        let mut unknown = Vec::new();
        for above in dir.ancestors().take_while(|above| *above != self.root) {
            // What is above a durable folder is durable.
            if self.durable.lock().contains(above) {
                break;
            }
            unknown.push(above.to_owned());
        }
        for missing in unknown.iter().rev() {
            match fs::create_dir(missing).await {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(unknown)
    }
}

async fn write_synced(path: &Path, content: &dyn Content) -> std::io::Result<()> {
    let mut file = fs::File::options().write(true).create_new(true).open(path).await?;
    file.set_max_buf_size(STEP_BYTES);
    let length = content.len();
    let mut offset = 0;
    while offset < length {
        let step = STEP_BYTES.min(usize::try_from(length - offset).unwrap_or(STEP_BYTES));
        let bytes = content.read(offset, step).await?;
        if bytes.len() != step {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        file.write_all(&bytes).await?;
        offset += step as u64;
    }
    file.flush().await?;
    file.sync_all().await?;
    let stored = file.metadata().await?.len();
    if stored != length {
        return Err(Error::other(format!("{length} bytes were written, {stored} are stored")));
    }
    Ok(())
}

async fn sync_dir(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir).await?.sync_all().await
}

impl Folder {
    fn place<'a>(&'a self, key: &'a str, location: &'a str) -> Place<'a> {
        Place { bucket: &self.bucket, key, location }
    }

    async fn store(&self, key: &str, content: &dyn Content) -> Result<(), SinkError> {
        let location = self.location();
        let place = self.place(key, &location);
        key::check(key).map_err(|why| {
            let next = "change the prefix of the delivery stream";
            SinkError::operator("UnsupportedKey", place.say(&format!("the key {why}"), next))
        })?;
        let mut target = self.folders.root.join(&self.bucket);
        target.extend(key.split('/').filter(|segment| !segment.is_empty()));
        self.folders.store(&target, content).await.map_err(|error| explain(&error, place))
    }
}

#[async_trait]
impl Sink for Folder {
    async fn put(&self, object: &Object) -> Result<Stored, SinkError> {
        if let Some(envelope) = envelope(object) {
            // First: an object without it is of no use to anybody.
            self.store(&format!("{}{INSTRUCTION}", object.key), &envelope).await?;
        }
        self.store(&object.key, &*object.content).await?;
        Ok(Stored::default())
    }

    fn location(&self) -> String {
        format!("file://{}", self.folders.root.join(&self.bucket).display())
    }
}

/// The instruction file of an encrypted object: its envelope as a JSON object of texts.
fn envelope(object: &Object) -> Option<Bytes> {
    if !object.metadata.iter().any(|(name, _)| ENVELOPE.contains(&name.as_str())) {
        return None;
    }
    let envelope: BTreeMap<_, _> =
        object.metadata.iter().filter(|(name, _)| name.starts_with(ENVELOPE_PREFIX)).map(|(n, v)| (n, v)).collect();
    serde_json::to_vec(&envelope).ok().map(Bytes::from)
}

fn explain(error: &Error, place: Place<'_>) -> SinkError {
    let (code, next) = match error.kind() {
        ErrorKind::PermissionDenied => ("AccessDenied", "let the server's user write to the folder"),
        ErrorKind::ReadOnlyFilesystem => ("AccessDenied", "mount the file system writable"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ("InsufficientStorage", "make room on the file system"),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::DirectoryNotEmpty => {
            ("KeyConflict", "a folder cannot hold both an object and objects below it: change the prefix")
        }
        ErrorKind::AlreadyExists => ("KeyConflict", "remove what is in the way"),
        ErrorKind::CrossesDevices => {
            ("CrossesDevices", "mount the file system at the folder of all buckets, not at one bucket")
        }
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
            ("UnsupportedKey", "change the prefix of the delivery stream: the file system takes no such name")
        }
        _ => return SinkError::retry("FileError", place.say(&error.to_string(), "it is tried again")),
    };
    SinkError::operator(code, place.say(&error.to_string(), next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_sink::{Advice, contract};

    fn object(key: &str, content: impl Content + 'static) -> Object {
        Object {
            key: key.to_owned(),
            content: Arc::new(content),
            content_type: "application/octet-stream",
            content_encoding: None,
            metadata: Vec::new(),
        }
    }

    fn folder() -> (tempfile::TempDir, PathBuf, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("objects");
        let folders = Arc::new(Folders::open(root.clone()).unwrap());
        (dir, root, folders.bucket("logs"))
    }

    fn names(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    #[tokio::test]
    async fn keeps_the_contract() {
        let (_dir, root, sink) = folder();
        contract::run(&sink, &|key| std::fs::read(root.join("logs").join(key)).ok()).await;
        assert_eq!(names(&root.join(TEMPORARY)), 0, "no temporary file stays");
    }

    #[tokio::test]
    async fn odd_keys() {
        let (_dir, root, sink) = folder();
        for key in ["a//b", "/lead", "c/d//e"] {
            sink.put(&object(key, Bytes::from_static(b"x"))).await.unwrap();
            let spelled = format!("{}/logs/{key}", root.display());
            assert_eq!(std::fs::read(spelled).unwrap(), b"x", "{key}");
        }
        for key in ["../up", "a/../../up", "a/..", "./a", "", "a/", "a\0b"] {
            let error = sink.put(&object(key, Bytes::from_static(b"x"))).await.unwrap_err();
            assert_eq!((error.code.as_str(), error.advice), ("UnsupportedKey", Advice::Operator), "{key:?}");
        }
        let long = "x".repeat(300);
        assert_eq!(sink.put(&object(&long, Bytes::new())).await.unwrap_err().advice, Advice::Operator);
        for key in ["lead/below", "c"] {
            let error = sink.put(&object(key, Bytes::new())).await.unwrap_err();
            assert_eq!(error.code, "KeyConflict", "{key}: {}", error.message);
        }
        assert!(!root.join("up").exists());
        assert_eq!(names(&root.join(TEMPORARY)), 0);
    }

    #[tokio::test]
    async fn a_removed_folder_is_made_again() {
        let (_dir, root, sink) = folder();
        sink.put(&object("2026/01/a", Bytes::from_static(b"x"))).await.unwrap();
        std::fs::remove_dir_all(root.join("logs")).unwrap();
        sink.put(&object("2026/01/b", Bytes::from_static(b"y"))).await.unwrap();
        assert_eq!(std::fs::read(root.join("logs/2026/01/b")).unwrap(), b"y");
    }

    #[tokio::test]
    async fn what_a_crash_left_is_cleared_and_never_seen() {
        let (_dir, root, sink) = folder();
        std::fs::write(root.join(TEMPORARY).join("1-0"), b"half").unwrap();
        drop(sink);
        let sink = Arc::new(Folders::open(root.clone()).unwrap()).bucket("logs");
        assert_eq!(names(&root.join(TEMPORARY)), 0);
        assert!(sink.location().starts_with("file:///"));
    }

    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Content for Broken {
        fn len(&self) -> u64 {
            STEP_BYTES as u64 + 1
        }
        async fn read(&self, offset: u64, length: usize) -> std::io::Result<Bytes> {
            if offset == 0 { Ok(Bytes::from(vec![0; length])) } else { Err(Error::other("no more")) }
        }
    }

    #[tokio::test]
    async fn content_that_breaks_off_leaves_nothing() {
        let (_dir, root, sink) = folder();
        let error = sink.put(&object("a", Broken)).await.unwrap_err();
        assert_eq!(error.advice, Advice::Retry { after: None });
        assert!(!root.join("logs").exists() && names(&root.join(TEMPORARY)) == 0);
    }

    #[tokio::test]
    async fn the_envelope_of_an_encrypted_object_is_kept() {
        let (_dir, root, sink) = folder();
        let mut encrypted = object("a/b", Bytes::from_static(b"cipher"));
        for (name, value) in [("x-amz-key-v2", "k\"ey"), ("x-amz-iv", "iv"), ("millrace-shard", "1")] {
            encrypted.metadata.push((name.to_owned(), value.to_owned()));
        }
        sink.put(&encrypted).await.unwrap();
        let kept = std::fs::read_to_string(root.join("logs/a/b.instruction")).unwrap();
        assert_eq!(kept, r#"{"x-amz-iv":"iv","x-amz-key-v2":"k\"ey"}"#);
    }
}
