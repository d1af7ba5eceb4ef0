//! The Lambda API under random requests: no panic, no 5xx, every refusal whole.

use millrace_auth::Policy;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fake::world;
use super::lambda::{ARN, FUNCTIONS, call, new_function, request};
use crate::protocol::shape::{Member, Shape};

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "f", "g", "live", "1", "2", "$LATEST", "$LATEST.PUBLISHED", "f:1", "f:live", ARN, "", "ALL", "provided.al2023",
            "python3.12", "handler", "transform", "arn:aws:iam::123456789012:role/r", "x86_64", "Text", "None", "AGFzbQEAAAA=",
            "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==", "0", "01", "99999999999", "arn:aws:s3:::b", "Event", "Tail", "e30=",
        ]).prop_map(str::to_owned),
        1 => ".{0,8}",
        1 => "[a-zA-Z0-9:_-]{1,80}",
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![-1_i64, 0, 1, 3, 60, 128, 512, 1024, i64::MAX]).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        words().prop_map(Value::from),
    ]
}

/// A value that often fits the shape.
fn fitting(shape: &'static Shape) -> BoxedStrategy<Value> {
    let good = match shape {
        Shape::Text { .. } => words().prop_map(Value::from).boxed(),
        Shape::Enum { values, .. } => prop::sample::select(values.to_vec()).prop_map(Value::from).boxed(),
        Shape::Integer(from, to) => {
            let near = vec![*from, *to, from.saturating_sub(1), from.saturating_add(1)];
            prop::sample::select(near).prop_map(Value::from).boxed()
        }
        Shape::Number(from, to) => prop::sample::select(vec![*from, *to, 0.5]).prop_map(|n| json!(n)).boxed(),
        Shape::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Structure(members) => structure(members),
        Shape::List(_, _, item) => prop::collection::vec(fitting(item), 0..3).prop_map(Value::from).boxed(),
        Shape::TextMap(_, item) => prop::collection::vec((words(), fitting(item)), 0..3)
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
            .boxed(),
        Shape::Opaque => leaf().boxed(),
    };
    prop_oneof![8 => good, 1 => leaf()].boxed()
}

fn structure(members: &'static [Member]) -> BoxedStrategy<Value> {
    let member = |member: &'static Member| {
        let chance = if member.required { 0.95 } else { 0.15 };
        prop::option::weighted(chance, fitting(&member.shape)).prop_map(move |value| (member.name.to_owned(), value))
    };
    let members: Vec<_> = members.iter().map(member).collect();
    members
        .prop_map(|pairs| Value::Object(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()))
        .boxed()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Puts the members of a request where the operation wants them.
fn placed(nth: usize, members: &Value, wild: &str) -> (&'static str, String, String) {
    let routes = crate::lambda::routes();
    let (method, template, operation) = routes[nth % routes.len()];
    let mut body = members.as_object().cloned().unwrap_or_default();
    let mut text = |name: &str| match body.remove(name) {
        Some(Value::String(text)) => encoded(&text),
        Some(other) => encoded(&other.to_string()),
        None => encoded(wild),
    };
    let mut path = String::new();
    for segment in template.split('/') {
        path.push('/');
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(label) => path.push_str(&text(label)),
            None => path.push_str(segment),
        }
    }
    let mut query = Vec::new();
    for (wire, member) in
        [("Qualifier", "Qualifier"), ("Marker", "Marker"), ("MaxItems", "MaxItems"), ("tagKeys", "TagKeys")]
    {
        if method != "PUT" && operation.members().iter().any(|own| own.name == member) {
            query.push(format!("{wire}={}", text(member)));
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    (method, path, Value::Object(body).to_string())
}

fn requests() -> impl Strategy<Value = (&'static str, String, String)> {
    let count = crate::lambda::routes().len();
    let fitted = (0..count).prop_flat_map(|nth| {
        let members = structure(crate::lambda::routes()[nth].2.members());
        (Just(nth), members, words()).prop_map(|(nth, members, wild)| placed(nth, &members, &wild))
    });
    let methods = prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH"]);
    let segments = prop::collection::vec(words(), 0..5);
    let wild = (methods, segments, leaf(), ".{0,10}").prop_map(|(method, segments, body, query)| {
        let path: Vec<String> = segments.iter().map(|segment| encoded(segment)).collect();
        (method, format!("/2015-03-31/functions/{}?{}", path.join("/"), encoded(&query)), body.to_string())
    });
    prop_oneof![4 => fitted, 1 => wild]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_requests_are_answered_whole(requests in prop::collection::vec(requests(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let world = world(Policy::Dev);
            call(&world, "POST", FUNCTIONS, &new_function("f")).await;
            for (method, path, body) in requests {
                let answer = world.send(request(method, &path, body.clone())).await;
                assert!(answer.status.as_u16() < 500, "{method} {path} {body}: {}", answer.text());
                if answer.status.is_client_error() {
                    let kind = answer.headers["x-amzn-errortype"].to_str().expect("text");
                    assert!(kind.ends_with("Exception"), "{kind}");
                    assert_eq!(answer.json()["Type"], "User");
                    assert!(answer.body.len() < 16 * 1024, "a hostile request has a short answer");
                } else if !answer.body.is_empty() {
                    let _whole: Value = answer.json();
                }
            }
        });
    }
}
