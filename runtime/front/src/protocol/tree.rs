//! A JSON body as a tree in which no member stands twice: of two, one would be dropped unseen, and
//! which one differs between readers.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{ApiError, Code};

/// Letters of a member's name that an error shows.
const NAME_CHARS_SHOWN: usize = 80;

/// Reads `body`.
///
/// # Errors
/// `SerializationException`: no JSON, nested deeper than serde_json goes, or a member twice.
pub(crate) fn tree(body: &[u8]) -> Result<Value, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Tree.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    read.map_err(|error| ApiError::new(Code::Serialization, error.to_string()))
}

/// What a member that stands twice is told.
pub(crate) fn twice(name: &str) -> String {
    let name: String = name.chars().take(NAME_CHARS_SHOWN).collect();
    format!("The member {name} is given twice in one object")
}

struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Tree)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(twice(&name)));
            }
            members.insert(name, map.next_value_seed(Tree)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_that_stands_twice_is_named() {
        for (body, name) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"a":null,"b":2,"a":1}"#, "a"),
            (r#"{"x":[{"y":{"Limit":1,"Limi\u0074":2}}]}"#, "Limit"),
        ] {
            let error = tree(body.as_bytes()).expect_err(body);
            assert_eq!(error.code, Code::Serialization);
            assert!(error.message.starts_with(&format!("The member {name} is given twice in one object")), "{error}");
        }
        assert!(tree(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
        let long = format!(r#"{{"{0}":1,"{0}":1}}"#, "x".repeat(100_000));
        assert!(tree(long.as_bytes()).expect_err("twice").message.len() < 300);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for wrong in ["", "{", "{}x", deep.as_str(), "\"\\ud800\""] {
            assert_eq!(tree(wrong.as_bytes()).expect_err("refused").code, Code::Serialization);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((".*", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_else_is_read_as_serde_json_reads_it(value in json()) {
            let text = value.to_string();
            let wanted: Value = serde_json::from_str(&text).expect("own text");
            prop_assert_eq!(tree(text.as_bytes()).expect("own text"), wanted);
        }
    }
}
