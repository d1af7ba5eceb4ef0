//! A function's request and response, and what of a request is sent.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::Full;

use crate::error::OutboundError;
use crate::target::Target;
use crate::{HEADER_BYTES_MAX, HEADERS_MAX, REQUEST_BYTES_MAX};

/// Headers that speak about the connection or the message's framing: ours to say.
const OURS: &[&str] = &[
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What of a header's name or a method is repeated in an error, characters.
const SAID_CHARS_MAX: usize = 64;

/// What a function asks for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OutboundRequest {
    /// In capitals: `GET`, `POST`, …
    pub method: String,
    /// `https://host[:port][/path][?query]`, or `http://` where the grant says so.
    pub url: String,
    /// Names and values, sent in this order for each name.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, empty for none; at most [`REQUEST_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// What the server answered.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OutboundResponse {
    /// The status code, redirects among them.
    pub status: u16,
    /// Names in lower case and values. Those about the connection are left out; trailers are not read.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as it was sent: a `content-encoding` is not undone.
    pub body: Vec<u8>,
}

/// Headers by their names: values may be secrets.
fn names(headers: &[(String, Vec<u8>)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OutboundRequest");
        // A query may hold a secret, too.
        shown.field("method", &self.method).field("url", &self.url.split(['?', '#']).next().unwrap_or_default());
        shown.field("headers", &names(&self.headers)).field("body_bytes", &self.body.len()).finish()
    }
}

impl fmt::Debug for OutboundResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OutboundResponse");
        shown.field("status", &self.status).field("headers", &names(&self.headers));
        shown.field("body_bytes", &self.body.len()).finish()
    }
}

/// A request that has been checked, but not whether it is granted.
#[derive(Clone)]
pub(crate) struct Checked {
    pub(crate) target: Target,
    pub(crate) method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Whether `name`, in lower case, is about the connection.
pub(crate) fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

impl Checked {
    /// Reads a function's request.
    ///
    /// # Errors
    /// What of it is refused, by name.
    pub(crate) fn new(request: OutboundRequest) -> Result<Self, OutboundError> {
        let target = Target::parse(&request.url).map_err(OutboundError::Url)?;
        let method = method(&request.method)?;
        if request.body.len() > REQUEST_BYTES_MAX {
            let what = format!("a body of {} bytes", request.body.len());
            return Err(OutboundError::RequestTooLong { what, max: REQUEST_BYTES_MAX });
        }
        let headers = headers(&request.headers, &target, request.body.len())?;
        Ok(Self { target, method, headers, body: request.body.into() })
    }

    /// The message for one attempt.
    pub(crate) fn message(&self) -> http::Request<Full<Bytes>> {
        let mut message = http::Request::new(Full::new(self.body.clone()));
        *message.method_mut() = self.method.clone();
        *message.uri_mut() = self.target.path.clone().into();
        *message.headers_mut() = self.headers.clone();
        message
    }
}

fn said(text: &str) -> String {
    text.chars().take(SAID_CHARS_MAX).collect()
}

fn method(text: &str) -> Result<Method, OutboundError> {
    let refused = || OutboundError::Method(said(text));
    let capitals = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !capitals || text.len() > SAID_CHARS_MAX || matches!(text, "CONNECT" | "TRACE") {
        return Err(refused());
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| refused())
}

fn headers(given: &[(String, Vec<u8>)], target: &Target, body: usize) -> Result<HeaderMap, OutboundError> {
    if given.len() > HEADERS_MAX {
        let what = format!("{} headers", given.len());
        return Err(OutboundError::RequestTooLong { what, max: HEADERS_MAX });
    }
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        let what = format!("{bytes} bytes of headers");
        return Err(OutboundError::RequestTooLong { what, max: HEADER_BYTES_MAX });
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 1);
    for (name, value) in given {
        let refused = |why: &str| OutboundError::Header { name: said(name), why: why.to_owned() };
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("is no name of a header"))?;
        if is_ours(known.as_str()) {
            return Err(refused("is set by the server that sends the request, not by the function"));
        }
        if known == header::CONTENT_LENGTH {
            if value.as_slice() == body.to_string().as_bytes() {
                continue; // the length is sent anyway
            }
            return Err(refused("is not the length of the body: it may be left out"));
        }
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| refused("has a line break or another control character in its value"))?;
        headers.append(known, value);
    }
    let host = HeaderValue::from_str(&target.authority()).map_err(|error| OutboundError::Url(error.to_string()))?;
    headers.insert(header::HOST, host);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&str, &str)]) -> Result<Checked, OutboundError> {
        Checked::new(OutboundRequest {
            method: "POST".into(),
            url: "https://api.example.com:8443/a?b".into(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect(),
            body: b"body".to_vec(),
        })
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let headers = vec![("authorization".to_owned(), b"hunter2".to_vec())];
        let url = "https://a.example/path?token=hunter2".to_owned();
        let body = b"hunter2".to_vec();
        let request = OutboundRequest { method: "GET".into(), url, headers: headers.clone(), body: body.clone() };
        let shown = format!(
            "{request:?} {:?} {:?}",
            Checked::new(request.clone()),
            OutboundResponse { status: 200, headers, body }
        );
        let bytes = format!("{:?}", b"hunter2".to_vec());
        assert!(!shown.contains("hunter2") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
        assert!(shown.contains("https://a.example/path") && shown.contains("authorization"), "{shown}");
    }

    #[test]
    fn a_request_is_sent_as_it_was_given() {
        let message = with(&[("X-A", "1"), ("x-a", "ü"), ("Content-Length", "4")]).expect("good").message();
        assert_eq!((message.method().as_str(), message.uri().to_string().as_str()), ("POST", "/a?b"));
        let values: Vec<&[u8]> = message.headers().get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [b"1".as_slice(), "ü".as_bytes()]);
        assert_eq!(message.headers().get("host").expect("host"), "api.example.com:8443");
        assert_eq!(message.headers().len(), 3, "and nothing else");
    }

    #[test]
    fn headers_about_the_connection_and_injections_are_refused_by_name() {
        for name in OURS.iter().copied().chain(["Host", "TRANSFER-ENCODING"]) {
            let error = with(&[(name, "x")]).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains("set by the server"), "{error}");
        }
        for (name, value, word) in [
            ("x-a", "1\r\nx-b: 2", "line break"),
            ("x-a", "1\n", "line break"),
            ("x-a", "\0", "line break"),
            ("x-a\r\nx-b", "1", "no name"),
            ("x a", "1", "no name"),
            ("", "1", "no name"),
            ("content-length", "5", "length of the body"),
            ("content-length", "+4", "length of the body"),
        ] {
            let error = with(&[(name, value)]).expect_err(name).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn methods_and_sizes_are_bounded() {
        let good = OutboundRequest { method: "GET".into(), url: "https://a.example".into(), ..Default::default() };
        for method in ["", "get", "CONNECT", "TRACE", "GET /x HTTP/1.1\r\n", "G T"] {
            let error = Checked::new(OutboundRequest { method: method.into(), ..good.clone() }).expect_err(method);
            assert!(matches!(error, OutboundError::Method(_)), "{error}");
        }
        Checked::new(OutboundRequest { method: "PURGE".into(), ..good.clone() }).expect("a method");
        let body = |len| OutboundRequest { body: vec![0; len], ..good.clone() };
        Checked::new(body(REQUEST_BYTES_MAX)).expect("as long as may be");
        let error = Checked::new(body(REQUEST_BYTES_MAX + 1)).expect_err("long").to_string();
        assert_eq!(error, "the request has a body of 1048577 bytes, 1048576 are allowed");
        let many = vec![("a".to_owned(), vec![]); HEADERS_MAX + 1];
        Checked::new(OutboundRequest { headers: many, ..good.clone() }).expect_err("many headers");
        let wide = vec![("a".to_owned(), vec![b'x'; HEADER_BYTES_MAX])];
        Checked::new(OutboundRequest { headers: wide, ..good }).expect_err("long headers");
    }
}
