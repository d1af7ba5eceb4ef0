//! The verifier: a request's head is judged before its body is read, the body is hashed while it
//! is read, and the signature compared at the end.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE, HOST, HeaderName};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::authorization::{Authorization, header};
use crate::canonical::{canonical_head, has_dot_segment, query_names, string_to_sign};
use crate::digest::{Digest, Signer, from_hex, hex};
use crate::error::{AuthError, shown};
use crate::keys::{AccessKeys, Identity, Policy, SigningKeys};
use crate::sign::{X_AMZ_DATE, must_be_signed};
use crate::stamp::Stamp;

pub use crate::canonical::RequestHead;

/// How far a request's date may lie from ours, in milliseconds.
pub const SKEW_MS_MAX: i64 = 5 * 60 * 1_000;

const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Headers that decide something and so may stand once only: a second one could be read by us and
/// not by what comes after us.
const SINGLE_HEADERS: [&str; 8] = [
    "authorization",
    "host",
    "date",
    "content-type",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "x-amz-target",
];

/// Query parameters that carry credentials: Signature Version 4, 4A and 2.
const QUERY_CREDENTIALS: [&[u8]; 4] = [b"X-Amz-Algorithm", b"X-Amz-Credential", b"X-Amz-Signature", b"AWSAccessKeyId"];

/// What a route takes.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The scope's service must be one of these. Some signers leave it empty for a loopback host:
    /// name `""` too where that is fine.
    pub services: &'a [&'a str],
}

/// A request whose head is in order and whose signature is still open.
#[must_use = "a request is proven by finish alone"]
pub struct Verification(State);

enum State {
    Dev,
    Open(Box<Open>),
}

struct Open {
    body: Sha256,
    /// The body's hash that the request names, if it does.
    body_expected: Option<Digest>,
    canonical_head: Vec<u8>,
    stamp: Stamp,
    scope: String,
    signature: Digest,
    key: Arc<Signer>,
    /// Where to keep the key if the signature is right and it isn't kept yet.
    keep: Option<(Arc<SigningKeys>, Box<str>)>,
    identity: Identity,
}

impl std::fmt::Debug for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verification").finish_non_exhaustive()
    }
}

/// Judges a request's head: form, date, scope, which headers are signed, and whether the key is
/// known. Under [`Policy::Dev`] everything passes. `now_ms` is the wall clock, milliseconds since
/// the Unix epoch.
///
/// # Errors
/// The first thing that is wrong; the body need not be read.
pub fn begin(
    policy: &Policy,
    head: &RequestHead<'_>,
    expected: &Expected<'_>,
    now_ms: i64,
) -> Result<Verification, AuthError> {
    match policy {
        Policy::Dev => Ok(Verification(State::Dev)),
        Policy::Keys(keys) => open(keys, head, expected, now_ms).map(|open| Verification(State::Open(Box::new(open)))),
    }
}

impl Verification {
    /// Takes the next part of the body, as it came over the wire.
    pub fn update(&mut self, body_chunk: &[u8]) {
        if let State::Open(open) = &mut self.0 {
            open.body.update(body_chunk);
        }
    }

    /// Compares, once the whole body was given to [`Self::update`].
    ///
    /// # Errors
    /// [`AuthError::PayloadMismatch`] or [`AuthError::SignatureMismatch`].
    pub fn finish(self) -> Result<Identity, AuthError> {
        match self.0 {
            State::Dev => Ok(Identity::Dev),
            State::Open(open) => open.finish(),
        }
    }
}

impl Open {
    fn finish(self) -> Result<Identity, AuthError> {
        let body: Digest = self.body.finalize().into();
        if self.body_expected.is_some_and(|expected| expected != body) {
            return Err(AuthError::PayloadMismatch);
        }
        let to_sign = string_to_sign(self.canonical_head, &hex(&body), &self.stamp, &self.scope);
        let signature = self.key.sign(to_sign.as_bytes());
        if !bool::from(signature.ct_eq(&self.signature)) {
            return Err(AuthError::SignatureMismatch);
        }
        if let Some((signing_keys, key_scope)) = self.keep {
            signing_keys.keep(key_scope, self.key);
        }
        Ok(self.identity)
    }
}

fn open(keys: &AccessKeys, head: &RequestHead<'_>, expected: &Expected<'_>, now_ms: i64) -> Result<Open, AuthError> {
    let headers = head.headers;
    let in_query = query_names(head.raw_query.unwrap_or_default())
        .any(|name| QUERY_CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential)));
    if in_query && headers.contains_key(AUTHORIZATION) {
        return Err(AuthError::QueryAndHeader);
    }
    if in_query {
        return Err(AuthError::QuerySignature);
    }
    if let Some(name) = SINGLE_HEADERS.iter().find(|name| headers.get_all(**name).iter().nth(1).is_some()) {
        return Err(AuthError::HeaderRepeated(name));
    }
    let auth = Authorization::parse(header(headers)?.ok_or(AuthError::Missing)?)?;
    if has_dot_segment(head.raw_path) {
        return Err(AuthError::DotSegment);
    }
    let stamp = dated(headers)?;
    check_scope(&auth, &stamp, expected)?;
    check_skew(&stamp, now_ms)?;
    check_signed_headers(&auth.signed_headers, headers)?;
    let body_expected = body_expected(headers)?;

    // Our keys are no temporary ones, so a session token can't be ours.
    if headers.contains_key(X_AMZ_SECURITY_TOKEN) {
        return Err(AuthError::Unrecognized);
    }
    let (key, kept) = keys
        .signing_key(auth.key_id, auth.key_scope, [auth.day, auth.region, auth.service])
        .ok_or(AuthError::Unrecognized)?;
    Ok(Open {
        body: Sha256::new(),
        body_expected,
        canonical_head: canonical_head(head, &auth.signed_headers)?,
        stamp,
        scope: auth.scope(),
        signature: auth.signature,
        key,
        keep: (!kept).then(|| (Arc::clone(&keys.signing_keys), auth.key_scope.into())),
        identity: Identity::AccessKey { key_id: auth.key_id.to_owned(), region: auth.region.to_owned() },
    })
}

/// The request's date: `x-amz-date`, else `date`. Either way it is bound by the string to sign.
fn dated(headers: &HeaderMap) -> Result<Stamp, AuthError> {
    let stamp = match (headers.get(X_AMZ_DATE), headers.get(DATE)) {
        (Some(value), _) => value.to_str().ok().and_then(Stamp::from_iso),
        (None, Some(value)) => value.to_str().ok().and_then(Stamp::from_date),
        (None, None) => return Err(AuthError::DateMissing),
    };
    stamp.ok_or(AuthError::DateForm)
}

fn check_scope(auth: &Authorization<'_>, stamp: &Stamp, expected: &Expected<'_>) -> Result<(), AuthError> {
    if auth.day != stamp.day() {
        return Err(AuthError::ScopeDate {
            scope: shown(auth.day),
            day: stamp.day().to_owned(),
            stamp: stamp.as_str().to_owned(),
        });
    }
    if !expected.services.contains(&auth.service) {
        let named: Vec<&str> = expected.services.iter().copied().filter(|service| !service.is_empty()).collect();
        return Err(AuthError::ScopeService(named.join("' or '")));
    }
    Ok(())
}

fn check_skew(stamp: &Stamp, now_ms: i64) -> Result<(), AuthError> {
    let [earliest_ms, latest_ms] = [now_ms.saturating_sub(SKEW_MS_MAX), now_ms.saturating_add(SKEW_MS_MAX)];
    if (earliest_ms..=latest_ms).contains(&stamp.ms()) {
        return Ok(());
    }
    let text = |at_ms: i64| Stamp::from_ms(at_ms).as_str().to_owned();
    let behind = stamp.ms() < earliest_ms;
    let (stamp, now) = (text(stamp.ms()), text(now_ms));
    Err(if behind {
        AuthError::Expired { stamp, bound: text(earliest_ms), now }
    } else {
        AuthError::NotYetCurrent { stamp, bound: text(latest_ms), now }
    })
}

/// The host must be signed, and of the headers that are there those that say what the request means.
fn check_signed_headers(signed: &[&str], headers: &HeaderMap) -> Result<(), AuthError> {
    if !signed.contains(&HOST.as_str()) {
        return Err(AuthError::HostNotSigned);
    }
    let unsigned =
        headers.keys().filter(|name| must_be_signed(name)).find(|name| signed.binary_search(&name.as_str()).is_err());
    unsigned.map_or(Ok(()), |name| Err(AuthError::HeaderNotSigned(shown(name.as_str()))))
}

/// The hash that the request names for its body. Bodies that are unsigned, or signed chunk by
/// chunk, are refused: no client of ours sends them, and others have verified them wrongly.
fn body_expected(headers: &HeaderMap) -> Result<Option<Digest>, AuthError> {
    let Some(value) = headers.get(X_AMZ_CONTENT_SHA256) else {
        return Ok(None);
    };
    let value = value.as_bytes();
    if value == b"UNSIGNED-PAYLOAD" {
        return Err(AuthError::Payload("UNSIGNED-PAYLOAD"));
    }
    if value.starts_with(b"STREAMING-") {
        return Err(AuthError::Payload("a STREAMING- payload"));
    }
    from_hex(value).map(Some).ok_or(AuthError::Payload("another value"))
}

#[cfg(test)]
mod forgeries;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
