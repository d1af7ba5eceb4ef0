//! JSON text rewritten without a tree: white space goes, keys may become lower case, the rest stays.

/// `raw` (a valid JSON value) without white space between its tokens; keys in lower case with `fold_keys`.
pub(super) fn rewrite(raw: &str, fold_keys: bool) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match first {
            '"' => split_string(rest),
            _ => rest.split_at(first.len_utf8()),
        };
        rest = behind;
        if first == '"' && fold_keys && behind.trim_start().starts_with(':') {
            push_key(token, &mut out);
        } else if !matches!(first, ' ' | '\n' | '\r' | '\t') {
            out.push_str(token);
        }
    }
    out
}

/// Behind a backslash stands a letter that means something: those stay as they are.
fn push_key(token: &str, out: &mut String) {
    let mut escaped = false;
    for character in token.chars() {
        if escaped {
            out.push(character);
        } else {
            out.extend(character.to_lowercase());
        }
        escaped = character == '\\' && !escaped;
    }
}

/// Splits behind the closing quote of the string that `text` begins with.
fn split_string(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|tail| memchr::memchr2(b'"', b'\\', tail)) {
        at += found;
        if bytes[at] == b'"' {
            return text.split_at(at + 1);
        }
        at += 2;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(serde_json::Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
                prop::collection::vec((".{0,6}", inner), 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_white_space_goes(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(rewrite(&pretty, false), serde_json::to_string(&value).unwrap());
        }

        #[test]
        fn folded_text_is_still_json(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let folded: serde_json::Value = serde_json::from_str(&rewrite(&pretty, true)).unwrap();
            prop_assert_eq!(folded.is_object(), value.is_object());
        }
    }

    #[test]
    fn keys_are_folded_and_values_are_not() {
        assert_eq!(rewrite(r#"{ "A\"B\N" :"C : D", "É":[ "F" ] }"#, true), r#"{"a\"b\N":"C : D","é":["F"]}"#);
        assert_eq!(rewrite("\"open", true), "\"open");
    }
}
