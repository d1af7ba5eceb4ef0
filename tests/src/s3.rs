//! A small signed S3 client, path style: enough to read what was delivered and to make a bucket.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;

use crate::Keys;
use crate::http::{Answer, Client};
use crate::signing::send_signed;

/// Characters of a key besides letters and digits that go over the wire as they are. Keys with
/// others are refused: the judge's own keys have none.
const PLAIN: &[u8] = b"-._~/=!$&'()*,;:@+";

/// Attempts to make a bucket, a quarter of a second apart.
const CREATE_ATTEMPTS_MAX: u32 = 60;

/// A client of one S3 server.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    keys: Keys,
}

impl S3 {
    /// A client of the server at `endpoint`.
    #[must_use]
    pub fn new(endpoint: &str, keys: &Keys) -> Self {
        Self { client: Client::new(endpoint), keys: keys.clone() }
    }

    async fn send(&self, method: &str, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        send_signed(&self.client, &self.keys, "s3", method, path, &[], body).await
    }

    /// Makes a bucket; one that is there already is fine. Tried again for a while: a server that has
    /// just started may drop the first requests.
    ///
    /// # Errors
    /// The server's last answer.
    pub async fn create_bucket(&self, bucket: &str) -> anyhow::Result<()> {
        let mut last = None;
        for _ in 0..CREATE_ATTEMPTS_MAX {
            match self.send("PUT", &format!("/{bucket}"), Bytes::new()).await.and_then(Answer::ok) {
                Ok(_) => return Ok(()),
                Err(_) if self.list(bucket, "").await.is_ok() => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("never tried"))).with_context(|| format!("create bucket {bucket}"))
    }

    /// All keys that begin with `prefix`, in the server's order.
    ///
    /// # Errors
    /// The server's answer when it is not a listing.
    pub async fn list(&self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = String::new();
            if !token.is_empty() {
                query = format!("continuation-token={}&", encode_query(&token));
            }
            let path = format!("/{bucket}?{query}list-type=2&prefix={}", encode_query(prefix));
            let answer = self.send("GET", &path, Bytes::new()).await?.ok().context("list")?;
            let page = answer.text();
            keys.extend(elements(&page, "Key").map(unescape));
            if elements(&page, "IsTruncated").next() != Some("true") {
                return Ok(keys);
            }
            token = elements(&page, "NextContinuationToken").next().map(unescape).context("continuation token")?;
        }
    }

    /// One object, with its headers.
    ///
    /// # Errors
    /// The server's answer when it is not the object.
    pub async fn get(&self, bucket: &str, key: &str) -> anyhow::Result<Answer> {
        self.send("GET", &object_path(bucket, key)?, Bytes::new()).await?.ok().with_context(|| format!("get {key}"))
    }

    /// Stores one object.
    ///
    /// # Errors
    /// The server's answer when it refuses.
    pub async fn put(&self, bucket: &str, key: &str, body: Bytes) -> anyhow::Result<()> {
        self.send("PUT", &object_path(bucket, key)?, body).await?.ok().with_context(|| format!("put {key}"))?;
        Ok(())
    }

    /// Whether the server answers a signed request at all.
    pub async fn answers(&self) -> bool {
        matches!(self.send("GET", "/", Bytes::new()).await, Ok(answer) if answer.status == 200)
    }
}

fn object_path(bucket: &str, key: &str) -> anyhow::Result<String> {
    let odd = key.bytes().find(|byte| !byte.is_ascii_alphanumeric() && !PLAIN.contains(byte));
    anyhow::ensure!(odd.is_none(), "the harness does not read keys with {odd:?}: {key}");
    Ok(format!("/{bucket}/{key}"))
}

fn encode_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The texts of all elements `name` of a flat S3 answer.
fn elements<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = page;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, tail) = after.split_once(&close)?;
        rest = tail;
        Some(text)
    })
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#39;", "'").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read() {
        let page = "<R><IsTruncated>false</IsTruncated><Contents><Key>a/p=1&amp;2.gz</Key></Contents>\
                    <Contents><Key>b</Key></Contents></R>";
        let keys: Vec<String> = elements(page, "Key").map(unescape).collect();
        assert_eq!(keys, ["a/p=1&2.gz", "b"]);
        assert_eq!(elements(page, "NextContinuationToken").next(), None);
        assert_eq!(elements("<Key>cut", "Key").next(), None);
    }

    #[test]
    fn keys_that_would_need_encoding_are_refused() {
        assert_eq!(object_path("b", "x/p=1/s-1-2026.gz").unwrap(), "/b/x/p=1/s-1-2026.gz");
        for key in ["a b", "a%2F", "a#1", "ä"] {
            assert!(object_path("b", key).is_err(), "{key}");
        }
        assert_eq!(encode_query("a/=b"), "a%2F%3Db");
    }
}
