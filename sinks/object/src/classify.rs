//! From an error of `object_store` to what the caller shall do: a table of codes, then the status,
//! then the kind of the broken exchange. Unknown 4xx ask for an operator, unknown 5xx are tried again.

use std::error::Error;

use millrace_sink::{Advice, SinkError};
use object_store::client::{HttpError, HttpErrorKind};

use crate::wire::Refusal;

/// Longest text of a transport error that is passed on, in characters.
const DETAIL_CHARS_MAX: usize = 300;

/// Codes that pass by themselves whatever the status is.
const PASSING: [&str; 17] = [
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "OperationAborted",
    "ConditionalRequestConflict",
    "TemporaryRedirect",
    // Bytes were lost or changed on the way.
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
    // The store has forgotten the multipart upload, or a part: the object is sent anew.
    "NoSuchUpload",
    "InvalidPart",
];
/// Codes for which somebody must act whatever the status is.
const LASTING: [&str; 3] = ["XMinioStorageFull", "NotImplemented", "XMinioBackendDown"];
/// Codes after which the credentials are looked up again.
const CREDENTIALS: [&str; 9] = [
    "ExpiredToken",
    "TokenRefreshRequired",
    "InvalidToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "Unauthorized",
    "AuthenticationFailed",
    "ExpiredTokenException",
];

/// The names in a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) location: &'a str,
}

impl Place<'_> {
    /// One sentence with all names, and what comes next.
    pub(crate) fn say(&self, what: &str, next: &str) -> String {
        let Self { bucket, key, location } = self;
        format!("bucket {bucket:?}, key {key:?} ({location}): {what}; {next}")
    }
}

/// True when other credentials may help.
pub(crate) fn is_about_credentials(code: &str) -> bool {
    CREDENTIALS.contains(&code)
}

/// Explains a failed call.
pub(crate) fn explain(error: &object_store::Error, place: Place<'_>) -> SinkError {
    let mut cause: Option<&dyn Error> = Some(error);
    let mut http = None;
    while let Some(found) = cause {
        if let Some(refusal) = found.downcast_ref::<Refusal>() {
            return refused(refusal, place);
        }
        http = http.or_else(|| found.downcast_ref::<HttpError>());
        cause = found.source();
    }
    match http {
        Some(http) => broken(http, place),
        // An answer that `object_store` could not use: no ETag, no upload id. It proves nothing.
        None => SinkError::retry("BadResponse", place.say(&cut(&error.to_string()), "it is tried again")),
    }
}

fn refused(refusal: &Refusal, place: Place<'_>) -> SinkError {
    let code = code_of(refusal);
    let advice = advice_of(refusal, &code);
    let words = if refusal.message.is_empty() { String::new() } else { format!(": {}", refusal.message) };
    let what = format!("the store answered {} {code}{words}", refusal.status);
    let next = next_step(&code, refusal.region.as_deref(), advice);
    SinkError { advice, message: place.say(&what, &next), code }
}

fn advice_of(refusal: &Refusal, code: &str) -> Advice {
    let passes = match refusal.status {
        _ if LASTING.contains(&code) => false,
        _ if PASSING.contains(&code) => true,
        // 507: its disk is full.
        507 => false,
        // Success with an error in the body counts like a 5xx.
        408 | 425 | 429 | 200..=299 | 500.. => true,
        _ => false,
    };
    if passes { Advice::Retry { after: refusal.retry_after } } else { Advice::Operator }
}

/// The store's code, or the one that its status means.
fn code_of(refusal: &Refusal) -> String {
    let by_status = match refusal.status {
        _ if !refusal.code.is_empty() => &refusal.code,
        301 | 302 | 308 => "PermanentRedirect",
        307 => "TemporaryRedirect",
        401 => "Unauthorized",
        403 => "AccessDenied",
        404 => "NotFound",
        408 => "RequestTimeout",
        413 => "EntityTooLarge",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        507 => "InsufficientStorage",
        status => return format!("Http{status}"),
    };
    by_status.to_owned()
}

fn next_step(code: &str, region: Option<&str>, advice: Advice) -> String {
    let step = match code {
        "AccessDenied" | "AllAccessDisabled" | "AuthorizationPermissionMismatch" => {
            "let these credentials write and read objects of the bucket (s3:PutObject, s3:GetObject)"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "Unauthorized" | "AuthenticationFailed" => {
            "check access_key_id and secret_access_key (or MILLRACE_S3_ACCESS_KEY_ID and MILLRACE_S3_SECRET_ACCESS_KEY)"
        }
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "ExpiredTokenException" => {
            "give fresh temporary credentials; those in a file are read again"
        }
        "NoSuchBucket" | "ContainerNotFound" | "NotFound" => {
            "make the bucket or correct its name, and check the endpoint"
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            return match region {
                Some(region) => format!("set region = {region:?} (or MILLRACE_S3_REGION)"),
                None => {
                    "set the region and endpoint of the bucket (MILLRACE_S3_REGION, MILLRACE_S3_ENDPOINT)".to_owned()
                }
            };
        }
        "RequestTimeTooSkewed" => "set the clock of this machine",
        "XMinioStorageFull" | "InsufficientStorage" => "make room at the store",
        _ if matches!(advice, Advice::Retry { .. }) => "it is tried again",
        _ => "correct the store or its settings; it is looked at again from time to time",
    };
    step.to_owned()
}

fn broken(error: &HttpError, place: Place<'_>) -> SinkError {
    let mut detail = error.to_string();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(found) = cause {
        let text = found.to_string();
        if !detail.contains(&text) {
            detail = format!("{detail}: {text}");
        }
        cause = found.source();
    }
    let detail = cut(&detail);
    let lower = detail.to_ascii_lowercase();
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        let next = "renew the certificate, use the host name that it names, or set transport.ca_file";
        return SinkError::operator("CertificateInvalid", place.say(&detail, next));
    }
    let code = match error.kind() {
        HttpErrorKind::Timeout => "Timeout",
        HttpErrorKind::Connect if lower.contains("dns") || lower.contains("lookup") => "DnsFailed",
        HttpErrorKind::Connect => "ConnectionFailed",
        HttpErrorKind::Request | HttpErrorKind::Interrupted => "ConnectionLost",
        _ => "BadResponse",
    };
    SinkError::retry(code, place.say(&detail, "it is tried again; check the endpoint if it lasts"))
}

fn cut(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PLACE: Place<'static> = Place { bucket: "b1", key: "k/1", location: "s3://b1 at http://h" };

    fn wrapped(source: HttpError) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(source) }
    }

    fn refuse(status: u16, code: &str) -> SinkError {
        let refusal = Refusal { status, code: code.to_owned(), ..Refusal::default() };
        explain(&wrapped(HttpError::new(HttpErrorKind::Unknown, refusal)), PLACE)
    }

    #[test]
    fn table_of_answers() {
        // Status, the store's code, our code, whether it passes by itself.
        let rows = [
            (400, "BadDigest", "BadDigest", true),
            (400, "RequestTimeout", "RequestTimeout", true),
            (400, "IncompleteBody", "IncompleteBody", true),
            (400, "ExpiredToken", "ExpiredToken", false),
            (400, "InvalidToken", "InvalidToken", false),
            (400, "AuthorizationHeaderMalformed", "AuthorizationHeaderMalformed", false),
            (400, "XMinioInvalidObjectName", "XMinioInvalidObjectName", false),
            (400, "KeyTooLongError", "KeyTooLongError", false),
            (400, "", "Http400", false),
            (401, "", "Unauthorized", false),
            (403, "", "AccessDenied", false),
            (403, "AccessDenied", "AccessDenied", false),
            (403, "InvalidAccessKeyId", "InvalidAccessKeyId", false),
            (403, "SignatureDoesNotMatch", "SignatureDoesNotMatch", false),
            (403, "RequestTimeTooSkewed", "RequestTimeTooSkewed", false),
            (404, "NoSuchBucket", "NoSuchBucket", false),
            (404, "NoSuchUpload", "NoSuchUpload", true),
            (404, "ContainerNotFound", "ContainerNotFound", false),
            (301, "", "PermanentRedirect", false),
            (307, "", "TemporaryRedirect", true),
            (408, "", "RequestTimeout", true),
            (409, "OperationAborted", "OperationAborted", true),
            (413, "", "EntityTooLarge", false),
            (429, "", "TooManyRequests", true),
            (200, "InternalError", "InternalError", true),
            (500, "", "InternalError", true),
            (500, "OperationTimedOut", "OperationTimedOut", true),
            (501, "NotImplemented", "NotImplemented", false),
            (502, "", "Http502", true),
            (503, "", "ServiceUnavailable", true),
            (503, "SlowDown", "SlowDown", true),
            (503, "ServerBusy", "ServerBusy", true),
            (504, "", "Http504", true),
            (507, "XMinioStorageFull", "XMinioStorageFull", false),
        ];
        for (status, given, code, passes) in rows {
            let error = refuse(status, given);
            assert_eq!(error.code, code, "{status} {given}");
            assert_eq!(matches!(error.advice, Advice::Retry { .. }), passes, "{status} {given}");
            for name in ["\"b1\"", "\"k/1\"", "s3://b1", "; "] {
                assert!(error.message.contains(name), "{}", error.message);
            }
        }
    }

    #[test]
    fn the_store_s_wait_and_region_are_used() {
        let refusal = Refusal { status: 503, retry_after: Some(Duration::from_secs(9)), ..Refusal::default() };
        let error = explain(&wrapped(HttpError::new(HttpErrorKind::Unknown, refusal)), PLACE);
        assert_eq!(error.advice, Advice::Retry { after: Some(Duration::from_secs(9)) });
        let refusal = Refusal { status: 301, region: Some("eu-west-1".to_owned()), ..Refusal::default() };
        let error = explain(&wrapped(HttpError::new(HttpErrorKind::Unknown, refusal)), PLACE);
        assert!(error.message.ends_with("set region = \"eu-west-1\" (or MILLRACE_S3_REGION)"), "{}", error.message);
    }

    #[test]
    fn table_of_broken_exchanges() {
        let rows = [
            (HttpErrorKind::Connect, "tcp connect error: Connection refused (os error 111)", "ConnectionFailed", true),
            (HttpErrorKind::Connect, "dns error: failed to lookup address information", "DnsFailed", true),
            (HttpErrorKind::Connect, "invalid peer certificate: Expired", "CertificateInvalid", false),
            (HttpErrorKind::Connect, "invalid peer certificate: UnknownIssuer", "CertificateInvalid", false),
            (HttpErrorKind::Timeout, "no whole answer", "Timeout", true),
            (HttpErrorKind::Interrupted, "connection reset by peer", "ConnectionLost", true),
            (HttpErrorKind::Request, "connection closed before message completed", "ConnectionLost", true),
            (HttpErrorKind::Decode, "the answer is longer", "BadResponse", true),
        ];
        for (kind, text, code, passes) in rows {
            let error = explain(&wrapped(HttpError::new(kind, std::io::Error::other(text))), PLACE);
            assert_eq!(error.code, code, "{text}");
            assert_eq!(matches!(error.advice, Advice::Retry { .. }), passes, "{text}");
        }
        let odd = object_store::Error::Generic { store: "S3", source: "no ETag".into() };
        assert_eq!(explain(&odd, PLACE).code, "BadResponse");
    }
}
