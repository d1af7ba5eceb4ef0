//! The one map from what went wrong to what a client is told: AWS code, HTTP status and body on
//! `POST /` and in the Lambda API, a stable slug and a sentence on the plain routes.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

/// A finished answer.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Content type of every AWS JSON 1.1 answer.
pub(crate) const AMZ_JSON: &str = "application/x-amz-json-1.1";

/// What kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// A member breaks a constraint of the service model.
    Validation,
    /// The body is not what the protocol says.
    Serialization,
    /// No such operation, or none in this version.
    UnknownOperation,
    /// The request makes no sense, or asks for what is not there.
    InvalidArgument,
    /// No such stream.
    ResourceNotFound,
    /// The name is taken, or the stream is being deleted.
    ResourceInUse,
    /// A quota.
    LimitExceeded,
    /// Back-pressure, or trouble that a retry may outlive.
    ServiceUnavailable,
    /// Our fault.
    Internal,
    /// The body is over its limit.
    TooLarge,
    /// The body came too slowly.
    Timeout,
    /// The caller could not be authenticated; the AWS type says how.
    Denied(&'static str),
    /// No such route or thing (plain routes).
    NotFound,
    /// The route has other methods; the value is the `Allow` header.
    Method(&'static str),
    /// A content type or encoding that is not taken.
    Media,
    /// Too many calls at once; the value is Lambda's `Reason`.
    Throttled(&'static str),
    /// A revision id that is not the newest.
    Precondition,
    /// An event that is no JSON.
    RequestContent,
    /// No room for more code.
    StorageExceeded,
    /// No more aliases.
    AliasLimit,
}

/// How the answers of a route speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Our own JSON.
    Plain,
    /// AWS JSON 1.1.
    AwsJson,
    /// AWS REST-JSON, as Lambda speaks it.
    RestJson,
}

/// A refusal with its sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    /// Its kind.
    pub(crate) code: Code,
    /// Stable name of the condition, for the plain routes and the log.
    pub(crate) slug: &'static str,
    /// What the client reads.
    pub(crate) message: String,
}

impl ApiError {
    /// A refusal under the slug of its kind.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, slug: code.slug(), message: message.into() }
    }

    /// The same under a slug of its own.
    pub(crate) fn slugged(code: Code, slug: &'static str, message: impl Into<String>) -> Self {
        Self { code, slug, message: message.into() }
    }

    /// Semantics: `InvalidArgumentException`.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// Shape: `ValidationException` from the single findings, in the service's words.
    pub(crate) fn validation(findings: &[String]) -> Self {
        let count = findings.len();
        let noun = if count == 1 { "error" } else { "errors" };
        Self::new(Code::Validation, format!("{count} validation {noun} detected: {}", findings.join("; ")))
    }

    /// The answer on `POST /`.
    fn aws_reply(&self) -> Reply {
        let kind = self.code.aws_type();
        // Measured on AWS (kinesalite): this one exception spells its text member with a capital.
        let member = if self.code == Code::Serialization { "Message" } else { "message" };
        let body = json!({ "__type": kind, member: self.message }).to_string();
        let mut reply = reply(self.code.aws_status(), AMZ_JSON, body);
        reply.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
        reply
    }

    /// The answer in a dialect.
    pub(crate) fn reply(&self, dialect: Dialect) -> Reply {
        match dialect {
            Dialect::Plain => self.plain_reply(),
            Dialect::AwsJson => self.aws_reply(),
            Dialect::RestJson => self.rest_reply(),
        }
    }

    /// The answer of the Lambda API.
    fn rest_reply(&self) -> Reply {
        let (kind, status) = (self.code.rest_type(), self.code.rest_status());
        // The service spells the text of these with a capital, and so does its model.
        let is_capital = matches!(self.code, Code::ResourceNotFound | Code::Internal | Code::Denied(_));
        let member = if is_capital { "Message" } else { "message" };
        let by = if status.is_server_error() { "Service" } else { "User" };
        let mut body = json!({ "Type": by, member: self.message });
        if let (Code::Throttled(reason), Some(members)) = (self.code, body.as_object_mut()) {
            members.insert("Reason".to_owned(), reason.into());
        }
        let mut reply = reply(status, "application/json", body.to_string());
        reply.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
        if matches!(self.code, Code::Throttled(_)) {
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        reply
    }

    /// The answer on the plain routes.
    fn plain_reply(&self) -> Reply {
        let body = json!({ "error": { "code": self.slug, "message": self.message } }).to_string() + "\n";
        let mut reply = reply(self.code.plain_status(), "application/json", body);
        match self.code {
            Code::Method(allow) => drop(reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow))),
            Code::Denied(_) => {
                drop(reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            }
            _ => {}
        }
        reply
    }
}

impl Code {
    /// `__type` on the wire.
    pub(crate) const fn aws_type(self) -> &'static str {
        match self {
            Self::Validation => "ValidationException",
            Self::Serialization | Self::Media => "SerializationException",
            Self::UnknownOperation | Self::NotFound | Self::Method(_) => "UnknownOperationException",
            Self::InvalidArgument | Self::Precondition | Self::RequestContent => "InvalidArgumentException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::ResourceInUse => "ResourceInUseException",
            Self::LimitExceeded | Self::Throttled(_) | Self::StorageExceeded | Self::AliasLimit => "LimitExceededException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
            Self::Internal => "InternalFailure",
            Self::TooLarge => "RequestEntityTooLargeException",
            Self::Timeout => "RequestTimeoutException",
            Self::Denied(kind) => kind,
        }
    }

    /// `x-amzn-ErrorType` of the Lambda API.
    pub(crate) const fn rest_type(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidParameterValueException",
            Self::ResourceInUse => "ResourceConflictException",
            Self::LimitExceeded | Self::Throttled(_) => "TooManyRequestsException",
            Self::Internal => "ServiceException",
            Self::TooLarge => "RequestTooLargeException",
            Self::Media => "UnsupportedMediaTypeException",
            Self::Precondition => "PreconditionFailedException",
            Self::RequestContent => "InvalidRequestContentException",
            Self::StorageExceeded => "CodeStorageExceededException",
            Self::AliasLimit => "AliasLimitExceededException",
            other => other.aws_type(),
        }
    }

    /// The status that the model gives each.
    const fn rest_status(self) -> StatusCode {
        match self {
            Self::UnknownOperation => StatusCode::NOT_FOUND,
            Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::StorageExceeded | Self::AliasLimit => StatusCode::BAD_REQUEST,
            other => other.plain_status(),
        }
    }

    /// Modelled errors are 400; the one fault, our own failure and transport limits are not.
    const fn aws_status(self) -> StatusCode {
        match self {
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    const fn plain_status(self) -> StatusCode {
        match self {
            Self::ResourceNotFound | Self::NotFound => StatusCode::NOT_FOUND,
            Self::ResourceInUse => StatusCode::CONFLICT,
            Self::LimitExceeded | Self::Throttled(_) | Self::StorageExceeded | Self::AliasLimit => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Media => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Denied(_) => StatusCode::UNAUTHORIZED,
            other => other.aws_status(),
        }
    }

    const fn slug(self) -> &'static str {
        match self {
            Self::Validation | Self::InvalidArgument => "request.invalid",
            Self::Serialization | Self::RequestContent => "request.malformed",
            Self::UnknownOperation => "request.operation",
            Self::ResourceNotFound => "stream.unknown",
            Self::ResourceInUse => "stream.in-use",
            Self::LimitExceeded | Self::StorageExceeded | Self::AliasLimit => "limit.exceeded",
            Self::ServiceUnavailable => "server.unavailable",
            Self::Internal => "server.failure",
            Self::TooLarge => "request.too-large",
            Self::Timeout => "request.timeout",
            Self::Denied(_) => "auth.denied",
            Self::NotFound => "route.unknown",
            Self::Method(_) => "route.method",
            Self::Media => "request.media",
            Self::Throttled(_) => "function.throttled",
            Self::Precondition => "function.precondition",
        }
    }
}

/// An answer of `status` with `body` of type `content_type`.
pub(crate) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let body = body.into();
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_map_to_types_and_statuses() {
        for (code, kind, aws, plain) in [
            (Code::Validation, "ValidationException", 400, 400),
            (Code::ResourceNotFound, "ResourceNotFoundException", 400, 404),
            (Code::ServiceUnavailable, "ServiceUnavailableException", 503, 503),
            (Code::Internal, "InternalFailure", 500, 500),
            (Code::Denied("InvalidSignatureException"), "InvalidSignatureException", 400, 401),
        ] {
            let error = ApiError::new(code, "x");
            assert_eq!(error.aws_reply().status(), aws);
            assert_eq!(error.aws_reply().headers()["x-amzn-errortype"], kind);
            assert_eq!(error.plain_reply().status(), plain);
        }
    }

    #[test]
    fn the_lambda_api_has_its_own_types_statuses_and_bodies() {
        for (code, kind, status, member) in [
            (Code::Validation, "ValidationException", 400, "message"),
            (Code::InvalidArgument, "InvalidParameterValueException", 400, "message"),
            (Code::ResourceNotFound, "ResourceNotFoundException", 404, "Message"),
            (Code::ResourceInUse, "ResourceConflictException", 409, "message"),
            (Code::Precondition, "PreconditionFailedException", 412, "message"),
            (Code::TooLarge, "RequestTooLargeException", 413, "message"),
            (Code::Media, "UnsupportedMediaTypeException", 415, "message"),
            (Code::Throttled("CallerRateLimitExceeded"), "TooManyRequestsException", 429, "message"),
            (Code::RequestContent, "InvalidRequestContentException", 400, "message"),
            (Code::StorageExceeded, "CodeStorageExceededException", 400, "message"),
            (Code::AliasLimit, "AliasLimitExceededException", 400, "message"),
            (Code::UnknownOperation, "UnknownOperationException", 404, "message"),
            (Code::Denied("InvalidSignatureException"), "InvalidSignatureException", 403, "Message"),
            (Code::Internal, "ServiceException", 500, "Message"),
        ] {
            let reply = ApiError::new(code, "x").reply(Dialect::RestJson);
            assert_eq!(
                (reply.status().as_u16(), reply.headers()["x-amzn-errortype"].as_bytes()),
                (status, kind.as_bytes())
            );
            let body = format!("{:?}", reply.body());
            assert!(body.contains(&format!("\\\"{member}\\\":\\\"x\\\"")), "{body}");
            assert_eq!(body.contains("Reason"), matches!(code, Code::Throttled(_)));
        }
    }

    #[test]
    fn findings_are_counted() {
        assert_eq!(ApiError::validation(&["a".into()]).message, "1 validation error detected: a");
        assert_eq!(ApiError::validation(&["a".into(), "b".into()]).message, "2 validation errors detected: a; b");
    }
}
