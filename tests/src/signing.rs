//! Keys, and requests signed with them.

use anyhow::Context as _;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use millrace_auth::{SigningParams, body_sha256_hex, sign};

use crate::http::{Answer, Client};
use crate::wait;

/// Region of every signature of the harness.
pub const REGION: &str = "us-east-1";

/// An access key.
#[derive(Clone)]
pub struct Keys {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Keys {
    /// From its two parts.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned() }
    }

    /// What a server in `--dev` accepts, as it accepts anything.
    #[must_use]
    pub fn any() -> Self {
        Self::new("test", "test")
    }
}

/// Sends a request signed for `service`.
///
/// # Errors
/// When no whole answer came.
pub async fn send_signed(
    client: &Client,
    keys: &Keys,
    service: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: bytes::Bytes,
) -> anyhow::Result<Answer> {
    let mut map = HeaderMap::new();
    map.insert(HOST, HeaderValue::from_str(client.authority())?);
    for (name, value) in headers {
        map.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    let hash = body_sha256_hex(&body);
    if service == "s3" {
        map.insert("x-amz-content-sha256", HeaderValue::from_str(&hash)?);
    }
    let (raw_path, raw_query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let params =
        SigningParams { key_id: &keys.id, secret: &keys.secret, region: REGION, service, now_ms: wait::wall_ms() };
    sign(&params, method, raw_path, raw_query, &mut map, &hash).context("sign")?;
    let mut signed = Vec::with_capacity(map.len());
    for (name, value) in &map {
        signed.push((name.as_str().to_owned(), value.to_str()?.to_owned()));
    }
    client.send(method, path, &signed, body).await
}
