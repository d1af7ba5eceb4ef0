//! Fuzz targets of authentication: the Authorization header, dates, and whole signed heads.

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use millrace_types::mutate::Target;

use crate::authorization::Authorization;
use crate::canonical::{RequestHead, canonical_head, query_names};
use crate::stamp::Stamp;
use crate::{
    AUTHORIZATION_BYTES_MAX, AccessKeys, Expected, Policy, SIGNED_HEADERS_MAX, SigningParams, bearer, begin,
    body_sha256_hex, sign,
};

/// 20150830T123600Z.
const NOW_MS: i64 = 1_440_938_160_000;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const PARAMS: SigningParams<'static> =
    SigningParams { key_id: "AKIDEXAMPLE", secret: SECRET, region: "us-east-1", service: "firehose", now_ms: NOW_MS };
const TOKEN: &str = "a-token-of-the-fuzzer";

/// The Authorization header: what is read is within its limits, and its parts are those of the text.
pub fn authorization(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Authorization::parse(text) else { return };
    assert!(text.len() <= AUTHORIZATION_BYTES_MAX);
    assert!((1..=SIGNED_HEADERS_MAX).contains(&read.signed_headers.len()));
    assert!(read.signed_headers.is_sorted_by(|a, b| a < b));
    let scope = format!("{}/{}/{}/{}", read.key_id, read.day, read.region, read.service);
    assert!(read.key_scope == scope && text.contains(&scope));
}

/// Dates in both forms: what is read is printed as the one text, and read the same.
pub fn date(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(stamp) = Stamp::from_date(text) {
        assert_eq!(stamp.day().len(), 8);
        assert_eq!(Stamp::from_iso(stamp.as_str()), Some(stamp.clone()));
        assert_eq!(Stamp::from_ms(stamp.ms()), stamp);
    }
}

/// A request of one text: method, path, query and then headers, a line each. The canonical form is one
/// line a part, whatever came, and is stable; nobody gets in by a changed text.
pub fn request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("POST", "/"));
    let (raw_path, raw_query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')).take(200) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    let head = RequestHead { method, raw_path, raw_query, headers: &headers, authority: None };
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    let canonical = canonical_head(&head, &names).expect("every name is there");
    let again = canonical_head(&head, &names).expect("every name is there");
    assert_eq!(canonical, again);
    let path = canonical.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let query = canonical.split(|byte| *byte == b'\n').nth(2).unwrap_or_default();
    assert!(path.is_ascii() && query.is_ascii(), "what is signed is escaped");
    for name in raw_query.into_iter().flat_map(query_names) {
        assert!(name.len() <= data.len() * 3);
    }
    let keys = AccessKeys::new([(PARAMS.key_id.to_owned(), SECRET.to_owned())], [TOKEN.to_owned()]);
    let policy = Policy::Keys(keys.expect("good keys"));
    let let_in = |head: &RequestHead<'_>| {
        begin(&policy, head, &Expected { services: &["firehose", ""] }, NOW_MS).is_ok_and(|open| open.finish().is_ok())
    };
    if let_in(&head) {
        assert!(is_ours(&head), "only what the key's owner signed gets in");
    }
    drop(bearer(&policy, &headers));
}

/// Nobody without the secret makes a new signature: it is one of ours, over the same method and target.
fn is_ours(head: &RequestHead<'_>) -> bool {
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.trim().to_owned())
    };
    let signature = |headers: &HeaderMap| {
        let authorization = text(headers, "authorization")?;
        authorization.split("Signature=").nth(1).map(|rest| rest.chars().take(64).collect::<String>())
    };
    signed().iter().zip(TARGETS).any(|(ours, (method, ..))| {
        signature(ours) == signature(head.headers)
            && head.method == method
            && text(ours, "x-amz-target") == text(head.headers, "x-amz-target")
    })
}

fn some_headers() -> Vec<Vec<u8>> {
    signed().into_iter().filter_map(|headers| Some(headers.get(AUTHORIZATION)?.as_bytes().to_vec())).collect()
}

fn some_dates() -> Vec<Vec<u8>> {
    ["20150830T123600Z", "Sun, 30 Aug 2015 12:36:00 GMT", "30 Aug 15 12:36 +0200", "00010101T000000Z"]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

const TARGETS: [(&str, &str, Option<&str>); 2] =
    [("POST", "/", None), ("PUT", "/v1/functions/a%20b//", Some("setting.a=%2fb&z&a=+"))];

fn signed() -> Vec<HeaderMap> {
    TARGETS
        .iter()
        .map(|(method, path, query)| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:4573"));
            headers.insert("x-amz-target", HeaderValue::from_static("Firehose_20150804.PutRecord"));
            sign(&PARAMS, method, path, *query, &mut headers, &body_sha256_hex(b"")).expect("signs");
            headers
        })
        .collect()
}

fn some_requests() -> Vec<Vec<u8>> {
    let lines = |headers: &HeaderMap| {
        headers.iter().map(|(name, value)| format!("\n{name}:{}", value.to_str().expect("text"))).collect::<String>()
    };
    let whole = signed().into_iter().zip(TARGETS).map(|(headers, (method, path, query))| {
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        format!("{method} {path}{query}{}", lines(&headers)).into_bytes()
    });
    whole.chain([format!("GET /metrics\nauthorization:Bearer {TOKEN}").into_bytes()]).collect()
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &[
        "AWS4-HMAC-SHA256 ",
        "Credential=",
        "SignedHeaders=",
        "Signature=",
        "/aws4_request",
        ";",
        "%2e",
        "/../",
        "\nhost:",
        "é",
    ];
    let target = |name, run, seeds, rounds| Target { name, run, seeds, words, rounds };
    vec![
        target("authorization", authorization, some_headers, 20_000),
        target("date", date, some_dates, 20_000),
        target("request", request, some_requests, 3_000),
    ]
}

#[test]
fn targets_hold() {
    assert!(some_requests().iter().take(2).all(|seed| seed.windows(10).any(|part| part == b"Signature=")));
    millrace_types::mutate::drive(&targets());
}
