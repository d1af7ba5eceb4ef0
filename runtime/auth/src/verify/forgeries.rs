//! Forgeries: a signed request is changed in every part that is signed, and no change is accepted.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::tests::{NOW_MS, PARAMS, SERVICES, policy};
use super::*;
use crate::{body_sha256_hex, sign};

/// Requests that are forged, each in some sixty ways: more than 100,000 forgeries a run.
const REQUESTS: u32 = 2_500;

#[derive(Debug, Clone)]
struct Request {
    method: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
    now_ms: i64,
}

impl Request {
    fn verify(&self) -> Result<Identity, AuthError> {
        let head = RequestHead {
            method: &self.method,
            raw_path: &self.path,
            raw_query: self.query.as_deref(),
            headers: &self.headers,
            authority: None,
        };
        let mut open = begin(policy(), &head, &Expected { services: &SERVICES }, self.now_ms)?;
        self.body.chunks(7).for_each(|chunk| open.update(chunk));
        open.finish()
    }

    fn text(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    fn with_header(&self, name: &str, value: &str) -> Self {
        self.with(|r| drop(r.headers.insert(header_name(name), HeaderValue::from_str(value).unwrap())))
    }

    fn with_authorization(&self, change: impl FnOnce(&str) -> String) -> Self {
        self.with_header("authorization", &change(&self.text("authorization")))
    }
}

fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).unwrap()
}

fn signed_request() -> impl Strategy<Value = Request> {
    (
        prop::sample::select(vec!["POST", "GET", "PUT", "DELETE"]),
        "(/[a-zA-Z0-9_~ -]{1,8}|/%[2-7][0-9A-F]|/ሴ){0,4}/?",
        prop::option::of("[a-z]{1,4}=[a-z0-9%+]{0,6}(&[a-z]{1,4}(=[A-Z]{0,3})?){0,3}"),
        prop::collection::btree_map("x-amz-[a-c]{1,3}", "[!-~]{1,12}( {1,3}[!-~]{1,8})?", 0..4),
        prop::option::of("[a-z]{3,9}/[a-z.0-9-]{1,12}"),
        prop::collection::vec(any::<u8>(), 0..64),
        any::<bool>(),
        -SKEW_MS_MAX / 1_000..=SKEW_MS_MAX / 1_000,
    )
        .prop_map(|(method, path, query, extra, content_type, body, names_hash, skew_s)| {
            let mut headers = HeaderMap::new();
            let mut set = |name: &str, value: &str| {
                headers.insert(header_name(name), HeaderValue::from_str(value).unwrap());
            };
            set("host", "localhost:4573");
            set("user-agent", "not signed");
            set("x-amz-target", "Firehose_20150804.PutRecordBatch");
            extra.iter().for_each(|(name, value)| set(name, value));
            content_type.iter().for_each(|value| set("content-type", value));
            let hash = body_sha256_hex(&body);
            if names_hash {
                set("x-amz-content-sha256", &hash);
            }
            let path = if path.starts_with('/') { path } else { format!("/{path}") };
            sign(&PARAMS, method, &path, query.as_deref(), &mut headers, &hash).unwrap();
            Request { method: method.to_owned(), path, query, headers, body, now_ms: NOW_MS + skew_s * 1_000 }
        })
}

/// Method, path, query and body changed.
fn in_the_request(of: &Request, at: usize, into: &mut Vec<(String, Request)>) {
    let mut push = |name: &str, forged| into.push((name.to_owned(), forged));
    push("method", of.with(|r| r.method = if r.method == "POST" { "GET" } else { "POST" }.to_owned()));
    push("method case", of.with(|r| r.method = r.method.to_lowercase()));
    push("path longer", of.with(|r| r.path.push('x')));
    push("path with a step back", of.with(|r| r.path.push_str("/x/..")));
    push("path with a dot", of.with(|r| r.path.insert_str(0, "/.")));
    push("path encoded", of.with(|r| r.path.push_str("%41")));
    push("path moved", of.with(|r| r.path.insert_str(0, "/x")));
    let grown = of.query.as_ref().map_or_else(|| "z=1".to_owned(), |q| format!("{q}&z=1"));
    push("query longer", of.with(|r| r.query = Some(grown)));
    if let Some(query) = &of.query {
        push("query gone", of.with(|r| r.query = None));
        push("query moved into the path", of.with(|r| (r.path, r.query) = (format!("{}?{query}", r.path), None)));
        push("query value", of.with(|r| r.query = Some(format!("{query}x"))));
        push("query name", of.with(|r| r.query = Some(format!("x{query}"))));
    }
    for name in ["X-Amz-Signature", "x-amz-algorithm", "X%2DAmz-Credential", "AWSAccessKeyId"] {
        push("credentials in the query too", of.with(|r| r.query = Some(format!("{name}=1"))));
        let moved = of.with(|r| {
            r.query = Some(format!("{name}=1"));
            r.headers.remove("authorization");
        });
        push("credentials in the query alone", moved);
    }
    push("body longer", of.with(|r| r.body.push(b'x')));
    push("body gone or made", of.with(|r| r.body = if r.body.is_empty() { vec![0] } else { Vec::new() }));
    if !of.body.is_empty() {
        let at = at % of.body.len();
        push("body bit", of.with(|r| r.body[at] ^= 1));
        push("body cut", of.with(|r| r.body.truncate(at)));
    }
}

/// Each signed header changed, removed and repeated; headers added.
fn in_the_headers(of: &Request, into: &mut Vec<(String, Request)>) {
    let signed: Vec<HeaderName> =
        of.headers.keys().filter(|name| !["user-agent", "authorization"].contains(&name.as_str())).cloned().collect();
    for name in signed {
        let value = of.text(name.as_str());
        into.push((format!("{name} longer"), of.with_header(name.as_str(), &format!("{value}x"))));
        into.push((format!("{name} empty"), of.with_header(name.as_str(), "")));
        into.push((format!("{name} gone"), of.with(|r| drop(r.headers.remove(&name)))));
        let second = HeaderValue::from_str(&value).unwrap();
        into.push((format!("{name} twice"), of.with(|r| assert!(r.headers.append(&name, second)))));
    }
    let mut push = |name: &str, forged| into.push((name.to_owned(), forged));
    push("unsigned x-amz header", of.with_header("x-amz-z", "1"));
    push("unsigned header of ours", of.with_header("x-millrace-z", "1"));
    push("unsigned encoding", of.with_header("content-encoding", "gzip"));
    push("session token", of.with_header("x-amz-security-token", "FwoG"));
    push("content type", of.with_header("content-type", "other/type"));
    for value in
        ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "e3b0"]
    {
        push("payload form", of.with_header("x-amz-content-sha256", value));
    }
    push("payload hash", of.with_header("x-amz-content-sha256", &body_sha256_hex(b"another")));
    let stamp = Stamp::from_iso(&of.text("x-amz-date")).unwrap();
    for shift_s in [-86_400, -60, -1, 1, 60, 86_400] {
        let shifted = Stamp::from_ms(stamp.ms() + shift_s * 1_000);
        push("date", of.with_header("x-amz-date", shifted.as_str()));
        let elsewhere = of.with_header("date", shifted.as_str()).with(|r| drop(r.headers.remove("x-amz-date")));
        push("date in the other header", elsewhere);
    }
    push("too late", of.with(|r| r.now_ms = NOW_MS + SKEW_MS_MAX + 1));
    push("too early", of.with(|r| r.now_ms = NOW_MS - SKEW_MS_MAX - 1));
}

/// The Authorization header changed, in its parts and at any place.
fn in_the_authorization(of: &Request, at: usize, letter: char, into: &mut Vec<(String, Request)>) {
    let text = of.text("authorization");
    let (head, signature) = text.split_at(text.len() - 64);
    let mut push = |name: &str, forged| into.push((name.to_owned(), forged));
    for (from, to) in [
        ("AKIDEXAMPLE", "AKIDOTHER"),
        ("AKIDEXAMPLE", "AKIDUNKNOWN"),
        ("/20150830/", "/20150831/"),
        ("/us-east-1/", "/eu-west-1/"),
        ("/firehose/", "/kinesis/"),
        ("/firehose/", "//"),
        ("aws4_request", "aws5_request"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256", "AWS"),
        ("host;", ""),
        ("host;", "host;host;"),
        ("host;", "Host;"),
        ("host;", "host;user-agent;"),
        (";x-amz-date", ""),
        (";x-amz-target", ""),
        ("SignedHeaders=", "Signature=, SignedHeaders="),
    ] {
        let forged = text.replacen(from, to, 1);
        assert_ne!(forged, text, "{from} is not there");
        push(&format!("{from} -> {to}"), of.with_authorization(|_| forged));
    }
    push("signature upper case", of.with_authorization(|_| head.to_owned() + &signature.to_uppercase()));
    push("signature gone", of.with_authorization(|_| head.to_owned()));
    push("signature of zeros", of.with_authorization(|_| head.to_owned() + &"0".repeat(64)));
    push("signature longer", of.with_authorization(|_| text.clone() + "0"));
    push("authorization gone", of.with(|r| drop(r.headers.remove("authorization"))));
    let second = HeaderValue::from_str(&text).unwrap();
    push("authorization twice", of.with(|r| assert!(r.headers.append("authorization", second))));
    for at in [at % text.len(), head.len() + at % 64] {
        let old = text.as_bytes()[at];
        // Spaces around parameters mean nothing; every other character does.
        if old != b' ' && char::from(old) != letter {
            let (before, after) = (text.split_at(at).0, text.split_at(at + 1).1);
            push(&format!("{at}: {letter}"), of.with_authorization(|_| format!("{before}{letter}{after}")));
            push(&format!("{at}: cut"), of.with_authorization(|_| format!("{before}{after}")));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: REQUESTS, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_forgery_is_accepted(request in signed_request(), at: usize, letter in "[ -~]") {
        let signer = Identity::AccessKey { key_id: PARAMS.key_id.to_owned(), region: PARAMS.region.to_owned() };
        prop_assert_eq!(request.verify(), Ok(signer));
        let mut forgeries = Vec::new();
        in_the_request(&request, at, &mut forgeries);
        in_the_headers(&request, &mut forgeries);
        in_the_authorization(&request, at, letter.chars().next().unwrap(), &mut forgeries);
        prop_assert!(forgeries.len() >= 60, "only {} forgeries", forgeries.len());
        for (name, forged) in forgeries {
            prop_assert!(forged.verify().is_err(), "accepted: {name}: {forged:?}");
        }
    }
}
