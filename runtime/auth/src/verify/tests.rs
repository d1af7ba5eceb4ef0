//! The verifier on known requests: one for every refusal.

use std::sync::OnceLock;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, DATE, USER_AGENT};

use super::*;
use crate::{SigningParams, body_sha256_hex, sign};

/// 20150830T123600Z.
pub(super) const NOW_MS: i64 = 1_440_938_160_000;
pub(super) const SERVICES: [&str; 2] = ["firehose", "service"];
pub(super) const PARAMS: SigningParams<'static> = SigningParams {
    key_id: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    region: "us-east-1",
    service: "firehose",
    now_ms: NOW_MS,
};
const TOKEN: &str = "canary-token";

pub(super) fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let pairs = [("AKIDEXAMPLE", PARAMS.secret), ("AKIDOTHER", "another secret")];
        let pairs = pairs.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
        Policy::Keys(AccessKeys::new(pairs, ["other".to_owned(), TOKEN.to_owned()]).unwrap())
    })
}

fn head<'a>(headers: &'a HeaderMap, raw_query: Option<&'a str>) -> RequestHead<'a> {
    RequestHead { method: "POST", raw_path: "/", raw_query, headers, authority: None }
}

pub(super) fn check(head: &RequestHead<'_>, body: &[u8], now_ms: i64) -> Result<Identity, AuthError> {
    let mut open = begin(policy(), head, &Expected { services: &SERVICES }, now_ms)?;
    open.update(body);
    open.finish()
}

fn signed(body: &[u8], extra: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("localhost:4573"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert("x-amz-target", HeaderValue::from_static("Firehose_20150804.PutRecord"));
    for (name, value) in extra {
        headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    sign(&PARAMS, "POST", "/", None, &mut headers, &body_sha256_hex(body)).unwrap();
    headers
}

#[test]
fn under_http_2_the_authority_is_the_host() {
    let mut headers = signed(b"{}", &[]);
    let host = headers.remove(HOST).unwrap();
    let with = |authority| RequestHead { authority, ..head(&headers, None) };
    assert!(check(&with(host.to_str().ok()), b"{}", NOW_MS).is_ok());
    assert_eq!(check(&with(Some("elsewhere")), b"{}", NOW_MS), Err(AuthError::SignatureMismatch));
    assert_eq!(check(&with(None), b"{}", NOW_MS), Err(AuthError::HeaderAbsent("host".to_owned())));
}

/// Signs rightly what our signer never would.
fn sign_by_hand(headers: &mut HeaderMap, names: &[&str], day: &str) {
    let canonical = canonical_head(&head(headers, None), names).unwrap();
    let scope = format!("{day}/us-east-1/firehose/aws4_request");
    let to_sign = string_to_sign(canonical, &body_sha256_hex(b""), &Stamp::from_ms(NOW_MS), &scope);
    let key = crate::keys::derive(&crate::keys::seed(PARAMS.secret), day, "us-east-1", "firehose");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope},SignedHeaders={},Signature={}",
        names.join(";"),
        hex(&key.sign(to_sign.as_bytes()))
    );
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization).unwrap());
}

#[test]
fn a_date_header_stands_in_for_x_amz_date() {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    headers.insert(DATE, HeaderValue::from_static("Sun, 30 Aug 2015 12:36:00 GMT"));
    sign_by_hand(&mut headers, &["date", "host"], "20150830");
    assert!(check(&head(&headers, None), b"", NOW_MS).is_ok());
    headers.insert(DATE, HeaderValue::from_static("Sun, 30 Aug 2015 12:36:01 GMT"));
    assert_eq!(check(&head(&headers, None), b"", NOW_MS), Err(AuthError::SignatureMismatch));
    headers.insert(DATE, HeaderValue::from_static("at noon"));
    assert_eq!(check(&head(&headers, None), b"", NOW_MS), Err(AuthError::DateForm));
    headers.remove(DATE);
    assert_eq!(check(&head(&headers, None), b"", NOW_MS), Err(AuthError::DateMissing));
}

#[test]
fn a_right_signature_over_too_little_is_refused() {
    let mut headers = signed(b"", &[("content-encoding", "gzip"), ("x-millrace-key", "k")]);
    assert!(check(&head(&headers, None), b"", NOW_MS).is_ok());
    let names = ["content-encoding", "content-type", "host", "x-amz-date", "x-amz-target", "x-millrace-key"];
    sign_by_hand(&mut headers, &names, "20150830");
    assert!(check(&head(&headers, None), b"", NOW_MS).is_ok());

    sign_by_hand(&mut headers, &names, "20150831");
    assert_eq!(
        check(&head(&headers, None), b"", NOW_MS).unwrap_err().to_string(),
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
         '20150831' != '20150830', from '20150830T123600Z'."
    );
    for left_out in names {
        let names: Vec<&str> = names.into_iter().filter(|name| *name != left_out).collect();
        sign_by_hand(&mut headers, &names, "20150830");
        let error = check(&head(&headers, None), b"", NOW_MS).unwrap_err();
        let expected = match left_out {
            "host" => AuthError::HostNotSigned,
            other => AuthError::HeaderNotSigned(other.to_owned()),
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn the_clock_may_be_five_minutes_off() {
    let headers = signed(b"", &[]);
    let at = |now_ms| check(&head(&headers, None), b"", now_ms);
    assert!(at(NOW_MS + SKEW_MS_MAX).is_ok());
    assert!(at(NOW_MS - SKEW_MS_MAX).is_ok());
    assert_eq!(
        at(NOW_MS + 840_000).unwrap_err().to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T124500Z (20150830T125000Z - 5 min.)"
    );
    assert_eq!(
        at(NOW_MS - 840_000).unwrap_err().to_string(),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T122700Z (20150830T122200Z + 5 min.)"
    );
    for now_ms in [i64::MIN, 0, i64::MAX] {
        assert_eq!(at(now_ms).unwrap_err().aws_type(), "InvalidSignatureException");
    }
}

const INCOMPLETE: &str = "IncompleteSignatureException";
const INVALID: &str = "InvalidSignatureException";

fn refused(headers: &HeaderMap, query: Option<&str>) -> (&'static str, String) {
    let error = check(&head(headers, query), b"{}", NOW_MS).unwrap_err();
    (error.aws_type(), error.to_string())
}

fn without(name: &str) -> HeaderMap {
    let mut headers = signed(b"{}", &[]);
    headers.remove(name).unwrap();
    headers
}

#[test]
fn a_head_that_cannot_be_right_is_refused_before_the_body() {
    let fine = signed(b"{}", &[]);
    assert!(check(&head(&fine, None), b"{}", NOW_MS).is_ok());
    assert_eq!(
        refused(&without("authorization"), None),
        ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
    );
    assert_eq!(refused(&fine, Some("X-Amz-Signature=0")).0, INVALID);
    assert_eq!(refused(&without("authorization"), Some("x-amz-signature=0")).0, INCOMPLETE);
    assert_eq!(refused(&without("x-amz-date"), None).0, INCOMPLETE);
    for form in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "E3B0"] {
        assert_eq!(refused(&signed(b"{}", &[("x-amz-content-sha256", form)]), None).0, INVALID, "{form}");
    }
    let dotted = RequestHead { raw_path: "/x/..", ..head(&fine, None) };
    assert_eq!(check(&dotted, b"{}", NOW_MS), Err(AuthError::DotSegment));
}

#[test]
fn unknown_keys_and_session_tokens_are_unrecognized() {
    let unrecognized =
        ("UnrecognizedClientException", "The security token included in the request is invalid.".to_owned());
    assert_eq!(refused(&signed(b"{}", &[("x-amz-security-token", "FwoG")]), None), unrecognized);
    let mut unknown = signed(b"{}", &[]);
    let text = unknown[AUTHORIZATION].to_str().unwrap().replace("AKIDEXAMPLE", "AKIDUNKNOWN");
    unknown.insert(AUTHORIZATION, HeaderValue::from_str(&text).unwrap());
    assert_eq!(refused(&unknown, None), unrecognized);
}

#[test]
fn another_request_or_body_than_the_signed_one_is_refused() {
    let hash = body_sha256_hex(b"other");
    assert_eq!(
        refused(&signed(b"other", &[("x-amz-content-sha256", &hash)]), None),
        (INVALID, "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned())
    );
    let mut changed = signed(b"{}", &[]);
    changed.insert("x-amz-target", HeaderValue::from_static("Firehose_20150804.DeleteDeliveryStream"));
    let text = "The request signature we calculated does not match the signature you provided. Check your AWS \
        Secret Access Key and signing method. Consult the service documentation for details.";
    assert_eq!(refused(&changed, None), (INVALID, text.to_owned()));
}

#[test]
fn the_service_must_be_one_of_those_expected() {
    let headers = signed(b"", &[]);
    let at = |services: &[&str]| begin(policy(), &head(&headers, None), &Expected { services }, NOW_MS).map(|_| ());
    assert_eq!(at(&["firehose"]), Ok(()));
    let error = at(&["", "kinesis", "lambda"]).unwrap_err();
    assert_eq!(error.to_string(), "Credential should be scoped to correct service: 'kinesis' or 'lambda'.");

    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("127.0.0.1:4573"));
    let loopback = SigningParams { service: "", ..PARAMS };
    sign(&loopback, "POST", "/", None, &mut headers, &body_sha256_hex(b"")).unwrap();
    let at = |services: &[&str]| {
        begin(policy(), &head(&headers, None), &Expected { services }, NOW_MS).and_then(Verification::finish)
    };
    assert!(at(&["firehose", ""]).is_ok());
    assert!(matches!(at(&["firehose"]), Err(AuthError::ScopeService(_))));
}

#[test]
fn headers_that_say_nothing_need_no_signature() {
    let mut headers = signed(b"", &[]);
    headers.insert(USER_AGENT, HeaderValue::from_static("changed on the way"));
    headers.insert("x-amzn-trace-id", HeaderValue::from_static("Root=1"));
    headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
    assert!(check(&head(&headers, None), b"", NOW_MS).is_ok());
}

#[test]
fn under_dev_anything_passes() {
    let headers = HeaderMap::new();
    let expected = Expected { services: &["firehose"] };
    let mut open = begin(&Policy::Dev, &head(&headers, Some("X-Amz-Signature=1")), &expected, NOW_MS).unwrap();
    open.update(b"body");
    assert_eq!(open.finish(), Ok(Identity::Dev));
}

#[test]
fn a_bearer_token_is_no_signature() {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer canary-token"));
    assert_eq!(check(&head(&headers, None), b"", NOW_MS), Err(AuthError::Missing));
}

#[test]
fn nothing_secret_is_shown() {
    let headers = signed(b"", &[]);
    let signature = headers[AUTHORIZATION].to_str().unwrap().rsplit_once('=').unwrap().1.to_owned();
    let open = begin(policy(), &head(&headers, None), &Expected { services: &SERVICES }, NOW_MS).unwrap();
    for shown in [format!("{open:?}"), format!("{:?}", policy()), format!("{PARAMS:?}")] {
        for secret in [PARAMS.secret, TOKEN, signature.as_str()] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn only_a_right_signature_fills_the_key_cache() {
    let Policy::Keys(keys) = policy() else { unreachable!("the policy has keys") };
    let known = |scope: &str| keys.signing_key("AKIDEXAMPLE", scope, ["20150830", "mars-1", "firehose"]).unwrap().1;
    let scope = "AKIDEXAMPLE/20150830/mars-1/firehose";
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("h"));
    let params = SigningParams { region: "mars-1", ..PARAMS };
    sign(&params, "POST", "/", None, &mut headers, &body_sha256_hex(b"")).unwrap();
    assert_eq!(check(&head(&headers, None), b"wrong", NOW_MS), Err(AuthError::SignatureMismatch));
    assert!(!known(scope));
    for _ in 0..2 {
        assert!(check(&head(&headers, None), b"", NOW_MS).is_ok());
        assert!(known(scope));
    }
}
