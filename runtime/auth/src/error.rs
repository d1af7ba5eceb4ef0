//! What is wrong with a request's credentials, in the words AWS sends, and with a set of keys.

/// Characters of a client's own word that an error repeats at most.
const SHOWN_CHARS_MAX: usize = 64;

/// Why a request was refused. `Display` is the text for the wire, as AWS words it where AWS has a
/// text; no variant carries a secret, a signature or a canonical request. The caller answers 4xx
/// and does not try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No credentials, or credentials of another scheme.
    #[error("Missing Authentication Token")]
    Missing,
    /// Credentials in the query and in the header.
    #[error("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")]
    QueryAndHeader,
    /// A presigned request.
    #[error("Signatures in the query string are not supported. Sign with the 'Authorization' header.")]
    QuerySignature,
    /// Signature Version 2, 3, 4A or anything else of the AWS family.
    #[error("Unsupported AWS 'algorithm': '{0}'. Only 'AWS4-HMAC-SHA256' is supported.")]
    Algorithm(String),
    /// A parameter of the Authorization header is absent.
    #[error("Authorization header requires '{0}' parameter.")]
    Parameter(&'static str),
    /// The Authorization header can't be read; the fact says where.
    #[error("Authorization header is malformed: {0}.")]
    Malformed(&'static str),
    /// The credential has another shape than `keyid/date/region/service/aws4_request`.
    #[error("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")]
    CredentialParts,
    /// Neither `X-Amz-Date` nor `Date`.
    #[error("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")]
    DateMissing,
    /// A date in no known form.
    #[error("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601")]
    DateForm,
    /// The scope's day isn't the day of the request's date.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != '{day}', from '{stamp}'."
    )]
    ScopeDate {
        /// The scope's day.
        scope: String,
        /// The day of the request's date.
        day: String,
        /// The request's date.
        stamp: String,
    },
    /// The scope's region is empty or no region's name.
    #[error("Credential should be scoped to a valid region.")]
    ScopeRegion,
    /// The scope's service isn't one of those expected here.
    #[error("Credential should be scoped to correct service: '{0}'.")]
    ScopeService(String),
    /// The scope doesn't end in `aws4_request`.
    #[error("Credential should be scoped with a valid terminator: 'aws4_request'.")]
    ScopeTerminator,
    /// The request's date is more than five minutes behind.
    #[error("Signature expired: {stamp} is now earlier than {bound} ({now} - 5 min.)")]
    Expired {
        /// The request's date.
        stamp: String,
        /// The earliest date accepted.
        bound: String,
        /// The server's time.
        now: String,
    },
    /// The request's date is more than five minutes ahead.
    #[error("Signature not yet current: {stamp} is still later than {bound} ({now} + 5 min.)")]
    NotYetCurrent {
        /// The request's date.
        stamp: String,
        /// The latest date accepted.
        bound: String,
        /// The server's time.
        now: String,
    },
    /// The host isn't signed.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    /// A header that must be signed when it is there isn't.
    #[error("There were headers present in the request which were not signed: {0}")]
    HeaderNotSigned(String),
    /// A signed header isn't in the request.
    #[error("The header '{0}' is signed but is not in the request.")]
    HeaderAbsent(String),
    /// A header that may stand once stands twice.
    #[error("The header '{0}' must not be repeated.")]
    HeaderRepeated(&'static str),
    /// `.` or `..` in the path: signed as another path than the one that is routed.
    #[error("The path must not have '.' or '..' segments.")]
    DotSegment,
    /// The body isn't signed, or is signed in chunks, or its hash is no hash.
    #[error(
        "The value of 'x-amz-content-sha256' must be the SHA-256 of the body in lower-case hex; {0} is not supported."
    )]
    Payload(&'static str),
    /// The body isn't the one whose hash the request names.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadMismatch,
    /// An unknown key, bearer token or session token.
    #[error("The security token included in the request is invalid.")]
    Unrecognized,
    /// Everything is well-formed, and the signature isn't ours.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    SignatureMismatch,
}

impl AuthError {
    /// The error's name on the wire (`__type`).
    #[must_use]
    pub fn aws_type(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::QuerySignature
            | Self::Algorithm(_)
            | Self::Parameter(_)
            | Self::Malformed(_)
            | Self::CredentialParts
            | Self::DateMissing
            | Self::DateForm
            | Self::HeaderRepeated(_) => "IncompleteSignatureException",
            Self::Unrecognized => "UnrecognizedClientException",
            Self::QueryAndHeader
            | Self::ScopeDate { .. }
            | Self::ScopeRegion
            | Self::ScopeService(_)
            | Self::ScopeTerminator
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::HostNotSigned
            | Self::HeaderNotSigned(_)
            | Self::HeaderAbsent(_)
            | Self::DotSegment
            | Self::Payload(_)
            | Self::PayloadMismatch
            | Self::SignatureMismatch => "InvalidSignatureException",
        }
    }
}

/// A client's word, cut so that an error stays short.
pub(crate) fn shown(word: &str) -> String {
    word.chars().take(SHOWN_CHARS_MAX).collect()
}

/// Why a set of access keys and tokens can't be used. The operator mends the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Neither a key nor a token: nobody could sign in.
    #[error("no access key and no bearer token is given")]
    Nothing,
    /// An id that couldn't stand in an Authorization header.
    #[error("access key id {position} is not 1 to 128 letters, digits, '_' or '-'")]
    Id {
        /// Which one, counted from 1.
        position: usize,
    },
    /// Two keys of one id.
    #[error("access key id {id} is given twice")]
    IdRepeated {
        /// The id.
        id: String,
    },
    /// A key without a secret.
    #[error("access key {id} has no secret")]
    NoSecret {
        /// The key's id.
        id: String,
    },
    /// A token that is empty or couldn't stand in a header.
    #[error("bearer token {position} is not 1 to 4096 visible ASCII characters without spaces")]
    Token {
        /// Which one, counted from 1.
        position: usize,
    },
}
