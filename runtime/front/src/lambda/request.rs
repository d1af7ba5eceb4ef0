//! A request as one tree: members of the path, the query, the headers and the body together, so that
//! one table checks them all.

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Map, Value};

use super::Operation;
use crate::error::{ApiError, Code};
use crate::header::single;
use crate::percent::percent_decoded;
use crate::protocol::tree::{tree, twice};

/// Where a member stands that is not in the path or the body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A text of the query.
    Text(&'static str),
    /// A whole number of the query.
    Number(&'static str),
    /// The query's parameters of one name, as a list.
    List(&'static str),
    /// A header.
    Header(&'static str),
}

/// Members that are not in the path or the body, with their places.
pub(super) type Places = &'static [(&'static str, Place)];

/// Puts the tree together: `members` are those of the body.
///
/// # Errors
/// A parameter that is unknown or stands twice, a member in the body that belongs elsewhere.
pub(super) fn collect(
    operation: Operation,
    labels: Vec<(&'static str, String)>,
    parts: &Parts,
    mut members: Map<String, Value>,
) -> Result<Value, ApiError> {
    let places = operation.places();
    let elsewhere = labels.iter().map(|(name, _)| *name).chain(places.iter().map(|(name, _)| *name));
    if let Some(name) = elsewhere.into_iter().find(|name| members.contains_key(*name)) {
        let message = format!("The member {name} belongs in the path, the query or a header, not in the body");
        return Err(ApiError::new(Code::Serialization, message));
    }
    members.extend(labels.into_iter().map(|(name, text)| (name.to_owned(), text.into())));
    query(places, parts.uri.query().unwrap_or_default(), &mut members)?;
    headers(places, &parts.headers, &mut members)?;
    Ok(Value::Object(members))
}

/// Members of a body; an empty one has none.
///
/// # Errors
/// It is no JSON object, or a member stands twice.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match tree(body)? {
        Value::Object(members) => Ok(members),
        _ => Err(ApiError::new(Code::Serialization, "The body is no JSON object")),
    }
}

fn query(places: Places, query: &str, members: &mut Map<String, Value>) -> Result<(), ApiError> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        // In a query a plus is a space.
        let (name, text) = (percent_decoded(name)?, percent_decoded(&text.replace('+', " "))?);
        let found = places.iter().find_map(|(member, place)| match place {
            Place::Text(own) | Place::Number(own) | Place::List(own) if *own == name => Some((*member, *place)),
            _ => None,
        });
        let Some((member, place)) = found else {
            return Err(ApiError::invalid(format!(
                "unknown query parameter {name:.80}: this operation has none of that name"
            )));
        };
        match (place, members.get_mut(member)) {
            (Place::List(_), Some(Value::Array(items))) => items.push(text.into()),
            (Place::List(_), _) => drop(members.insert(member.to_owned(), Value::Array(vec![text.into()]))),
            (_, Some(_)) => return Err(ApiError::new(Code::Serialization, twice(&name))),
            // What is no number stays a text, and is told so by the table.
            (Place::Number(_), None) => {
                let value = text.parse::<i64>().map_or_else(|_| text.into(), Value::from);
                members.insert(member.to_owned(), value);
            }
            (_, None) => drop(members.insert(member.to_owned(), text.into())),
        }
    }
    Ok(())
}

fn headers(places: Places, headers: &HeaderMap, members: &mut Map<String, Value>) -> Result<(), ApiError> {
    for (member, place) in places {
        let Place::Header(name) = place else { continue };
        if let Some(value) = single(headers, &http::HeaderName::from_static(name))? {
            let text = value.to_str().map_err(|_| ApiError::invalid(format!("the header {name} is not text")))?;
            members.insert((*member).to_owned(), text.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn members_come_from_everywhere() {
        let label = || vec![("FunctionName", "f".to_owned())];
        let found = collect(Operation::ListAliases, label(), &parts("/x?Marker=a%20b+c&MaxItems=7", &[]), Map::new());
        assert_eq!(found, Ok(json!({ "FunctionName": "f", "Marker": "a b c", "MaxItems": 7 })));
        let found = collect(
            Operation::UntagResource,
            vec![("Resource", "r".into())],
            &parts("/x?tagKeys=a&tagKeys=b", &[]),
            Map::new(),
        );
        assert_eq!(found, Ok(json!({ "Resource": "r", "TagKeys": ["a", "b"] })));
        let tail = [("x-amz-log-type", "Tail")];
        let found = collect(Operation::Invoke, label(), &parts("/x?Qualifier=live", &tail), Map::new());
        assert_eq!(found, Ok(json!({ "FunctionName": "f", "Qualifier": "live", "LogType": "Tail" })));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let label = || vec![("FunctionName", "f".to_owned())];
        for (uri, headers) in [
            ("/x?Qualifier=1&Qualifier=2", vec![]),
            ("/x?Version=1", vec![]),
            ("/x?Qualifier=%z", vec![]),
            ("/x", vec![("x-amz-log-type", "Tail"), ("x-amz-log-type", "None")]),
            ("/x", vec![("x-amz-log-type", "é")]),
        ] {
            assert!(collect(Operation::Invoke, label(), &parts(uri, &headers), Map::new()).is_err(), "{uri}");
        }
        for body in ["[]", "{", "{}{}", r#"{"FunctionName":"g"}"#, r#"{"Name":1,"Name":2}"#] {
            assert!(
                object(body.as_bytes())
                    .and_then(|body| collect(Operation::CreateAlias, label(), &parts("/x", &[]), body))
                    .is_err(),
                "{body}"
            );
        }
    }
}
