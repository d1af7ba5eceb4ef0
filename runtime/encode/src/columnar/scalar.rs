//! One JSON value into one value of a column: what each dialect takes, and what it says when it does not.

use std::borrow::Cow;

use base64_simd::STANDARD;

use super::rules::{Dialect, Misfit, NestedText, Rules};
use super::{decimal, text, timestamp};

/// Characters of a value that a message quotes.
const QUOTED_CHARS_MAX: usize = 100;

/// A JSON value, by its first character; lists and objects as their JSON text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    List(&'a str),
    Object(&'a str),
}

impl<'a> Token<'a> {
    /// `raw` is one JSON value without white space around it: serde_json has read it.
    pub(super) fn of(raw: &'a str) -> Result<Self, Misfit> {
        Ok(match raw.as_bytes() {
            [b'"', inner @ .., b'"'] => {
                if memchr::memchr(b'\\', inner).is_none() {
                    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                    Self::Text(Cow::Borrowed(inner.unwrap_or_default()))
                } else {
                    // serde_json skips an escaped half of a surrogate pair without a word; here it is met.
                    let text = serde_json::from_str(raw).map_err(|error| Misfit::from_json(&error))?;
                    Self::Text(Cow::Owned(text))
                }
            }
            [b'{', ..] => Self::Object(raw),
            [b'[', ..] => Self::List(raw),
            b"null" => Self::Null,
            b"true" => Self::Boolean(true),
            b"false" => Self::Boolean(false),
            _ => Self::Number(raw),
        })
    }

    /// Strictly read, an object without keys says nothing either.
    pub(super) fn is_null(&self, dialect: Dialect) -> bool {
        match self {
            Self::Null => true,
            Self::Object(raw) if dialect == Dialect::Strict => is_empty_object(raw),
            _ => false,
        }
    }

    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "a null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// AWS's words for a value that is no object.
    pub(super) fn as_no_object(&self) -> String {
        let (class, value): (_, Cow<'_, str>) = match self {
            Self::Text(text) => ("String", Cow::Borrowed(text)),
            Self::Number(number) => ("Number", Cow::Borrowed(number)),
            Self::Boolean(value) => ("Boolean", Cow::Owned(value.to_string())),
            other => return format!("{} where an object is expected", other.kind()),
        };
        let value: String = value.chars().take(QUOTED_CHARS_MAX).collect();
        format!("Data is not JSONObject  but java.lang.{class} with value {value}")
    }
}

/// True for `{}`, with or without white space inside.
pub(super) fn is_empty_object(raw: &str) -> bool {
    raw.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inside| inside.trim().is_empty())
}

fn refused(token: &Token<'_>, wanted: &str) -> Misfit {
    Misfit::malformed(format!("{} where {wanted} is expected", token.kind()))
}

/// A number's text; from a text too where the dialect converts.
fn number<'t>(token: &'t Token<'_>, rules: &Rules, wanted: &str) -> Result<&'t str, Misfit> {
    match token {
        Token::Number(number) => Ok(number),
        Token::Text(text) if rules.dialect == Dialect::OpenX => Ok(text.trim()),
        Token::Text(_) if rules.dialect == Dialect::Hive => {
            Err(Misfit::malformed("Current token (VALUE_STRING) not numeric"))
        }
        other => Err(refused(other, wanted)),
    }
}

fn unfit(text: &str, wanted: &str) -> Misfit {
    let text: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    Misfit::malformed(format!("{text} is not {wanted}"))
}

/// A whole number of `bits` bits. `1.0` and `1e3` are whole, `1.5` is refused: nothing is cut off.
pub(super) fn integer(token: &Token<'_>, bits: u32, rules: &Rules) -> Result<i64, Misfit> {
    let text = number(token, rules, "a whole number")?;
    let value = text.parse::<i64>().ok().or_else(|| whole(text));
    let limit = 1i128 << (bits - 1);
    value
        .filter(|value| (-limit..limit).contains(&i128::from(*value)))
        .ok_or_else(|| unfit(text, &format!("a whole number of {bits} bits")))
}

/// The whole number that a text with a point or an exponent stands for, below 2^53.
fn whole(text: &str) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let value = text.parse::<f64>().ok()?;
    (value.fract() == 0.0 && value.abs() < EXACT_MAX).then_some(value as i64)
}

/// A double.
pub(super) fn float64(token: &Token<'_>, rules: &Rules) -> Result<f64, Misfit> {
    let text = number(token, rules, "a number")?;
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() || matches!(token, Token::Text(_)));
    value.ok_or_else(|| unfit(text, "a number of double precision"))
}

/// A float.
pub(super) fn float32(token: &Token<'_>, rules: &Rules) -> Result<f32, Misfit> {
    let text = number(token, rules, "a number")?;
    let value = text.parse::<f32>().ok().filter(|value| value.is_finite() || matches!(token, Token::Text(_)));
    value.ok_or_else(|| unfit(text, "a number of single precision"))
}

/// A decimal; digits behind the scale are rounded, too many before it are refused.
pub(super) fn decimal(token: &Token<'_>, precision: u8, scale: i8, rules: &Rules) -> Result<i128, Misfit> {
    let text = number(token, rules, "a number")?;
    decimal::parse(text, precision, scale).ok_or_else(|| unfit(text, &format!("a decimal({precision},{scale})")))
}

/// A boolean; from the texts `true` and `false` too where the dialect converts.
pub(super) fn boolean(token: &Token<'_>, rules: &Rules) -> Result<bool, Misfit> {
    match token {
        Token::Boolean(value) => Ok(*value),
        Token::Text(text) if rules.dialect != Dialect::Strict && text.eq_ignore_ascii_case("true") => Ok(true),
        Token::Text(text) if rules.dialect != Dialect::Strict && text.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(refused(other, "a boolean")),
    }
}

/// Hands a text to `put`; other values become their JSON text where the dialect converts.
pub(super) fn text(token: &Token<'_>, rules: &Rules, put: impl FnOnce(&str)) -> Result<(), Misfit> {
    match token {
        Token::Text(text) => put(text),
        other if rules.dialect == Dialect::Strict => return Err(refused(other, "a text")),
        Token::Number(number) => put(number),
        Token::Boolean(value) => put(if *value { "true" } else { "false" }),
        Token::Null => put("null"),
        Token::List(raw) | Token::Object(raw) => match rules.nested_text {
            NestedText::Exact => put(raw),
            NestedText::Rewritten(fold_case) => put(&text::rewrite(raw, fold_case)),
            NestedText::Refused => return Err(refused(token, "a text")),
        },
    }
    Ok(())
}

/// Bytes, from base64.
pub(super) fn binary(token: &Token<'_>) -> Result<Vec<u8>, Misfit> {
    match token {
        Token::Text(text) => {
            STANDARD.decode_to_vec(text.as_bytes()).map_err(|_| Misfit::malformed("the text is no base64"))
        }
        other => Err(refused(other, "the base64 of bytes")),
    }
}

/// Days since the Unix epoch, from `yyyy-M-d`.
pub(super) fn date(token: &Token<'_>) -> Result<i32, Misfit> {
    match token {
        Token::Text(text) => timestamp::day(text).ok_or_else(|| unfit(text, "a date (yyyy-M-d)")),
        other => Err(refused(other, "a date")),
    }
}

/// Microseconds since the Unix epoch, UTC.
pub(super) fn timestamp_us(token: &Token<'_>, rules: &Rules) -> Result<i64, Misfit> {
    let (parsed, text) = match (token, rules.dialect) {
        (Token::Number(number), Dialect::OpenX) => (timestamp::seconds_or_millis(number), *number),
        (Token::Text(text), Dialect::OpenX) => (timestamp::open_x(text), text.as_ref()),
        (Token::Number(text), _) => (timestamp::by_formats(text, &rules.timestamp_formats), *text),
        (Token::Text(text), _) => (timestamp::by_formats(text, &rules.timestamp_formats), text.as_ref()),
        _ => return Err(refused(token, "a timestamp")),
    };
    parsed.ok_or_else(|| unfit(text, "a timestamp"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columnar::{Deserializer, SchemaSource, Table};
    use std::sync::Arc;

    fn rules(hive: bool) -> Rules {
        let deserializer = if hive {
            Deserializer::Hive { timestamp_formats: vec!["millis".into()] }
        } else {
            Deserializer::OpenX { dots_to_underscores: false, case_insensitive: true, mappings: Default::default() }
        };
        let table = Table::parse("d", "t", br#"[{"name":"a","type":"int"}]"#).unwrap();
        Rules::new(&deserializer, &SchemaSource::Table(Arc::new(table))).unwrap()
    }

    fn token(raw: &str) -> Token<'_> {
        Token::of(raw).unwrap()
    }

    #[test]
    fn no_exponent_makes_a_decimal_panic() {
        let rules = rules(false);
        for raw in ["1e9999999", "1e-9999999", "1e77", "99999999999e76", "123456789e-76", "1e2147483648", "1e400"] {
            drop(decimal(&token(raw), 38, 10, &rules));
        }
        assert!(decimal(&token("1e9999999"), 38, 10, &rules).is_err());
        assert_eq!(decimal(&token("1.5e1"), 38, 1, &rules).ok(), Some(150));
    }

    #[test]
    fn whole_numbers_lose_nothing() {
        let rules = rules(false);
        let int = |raw: &str, bits| integer(&token(raw), bits, &rules).ok();
        assert_eq!(int("9223372036854775807", 64), Some(i64::MAX));
        assert_eq!(int("9223372036854775808", 64), None);
        assert_eq!(int("-128", 8), Some(-128));
        assert_eq!(int("128", 8), None);
        assert_eq!(int("1.0", 32), Some(1));
        assert_eq!(int("1e3", 32), Some(1000));
        assert_eq!(int("1.5", 32), None);
        assert_eq!(int("\" 12 \"", 32), Some(12));
        assert_eq!(int("\"\"", 32), None);
        assert_eq!(int("true", 32), None);
        assert_eq!(float64(&token("1e999"), &rules).ok(), None);
        assert_eq!(decimal(&token("123.456"), 6, 3, &rules).ok(), Some(123_456));
        assert_eq!(decimal(&token("12345.6"), 6, 3, &rules).ok(), None);
    }

    #[test]
    fn hive_converts_no_text_into_a_number() {
        let message = integer(&token("\"12\""), 32, &rules(true)).unwrap_err().message();
        assert_eq!(message, "Data does not match the schema. Current token (VALUE_STRING) not numeric");
    }

    #[test]
    fn texts_take_what_their_dialect_takes() {
        let take = |raw: &str, hive: bool| {
            let mut out = String::new();
            text(&token(raw), &rules(hive), |text| out.push_str(text)).ok().map(|()| out)
        };
        assert_eq!(take(r#""a\nb""#, false).unwrap(), "a\nb");
        assert_eq!(take("1.10", false).unwrap(), "1.10");
        assert_eq!(take(r#"{ "A" : [1, {"B":"C"}] }"#, false).unwrap(), r#"{"a":[1,{"b":"C"}]}"#);
        assert_eq!(take("7", true).unwrap(), "7");
        assert_eq!(take("{}", true), None);
        assert!(Token::of(r#""\ud800""#).is_err(), "half of a surrogate pair");
        assert_eq!(token("\"x\"").as_no_object(), "Data is not JSONObject  but java.lang.String with value x");
    }
}
