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

/// Attempts to make a bucket, [`ATTEMPT_PAUSE`] apart.
const CREATE_ATTEMPTS_MAX: u32 = 60;
/// Attempts to read, [`ATTEMPT_PAUSE`] apart.
const READ_ATTEMPTS_MAX: u32 = 20;
/// Pause between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(250);

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

    /// The answer to a GET once it is no 5xx. Tried again for a while, for reading changes nothing: a server
    /// that was killed leaves dead connections behind, and answers 503 until it is whole again.
    async fn read(&self, path: &str) -> anyhow::Result<Answer> {
        let mut last = None;
        for attempt in 0..READ_ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            match self.send("GET", path, Bytes::new()).await {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(answer) => last = Some(anyhow::anyhow!("status {}: {}", answer.status, answer.text())),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("never tried")))
            .with_context(|| format!("GET {path} failed {READ_ATTEMPTS_MAX} times"))
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
                Err(_) if self.has_bucket(bucket).await => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("never tried"))).with_context(|| format!("create bucket {bucket}"))
    }

    async fn has_bucket(&self, bucket: &str) -> bool {
        let listed = self.send("GET", &format!("/{bucket}?list-type=2&max-keys=1"), Bytes::new()).await;
        matches!(listed, Ok(answer) if answer.status == 200)
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
            let answer = self.read(&path).await?.ok().context("list")?;
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
        self.read(&object_path(bucket, key)?).await?.ok().with_context(|| format!("get {key}"))
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
    use crate::Proxy;
    use crate::proxy::Faults;
    use std::sync::atomic::Ordering;

    #[tokio::test]
    async fn reading_outlives_a_server_that_is_not_whole_yet() {
        let proxy = Proxy::start("http://127.0.0.1:9", 1).await.unwrap();
        proxy.set(Faults { always: Some(503), ..Faults::default() });
        let client = S3::new(proxy.endpoint(), &Keys::any());
        let whole_again = async {
            let seen = || async { Ok((proxy.done().requests.load(Ordering::Relaxed) > 1).then_some(())) };
            crate::wait::until("a second attempt", Duration::from_secs(10), seen).await.unwrap();
            proxy.set(Faults { always: Some(404), ..Faults::default() });
        };
        let (read, ()) = tokio::join!(client.get("b", "k"), whole_again);
        assert!(format!("{:#}", read.unwrap_err()).contains("404"), "the last answer counts");
    }

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
