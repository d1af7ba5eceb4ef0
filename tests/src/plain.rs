//! A client of the plain HTTP routes: ingest, functions, schemas.

use bytes::Bytes;
use serde_json::Value;

use crate::Keys;
use crate::http::{Answer, Client};
use crate::signing::send_signed;

/// How the client says who it is.
#[derive(Debug, Clone)]
enum Credential {
    Bearer(String),
    Signed(Keys),
}

/// A client of the plain routes.
#[derive(Debug, Clone)]
pub struct Plain {
    client: Client,
    credential: Credential,
}

impl Plain {
    /// A client that shows a bearer token.
    #[must_use]
    pub fn bearer(base: &str, token: &str) -> Self {
        Self { client: Client::new(base), credential: Credential::Bearer(token.to_owned()) }
    }

    /// A client that signs.
    #[must_use]
    pub fn signed(base: &str, keys: &Keys) -> Self {
        Self { client: Client::new(base), credential: Credential::Signed(keys.clone()) }
    }

    /// Sends a request to any route.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        match &self.credential {
            Credential::Signed(keys) => {
                send_signed(&self.client, keys, "millrace", method, path, headers, body.into()).await
            }
            Credential::Bearer(token) => {
                let mut all = vec![("authorization".to_owned(), format!("Bearer {token}"))];
                all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
                self.client.send(method, path, &all, body).await
            }
        }
    }

    /// Puts NDJSON: each line, without its line feed, becomes a record.
    ///
    /// # Errors
    /// When no whole answer came: what became of the records is unknown then.
    pub async fn put_lines(&self, stream: &str, lines: impl Into<Bytes>) -> anyhow::Result<Answer> {
        let path = format!("/v1/delivery-streams/{stream}/records");
        self.send("POST", &path, &[("content-type", "application/x-ndjson")], lines).await
    }

    /// Deploys a function; answers the server's description of its version.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn deploy(&self, name: &str, wasm: Bytes, headers: &[(&str, &str)]) -> anyhow::Result<Value> {
        let mut all = vec![("content-type", "application/wasm")];
        all.extend_from_slice(headers);
        self.send("PUT", &format!("/v1/functions/{name}"), &all, wasm).await?.ok()?.json()
    }
}
