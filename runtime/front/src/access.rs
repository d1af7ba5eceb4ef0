//! Who may: the head of a request is judged before its body is read, the body's hash behind it.

use http::header::AUTHORIZATION;
use http::request::Parts;
use millrace_auth::{AuthError, Authorization, Expected, Policy, RequestHead, Verification, bearer, begin};

use crate::error::{ApiError, Code};

/// Service names that a signature on `POST /` may carry; some signers leave it empty for loopback.
const AWS_SERVICES: [&str; 2] = ["firehose", ""];
/// Service names that a signature in the Lambda API may carry.
const LAMBDA_SERVICES: [&str; 2] = ["lambda", ""];
/// Service names that a signature on the plain routes may carry.
const PLAIN_SERVICES: [&str; 3] = ["firehose", "millrace", ""];

/// A caller whose head is in order.
#[derive(Debug)]
pub(crate) enum Caller {
    /// Proven by a token.
    Known,
    /// To be proven by the body.
    Open(Box<Verification>),
}

impl Caller {
    /// The caller of an AWS operation: signed.
    ///
    /// # Errors
    /// `Denied`, as AWS words it.
    pub(crate) fn aws(policy: &Policy, parts: &Parts, now_ms: i64) -> Result<Self, ApiError> {
        signed(policy, parts, &AWS_SERVICES, now_ms)
    }

    /// The caller of an operation of the Lambda API: signed.
    ///
    /// # Errors
    /// `Denied`, as AWS words it.
    pub(crate) fn lambda(policy: &Policy, parts: &Parts, now_ms: i64) -> Result<Self, ApiError> {
        signed(policy, parts, &LAMBDA_SERVICES, now_ms)
    }

    /// The caller of a plain route: with a token or signed.
    ///
    /// # Errors
    /// `Denied`.
    pub(crate) fn plain(policy: &Policy, parts: &Parts, now_ms: i64) -> Result<Self, ApiError> {
        if bearer(policy, &parts.headers)?.is_some() {
            return Ok(Self::Known);
        }
        let caller = signed(policy, parts, &PLAIN_SERVICES, now_ms)?;
        if matches!(policy, Policy::Keys(_)) {
            check_own_headers(parts)?;
        }
        Ok(caller)
    }

    /// Takes the next chunk of the body.
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        if let Self::Open(verification) = self {
            verification.update(chunk);
        }
    }

    /// Proves the caller, once the whole body was seen.
    ///
    /// # Errors
    /// `Denied`.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self {
            Self::Known => Ok(()),
            Self::Open(verification) => Ok(verification.finish().map(drop)?),
        }
    }
}

fn signed(policy: &Policy, parts: &Parts, services: &[&str], now_ms: i64) -> Result<Caller, ApiError> {
    let head = RequestHead {
        method: parts.method.as_str(),
        raw_path: parts.uri.path(),
        raw_query: parts.uri.query(),
        headers: &parts.headers,
        authority: parts.uri.authority().map(http::uri::Authority::as_str),
    };
    Ok(Caller::Open(Box::new(begin(policy, &head, &Expected { services }, now_ms)?)))
}

/// Headers that change what the request means must be under the signature, or somebody on the way
/// could add one.
fn check_own_headers(parts: &Parts) -> Result<(), ApiError> {
    let own: Vec<&str> =
        parts.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-millrace-")).collect();
    if own.is_empty() {
        return Ok(());
    }
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authorization = Authorization::parse(header)?;
    match own.iter().find(|name| !authorization.signed_headers.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(AuthError::HeaderNotSigned((*name).chars().take(64).collect()).into()),
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        Self::new(Code::Denied(error.aws_type()), error.to_string())
    }
}
