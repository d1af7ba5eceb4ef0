//! The Lambda API on the wire: the shape of each good answer.

use base64_simd::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use millrace_auth::{Policy, SigningParams, body_sha256_hex, sign};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::fake::{Answer, KEY, NOW_MS, World, keys, world};

pub(super) const WASM: &[u8] = b"\0asm\x01\0\0\0";
pub(super) const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
pub(super) const FUNCTIONS: &str = "/2015-03-31/functions";

pub(super) fn request(method: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(method).uri(path).header("host", "localhost:4573");
    builder.body(Full::new(body.into())).expect("a request")
}

pub(super) async fn call(world: &World, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    world.send(request(method, path, body)).await
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// The body that creates a function.
pub(super) fn new_function(name: &str) -> Value {
    json!({
        "FunctionName": name, "Runtime": "provided.al2023", "Handler": "handler",
        "Role": "arn:aws:iam::123456789012:role/r", "Code": { "ZipFile": base64(WASM) },
    })
}

pub(super) async fn with_function() -> World {
    let world = world(Policy::Dev);
    let made = call(&world, "POST", FUNCTIONS, &new_function("f")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    world
}

async fn get(world: &World, path: &str) -> Value {
    let answer = call(world, "GET", path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_function_has_its_exact_shape() {
    let world = world(Policy::Dev);
    let mut body = new_function("f");
    body["Environment"] = json!({ "Variables": { "LEVEL": "debug" } });
    body["Description"] = json!("doubles");
    body["MemorySize"] = json!(256);
    body["Timeout"] = json!(30);
    body["Tags"] = json!({ "team": "a" });
    let made = call(&world, "POST", FUNCTIONS, &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.headers["content-type"], "application/json");
    assert_eq!(made.headers["x-amzn-requestid"].len(), 36);
    let wanted = json!({
        "FunctionName": "f", "FunctionArn": ARN, "Runtime": "provided.al2023",
        "Role": "arn:aws:iam::123456789012:role/r", "Handler": "handler", "CodeSize": 8,
        "Description": "doubles", "Timeout": 30, "MemorySize": 256, "LastModified": "2026-11-24T00:00:00.000+0000",
        "CodeSha256": base64(&Sha256::digest(WASM)), "Version": "$LATEST",
        "Environment": { "Variables": { "LEVEL": "debug" } }, "TracingConfig": { "Mode": "PassThrough" },
        "RevisionId": "00000000-0000-4000-8000-000000000001", "State": "Active", "LastUpdateStatus": "Successful",
        "PackageType": "Zip", "Architectures": ["x86_64"], "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": "/aws/lambda/f" },
    });
    assert_eq!(made.json(), wanted);
    assert_eq!(get(&world, "/2015-03-31/functions/f/configuration").await, wanted);
    let whole = get(&world, &format!("{FUNCTIONS}/{}", ARN.replace(':', "%3A"))).await;
    assert_eq!(whole["Configuration"], wanted);
    assert_eq!(whole["Tags"], json!({ "team": "a" }));
    assert!(whole.get("Concurrency").is_none());
    assert_eq!(get(&world, FUNCTIONS).await, json!({ "Functions": [wanted] }));
    let signing = "/2020-06-30/functions/f/code-signing-config";
    assert_eq!(get(&world, signing).await, json!({ "FunctionName": "f" }), "nothing is signed, and that is no error");
    let gone = call(&world, "DELETE", "/2015-03-31/functions/f", &Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.body.len()), (204, 0));
    assert_eq!(get(&world, "/2015-03-31/functions/").await, json!({ "Functions": [] }));
    assert_eq!(call(&world, "GET", signing, &Value::Null).await.status, 404);
}

#[tokio::test]
async fn updates_change_what_they_name() {
    let world = with_function().await;
    let zip = super::lambda_refusals::zip(&[("f.wasm", WASM)]);
    let changed = call(&world, "PUT", &format!("{FUNCTIONS}/f/code"), &json!({ "ZipFile": base64(&zip) })).await;
    assert_eq!(changed.json()["CodeSha256"], base64(&Sha256::digest(&zip)));
    assert_eq!(changed.json()["CodeSize"], zip.len());
    let dry = json!({ "ZipFile": base64(WASM), "DryRun": true });
    let dry = call(&world, "PUT", &format!("{FUNCTIONS}/f/code"), &dry).await.json();
    assert_eq!(dry["CodeSize"], WASM.len());
    assert_eq!(get(&world, &format!("{FUNCTIONS}/f/configuration")).await["CodeSize"], zip.len());
    world.functions.objects.lock().insert(("bucket".into(), "a/b.zip".into()), WASM.into());
    let by_key = json!({ "S3Bucket": "bucket", "S3Key": "a/b.zip", "Publish": true });
    let by_key = call(&world, "PUT", &format!("{FUNCTIONS}/f/code"), &by_key).await.json();
    assert_eq!((&by_key["Version"], &by_key["FunctionArn"]), (&json!("1"), &json!(format!("{ARN}:1"))));

    let path = format!("{FUNCTIONS}/f/configuration");
    let body = json!({
        "Handler": "transform", "Environment": { "Variables": { "Aa": "b" } }, "Timeout": 900, "MemorySize": 1024,
        "VpcConfig": { "SubnetIds": [], "SecurityGroupIds": [] }, "Layers": [], "KMSKeyArn": "",
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": "mine" }, "SnapStart": { "ApplyOn": "None" },
        "EphemeralStorage": { "Size": 512 }, "TracingConfig": { "Mode": "PassThrough" },
        "DeadLetterConfig": { "TargetArn": "" }, "FileSystemConfigs": [], "Runtime": "provided.al2023",
    });
    let changed = call(&world, "PUT", &path, &body).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let changed = changed.json();
    assert_eq!((&changed["Handler"], &changed["MemorySize"]), (&json!("transform"), &json!(1024)));
    assert_eq!(changed["LoggingConfig"]["LogGroup"], "mine");
    let emptied = call(&world, "PUT", &path, &json!({ "Environment": {} })).await.json();
    assert!(emptied.get("Environment").is_none());
    assert_eq!(emptied["Timeout"], 900);
    let stale = call(&world, "PUT", &path, &json!({ "RevisionId": changed["RevisionId"] })).await;
    assert_eq!(
        (stale.status.as_u16(), &stale.headers["x-amzn-errortype"]),
        (412, &"PreconditionFailedException".parse().expect("a value"))
    );
}

#[tokio::test]
async fn versions_and_aliases() {
    let world = with_function().await;
    for number in 1..=2 {
        let published = call(&world, "POST", &format!("{FUNCTIONS}/f/versions"), &json!({})).await;
        assert_eq!(published.status, 201);
        assert_eq!(published.json()["FunctionArn"], format!("{ARN}:{number}"));
    }
    let listed = get(&world, &format!("{FUNCTIONS}/f/versions?MaxItems=2")).await;
    assert_eq!(
        (&listed["Versions"][0]["FunctionArn"], &listed["NextMarker"]),
        (&json!(format!("{ARN}:$LATEST")), &json!("1"))
    );
    let rest = get(&world, &format!("{FUNCTIONS}/f/versions?Marker=1")).await;
    assert_eq!((rest["Versions"].as_array().map(Vec::len), &rest["Versions"][0]["Version"]), (Some(1), &json!("2")));

    let path = format!("{FUNCTIONS}/f/aliases");
    let body = json!({
        "Name": "live", "FunctionVersion": "1", "Description": "d",
        "RoutingConfig": { "AdditionalVersionWeights": { "2": 0.25 } },
    });
    let made = call(&world, "POST", &path, &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let wanted = json!({
        "AliasArn": format!("{ARN}:live"), "Name": "live", "FunctionVersion": "1", "Description": "d",
        "RoutingConfig": { "AdditionalVersionWeights": { "2": 0.25 } }, "RevisionId": made.json()["RevisionId"],
    });
    assert_eq!(made.json(), wanted);
    assert_eq!(get(&world, &format!("{path}/live")).await, wanted);
    assert_eq!(get(&world, &path).await, json!({ "Aliases": [wanted] }));
    assert_eq!(get(&world, &format!("{path}?FunctionVersion=2")).await, json!({ "Aliases": [wanted] }));
    assert_eq!(get(&world, &format!("{path}?FunctionVersion=%24LATEST")).await, json!({ "Aliases": [] }));
    let shown = get(&world, &format!("{FUNCTIONS}/f/configuration?Qualifier=live")).await;
    assert_eq!((&shown["Version"], &shown["FunctionArn"]), (&json!("1"), &json!(format!("{ARN}:live"))));
    let shown = get(&world, &format!("{FUNCTIONS}/f:%24LATEST/configuration")).await;
    assert_eq!(shown["FunctionArn"], format!("{ARN}:$LATEST"));

    let changed = json!({ "FunctionVersion": "2", "RoutingConfig": {} });
    let changed = call(&world, "PUT", &format!("{path}/live"), &changed).await.json();
    assert_eq!((&changed["FunctionVersion"], changed.get("RoutingConfig")), (&json!("2"), None));
    let in_use = call(&world, "DELETE", &format!("{FUNCTIONS}/f?Qualifier=2"), &Value::Null).await;
    assert_eq!(in_use.status, 409);
    assert_eq!(
        in_use.json()["message"],
        "Unable to delete version because the following aliases reference it: [\"live\"]"
    );
    for path in [format!("{path}/live"), format!("{path}/live"), format!("{FUNCTIONS}/f:2")] {
        assert_eq!(call(&world, "DELETE", &path, &Value::Null).await.status, 204);
    }

    call(&world, "POST", FUNCTIONS, &new_function("g")).await;
    let all = get(&world, &format!("{FUNCTIONS}?FunctionVersion=ALL&MaxItems=2")).await;
    assert_eq!(all["NextMarker"], "f:1");
    let rest = get(&world, &format!("{FUNCTIONS}?FunctionVersion=ALL&Marker=f:1")).await;
    assert_eq!(rest["Functions"][0]["FunctionArn"], format!("{}g:$LATEST", ARN.trim_end_matches('f')));
    let page = get(&world, &format!("{FUNCTIONS}?MaxItems=1")).await;
    assert_eq!(page["NextMarker"], "f");
    assert_eq!(get(&world, &format!("{FUNCTIONS}?Marker=f")).await["Functions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_invocation_has_its_headers() {
    let world = with_function().await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let plain = world.send(request("POST", &path, "{\"a\":1}")).await;
    assert_eq!((plain.status.as_u16(), plain.text()), (200, "{\"a\":1}"));
    assert_eq!(plain.headers["x-amz-executed-version"], "$LATEST");
    assert!(!plain.headers.contains_key("x-amz-log-result") && !plain.headers.contains_key("x-amz-function-error"));
    let context = base64(b"{\"custom\":{}}");
    let mut tail = request("POST", &path, "[]");
    for (name, value) in [("x-amz-log-type", "Tail"), ("x-amz-client-context", context.as_str())] {
        tail.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let tail = world.send(tail).await;
    assert_eq!((tail.status.as_u16(), tail.headers["x-amz-function-error"].as_bytes()), (200, &b"Unhandled"[..]));
    assert_eq!(tail.headers["x-amz-log-result"].len(), base64(&[0; 4096]).len());
    let seen = world.functions.invoked.lock()[1].clone();
    assert_eq!(seen.client_context.as_deref(), Some("{\"custom\":{}}"));
    assert_eq!(tail.headers["x-amzn-requestid"], seen.request_id);

    for (kind, status) in [("Event", 202), ("DryRun", 204)] {
        let mut request = request("POST", &path, "");
        request.headers_mut().insert("x-amz-invocation-type", kind.parse().expect("a value"));
        let answer = world.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0));
    }
    assert_eq!(world.functions.invoked.lock().len(), 2);
    assert_eq!(world.functions.enqueued.lock()[0].payload, "{}");
}

#[tokio::test]
async fn events_concurrency_tags_and_the_account() {
    let world = with_function().await;
    let path = "/2019-09-25/functions/f/event-invoke-config";
    let body = json!({
        "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": { "OnSuccess": {}, "OnFailure": { "Destination": "arn:aws:s3:::b" } },
    });
    let put = call(&world, "PUT", path, &body).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let mut wanted = body.clone();
    wanted["FunctionArn"] = json!(format!("{ARN}:$LATEST"));
    wanted["LastModified"] = json!(NOW_MS as f64 / 1000.0);
    assert_eq!(put.json(), wanted);
    let updated = call(&world, "POST", path, &json!({ "MaximumRetryAttempts": 2 })).await.json();
    wanted["MaximumRetryAttempts"] = json!(2);
    assert_eq!(updated, wanted);
    assert_eq!(get(&world, path).await, wanted);
    assert_eq!(get(&world, &format!("{path}/list")).await, json!({ "FunctionEventInvokeConfigs": [wanted] }));
    assert_eq!(call(&world, "DELETE", path, &Value::Null).await.status, 204);
    let none = call(&world, "GET", path, &Value::Null).await;
    assert_eq!(none.json()["Message"], format!("The function {ARN}:$LATEST doesn't have an EventInvokeConfig"));

    let (put_path, get_path) = ("/2017-10-31/functions/f/concurrency", "/2019-09-30/functions/f/concurrency");
    assert_eq!(get(&world, get_path).await, json!({}));
    let reserved = json!({ "ReservedConcurrentExecutions": 5 });
    assert_eq!(call(&world, "PUT", put_path, &reserved).await.json(), reserved);
    assert_eq!(get(&world, get_path).await, reserved);
    assert_eq!(get(&world, &format!("{FUNCTIONS}/f")).await["Concurrency"], reserved);
    assert_eq!(call(&world, "DELETE", put_path, &Value::Null).await.status, 204);
    assert_eq!(get(&world, get_path).await, json!({}));

    let path = format!("/2017-03-31/tags/{}", ARN.replace(':', "%3A"));
    assert_eq!(call(&world, "POST", &path, &json!({ "Tags": { "a": "1", "b c": "" } })).await.status, 204);
    assert_eq!(call(&world, "DELETE", &format!("{path}?tagKeys=a&tagKeys=x"), &Value::Null).await.status, 204);
    assert_eq!(get(&world, &path).await, json!({ "Tags": { "b c": "" } }));
    let account = get(&world, "/2016-08-19/account-settings").await;
    assert_eq!(account["AccountUsage"], json!({ "TotalCodeSize": 7, "FunctionCount": 1 }));
    assert_eq!(account["AccountLimit"]["CodeSizeZipped"], 52_428_800);
}

#[tokio::test]
async fn a_link_gives_the_module_for_a_while() {
    let world = world(keys());
    let signed = |method: &str, path: &str, body: String, service| {
        let mut request = request(method, path, body.clone());
        let params = SigningParams { key_id: KEY.0, secret: KEY.1, region: "eu-west-1", service, now_ms: NOW_MS };
        sign(&params, method, path, None, request.headers_mut(), &body_sha256_hex(body.as_bytes())).expect("signed");
        request
    };
    let made = world.send(signed("POST", FUNCTIONS, new_function("f").to_string(), "lambda")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let wrong = world.send(signed("POST", FUNCTIONS, "{}".into(), "firehose")).await;
    assert_eq!(wrong.status, 403, "another service's signature");
    assert_eq!(world.send(request("GET", FUNCTIONS, "")).await.status, 403, "no signature");

    let whole = world.send(signed("GET", "/2015-03-31/functions/f", String::new(), "lambda")).await.json();
    let location = whole["Code"]["Location"].as_str().expect("a link");
    let link = location.strip_prefix("http://localhost:4573").expect("this server");
    let module = world.send(request("GET", link, "")).await;
    assert_eq!((module.status.as_u16(), &module.body[..]), (200, WASM));
    assert_eq!(module.headers["content-type"], "application/wasm");
    let plain = "/v1/functions/f/code";
    assert_eq!(world.send(signed("GET", plain, String::new(), "millrace")).await.status, 200);
    for bad in [
        plain.to_owned(),
        link.replace("/f/", "/g/"),
        link.replace("%24LATEST", "1"),
        link.replace("expires=", "expires=9"),
        format!("{}0", link),
        link.replace("signature=", "signature=zz"),
    ] {
        assert_eq!(world.send(request("GET", &bad, "")).await.status, 401, "{bad}");
    }
    for bad in [format!("{link}&x=1"), format!("{plain}?expires=1"), format!("{plain}?qualifier=1&qualifier=1")] {
        assert_eq!(world.send(request("GET", &bad, "")).await.status, 400, "{bad}");
    }
    world.clock.advance(std::time::Duration::from_secs(600));
    assert_eq!(world.send(request("GET", link, "")).await.status, 401, "it has ended");
}
