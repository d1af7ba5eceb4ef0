//! Members of a request as tables: type, constraints, and what becomes of each. One table serves
//! the check of a request and the compatibility page, so that they cannot disagree.
//!
//! The check has the service's layers (`reference/firehose.md` section 1): a wrong type is a
//! `SerializationException`; then all broken constraints, unknown members among them, are one
//! `ValidationException`; then what this server does not do is refused by name.

use serde_json::{Map, Value};

use super::patterns::Pattern;
use crate::error::{ApiError, Code};

/// Findings one `ValidationException` names; a hostile request has no long answer.
pub(crate) const FINDINGS_MAX: usize = 10;
/// Characters of a value that a finding quotes.
const QUOTED_CHARS: usize = 256;

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    /// As in the service model.
    pub(crate) name: &'static str,
    /// May not be absent or null.
    pub(crate) required: bool,
    /// Its type and constraints.
    pub(crate) shape: Shape,
    /// What becomes of it.
    pub(crate) outcome: Outcome,
}

/// A type with its constraints.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A string.
    Text {
        /// Length in characters, from and to.
        length: (usize, usize),
        /// Its pattern.
        pattern: Option<&'static Pattern>,
    },
    /// An enumeration.
    Enum {
        /// The service's values, in the order its errors print them.
        values: &'static [&'static str],
        /// Ours besides: taken, but not in the service's error text.
        extensions: &'static [&'static str],
    },
    /// An integer, from and to.
    Integer(i64, i64),
    /// A number, from and to.
    Number(f64, f64),
    /// True or false.
    Boolean,
    /// A structure.
    Structure(&'static [Member]),
    /// A list: its length, from and to, and its items.
    List(usize, usize, &'static Shape),
    /// A map: its names and its values.
    TextMap(&'static Shape, &'static Shape),
    /// Not looked into: the member is refused as a whole.
    Opaque,
}

/// What becomes of a member that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It does what the service documents.
    Honoured,
    /// It is kept and shown again, and has no other effect; the text says why.
    Shown(&'static str),
    /// Only these values are honoured; another is refused with the text.
    Only(&'static [&'static str], &'static str),
    /// It is honoured, but for these values, which are refused with the text.
    Except(&'static [&'static str], &'static str),
    /// It is refused with the text.
    Refused(&'static str),
}

/// How a service words what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Voice {
    /// Firehose: only the path.
    #[default]
    Path,
    /// Lambda: the value as well, but for those of maps, which may be secrets.
    Quoting,
}

/// Checks a request against the table of its operation.
///
/// # Errors
/// As the module says.
pub(crate) fn check(members: &'static [Member], request: &Value) -> Result<(), ApiError> {
    check_as(Voice::Path, members, request)
}

/// The same in a service's words.
///
/// # Errors
/// As the module says.
pub(crate) fn check_as(voice: Voice, members: &'static [Member], request: &Value) -> Result<(), ApiError> {
    let mut findings = Findings { voice, ..Findings::default() };
    findings.structure(members, request, &Path::default());
    if let Some(text) = findings.mistyped {
        return Err(ApiError::new(Code::Serialization, text));
    }
    if !findings.broken.is_empty() {
        return Err(ApiError::validation(&findings.broken));
    }
    Ok(())
}

/// Refuses by name what the table says is not honoured. The request has passed [`check`].
///
/// # Errors
/// `InvalidArgumentException` that names the first such member.
pub(crate) fn refuse_unsupported(members: &'static [Member], request: &Value) -> Result<(), ApiError> {
    refuse(members, request, &Path::default())
}

fn refuse(members: &'static [Member], value: &Value, path: &Path) -> Result<(), ApiError> {
    let Some(object) = value.as_object() else { return Ok(()) };
    for member in members {
        let Some(value) = object.get(member.name).filter(|value| !value.is_null()) else { continue };
        let path = path.member(member.name);
        match member.outcome {
            Outcome::Refused(advice) => {
                return Err(ApiError::invalid(format!("{} is not supported by Millrace: {advice}", path.given)));
            }
            Outcome::Only(values, advice) | Outcome::Except(values, advice) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let is_listed = values.contains(&text.as_str());
                if is_listed != matches!(member.outcome, Outcome::Only(..)) {
                    let given = &path.given;
                    return Err(ApiError::invalid(format!("{given} {text} is not supported by Millrace: {advice}")));
                }
            }
            Outcome::Honoured | Outcome::Shown(_) => {}
        }
        match &member.shape {
            Shape::Structure(inner) => refuse(inner, value, &path)?,
            Shape::List(_, _, Shape::Structure(inner)) => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    refuse(inner, item, &path.item(index))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A path in both spellings.
#[derive(Default, Clone)]
struct Path {
    /// As the client wrote it.
    given: String,
    /// As the service's errors print it: each member begins with a small letter.
    camel: String,
}

impl Path {
    fn member(&self, name: &str) -> Self {
        // A client's own name can be as long as the body.
        let name: String = name.chars().take(80).collect();
        let mut chars = name.chars();
        let small: String = chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect();
        let dot = if self.given.is_empty() { "" } else { "." };
        Self { given: format!("{}{dot}{name}", self.given), camel: format!("{}{dot}{small}", self.camel) }
    }

    fn item(&self, index: usize) -> Self {
        let place = format!(".{}.member", index + 1);
        Self { given: format!("{}{place}", self.given), camel: format!("{}{place}", self.camel) }
    }
}

#[derive(Default)]
struct Findings {
    voice: Voice,
    mistyped: Option<String>,
    broken: Vec<String>,
}

impl Findings {
    fn broken(&mut self, path: &Path, value: &Value, constraint: &str) {
        if self.broken.len() >= FINDINGS_MAX {
            return;
        }
        self.broken.push(match self.voice {
            Voice::Path => finding(&path.camel, constraint),
            Voice::Quoting => quoting(&path.camel, value, constraint),
        });
    }

    fn mistyped(&mut self, value: &Value, wanted: &str) {
        let text = match value {
            Value::Array(_) => "Start of list found where not expected".to_owned(),
            Value::Object(_) => "Start of structure or map found where not expected.".to_owned(),
            Value::Number(_) => format!("NUMBER_VALUE can not be converted to {wanted}"),
            Value::Bool(true) => format!("TRUE_VALUE can not be converted to {wanted}"),
            Value::Bool(false) => format!("FALSE_VALUE can not be converted to {wanted}"),
            Value::String(_) => format!("STRING_VALUE can not be converted to {wanted}"),
            Value::Null => format!("NULL_VALUE can not be converted to {wanted}"),
        };
        self.mistyped.get_or_insert(text);
    }

    fn structure(&mut self, members: &'static [Member], value: &Value, path: &Path) {
        let Some(object) = value.as_object() else { return self.mistyped(value, "a structure") };
        for member in members {
            match object.get(member.name) {
                None | Some(Value::Null) if member.required => {
                    self.broken(&path.member(member.name), &Value::Null, "Member must not be null");
                }
                None | Some(Value::Null) => {}
                Some(value) => self.value(&member.shape, value, &path.member(member.name)),
            }
        }
        self.unknown(members, object, path);
    }

    fn unknown(&mut self, members: &'static [Member], object: &Map<String, Value>, path: &Path) {
        for (name, value) in object {
            if !members.iter().any(|member| member.name == name) {
                self.broken(&path.member(name), value, "Member is not known to this operation");
            }
        }
    }

    fn value(&mut self, shape: &'static Shape, value: &Value, path: &Path) {
        if value.is_null() {
            return self.broken(path, value, "Member must not be null");
        }
        match shape {
            Shape::Text { length, pattern } => match value.as_str() {
                None => self.mistyped(value, "a String"),
                Some(text) => {
                    if let Some(pattern) = pattern.filter(|pattern| !(pattern.holds)(text)) {
                        let constraint = format!("Member must satisfy regular expression pattern: {}", pattern.text);
                        self.broken(path, value, &constraint);
                    }
                    self.length(path, value, text.chars().count(), *length);
                }
            },
            Shape::Enum { values, extensions } => match value.as_str() {
                None => self.mistyped(value, "a String"),
                Some(text) if values.contains(&text) || extensions.contains(&text) => {}
                Some(_) => {
                    let constraint = format!("Member must satisfy enum value set: [{}]", values.join(", "));
                    self.broken(path, value, &constraint);
                }
            },
            Shape::Integer(from, to) => match integer(value) {
                None => self.mistyped(value, "an Integer"),
                Some(number) => self.range(path, value, number, (*from, *to)),
            },
            Shape::Number(from, to) => match value.as_f64() {
                None => self.mistyped(value, "a Double"),
                Some(number) => self.range(path, value, number, (*from, *to)),
            },
            Shape::Boolean if !value.is_boolean() => self.mistyped(value, "a Boolean"),
            Shape::Structure(inner) => self.structure(inner, value, path),
            Shape::List(from, to, item) => match value.as_array() {
                None => self.mistyped(value, "a list"),
                Some(items) => {
                    self.length(path, value, items.len(), (*from, *to));
                    for (index, value) in items.iter().enumerate() {
                        self.value(item, value, &path.item(index));
                    }
                }
            },
            Shape::TextMap(key, item) => match value.as_object() {
                None => self.mistyped(value, "a map"),
                Some(map) => self.map(key, item, map, path),
            },
            Shape::Boolean | Shape::Opaque => {}
        }
    }

    fn map(&mut self, key: &'static Shape, item: &'static Shape, map: &Map<String, Value>, path: &Path) {
        for (name, value) in map {
            let name_value = Value::String(name.clone());
            if self.voice == Voice::Path {
                let path = path.member(name);
                self.value(key, &name_value, &path);
                self.value(item, value, &path);
                continue;
            }
            for (what, shape, value) in [("keys", key, &name_value), ("value", item, value)] {
                let mut inner = Self::default();
                inner.value(shape, value, path);
                self.mistyped = self.mistyped.take().or(inner.mistyped);
                if !inner.broken.is_empty() && self.broken.len() < FINDINGS_MAX {
                    let constraint = format!("Map {what} must satisfy constraint: [{}]", constraints(shape).join(", "));
                    // Texts of maps may be secrets; numbers are not.
                    self.broken.push(match item {
                        Shape::Number(..) => quoting(&path.camel, &braces(map).into(), &constraint),
                        _ => finding(&path.camel, &constraint),
                    });
                }
            }
        }
    }

    fn length(&mut self, path: &Path, value: &Value, length: usize, (from, to): (usize, usize)) {
        if length < from {
            self.broken(path, value, &format!("Member must have length greater than or equal to {from}"));
        }
        if length > to {
            self.broken(path, value, &format!("Member must have length less than or equal to {to}"));
        }
    }

    fn range<N: PartialOrd + std::fmt::Display>(&mut self, path: &Path, value: &Value, number: N, (from, to): (N, N)) {
        if number < from {
            self.broken(path, value, &format!("Member must have value greater than or equal to {from}"));
        } else if number > to {
            self.broken(path, value, &format!("Member must have value less than or equal to {to}"));
        }
    }
}

/// All constraints of a map's keys or values, as Lambda's errors list them.
fn constraints(shape: &Shape) -> Vec<String> {
    let mut all = Vec::new();
    match shape {
        Shape::Text { length: (from, to), pattern } => {
            if *to < usize::MAX {
                all.push(format!("Member must have length less than or equal to {to}"));
                all.push(format!("Member must have length greater than or equal to {from}"));
            }
            all.extend(
                pattern.map(|pattern| format!("Member must satisfy regular expression pattern: {}", pattern.text)),
            );
        }
        Shape::Number(from, to) => {
            all.push(format!("Member must have value less than or equal to {to:?}"));
            all.push(format!("Member must have value greater than or equal to {from:?}"));
        }
        _ => {}
    }
    all.push("Member must not be null".to_owned());
    all
}

/// A map as Java prints it.
fn braces(map: &Map<String, Value>) -> String {
    let pairs: Vec<String> = map.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// One finding in the service's words.
pub(crate) fn finding(camel_path: &str, constraint: &str) -> String {
    format!("Value at '{camel_path}' failed to satisfy constraint: {constraint}")
}

/// The same with the value, as Lambda's errors print it.
pub(crate) fn quoting(camel_path: &str, value: &Value, constraint: &str) -> String {
    let quoted = match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => format!("'{text:.QUOTED_CHARS$}'"),
        other => format!("'{:.QUOTED_CHARS$}'", other.to_string()),
    };
    format!("Value {quoted} at '{camel_path}' failed to satisfy constraint: {constraint}")
}

/// A whole number, also one written as 5.0; a fraction is none.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let number = value.as_f64()?;
    // Beyond 2^53 the double is not the number that was written; saturating is enough for a range check.
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    (number.fract() == 0.0).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::patterns;
    use serde_json::json;

    static INNER: [Member; 1] =
        [Member { name: "Deep", required: true, shape: Shape::Boolean, outcome: Outcome::Only(&["false"], "no") }];
    static TABLE: [Member; 5] = [
        Member {
            name: "Name",
            required: true,
            shape: Shape::Text { length: (1, 4), pattern: Some(&patterns::STREAM_NAME) },
            outcome: Outcome::Honoured,
        },
        Member { name: "Size", required: false, shape: Shape::Integer(1, 9), outcome: Outcome::Honoured },
        Member {
            name: "Kind",
            required: false,
            shape: Shape::Enum { values: &["A", "B"], extensions: &["X"] },
            outcome: Outcome::Honoured,
        },
        Member {
            name: "Parts",
            required: false,
            shape: Shape::List(1, 2, &Shape::Structure(&INNER)),
            outcome: Outcome::Honoured,
        },
        Member { name: "Other", required: false, shape: Shape::Opaque, outcome: Outcome::Refused("use Name") },
    ];

    fn message(request: &Value) -> String {
        check(&TABLE, request).and_then(|()| refuse_unsupported(&TABLE, request)).expect_err("refused").message
    }

    #[test]
    fn constraints_speak_as_the_service_does() {
        let value = |path: &str, what: &str| format!("Value at '{path}' failed to satisfy constraint: Member {what}");
        let one = |path: &str, what: &str| format!("1 validation error detected: {}", value(path, what));
        let table = [
            (json!({}), one("name", "must not be null")),
            (json!({"Name": null}), one("name", "must not be null")),
            (json!({"Name": "a b"}), one("name", "must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")),
            (json!({"Name": "abcde"}), one("name", "must have length less than or equal to 4")),
            (json!({"Name": "a", "Size": 0}), one("size", "must have value greater than or equal to 1")),
            (json!({"Name": "a", "Size": 1e30}), one("size", "must have value less than or equal to 9")),
            (json!({"Name": "a", "Kind": "C"}), one("kind", "must satisfy enum value set: [A, B]")),
            (json!({"Name": "a", "Parts": []}), one("parts", "must have length greater than or equal to 1")),
            (json!({"Name": "a", "Parts": [{}]}), one("parts.1.member.deep", "must not be null")),
            (json!({"Name": "a", "Nmae": 1}), one("nmae", "is not known to this operation")),
            (
                json!({"Name": ""}),
                format!(
                    "2 validation errors detected: {}; {}",
                    value("name", "must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
                    value("name", "must have length greater than or equal to 1")
                ),
            ),
        ];
        for (request, wanted) in table {
            assert_eq!(message(&request), wanted, "{request}");
        }
    }

    #[test]
    fn types_and_unsupported_members() {
        let table = [
            (json!([]), "Start of list found where not expected"),
            (json!({"Name": 1}), "NUMBER_VALUE can not be converted to a String"),
            (json!({"Name": {}}), "Start of structure or map found where not expected."),
            (json!({"Name": "a", "Size": 1.5}), "NUMBER_VALUE can not be converted to an Integer"),
            (json!({"Name": "a", "Other": 1}), "Other is not supported by Millrace: use Name"),
            (
                json!({"Name": "a", "Parts": [{"Deep": false}, {"Deep": true}]}),
                "Parts.2.member.Deep true is not supported by Millrace: no",
            ),
        ];
        for (request, wanted) in table {
            assert_eq!(message(&request), wanted, "{request}");
        }
        let good = json!({"Name": "a", "Size": 5.0, "Kind": "X", "Other": null});
        assert!(check(&TABLE, &good).and_then(|()| refuse_unsupported(&TABLE, &good)).is_ok());
    }

    #[test]
    fn a_hostile_request_has_a_short_answer() {
        let many: Map<String, Value> = (0..1000).map(|i| ("x".repeat(5000) + &i.to_string(), json!(1))).collect();
        assert!(message(&Value::Object(many)).len() < 4000);
    }
}
