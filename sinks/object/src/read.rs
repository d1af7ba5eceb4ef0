//! Reading objects back, for what the server needs of a bucket besides putting: code that is named by
//! bucket and key, error objects that are replayed. Bounded in bytes and in number.

use std::path::Path;

use futures_util::StreamExt;
use millrace_sink::SinkError;

use crate::buckets::Found;
use crate::{ObjectBuckets, key};

impl ObjectBuckets {
    /// The bytes of an object.
    ///
    /// # Errors
    /// With bucket and key: none there, none readable, or more than `bytes_max` bytes.
    pub async fn read(&self, bucket: &str, key: &str, bytes_max: usize) -> Result<Vec<u8>, SinkError> {
        let told = |code: &str, what: &str| SinkError::operator(code, format!("s3://{bucket}/{key}: {what}"));
        let too_large = || told("ObjectTooLarge", &format!("it has more than {bytes_max} bytes"));
        match self.locate(bucket).map_err(|error| told(error.code(), &error.to_string()))? {
            Found::Folder(dir) => {
                key::check(key).map_err(|why| told("UnsupportedKey", &format!("the key {why}")))?;
                let path = below(&dir, key);
                let length = match tokio::fs::metadata(&path).await {
                    Ok(found) if found.is_file() => found.len(),
                    Ok(_) => return Err(told("NoSuchKey", "there is no such object")),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        return Err(told("NoSuchKey", "there is no such object"));
                    }
                    Err(error) => return Err(told("Unreadable", &error.to_string())),
                };
                if length > bytes_max as u64 {
                    return Err(too_large());
                }
                tokio::fs::read(&path).await.map_err(|error| told("Unreadable", &error.to_string()))
            }
            Found::Remote(remote) => {
                let (store, path) =
                    remote.find(key).map_err(|why| told("UnsupportedKey", &format!("the key {why}")))?;
                let got = store.get_opts(&path, object_store::GetOptions::default()).await;
                let got = got.map_err(|error| remote.explain_read(&error, key))?;
                if got.meta.size > bytes_max as u64 {
                    return Err(too_large());
                }
                let mut bytes = Vec::new();
                let mut chunks = got.into_stream();
                while let Some(chunk) = chunks.next().await {
                    bytes.extend_from_slice(&chunk.map_err(|error| remote.explain_read(&error, key))?);
                    if bytes.len() > bytes_max {
                        return Err(too_large());
                    }
                }
                Ok(bytes)
            }
        }
    }

    /// Keys of a bucket that begin with `prefix`, in order, at most `keys_max`.
    ///
    /// # Errors
    /// With the bucket: none there, none readable, or more than `keys_max` keys.
    pub async fn list(&self, bucket: &str, prefix: &str, keys_max: usize) -> Result<Vec<String>, SinkError> {
        let told = |code: &str, what: &str| SinkError::operator(code, format!("s3://{bucket}/{prefix}: {what}"));
        let too_many = || told("TooManyObjects", &format!("more than {keys_max} objects: name a longer prefix"));
        let mut keys = match self.locate(bucket).map_err(|error| told(error.code(), &error.to_string()))? {
            Found::Folder(dir) => {
                let found = walk(&dir, prefix, keys_max).await;
                found.map_err(|error| told("Unreadable", &error.to_string()))?.ok_or_else(too_many)?
            }
            Found::Remote(remote) => {
                let (store, _) = remote.find("x").map_err(|why| told("UnsupportedKey", &why))?;
                let mut keys = Vec::new();
                // The store matches whole segments: the folder of the prefix, and the rest by hand.
                let folder = prefix.rsplit_once('/').map(|(folder, _)| object_store::path::Path::from(folder));
                let mut listed = store.list(folder.as_ref());
                while let Some(meta) = listed.next().await {
                    let key = meta.map_err(|error| remote.explain_read(&error, prefix))?.location.to_string();
                    if key.starts_with(prefix) {
                        keys.push(key);
                    }
                    if keys.len() > keys_max {
                        return Err(too_many());
                    }
                }
                keys
            }
        };
        keys.sort();
        Ok(keys)
    }
}

fn below(dir: &Path, key: &str) -> std::path::PathBuf {
    let mut path = dir.to_owned();
    path.extend(key.split('/').filter(|segment| !segment.is_empty()));
    path
}

/// Keys below a folder; none when there are more than `keys_max`.
async fn walk(root: &Path, prefix: &str, keys_max: usize) -> std::io::Result<Option<Vec<String>>> {
    let (mut keys, mut folders) = (Vec::new(), vec![(root.to_owned(), String::new())]);
    while let Some((folder, above)) = folders.pop() {
        let mut entries = tokio::fs::read_dir(&folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = format!("{above}{name}");
            if entry.file_type().await?.is_dir() {
                let inner = format!("{key}/");
                if inner.starts_with(prefix) || prefix.starts_with(&inner) {
                    folders.push((entry.path(), inner));
                }
            } else if key.starts_with(prefix) {
                keys.push(key);
            }
            if keys.len() > keys_max {
                return Ok(None);
            }
        }
    }
    Ok(Some(keys))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{ObjectBuckets, ObjectSettings};

    #[tokio::test]
    async fn objects_of_a_folder_are_read_and_listed() {
        let dir = tempfile::tempdir().expect("dir");
        let buckets =
            ObjectBuckets::new(dir.path(), ObjectSettings::default(), Arc::new(|_: &str| None)).expect("opens");
        for key in ["b1/a/1", "b1/a/22", "b1/b/3"] {
            let path = dir.path().join(format!("buc{key}"));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, key).expect("written");
        }
        assert_eq!(buckets.read("bucb1", "a/22", 100).await.expect("read"), b"b1/a/22");
        assert_eq!(buckets.list("bucb1", "a/", 10).await.expect("listed"), ["a/1", "a/22"]);
        assert_eq!(buckets.list("bucb1", "a/2", 10).await.expect("listed"), ["a/22"]);
        assert_eq!(buckets.list("bucb1", "", 3).await.expect("listed").len(), 3);
        for (code, refused) in [
            ("ObjectTooLarge", buckets.read("bucb1", "a/22", 6).await.err()),
            ("NoSuchKey", buckets.read("bucb1", "a/2", 6).await.err()),
            ("NoSuchKey", buckets.read("bucb1", "a", 6).await.err()),
            ("UnsupportedKey", buckets.read("bucb1", "../bucb1/a/1", 6).await.err()),
            ("TooManyObjects", buckets.list("bucb1", "", 2).await.err()),
            ("InvalidBucketName", buckets.list("..", "", 2).await.err()),
        ] {
            assert_eq!(refused.map(|error| error.code).as_deref(), Some(code));
        }
    }
}
