//! A finished object: key, bytes, and the headers that go with it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// Bytes that can be read again for every attempt.
#[async_trait]
pub trait Content: Send + Sync + std::fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// True when there is no byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes `offset..offset + length`, exactly.
    async fn read(&self, offset: u64, length: usize) -> std::io::Result<Bytes>;
}

#[async_trait]
impl Content for Bytes {
    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    async fn read(&self, offset: u64, length: usize) -> std::io::Result<Bytes> {
        usize::try_from(offset)
            .ok()
            .and_then(|start| Some((start, start.checked_add(length)?)))
            .filter(|(_, end)| *end <= Self::len(self))
            .map(|(start, end)| self.slice(start..end))
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
    }
}

/// What is to be stored.
#[derive(Debug, Clone)]
pub struct Object {
    /// Key below the bucket; UTF-8, never empty. Stored exactly as it stands.
    pub key: String,
    /// The bytes.
    pub content: Arc<dyn Content>,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Content-Encoding`, when the bytes are compressed.
    pub content_encoding: Option<&'static str>,
    /// User metadata (`x-amz-meta-…` without the prefix), in order.
    pub metadata: Vec<(String, String)>,
}

/// What the place answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its entity tag, when it has one.
    pub etag: Option<String>,
}
