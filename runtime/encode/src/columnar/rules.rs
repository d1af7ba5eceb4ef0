//! What a deserializer allows: which column a JSON key names, which values a column takes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::timestamp::Format;
use super::{Deserializer, Inference, SchemaSource};
use crate::Error;

/// Column that gathers what has no column; relaxed inference only.
pub(super) const OTHER: &str = "_other";

/// Whose habits are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `OpenXJsonSerDe`: converts what it can.
    OpenX,
    /// `HiveJsonSerDe`.
    Hive,
    /// Strict inference: converts nothing.
    Strict,
}

/// What a `string` column does with an object or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NestedText {
    /// Takes its JSON text as it is.
    Exact,
    /// Takes its JSON text without white space and, when `true`, with keys in lower case.
    Rewritten(bool),
    /// Refuses it.
    Refused,
}

/// What is done with a key that has no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    Ignored,
    Gathered,
    Refused,
}

/// The rules of one destination.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) dialect: Dialect,
    pub(super) nested_text: NestedText,
    pub(super) unknown: Unknown,
    /// How texts become times; empty means `yyyy-M-d H:m:s[.f]`. Hive only.
    pub(super) timestamp_formats: Vec<Format>,
    pub(super) fold_case: bool,
    dots_to_underscores: bool,
    /// JSON key (folded) to column.
    key_to_column: BTreeMap<String, String>,
}

impl Rules {
    pub(super) fn new(deserializer: &Deserializer, schema: &SchemaSource) -> Result<Self, Error> {
        let (dialect, fold_case, dots_to_underscores) = match deserializer {
            Deserializer::OpenX { case_insensitive, dots_to_underscores, .. } => {
                (Dialect::OpenX, *case_insensitive, *dots_to_underscores)
            }
            Deserializer::Hive { .. } => (Dialect::Hive, true, false),
        };
        let mut rules = Self {
            dialect,
            nested_text: if dialect == Dialect::OpenX { NestedText::Rewritten(fold_case) } else { NestedText::Refused },
            unknown: Unknown::Ignored,
            timestamp_formats: Vec::new(),
            fold_case,
            dots_to_underscores,
            key_to_column: BTreeMap::new(),
        };
        match schema {
            SchemaSource::Table(_) => {}
            SchemaSource::Infer(Inference::Relaxed) => {
                rules.unknown = Unknown::Gathered;
                rules.nested_text = NestedText::Exact;
            }
            SchemaSource::Infer(Inference::Strict) => {
                rules.unknown = Unknown::Refused;
                rules.dialect = Dialect::Strict;
                rules.nested_text = NestedText::Refused;
            }
        }
        match deserializer {
            Deserializer::OpenX { mappings, .. } => {
                for (column, key) in mappings {
                    let (key, column) = (rules.fold(key).into_owned(), rules.fold(column).into_owned());
                    rules.key_to_column.insert(key, column);
                }
            }
            Deserializer::Hive { timestamp_formats } => {
                for text in timestamp_formats {
                    let format = Format::parse(text).ok_or_else(|| Error::TimestampFormat(text.clone()))?;
                    rules.timestamp_formats.push(format);
                }
            }
        }
        Ok(rules)
    }

    /// A name in the form in which names are compared.
    pub(super) fn fold<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.fold_case && name.chars().any(|c| c.is_uppercase()) {
            Cow::Owned(name.to_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }

    /// The column (folded) that a JSON key names; mappings hold for `top` keys only. `None` where the
    /// key can name none: it is empty, kept for ourselves, or a column that is mapped from another key.
    pub(super) fn column_of<'a>(&self, key: &'a str, top: bool) -> Option<Cow<'a, str>> {
        let mut name = self.fold(key);
        if self.dots_to_underscores && name.contains('.') {
            name = Cow::Owned(name.replace('.', "_"));
        }
        if top && !self.key_to_column.is_empty() {
            let mapped =
                self.key_to_column.get(self.fold(key).as_ref()).or_else(|| self.key_to_column.get(name.as_ref()));
            if let Some(column) = mapped {
                return Some(Cow::Owned(column.clone()));
            }
            if self.key_to_column.values().any(|column| *column == name) {
                return None;
            }
        }
        let kept = top && self.unknown == Unknown::Gathered && name == OTHER;
        (!name.is_empty() && !kept).then_some(name)
    }
}

/// Why a record is refused; the path is put together on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) code: &'static str,
    path: String,
    what: String,
}

impl Misfit {
    /// The record is JSON but not what the schema wants.
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self { code: "DataFormatConversion.MalformedData", path: String::new(), what: what.into() }
    }

    /// The record is not JSON.
    pub(super) fn unreadable(what: impl Into<String>) -> Self {
        Self { code: "DataFormatConversion.ParseError", path: String::new(), what: what.into() }
    }

    /// From serde: the shape is wrong, or the text is no JSON.
    pub(super) fn from_json(error: &serde_json::Error) -> Self {
        if error.is_data() { Self::malformed(error.to_string()) } else { Self::unreadable(error.to_string()) }
    }

    /// The same, seen from the struct around.
    pub(super) fn within(mut self, key: &str) -> Self {
        self.path = join(key, &self.path);
        self
    }

    /// The message as AWS begins it.
    pub(super) fn message(&self) -> String {
        let begin = if self.code.ends_with("ParseError") {
            "Encountered malformed JSON."
        } else {
            "Data does not match the schema."
        };
        if self.path.is_empty() {
            format!("{begin} {}", self.what)
        } else {
            format!("{begin} column '{}': {}", self.path, self.what)
        }
    }
}

/// `a` and `b` are `a.b`, `a` and `[3]` are `a[3]`.
pub(super) fn join(outer: &str, inner: &str) -> String {
    match inner.chars().next() {
        None => outer.to_owned(),
        Some('[') => format!("{outer}{inner}"),
        Some(_) => format!("{outer}.{inner}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_x(dots_to_underscores: bool, case_insensitive: bool, mappings: &[(&str, &str)]) -> Rules {
        let mappings = mappings.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let deserializer = Deserializer::OpenX { dots_to_underscores, case_insensitive, mappings };
        Rules::new(&deserializer, &SchemaSource::Infer(Inference::Relaxed)).unwrap()
    }

    #[test]
    fn keys_name_columns_as_the_deserializer_says() {
        let rules = open_x(false, true, &[("ts", "Timestamp")]);
        assert_eq!(rules.column_of("UserId", true).as_deref(), Some("userid"));
        assert_eq!(rules.column_of("a.b", true).as_deref(), Some("a.b"));
        assert_eq!(rules.column_of("timestamp", true).as_deref(), Some("ts"));
        assert_eq!(rules.column_of("timestamp", false).as_deref(), Some("timestamp"), "mappings are for top keys");
        assert_eq!(rules.column_of("ts", true), None, "the column comes from another key");
        assert_eq!(rules.column_of("_other", true), None);
        assert_eq!(rules.column_of("", true), None);
        let rules = open_x(true, false, &[]);
        assert_eq!(rules.column_of("A.b", true).as_deref(), Some("A_b"));
    }

    #[test]
    fn paths_grow_outwards() {
        let misfit = Misfit::malformed("x").within("[3]").within("b").within("a");
        assert_eq!(misfit.message(), "Data does not match the schema. column 'a.b[3]': x");
    }
}
