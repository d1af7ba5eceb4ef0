//! What lies in a bucket, be it a local folder or an S3 server.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;

use crate::S3;

/// A bucket to read from.
#[derive(Debug, Clone)]
pub enum Bucket {
    /// A folder of the server's data directory.
    Folder(PathBuf),
    /// A bucket of an S3 server.
    S3 {
        /// Its server.
        client: Box<S3>,
        /// Its name.
        name: String,
    },
}

impl Bucket {
    /// Keys of the objects that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// When it can't be listed.
    pub async fn list(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut keys = match self {
            Self::Folder(root) => {
                let mut keys = Vec::new();
                if root.is_dir() {
                    walk(root, root, &mut keys)?;
                }
                keys.retain(|key| key.starts_with(prefix));
                keys
            }
            Self::S3 { client, name } => client.list(name, prefix).await?,
        };
        keys.sort_unstable();
        Ok(keys)
    }

    /// The bytes of one object.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        match self {
            Self::Folder(root) => {
                let path = root.join(key);
                Ok(std::fs::read(&path).with_context(|| format!("read {}", path.display()))?.into())
            }
            Self::S3 { client, name } => Ok(client.get(name, key).await?.body),
        }
    }

    /// All records of the objects below `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// When an object can't be read or decoded.
    pub async fn records(&self, prefix: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut records = Vec::new();
        for key in self.list(prefix).await? {
            records.extend(crate::decode::records(&key, &self.get(&key).await?)?);
        }
        Ok(records)
    }
}

fn walk(root: &Path, dir: &Path, keys: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, keys)?;
        } else {
            keys.push(path.strip_prefix(root)?.to_str().context("key is not text")?.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_listed_by_key() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for name in ["a/b/2", "a/b/1.gz", "c"] {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        let bucket = Bucket::Folder(dir.path().to_owned());
        assert_eq!(bucket.list("a/").await.unwrap(), ["a/b/1.gz", "a/b/2"]);
        assert!(Bucket::Folder(dir.path().join("none")).list("").await.unwrap().is_empty());
    }
}
