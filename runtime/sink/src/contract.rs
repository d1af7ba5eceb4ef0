//! The suite that every sink runs against the real thing: put, read back by other means, put again.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Object, Sink};

/// Reads an object back past the sink: `None` when there is none.
pub type ReadBack<'a> = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'a;

/// Sizes around the places where implementations change their way: empty, one byte, one part, several.
const SIZES: [usize; 5] = [0, 1, 4096, 5 << 20, 33 << 20];
/// Keys that have broken stores: spaces, signs that URLs escape, non-ASCII, a long segment.
const KEYS: [&str; 5] = ["plain", "a/b/c.json.gz", "year=2026/k=a b+c%20d/ü.x", "q?x=1&y=#z", "dots/a..b/.c"];

fn object(key: &str, bytes: Vec<u8>) -> Object {
    Object {
        key: key.to_owned(),
        content: Arc::new(Bytes::from(bytes)),
        content_type: "application/octet-stream",
        content_encoding: None,
        metadata: vec![("millrace-test".to_owned(), "1".to_owned())],
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(31) >> 3) as u8).collect()
}

/// Runs the suite.
///
/// # Panics
/// When the sink breaks its promise, with the sentence that it broke.
pub async fn run(sink: &dyn Sink, read_back: &ReadBack<'_>) {
    for size in SIZES {
        let (key, bytes) = (format!("sizes/{size}"), pattern(size));
        sink.put(&object(&key, bytes.clone())).await.expect("stores every size");
        assert_eq!(read_back(&key).as_deref(), Some(&bytes[..]), "{size} bytes come back as they were");
    }
    for key in KEYS {
        let bytes = pattern(100 + key.len());
        sink.put(&object(key, bytes.clone())).await.expect("stores every key");
        assert_eq!(read_back(key).as_deref(), Some(&bytes[..]), "the key {key:?} is used exactly as it stands");
    }
    let twice = object("twice", pattern(1000));
    sink.put(&twice).await.expect("first");
    sink.put(&twice).await.expect("the same again is fine");
    let (a, b) = tokio::join!(sink.put(&twice), sink.put(&twice));
    assert!(a.is_ok() && b.is_ok(), "the same at once is fine");
    assert_eq!(read_back("twice").as_deref(), Some(&pattern(1000)[..]));
    assert_eq!(read_back("never-put"), None, "the suite's own reader can tell absence");
}
