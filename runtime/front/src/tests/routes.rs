//! Every route and operation, its refusals, and who may.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use millrace_auth::{Policy, SigningParams, body_sha256_hex, sign};
use serde_json::json;

use super::fake::{Answer, KEY, NOW_MS, TOKEN, World, aws, create, keys, world};
use crate::settings::{INGEST_BODY_BYTES_MAX, MODULE_BYTES_MAX, PUT_BODY_BYTES_MAX, SCHEMA_BYTES_MAX};

fn signed(mut request: Request<Full<Bytes>>, body: &[u8], now_ms: i64) -> Request<Full<Bytes>> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let params = SigningParams { key_id: KEY.0, secret: KEY.1, region: "eu-west-1", service: "firehose", now_ms };
    sign(&params, method.as_str(), uri.path(), uri.query(), request.headers_mut(), &body_sha256_hex(body))
        .expect("signed");
    request
}

fn kind(answer: &Answer) -> String {
    answer.json()["__type"].as_str().unwrap_or_default().to_owned()
}

fn plain(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "localhost")
}

async fn get(world: &World, path: &str) -> Answer {
    world.send(plain("GET", path).body(Full::default()).expect("a request")).await
}

#[tokio::test]
async fn a_stream_lives_its_life() {
    let world = world(Policy::Dev);
    let made = world.call("CreateDeliveryStream", &create()).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(made.json()["DeliveryStreamARN"], "arn:aws:firehose:us-east-1:000000000000:deliverystream/s");
    assert_eq!(made.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(made.headers["x-amzn-requestid"].len(), 36);
    let again = world.call("CreateDeliveryStream", &create()).await;
    assert_eq!(kind(&again), "ResourceInUseException");
    assert_eq!(again.json()["message"], "Firehose s under accountId 000000000000 already exists");

    let put = world.call("PutRecord", &json!({ "DeliveryStreamName": "s", "Record": { "Data": "aGk=" } })).await;
    assert_eq!(put.json()["Encrypted"], false);
    let records = json!([{ "Data": "YQ==" }, { "Data": "" }]);
    let put = world.call("PutRecordBatch", &json!({ "DeliveryStreamName": "s", "Records": records })).await;
    let put = put.json();
    assert_eq!((&put["FailedPutCount"], put["RequestResponses"].as_array().map(Vec::len)), (&json!(0), Some(2)));
    assert_eq!(world.memory.records("s"), [b"hi".to_vec(), b"a".to_vec(), Vec::new()]);

    let listed = world.call("ListDeliveryStreams", &json!({})).await;
    assert_eq!(listed.json(), json!({ "DeliveryStreamNames": ["s"], "HasMoreDeliveryStreams": false }));
    let shown = world.call("DescribeDeliveryStream", &json!({ "DeliveryStreamName": "s" })).await;
    assert_eq!(shown.json()["DeliveryStreamDescription"]["DeliveryStreamStatus"], "ACTIVE");

    let gone =
        world.call("DeleteDeliveryStream", &json!({ "DeliveryStreamName": "s", "AllowForceDelete": true })).await;
    assert_eq!((gone.status.as_u16(), gone.body.len()), (200, 0));
    for operation in ["DeleteDeliveryStream", "DescribeDeliveryStream"] {
        let answer = world.call(operation, &json!({ "DeliveryStreamName": "s" })).await;
        assert_eq!(kind(&answer), "ResourceNotFoundException");
        assert_eq!(answer.json()["message"], "Firehose s under account 000000000000 not found.");
    }
}

#[tokio::test]
async fn wrong_requests_have_their_types() {
    let world = world(Policy::Dev);
    world.call("CreateDeliveryStream", &create()).await;
    for (request, wanted) in [
        (aws("UpdateDestination", "{}"), "UnknownOperationException"),
        (aws("Nonsense", "{}"), "UnknownOperationException"),
        (plain("POST", "/").body(Full::default()).expect("a request"), "UnknownOperationException"),
        (aws("ListDeliveryStreams", ""), "SerializationException"),
        (aws("ListDeliveryStreams", "[".repeat(1000)), "SerializationException"),
        (aws("PutRecord", r#"{"DeliveryStreamName":"s","Record":{"Data":"?"}}"#), "SerializationException"),
        (aws("PutRecord", r#"{"DeliveryStreamName":"x","Record":{"Data":""}}"#), "ResourceNotFoundException"),
        (aws("PutRecordBatch", vec![b' '; PUT_BODY_BYTES_MAX + 1]), "InvalidArgumentException"),
        (aws("PutRecord", vec![b' '; PUT_BODY_BYTES_MAX + 1]), "ValidationException"),
    ] {
        let answer = world.send(request).await;
        assert_eq!((answer.status.as_u16(), kind(&answer).as_str()), (400, wanted));
        assert_eq!(answer.headers["x-amzn-errortype"], wanted);
    }
    for (operation, body) in [
        ("PutRecord", r#"{"DeliveryStreamName":"s","DeliveryStreamName":"s","Record":{"Data":""}}"#),
        ("PutRecordBatch", r#"{"DeliveryStreamName":"s","DeliveryStreamName":"x","Records":[{"Data":""}]}"#),
        ("DescribeDeliveryStream", r#"{"DeliveryStreamName":"x","DeliveryStreamName":"s"}"#),
        ("CreateDeliveryStream", r#"{"DeliveryStreamName":"t","DeliveryStreamName":"u"}"#),
        ("DeleteDeliveryStream", r#"{"DeliveryStreamName":"s","DeliveryStreamName":"s"}"#),
        ("ListTagsForDeliveryStream", r#"{"DeliveryStreamName":"s","DeliveryStreamName":"s"}"#),
    ] {
        let answer = world.send(aws(operation, body)).await;
        assert_eq!((answer.status.as_u16(), kind(&answer).as_str()), (400, "SerializationException"), "{operation}");
        let message = answer.json()["Message"].as_str().expect("a text").to_owned();
        assert!(message.starts_with("The member DeliveryStreamName is given twice in one object"), "{message}");
    }
    for header in ["x-amz-target", "content-encoding"] {
        let mut twice = aws("ListDeliveryStreams", "{}");
        for value in ["identity", "identity"] {
            twice.headers_mut().append(header, HeaderValue::from_static(value));
        }
        let message = world.send(twice).await.json()["Message"].as_str().expect("a text").to_owned();
        assert_eq!(message, format!("The header {header} is given more than once"));
    }
    let mut asked = aws("ListDeliveryStreams", "{}");
    *asked.uri_mut() = "/?Limit=1".parse().expect("a path");
    assert_eq!(kind(&world.send(asked).await), "SerializationException");
    let mut packed = aws("ListDeliveryStreams", "{}");
    packed.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
    assert!(world.send(packed).await.json()["Message"].as_str().expect("a text").contains("gzip"));
    let update = world.call("UpdateDestination", &json!({})).await;
    assert!(update.json()["message"].as_str().expect("a text").contains("UpdateDestination: wait until nothing"));
}

#[tokio::test]
async fn trouble_of_the_journal_refuses_the_whole_batch() {
    let world = world(Policy::Dev);
    world.call("CreateDeliveryStream", &create()).await;
    *world.memory.trouble.lock() = Some("journal.full");
    let body = json!({ "DeliveryStreamName": "s", "Records": [{ "Data": "" }] });
    let answer = world.call("PutRecordBatch", &body).await;
    assert_eq!((answer.status.as_u16(), kind(&answer).as_str()), (503, "ServiceUnavailableException"));
    assert!(answer.json()["message"].as_str().expect("a text").contains("journal.full"));
    assert!(get(&world, "/metrics").await.text().contains("throttled_requests_total{reason=\"journal.full\"} 1\n"));

    *world.memory.trouble.lock() = Some("panic");
    let answer = world.call("PutRecordBatch", &body).await;
    assert_eq!((answer.status.as_u16(), kind(&answer).as_str()), (500, "InternalFailure"));
    *world.memory.trouble.lock() = None;
    assert_eq!(world.call("PutRecordBatch", &body).await.status, 200);
}

#[tokio::test]
async fn plain_ingest_takes_lines_arrays_and_raw_bodies() {
    let world = world(Policy::Dev);
    world.call("CreateDeliveryStream", &create()).await;
    let path = "/v1/delivery-streams/s/records";
    let post = |content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = plain("POST", path).header("content-type", content_type).header("content-encoding", encoding);
        request.body(Full::new(Bytes::from(body))).expect("a request")
    };
    let answer = world.send(post("application/x-ndjson", "identity", b"{\"a\":1}\r\n\n{\"a\":2}".to_vec())).await;
    let ids = answer.json();
    assert_eq!(ids["records"], 2, "{}", answer.text());
    assert!(ids["firstRecordId"].as_str() < ids["lastRecordId"].as_str());
    let zstd = zstd::bulk::compress(b"[1, {\"b\":2}]", 1).expect("in memory");
    assert_eq!(world.send(post("application/json", "zstd", zstd.clone())).await.json()["records"], 2);
    assert_eq!(world.send(post("application/octet-stream", "identity", b"a\nb".to_vec())).await.json()["records"], 1);
    let wanted: Vec<Vec<u8>> =
        ["{\"a\":1}", "{\"a\":2}", "1", "{\"b\":2}", "a\nb"].map(|r| r.as_bytes().to_vec()).to_vec();
    assert_eq!(world.memory.records("s"), wanted);

    let bomb = zstd::bulk::compress(&vec![0u8; 40 << 20], 1).expect("in memory");
    for (request, status, slug) in [
        (post("application/xml", "identity", b"x".to_vec()), 415, "request.media"),
        (post("text/plain", "br", b"x".to_vec()), 415, "request.media"),
        (post("text/plain", "identity", zstd), 415, "request.media"),
        (post("application/json", "identity", vec![0x1f, 0x8b, 8, 0]), 415, "request.media"),
        (post("text/plain", "gzip", b"x".to_vec()), 400, "request.malformed"),
        (
            plain("POST", path)
                .header("content-type", "text/plain")
                .header("content-type", "application/json")
                .body(Full::from("x"))
                .expect("a request"),
            400,
            "request.malformed",
        ),
        (plain("POST", &format!("{path}?form=raw")).body(Full::from("x")).expect("a request"), 400, "request.invalid"),
        (post("text/plain", "identity", b"\n\n".to_vec()), 400, "request.empty"),
        (post("text/plain", "identity", vec![b'x'; INGEST_BODY_BYTES_MAX + 1]), 413, "request.too-large"),
        (post("text/plain", "zstd", bomb), 413, "request.bomb"),
        (
            plain("POST", "/v1/delivery-streams/none/records").body(Full::from("x")).expect("a request"),
            404,
            "stream.unknown",
        ),
    ] {
        let answer = world.send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (status, &json!(slug)));
    }
    assert_eq!(world.memory.records("s").len(), 5, "nothing of a refused body is taken");
}

#[tokio::test]
async fn health_status_metrics_and_wrong_ways() {
    let world = world(Policy::Dev);
    world.call("CreateDeliveryStream", &create()).await;
    assert_eq!(get(&world, "/health/live").await.status, 200);
    assert_eq!(get(&world, "/health/ready").await.status, 200);
    *world.desk.not_ready.lock() = Some("the journal is full".into());
    let not_ready = get(&world, "/health/ready").await;
    assert_eq!((not_ready.status.as_u16(), not_ready.text()), (503, "the journal is full\n"));
    let status = get(&world, "/v1/status/s").await.json();
    assert_eq!((&status["streams"][0]["name"], &status["journal"]["segments"]), (&json!("s"), &json!(1)));
    assert_eq!(get(&world, "/v1/status/none").await.status, 404);
    let metrics = get(&world, "/metrics").await;
    assert!(metrics.text().contains("millrace_wal_used_bytes 9\n"), "{}", metrics.text());
    assert!(metrics.text().contains("# TYPE millrace_calls_seconds histogram\nmillrace_calls_seconds_count 9\n"));
    assert!(metrics.text().contains("millrace_ingest_records_total{stream=\"s\"} 0\n"));
    let root = get(&world, "/").await;
    assert_eq!((root.status.as_u16(), &root.headers["allow"]), (405, &HeaderValue::from_static("POST")));
    assert_eq!(get(&world, "/nowhere").await.json()["error"]["code"], "route.unknown");
    let head = world.send(plain("HEAD", "/").body(Full::default()).expect("a request")).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (405, 0));
}

#[tokio::test]
async fn functions_and_schemas() {
    let world = world(Policy::Dev);
    let request = plain("PUT", "/v1/functions/f?setting.Mode=x").header("x-millrace-deadline-ms", "9");
    let answer = world.send(request.body(Full::from("wasm")).expect("a request")).await;
    assert_eq!(answer.json()["version"], 1, "{}", answer.text());
    let deployed = world.desk.deployed.lock()[0].clone();
    assert_eq!((deployed.2.settings["Mode"].as_str(), deployed.2.deadline_ms), ("x", Some(9)));
    let empty = world.send(plain("PUT", "/v1/functions/f").body(Full::default()).expect("a request")).await;
    assert_eq!((empty.status.as_u16(), &empty.json()["error"]["code"]), (400, &json!("function.module")));
    let invoke = plain("POST", "/v1/functions/f/invoke?version=2").body(Full::from("1\n2")).expect("a request");
    assert_eq!(world.send(invoke).await.json(), json!({ "name": "f", "version": "2", "records": 2 }));
    for (method, path, slug) in [
        ("POST", "/v1/functions/f/invoke?version=2&version=2", "request.malformed"),
        ("POST", "/v1/functions/f/invoke?vresion=2", "request.invalid"),
        ("PUT", "/v1/functions/f?warm=true&warm=true", "request.malformed"),
        ("PUT", "/v1/functions/f?setting.a=1&setting.a=2", "request.malformed"),
        ("PUT", "/v1/schemas/db/..", "schema.name"),
        ("PUT", "/v1/schemas/Db/t", "schema.name"),
        ("PUT", "/v1/schemas/db/t?version=2", "request.invalid"),
        ("GET", "/v1/status?stream=s", "request.invalid"),
        ("GET", "/v1/functions?name=f", "request.invalid"),
    ] {
        let answer = world.send(plain(method, path).body(Full::from("wasm")).expect("a request")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!(slug)), "{path}");
    }
    for (path, bytes_max) in [("/v1/functions/f", MODULE_BYTES_MAX), ("/v1/schemas/db/t", SCHEMA_BYTES_MAX)] {
        let body = Full::new(Bytes::from(vec![0; bytes_max + 1]));
        let answer = world.send(plain("PUT", path).body(body).expect("a request")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (413, &json!("request.too-large")));
    }
    assert_eq!(world.desk.deployed.lock().len(), 1, "nothing of a refused deployment is kept");
    let put = plain("PUT", "/v1/schemas/db/t").body(Full::from("{}")).expect("a request");
    assert_eq!(world.send(put).await.json()["definition"], "{}");
    assert_eq!(get(&world, "/v1/functions").await.json(), json!({ "functions": [] }));
    assert_eq!(get(&world, "/v1/schemas").await.json(), json!({ "tables": [] }));
}

#[tokio::test]
async fn without_credentials_nothing_but_health_and_metrics() {
    let world = world(keys());
    for (method, path, status) in [
        ("GET", "/health/live", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/metrics", 200),
        ("POST", "/v1/delivery-streams/s/records", 401),
        ("GET", "/v1/status", 401),
        ("GET", "/v1/status/s", 401),
        ("GET", "/v1/functions", 401),
        ("PUT", "/v1/functions/f", 401),
        ("POST", "/v1/functions/f/invoke", 401),
        ("GET", "/v1/schemas", 401),
        ("PUT", "/v1/schemas/d/t", 401),
    ] {
        let answer = world.send(plain(method, path).body(Full::from("x")).expect("a request")).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
    }
    let answer = world.call("ListDeliveryStreams", &json!({})).await;
    assert_eq!((answer.status.as_u16(), kind(&answer).as_str()), (400, "MissingAuthenticationTokenException"));
    assert!(world.desk.deployed.lock().is_empty());
}

#[tokio::test]
async fn signed_and_bearer_requests_pass_and_forged_ones_do_not() {
    let world = world(keys());
    let body = create().to_string();
    let made = world.send(signed(aws("CreateDeliveryStream", body.clone()), body.as_bytes(), NOW_MS)).await;
    assert_eq!(made.status, 200, "{}", made.text());

    let other = body.replace("\"s\"", "\"t\"");
    let forged = signed(aws("CreateDeliveryStream", other), body.as_bytes(), NOW_MS);
    assert_eq!(kind(&world.send(forged).await), "InvalidSignatureException");
    let late = signed(aws("ListDeliveryStreams", "{}"), b"{}", NOW_MS - 301_000);
    assert_eq!(kind(&world.send(late).await), "InvalidSignatureException");
    // Not decoded before it is proven: the same garbage, signed, is a serialization error.
    let garbage = signed(aws("ListDeliveryStreams", "]"), b"{}", NOW_MS);
    assert_eq!(kind(&world.send(garbage).await), "InvalidSignatureException");
    let garbage = signed(aws("ListDeliveryStreams", "]"), b"]", NOW_MS);
    assert_eq!(kind(&world.send(garbage).await), "SerializationException");

    let path = "/v1/delivery-streams/s/records";
    for (token, status) in [(TOKEN, 200), ("another", 401)] {
        let request = plain("POST", path).header("authorization", format!("Bearer {token}"));
        assert_eq!(world.send(request.body(Full::from("x")).expect("a request")).await.status.as_u16(), status);
    }
    let lines = signed(plain("POST", path).body(Full::from("x")).expect("a request"), b"x", NOW_MS);
    assert_eq!(world.send(lines).await.status, 200);
    assert_eq!(world.memory.records("s").len(), 2);
    // Tokens are for the plain routes.
    let mut bearer = aws("ListDeliveryStreams", "{}");
    let value = format!("Bearer {TOKEN}").parse().expect("a header");
    bearer.headers_mut().insert("authorization", value);
    assert_eq!(kind(&world.send(bearer).await), "MissingAuthenticationTokenException");

    // A setting that somebody on the way added to a signed request.
    let mut deploy = signed(plain("PUT", "/v1/functions/f").body(Full::from("w")).expect("a request"), b"w", NOW_MS);
    assert_eq!(world.send(deploy.clone()).await.status, 200);
    deploy.headers_mut().insert("x-millrace-setting-mode", HeaderValue::from_static("evil"));
    assert_eq!(world.send(deploy).await.status, 401);
    assert_eq!(world.desk.deployed.lock().len(), 1);
    world.clock.set_wall_ms(NOW_MS + 600_000);
}

#[tokio::test]
async fn the_budgets_of_bodies_push_back_each_by_itself() {
    let world = world(Policy::Dev);
    world.call("CreateDeliveryStream", &create()).await;
    let put = json!({ "DeliveryStreamName": create()["DeliveryStreamName"], "Record": { "Data": "YQ==" } });
    assert_eq!(world.call("PutRecord", &put).await.status, 200);
    let records = format!("/v1/delivery-streams/{}/records", create()["DeliveryStreamName"].as_str().expect("a name"));
    let deploy = || plain("PUT", "/v1/functions/f").body(Full::from("w")).expect("a request");
    for (budget, others, deploys) in [(&world.shared.bodies, 503, 200), (&world.shared.module_bodies, 200, 503)] {
        let _all = budget.buy(usize::MAX).await.expect("all of it");
        let answers = [
            world.call("PutRecord", &put).await,
            world.send(plain("POST", &records).body(Full::from("a")).expect("a request")).await,
            world.call("ListDeliveryStreams", &json!({})).await,
            world.send(deploy()).await,
        ];
        assert_eq!(answers.map(|answer| answer.status.as_u16()), [others, others, others, deploys]);
        assert_eq!(get(&world, "/v1/status").await.status, 200, "a request without a body needs none");
    }
}

/// A body that announces a length, and knows whether anybody wanted to read it.
struct Announced {
    length: u64,
    is_asked: bool,
}

impl Body for &mut Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.is_asked = true;
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[tokio::test]
async fn what_announces_more_than_is_thrown_away_is_refused_unread() {
    let world = world(Policy::Dev);
    for (length, is_read) in [(1 << 60, false), (16 << 20, true)] {
        let mut body = Announced { length, is_asked: false };
        let (parts, _) = aws("PutRecord", "").into_parts();
        let reply = crate::service::answer(&world.shared, Request::from_parts(parts, &mut body)).await;
        assert_eq!((reply.status().as_u16(), body.is_asked), (400, is_read), "{length}");
    }
}

/// A body of which a part comes, and then nothing.
struct Stalled(Option<Bytes>);

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }

    // More than is thrown away, so that the refusal does not wait for it.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(MODULE_BYTES_MAX as u64)
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_gives_its_memory_back() {
    let world = world(Policy::Dev);
    let (parts, ()) = plain("PUT", "/v1/functions/f").body(()).expect("a request").into_parts();
    let request = Request::from_parts(parts, Stalled(Some(Bytes::from_static(&[0; 1 << 20]))));
    let reply = crate::service::answer(&world.shared, request).await;
    assert_eq!(reply.status().as_u16(), 408);
    let _all = world.shared.module_bodies.buy(usize::MAX).await.expect("all of it is there again");
}
