//! The signer of our own clients: the command line, the demo and the tests.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue};

use crate::authorization::{ALGORITHM, TERMINATOR};
use crate::canonical::{RequestHead, canonical_head, string_to_sign};
use crate::digest::hex;
use crate::error::AuthError;
use crate::keys::{derive, seed};
use crate::stamp::Stamp;

/// The request's date, in the ISO 8601 basic form.
pub(crate) const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
/// The headers, `host` aside, that say what a request means: the signer signs them, the verifier
/// demands that they are signed.
pub(crate) fn must_be_signed(name: &HeaderName) -> bool {
    [CONTENT_TYPE, CONTENT_ENCODING].contains(name)
        || ["x-amz-", "x-millrace-"].iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// With what, for where and when a request is signed.
#[derive(Clone, Copy)]
pub struct SigningParams<'a> {
    /// The access key's id.
    pub key_id: &'a str,
    /// The access key's secret.
    pub secret: &'a str,
    /// The scope's region, such as `us-east-1`.
    pub region: &'a str,
    /// The scope's service, such as `firehose`.
    pub service: &'a str,
    /// The request's date, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

impl std::fmt::Debug for SigningParams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningParams")
            .field("key_id", &self.key_id)
            .field("region", &self.region)
            .field("service", &self.service)
            .field("now_ms", &self.now_ms)
            .finish_non_exhaustive()
    }
}

/// Signs a request: sets `x-amz-date` and `authorization` in its headers. Signed are `host`,
/// `content-type`, `content-encoding` and every `x-amz-*` and `x-millrace-*`; they must be there
/// already. `raw_path` and `raw_query` are as they go over the wire, `body_sha256_hex` is
/// [`crate::body_sha256_hex`] of the body.
///
/// # Errors
/// [`AuthError::HostNotSigned`] without a `host` header, [`AuthError::Malformed`] where key id,
/// region or service can't stand in a header.
pub fn sign(
    params: &SigningParams<'_>,
    method: &str,
    raw_path: &str,
    raw_query: Option<&str>,
    headers: &mut HeaderMap,
    body_sha256_hex: &str,
) -> Result<(), AuthError> {
    const NOT_A_HEADER: AuthError = AuthError::Malformed("key id, region or service has a character no header takes");
    if !headers.contains_key(HOST) {
        return Err(AuthError::HostNotSigned);
    }
    let stamp = Stamp::from_ms(params.now_ms);
    headers.insert(X_AMZ_DATE, HeaderValue::try_from(stamp.as_str()).map_err(|_| NOT_A_HEADER)?);
    let mut names: Vec<&str> =
        headers.keys().filter(|name| **name == HOST || must_be_signed(name)).map(HeaderName::as_str).collect();
    names.sort_unstable();

    let SigningParams { key_id, secret, region, service, .. } = *params;
    let head = RequestHead { method, raw_path, raw_query, headers, authority: None };
    let scope = format!("{}/{region}/{service}/{TERMINATOR}", stamp.day());
    let to_sign = string_to_sign(canonical_head(&head, &names)?, body_sha256_hex, &stamp, &scope);
    let signature = derive(&seed(secret), stamp.day(), region, service).sign(to_sign.as_bytes());
    let authorization = format!(
        "{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={}, Signature={}",
        names.join(";"),
        hex(&signature)
    );
    headers.insert(AUTHORIZATION, HeaderValue::try_from(authorization).map_err(|_| NOT_A_HEADER)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body_sha256_hex;

    const PARAMS: SigningParams<'static> = SigningParams {
        key_id: "AKIDEXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "service",
        now_ms: 1_440_938_160_000,
    };

    #[test]
    fn the_vanilla_request_gets_the_signature_of_the_aws_suite() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("example.amazonaws.com"));
        sign(&PARAMS, "GET", "/", None, &mut headers, &body_sha256_hex(b"")).unwrap();
        assert_eq!(headers[X_AMZ_DATE], "20150830T123600Z");
        assert_eq!(
            headers[AUTHORIZATION],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    #[test]
    fn what_cannot_be_signed_is_refused_and_the_secret_not_shown() {
        let mut headers = HeaderMap::new();
        assert_eq!(sign(&PARAMS, "GET", "/", None, &mut headers, ""), Err(AuthError::HostNotSigned));
        headers.insert(HOST, HeaderValue::from_static("h"));
        let params = SigningParams { region: "a\nb", ..PARAMS };
        assert!(matches!(sign(&params, "GET", "/", None, &mut headers, ""), Err(AuthError::Malformed(_))));
        assert!(!format!("{PARAMS:?}").contains("wJalr"));
    }
}
