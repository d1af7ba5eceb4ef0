//! The S3 sink against a fake server, and against a real one where the environment names it.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use millrace_sink::{Advice, Buckets, Object, Sink, SinkError, contract};
use object_store::ObjectStoreExt;

use super::*;
use crate::fake_s3::{FakeS3, Fault};
use crate::{ObjectBuckets, ObjectSettings, S3Settings, Secret, StoreSettings};

const RETRY: Advice = Advice::Retry { after: None };

fn settings(endpoint: &str) -> S3Settings {
    let inline = |text: &str| Some(Secret::Inline(text.to_owned()));
    S3Settings {
        endpoint: Some(endpoint.to_owned()),
        access_key_id: inline("AKIDTEST"),
        secret_access_key: inline("hunter2secret"),
        session_token: inline("tokentest"),
        ..S3Settings::default()
    }
}

fn open(s3: S3Settings, bucket: &str) -> (tempfile::TempDir, Arc<dyn Sink>) {
    let dir = tempfile::tempdir().unwrap();
    let settings = ObjectSettings { default: StoreSettings::S3(s3), ..ObjectSettings::default() };
    let buckets = ObjectBuckets::new(dir.path(), settings, Arc::new(|_| None)).unwrap();
    (dir, buckets.open(bucket).unwrap())
}

fn object(key: &str, length: usize) -> Object {
    Object {
        key: key.to_owned(),
        content: Arc::new(Bytes::from((0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>())),
        content_type: "application/x-ndjson",
        content_encoding: Some("gzip"),
        metadata: vec![("millrace-shard".to_owned(), "7".to_owned()), ("x-amz-key-v2".to_owned(), "k=".to_owned())],
    }
}

/// One put that goes wrong in one way, and one that does not.
async fn fails(method: Method, target: &'static str, fault: Fault, length: usize) -> SinkError {
    let server = FakeS3::start().await;
    let (_dir, sink) = open(settings(&server.endpoint), "bkt");
    server.plan(method, target, fault);
    let error = sink.put(&object("a/b", length)).await.unwrap_err();
    for secret in ["hunter2secret", "tokentest", "AKIDTEST"] {
        assert!(!error.to_string().contains(secret), "{error}");
    }
    assert!(error.message.contains("bucket \"bkt\", key \"a/b\""), "{error}");
    assert_eq!(server.open_uploads(), 0, "what is begun is aborted");
    sink.put(&object("a/b", length)).await.expect("the same again succeeds");
    assert_eq!(server.object("bkt", "a/b").unwrap().len(), length);
    error
}

#[tokio::test]
async fn keeps_the_contract() {
    let server = FakeS3::start().await;
    let (_dir, sink) = open(settings(&server.endpoint), "bkt");
    contract::run(&*sink, &|key| server.object("bkt", key)).await;
    assert_eq!(server.open_uploads(), 0);
}

#[tokio::test]
async fn what_is_sent() {
    let server = FakeS3::start().await;
    let (_dir, sink) = open(settings(&server.endpoint), "bkt");
    assert_eq!(sink.location(), format!("s3://bkt at {}", server.endpoint));
    let stored = sink.put(&object("a b/c", 10)).await.unwrap();
    assert_eq!(stored.etag.as_deref(), Some("\"tag\""));
    let seen = server.seen();
    let line: Vec<_> = seen.iter().map(|s| (s.method.as_str(), s.target.as_str())).collect();
    assert_eq!(line, [("PUT", "/bkt/a%20b/c"), ("HEAD", "/bkt/a%20b/c")]);
    let text = |name: &str| seen[0].headers[name].to_str().unwrap().to_owned();
    assert!(text("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIDTEST/"));
    assert!(text("authorization").contains("/us-east-1/s3/aws4_request"));
    assert_eq!(text("x-amz-security-token"), "tokentest");
    assert_eq!(text("content-length"), "10");
    for parts in [false, true] {
        let length = if parts { (16 << 20) + 1 } else { 16 << 20 };
        sink.put(&object("m", length)).await.unwrap();
        let headers = server.headers("bkt", "m");
        assert_eq!(headers["content-type"], "application/x-ndjson");
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["x-amz-meta-millrace-shard"], "7");
        assert_eq!(headers["x-amz-meta-x-amz-key-v2"], "k=");
        let puts = server.seen().into_iter().filter(|s| s.method == Method::PUT);
        let mut sizes: Vec<_> = puts.map(|s| s.body_bytes).collect();
        sizes.sort_unstable(); // two at once
        assert_eq!(sizes, if parts { vec![1, 8 << 20, 8 << 20] } else { vec![16 << 20] });
    }
}

#[tokio::test]
async fn odd_keys_arrive_exactly() {
    let server = FakeS3::start().await;
    let (_dir, sink) = open(settings(&server.endpoint), "bkt");
    for key in ["a//b", "/lead", "//two", "ü b//x//%2F?c#d", "a///b.c"] {
        for length in [3, (16 << 20) + 5] {
            sink.put(&object(key, length)).await.unwrap();
            assert_eq!(server.object("bkt", key).map(|bytes| bytes.len()), Some(length), "{key}");
        }
    }
    for key in ["a/../b", "./a", "a/", "", "a\nb"] {
        let error = sink.put(&object(key, 1)).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.advice), ("UnsupportedKey", Advice::Operator), "{key:?}");
    }
    let mut bad = object("a", 1);
    bad.metadata[0].1 = "line\nend".to_owned();
    assert_eq!(sink.put(&bad).await.unwrap_err().code, "InvalidMetadata");
}

#[tokio::test]
async fn answers_of_the_store() {
    let rows: [(u16, &'static str, &str, bool); 7] = [
        (403, "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>", "AccessDenied", false),
        (403, "<Error><Code>InvalidAccessKeyId</Code></Error>", "InvalidAccessKeyId", false),
        (400, "<Error><Code>ExpiredToken</Code></Error>", "ExpiredToken", false),
        (404, "<Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket", false),
        (301, "<Error><Code>PermanentRedirect</Code></Error>", "PermanentRedirect", false),
        (500, "", "InternalError", true),
        (503, "<Error><Code>SlowDown</Code></Error>", "SlowDown", true),
    ];
    for (status, body, code, passes) in rows {
        for length in [10, 17 << 20] {
            let method = if length == 10 { Method::PUT } else { Method::POST };
            let error = fails(method, "a/b", Fault::Answer(status, Vec::new(), body), length).await;
            assert_eq!((error.code.as_str(), error.advice == RETRY), (code, passes), "{error}");
        }
    }
    let headers = vec![("retry-after", "3")];
    let error = fails(Method::PUT, "a/b", Fault::Answer(503, headers, ""), 10).await;
    assert_eq!(error.advice, Advice::Retry { after: Some(std::time::Duration::from_secs(3)) });
    let headers = vec![("x-amz-bucket-region", "eu-west-1")];
    let error = fails(Method::PUT, "a/b", Fault::Answer(301, headers, ""), 10).await;
    assert!(error.message.contains("set region = \"eu-west-1\""), "{error}");
}

#[tokio::test]
async fn cut_connections() {
    for fault in [Fault::Cut, Fault::StoreAndCut] {
        let error = fails(Method::PUT, "a/b", fault.clone(), 10).await;
        assert_eq!((error.code.as_str(), error.advice), ("ConnectionLost", RETRY), "{error}");
        for (method, target) in [(Method::PUT, "partNumber=2"), (Method::POST, "uploadId")] {
            let error = fails(method, target, fault.clone(), 33 << 20).await;
            assert_eq!((error.code.as_str(), error.advice), ("ConnectionLost", RETRY), "{target}: {error}");
        }
    }
    let (_dir, sink) = open(settings("http://127.0.0.1:1"), "bkt");
    let error = sink.put(&object("a", 1)).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.advice), ("ConnectionFailed", RETRY), "{error}");
}

#[tokio::test]
async fn parts_that_fail() {
    let slow = Fault::Answer(503, Vec::new(), "<Error><Code>SlowDown</Code></Error>");
    assert_eq!(fails(Method::PUT, "partNumber=3", slow, 33 << 20).await.code, "SlowDown");
    let late = Fault::Answer(200, Vec::new(), "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>");
    let error = fails(Method::POST, "uploadId", late, 17 << 20).await;
    assert_eq!((error.code.as_str(), error.advice), ("InternalError", RETRY), "success with an error in its body");
    let rubbish = Fault::Answer(200, Vec::new(), "<html>welcome</html>");
    assert_eq!(fails(Method::POST, "uploads", rubbish.clone(), 17 << 20).await.code, "BadResponse");
    assert_eq!(fails(Method::PUT, "a/b", rubbish, 10).await.code, "BadResponse", "200 without ETag is no proof");
}

/// Longer than one part; breaks off behind the first.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl Content for Broken {
    fn len(&self) -> u64 {
        WHOLE_BYTES_MAX + 1
    }
    async fn read(&self, offset: u64, length: usize) -> std::io::Result<Bytes> {
        assert!(length <= PART_BYTES, "never more than a part is asked for");
        if offset == 0 { Ok(Bytes::from(vec![0; length])) } else { Err(std::io::Error::other("no more")) }
    }
}

#[tokio::test]
async fn content_that_breaks_off_is_aborted() {
    let server = FakeS3::start().await;
    let (_dir, sink) = open(settings(&server.endpoint), "bkt");
    let broken = Object { content: Arc::new(Broken), ..object("a", 1) };
    let error = sink.put(&broken).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.advice), ("ContentUnreadable", RETRY));
    assert_eq!((server.open_uploads(), server.object("bkt", "a")), (0, None));
}

#[tokio::test]
async fn redirects_are_no_success() {
    let elsewhere = |status| Fault::Answer(status, vec![("location", "/elsewhere/a/b")], "");
    assert_eq!(fails(Method::PUT, "a/b", elsewhere(301), 10).await.code, "PermanentRedirect");
    assert_eq!(fails(Method::PUT, "a/b", elsewhere(307), 10).await.code, "TemporaryRedirect");
    let error = fails(Method::PUT, "a/b", elsewhere(303), 10).await;
    assert!(["Http303", "NotStored", "MethodNotAllowed"].contains(&error.code.as_str()), "{error}");
}

#[tokio::test]
async fn stores_that_lie() {
    for fault in [Fault::StoreHalf, Fault::StoreNothing] {
        let code = if matches!(fault, Fault::StoreHalf) { "LengthMismatch" } else { "NotStored" };
        let error = fails(Method::PUT, "a/b", fault, 10).await;
        assert_eq!((error.code.as_str(), error.advice), (code, RETRY), "{error}");
    }
    assert_eq!(fails(Method::PUT, "partNumber=2", Fault::StoreHalf, 33 << 20).await.code, "LengthMismatch");
    let error = fails(Method::HEAD, "a/b", Fault::Lie(9), 10).await;
    assert!(error.message.contains("10 bytes were sent and acknowledged, 9 are stored"), "{error}");
    let error = fails(Method::HEAD, "a/b", Fault::Answer(403, Vec::new(), ""), 10).await;
    assert_eq!((error.code.as_str(), error.advice), ("AccessDenied", Advice::Operator));
    assert!(error.message.contains("transport.verify_length"), "{error}");

    let server = FakeS3::start().await;
    let mut blind = settings(&server.endpoint);
    blind.transport.verify_length = false;
    let (_dir, sink) = open(blind, "bkt");
    sink.put(&object("a", 1)).await.unwrap();
    assert_eq!(server.seen().len(), 1, "no HEAD");
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let server = FakeS3::start().await;
    let mut short = settings(&server.endpoint);
    short.transport.request_timeout_ms = 50;
    let (_dir, sink) = open(short, "bkt");
    server.plan(Method::PUT, "a", Fault::Hang);
    let error = sink.put(&object("a", 1)).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.advice), ("Timeout", RETRY), "{error}");
}

#[tokio::test]
async fn host_style_and_another_name_at_the_store() {
    let mut s3 = settings("https://s3.example.test");
    (s3.path_style, s3.bucket) = (false, Some("theirs".to_owned()));
    let (_dir, sink) = open(s3, "ours");
    assert_eq!(sink.location(), "s3://theirs at https://s3.example.test");
    let server = FakeS3::start().await;
    let mut s3 = settings(&server.endpoint);
    s3.bucket = Some("theirs".to_owned());
    let (_dir, sink) = open(s3, "ours");
    sink.put(&object("a", 1)).await.unwrap();
    assert!(server.object("theirs", "a").is_some());
}

#[tokio::test]
async fn refused_credentials_are_read_again() {
    let server = FakeS3::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let s3 = S3Settings { session_token: Some(Secret::File { file: file.clone() }), ..settings(&server.endpoint) };
    let settings = ObjectSettings { default: StoreSettings::S3(s3), ..ObjectSettings::default() };
    let buckets = ObjectBuckets::new(dir.path().join("objects"), settings, Arc::new(|_| None)).unwrap();
    server.plan(Method::PUT, "a", Fault::Answer(400, Vec::new(), "<Error><Code>ExpiredToken</Code></Error>"));
    assert_eq!(buckets.open("bkt").unwrap().put(&object("a", 1)).await.unwrap_err().code, "ExpiredToken");
    std::fs::write(&file, "new\n").unwrap();
    buckets.open("bkt").unwrap().put(&object("a", 1)).await.unwrap();
    let tokens: Vec<_> = server.seen().iter().map(|s| s.headers["x-amz-security-token"].clone()).collect();
    assert_eq!(tokens, ["old", "new", "new"]);
}

/// Set `MILLRACE_TEST_S3_ENDPOINT`, `_ACCESS_KEY_ID`, `_SECRET_ACCESS_KEY` and `_BUCKET` (an existing bucket).
#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_on_a_real_server() {
    let variable = |name: &str| std::env::var(format!("MILLRACE_TEST_S3_{name}")).ok();
    let (Some(endpoint), Some(id), Some(secret), Some(bucket)) =
        (variable("ENDPOINT"), variable("ACCESS_KEY_ID"), variable("SECRET_ACCESS_KEY"), variable("BUCKET"))
    else {
        eprintln!(
            "skipped: no real S3 server (MILLRACE_TEST_S3_ENDPOINT, _ACCESS_KEY_ID, _SECRET_ACCESS_KEY, _BUCKET)"
        );
        return;
    };
    let mut s3 = settings(&endpoint);
    (s3.access_key_id, s3.secret_access_key, s3.session_token) =
        (Some(Secret::Inline(id.clone())), Some(Secret::Inline(secret.clone())), None);
    let reader = object_store::aws::AmazonS3Builder::new()
        .with_endpoint(&endpoint)
        .with_allow_http(true)
        .with_bucket_name(&bucket)
        .with_access_key_id(id)
        .with_secret_access_key(secret)
        .build()
        .unwrap();
    let read_back = |key: &str| {
        let get = async { reader.get(&Path::parse(key).unwrap()).await.ok()?.bytes().await.ok() };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(get)).map(|bytes| bytes.to_vec())
    };
    let (_dir, sink) = open(s3.clone(), &bucket);
    contract::run(&*sink, &read_back).await;

    // Servers differ in what they let pass; what they refuse must be understood.
    let refused = |what: &str, put: Result<Stored, SinkError>, code: &str| match put {
        Ok(_) => eprintln!("this server takes {what}"),
        Err(error) => assert_eq!((error.code.as_str(), error.advice), (code, Advice::Operator), "{what}: {error}"),
    };
    refused("an empty segment", sink.put(&object("odd//key", 1)).await, "XMinioInvalidObjectName");
    let (_dir, sink) = open(s3.clone(), "millrace-no-such-bucket");
    refused("a missing bucket", sink.put(&object("a", 1)).await, "NoSuchBucket");
    s3.secret_access_key = Some(Secret::Inline("wrong".to_owned()));
    let (_dir, sink) = open(s3, &bucket);
    refused("a wrong signature", sink.put(&object("a", 1)).await, "SignatureDoesNotMatch");
}
