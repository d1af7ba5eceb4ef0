//! The Lambda API on the wire: each refusal with its type, status and words.

use std::io::{Cursor, Write as _};

use millrace_auth::Policy;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::fake::{Answer, World, world};
use super::lambda::{ARN, FUNCTIONS, WASM, base64, call, new_function, request, with_function};
use crate::lambda::backend_error::{LambdaError, ThrottleReason};

pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(bytes).expect("memory takes it");
    }
    zip.finish().expect("a zip").into_inner()
}

fn kind(answer: &Answer) -> (u16, &str, String) {
    let body = answer.json();
    let message = body.get("message").or_else(|| body.get("Message")).and_then(Value::as_str).expect("a message");
    assert_eq!(body["Type"], if answer.status.is_server_error() { "Service" } else { "User" });
    let kind = answer.headers["x-amzn-errortype"].to_str().expect("text");
    (answer.status.as_u16(), kind, message.to_owned())
}

async fn refused(world: &World, method: &str, path: &str, body: &Value, wanted: (u16, &str, &str)) {
    let answer = call(world, method, path, body).await;
    let (status, found, message) = kind(&answer);
    assert_eq!((status, found), (wanted.0, wanted.1), "{method} {path} {body}: {message}");
    assert!(message.contains(wanted.2), "{method} {path} {body}: {message}");
}

const INVALID: &str = "InvalidParameterValueException";
const NAME_PATTERN: &str = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?";

#[tokio::test]
async fn constraints_have_the_services_words() {
    let world = world(Policy::Dev);
    let mut body = new_function("a b");
    let wanted = format!(
        "1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: {NAME_PATTERN}"
    );
    refused(&world, "POST", FUNCTIONS, &body, (400, "ValidationException", &wanted)).await;
    body = json!({ "FunctionName": "f", "Role": "r", "Timeout": 0 });
    let wanted = "3 validation errors detected: Value 'r' at 'role' failed to satisfy constraint: Member must satisfy \
                  regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+; Value \
                  null at 'code' failed to satisfy constraint: Member must not be null; Value '0' at 'timeout' failed \
                  to satisfy constraint: Member must have value greater than or equal to 1";
    refused(&world, "POST", FUNCTIONS, &body, (400, "ValidationException", wanted)).await;
    body = new_function("f");
    body["Environment"] = json!({ "Variables": { "1a": "secret" } });
    let wanted = "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys \
                  must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, \
                  Member must not be null]";
    refused(&world, "POST", FUNCTIONS, &body, (400, "ValidationException", wanted)).await;
    body = new_function(&"x".repeat(65));
    let wanted = "at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64";
    refused(&world, "POST", FUNCTIONS, &body, (400, "ValidationException", wanted)).await;
    let wanted =
        "Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1";
    refused(&world, "GET", &format!("{FUNCTIONS}?MaxItems=0"), &Value::Null, (400, "ValidationException", wanted))
        .await;
    for (body, wanted) in [
        (json!([]), "no JSON object"),
        (json!({ "FunctionName": 1 }), "NUMBER_VALUE can not be converted to a String"),
        (json!({ "FunctionName": "f", "Code": "x" }), "STRING_VALUE can not be converted to a structure"),
    ] {
        refused(&world, "POST", FUNCTIONS, &body, (400, "SerializationException", wanted)).await;
    }
    refused(
        &world,
        "GET",
        &format!("{FUNCTIONS}?MaxItems=x"),
        &Value::Null,
        (400, "SerializationException", "an Integer"),
    )
    .await;
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_its_name() {
    let world = world(Policy::Dev);
    for (member, value, wanted) in [
        ("Runtime", json!("python3.12"), "run `millrace new NAME -t python --kind handler`"),
        ("Runtime", json!("nodejs22.x"), "`millrace new NAME -t javascript --kind handler`"),
        ("Runtime", json!("java21"), "rewrite it in Rust, Python, JavaScript, Go or C"),
        ("Runtime", json!(null), "Runtime and Handler are mandatory parameters"),
        ("Handler", json!("app.handler"), "Handler app.handler is not supported by Millrace: it names the world"),
        ("MemorySize", json!(2048), "MemorySize 2048 is not supported by Millrace: an instance has at most 1024 MB"),
        ("Timeout", json!(901), "Timeout 901 is not supported by Millrace: an invocation has at most 900 s"),
        ("PackageType", json!("Image"), "PackageType Image is not supported"),
        ("Architectures", json!(["arm64"]), "Architectures [\"arm64\"] is not supported"),
        ("VpcConfig", json!({ "SubnetIds": ["subnet-1"] }), "VpcConfig.SubnetIds [\"subnet-1\"] is not supported"),
        ("Layers", json!(["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]), "Layers ["),
        ("FileSystemConfigs", json!([{}]), "FileSystemConfigs [{}] is not supported"),
        ("ImageConfig", json!({}), "ImageConfig is not supported"),
        ("DeadLetterConfig", json!({ "TargetArn": "arn:aws:sqs:us-east-1:000000000000:q" }), "OnFailure"),
        ("SnapStart", json!({ "ApplyOn": "PublishedVersions" }), "SnapStart.ApplyOn PublishedVersions is not"),
        ("KMSKeyArn", json!("arn:aws:kms:us-east-1:000000000000:key/k"), "KMSKeyArn arn:aws:kms"),
        ("CodeSigningConfigArn", json!("x"), "CodeSigningConfigArn is not supported"),
        ("TracingConfig", json!({ "Mode": "Active" }), "TracingConfig.Mode Active is not supported"),
        ("EphemeralStorage", json!({ "Size": 1024 }), "EphemeralStorage.Size 1024 is not supported"),
        ("LoggingConfig", json!({ "LogFormat": "JSON" }), "LoggingConfig.LogFormat JSON is not supported"),
        ("DurableConfig", json!({}), "DurableConfig is not supported"),
        ("Code", json!({ "ImageUri": "x" }), "Code.ImageUri is not supported"),
        ("Code", json!({ "S3ObjectVersion": "x" }), "Code.S3ObjectVersion is not supported"),
        ("Code", json!({ "S3Bucket": "bbb" }), "S3Bucket and S3Key stand together"),
        ("Code", json!({}), "Please provide a source for function code."),
        ("Code", json!({ "ZipFile": "", "S3Key": "k" }), "Please do not provide other FunctionCode parameters"),
        ("Environment", json!({ "Variables": { "Aa": "x".repeat(4096) } }), "exceeded the 4KB limit"),
        (
            "Environment",
            json!({ "Variables": { "LAMBDA_TASK_ROOT": "/", "Aa": "b", "AWS_REGION": "eu-west-1" } }),
            "contains reserved keys that are currently not supported for modification. Reserved keys used in this \
             request: AWS_REGION, LAMBDA_TASK_ROOT",
        ),
        ("FunctionName", json!("f:1"), "CreateFunction works on the whole function f: leave the qualifier 1 out"),
    ] {
        let mut body = new_function("f");
        body[member] = value;
        refused(&world, "POST", FUNCTIONS, &body, (400, INVALID, wanted)).await;
    }
    let mut tags = new_function("f");
    tags["Tags"] = (0..51).map(|i| (format!("k{i}"), json!(""))).collect::<serde_json::Map<_, _>>().into();
    refused(&world, "POST", FUNCTIONS, &tags, (400, INVALID, "Number of tags exceeds resource tag limit")).await;
    for (method, path, name) in [
        ("POST", "/2015-03-31/functions/f/policy", "AddPermission: whoever has an access key"),
        ("GET", "/2015-03-31/event-source-mappings/", "ListEventSourceMappings: name the function in"),
        ("POST", "/2021-10-31/functions/f/url", "CreateFunctionUrlConfig: call Invoke"),
        ("GET", "/2018-10-31/layers", "ListLayers: a function is one module"),
        ("GET", "/2019-09-30/functions/f/provisioned-concurrency?List=ALL", "ListProvisionedConcurrencyConfigs"),
        ("GET", "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1", "GetProvisionedConcurrencyConfig"),
    ] {
        refused(&world, method, path, &Value::Null, (400, INVALID, name)).await;
    }
    let path = "/2014-11-13/functions/f/invoke-async";
    refused(&world, "POST", path, &json!({}), (400, "InvalidRequestContentException", "InvokeAsync")).await;
    refused(&world, "GET", "/2015-03-31/nothing", &Value::Null, (404, "UnknownOperationException", "no operation GET"))
        .await;
}

#[tokio::test]
async fn packages_that_are_none_are_refused() {
    let world = world(Policy::Dev);
    let bomb = zip(&[("f.wasm", &[WASM, &vec![0; 8 << 20]].concat())]);
    let many: Vec<(String, &[u8])> = (0..300).map(|i| (format!("d/{i}.wasm"), WASM)).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let cut = zip(&[("f.wasm", WASM)]);
    for (package, wanted) in [
        (b"hello".to_vec(), "it is neither a zip nor a WebAssembly module"),
        (zip(&[]), "it holds no .wasm"),
        (zip(&[("a.py", b"x")]), "it holds a.py besides a module"),
        (zip(&[("f.wasm", WASM), ("README", b"x")]), "it holds README besides a module"),
        (zip(&[("a.wasm", WASM), ("b.wasm", WASM)]), "it holds two modules, a.wasm and b.wasm"),
        (zip(&[("../f.wasm", WASM)]), "../f.wasm is a path that leads out of the package"),
        (zip(&[("/f.wasm", WASM)]), "/f.wasm is a path that leads out"),
        (zip(&[("a\\..\\f.wasm", WASM)]), "is a path that leads out"),
        (zip(&[("f.wasm", b"text")]), "f.wasm is no WebAssembly module"),
        (zip(&many), "it has more than 256 entries"),
        (bomb, "f.wasm grows more than 100-fold"),
        (cut[..cut.len() - 30].to_vec(), "Could not unzip uploaded file"),
        (cut[..40].to_vec(), "Could not unzip uploaded file"),
    ] {
        let mut body = new_function("f");
        body["Code"]["ZipFile"] = base64(&package).into();
        refused(&world, "POST", FUNCTIONS, &body, (400, INVALID, wanted)).await;
    }
    let mut body = new_function("f");
    body["Code"]["ZipFile"] = "?".into();
    refused(&world, "POST", FUNCTIONS, &body, (400, "SerializationException", "not valid base64")).await;
    body["Code"]["ZipFile"] = "".into();
    refused(&world, "POST", FUNCTIONS, &body, (400, INVALID, "non-empty zip")).await;
    body["Code"] = json!({ "S3Bucket": "bbb", "S3Key": "k" });
    refused(&world, "POST", FUNCTIONS, &body, (400, INVALID, "The specified key does not exist.")).await;
    body["Code"] = json!({ "ZipFile": base64(&zip(&[("in/a/folder/f.wasm", WASM)])) });
    assert_eq!(call(&world, "POST", FUNCTIONS, &body).await.status, 201, "a folder is no matter");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_already() {
    let world = with_function().await;
    let get = async |path: &str, wanted: &str| {
        let answer = call(&world, "GET", path, &Value::Null).await;
        assert_eq!(kind(&answer), (404, "ResourceNotFoundException", wanted.to_owned()), "{path}");
        assert!(answer.json().get("Message").is_some(), "the model spells it with a capital");
    };
    let none = format!("{ARN}none");
    get(&format!("{FUNCTIONS}/none"), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none").await;
    get(&format!("{FUNCTIONS}/f?Qualifier=7"), &format!("Function not found: {ARN}:7")).await;
    get(&format!("{FUNCTIONS}/f?Qualifier=live"), &format!("Function not found: {ARN}:live")).await;
    get(&format!("{FUNCTIONS}/f/aliases/live"), &format!("Cannot find alias arn: {ARN}:live")).await;
    get(&format!("/2017-03-31/tags/{none}"), &format!("Function not found: {none}")).await;
    get(
        &format!("{FUNCTIONS}/{}", ARN.replace("us-east-1", "eu-west-1")),
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )
    .await;
    let conflict = "ResourceConflictException";
    refused(&world, "POST", FUNCTIONS, &new_function("f"), (409, conflict, "Function already exist: f")).await;
    let aliases = format!("{FUNCTIONS}/f/aliases");
    let alias = |version: &str, weights: Value| json!({ "Name": "live", "FunctionVersion": version, "RoutingConfig": { "AdditionalVersionWeights": weights } });
    for (body, status, kind, wanted) in [
        (alias("9", json!({})), 404, "ResourceNotFoundException", format!("Function not found: {ARN}:9")),
        (alias("01", json!({})), 404, "ResourceNotFoundException", format!("Function not found: {ARN}:01")),
        (alias("$LATEST", json!({})), 400, INVALID, "FunctionVersion $LATEST is not supported by Millrace".into()),
        (alias("1", json!({ "1": 0.5 })), 400, INVALID, "Function version 1 is already included in routing".into()),
        (alias("1", json!({ "2": 0.5, "3": 0.1 })), 400, INVALID, "cannot be greater than 1".into()),
        (
            alias("1", json!({ "2": 1.5 })),
            400,
            "ValidationException",
            "Value '{2=1.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map value must \
             satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater \
             than or equal to 0.0, Member must not be null]"
                .into(),
        ),
        (json!({ "Name": "7", "FunctionVersion": "1" }), 400, "ValidationException", "(?!^[0-9]+$)".into()),
    ] {
        refused(&world, "POST", &aliases, &body, (status, kind, &wanted)).await;
    }
    assert_eq!(call(&world, "POST", &format!("{FUNCTIONS}/f/versions"), &json!({})).await.status, 201);
    assert_eq!(call(&world, "POST", &aliases, &alias("1", json!({}))).await.status, 201);
    let wanted = format!("Alias already exists: {ARN}:live");
    refused(&world, "POST", &aliases, &alias("1", json!({})), (409, conflict, &wanted)).await;
    let wanted = "publish one with PublishVersion first";
    let to_latest = json!({ "FunctionVersion": "$LATEST" });
    refused(&world, "PUT", &format!("{aliases}/live"), &to_latest, (400, INVALID, wanted)).await;
    let wanted = "The derived qualifier from the function name does not match the specified qualifier.";
    refused(&world, "GET", &format!("{FUNCTIONS}/f:1?Qualifier=2"), &Value::Null, (400, INVALID, wanted)).await;
    let wanted = "$LATEST version cannot be deleted without deleting the function.";
    refused(&world, "DELETE", &format!("{FUNCTIONS}/f?Qualifier=$LATEST"), &Value::Null, (400, INVALID, wanted)).await;
    let tags = format!("/2017-03-31/tags/{ARN}:live");
    refused(&world, "GET", &tags, &Value::Null, (400, INVALID, "Tags on function aliases and versions")).await;
    let body = json!({ "DestinationConfig": { "OnSuccess": { "Destination": "arn:aws:s3:::b" } } });
    let path = "/2019-09-25/functions/f/event-invoke-config";
    refused(&world, "PUT", path, &body, (400, INVALID, "DestinationConfig.OnSuccess.Destination")).await;
    let body = json!({ "CodeSha256": base64(&[0; 32]) });
    refused(&world, "POST", &format!("{FUNCTIONS}/f/versions"), &body, (400, INVALID, "different from current")).await;
    refused(
        &world,
        "POST",
        &format!("{FUNCTIONS}/f/versions"),
        &json!({ "CodeSha256": "x" }),
        (400, INVALID, "32 bytes"),
    )
    .await;
}

#[tokio::test]
async fn invocations_that_are_none() {
    let world = with_function().await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let content = "InvalidRequestContentException";
    for (header, value, body, wanted) in [
        ("x-y", "", "{", (400, content, "Could not parse request body into json: ")),
        (
            "x-amz-client-context",
            "e30",
            "{}",
            (400, content, "Client context must be a valid Base64-encoded JSON object."),
        ),
        ("x-amz-client-context", "W10=", "{}", (400, content, "Client context must be a valid Base64")),
        ("x-amz-invocation-type", "Now", "{}", (400, "ValidationException", "[Event, RequestResponse, DryRun]")),
        ("x-amz-tenant-id", "t", "{}", (400, INVALID, "TenantId is not supported")),
        ("content-encoding", "gzip", "{}", (415, "UnsupportedMediaTypeException", "gzip")),
    ] {
        let mut request = request("POST", &path, body);
        request.headers_mut().insert(header, value.parse().expect("a value"));
        let answer = world.send(request).await;
        let found = kind(&answer);
        assert_eq!((found.0, found.1), (wanted.0, wanted.1), "{}", found.2);
        assert!(found.2.contains(wanted.2), "{}", found.2);
    }
    for (kind_of, bytes) in [("RequestResponse", 6_291_456), ("Event", 1_048_576)] {
        let mut request = request("POST", &path, vec![b' '; bytes + 1]);
        request.headers_mut().insert("x-amz-invocation-type", kind_of.parse().expect("a value"));
        let answer = world.send(request).await;
        let wanted = format!("Request must be smaller than {bytes} bytes for the InvokeFunction operation");
        assert_eq!(kind(&answer), (413, "RequestTooLargeException", wanted));
    }
    let conflict = "ResourceConflictException";
    let unavailable = LambdaError::Unavailable { slug: "front.busy", message: "Busy".into() };
    for (trouble, status, wanted, words) in [
        (LambdaError::Pending, 409, conflict, "in the following state: Pending"),
        (LambdaError::Failed("no export".into()), 409, conflict, "Failed: no export"),
        (LambdaError::UpdateInProgress, 409, conflict, "An update is in progress for resource: arn:aws:lambda"),
        (LambdaError::Conflict("no".into()), 409, conflict, "no"),
        (LambdaError::TooManyRequests(ThrottleReason::Reserved), 429, "TooManyRequestsException", "Rate Exceeded."),
        (LambdaError::TooLarge("long".into()), 413, "RequestTooLargeException", "long"),
        (LambdaError::CodeStorageExceeded("full".into()), 400, "CodeStorageExceededException", "full"),
        (LambdaError::AliasLimit("full".into()), 400, "AliasLimitExceededException", "full"),
        (unavailable, 503, "ServiceUnavailableException", "Busy (front.busy)"),
        (LambdaError::Internal("bug".into()), 500, "ServiceException", "bug"),
    ] {
        let reason = trouble == LambdaError::TooManyRequests(ThrottleReason::Reserved);
        *world.functions.trouble.lock() = Some(trouble);
        let answer = world.send(request("POST", &path, "{}")).await;
        let found = kind(&answer);
        assert_eq!((found.0, found.1, found.2.contains(words)), (status, wanted, true), "{}", found.2);
        let shown = answer.json().get("Reason").cloned();
        assert_eq!(shown, reason.then(|| json!("ReservedFunctionConcurrentInvocationLimitExceeded")));
    }
}
