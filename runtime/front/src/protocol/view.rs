//! Reads members of a request that has passed its table: types are right, so absence is the only case.

use serde_json::Value;

use super::shape::integer;

/// A structure of a checked request; an absent one has no members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a>(pub(crate) &'a Value);

impl<'a> View<'a> {
    /// The member, unless absent or null.
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A structure.
    pub(crate) fn structure(self, name: &str) -> Option<View<'a>> {
        self.get(name).map(View)
    }

    /// A string.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A string; empty when absent.
    pub(crate) fn text_or_empty(self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    /// A whole number that its table has bounded from below by zero.
    pub(crate) fn number(self, name: &str) -> Option<u64> {
        self.get(name).and_then(integer).and_then(|number| u64::try_from(number).ok())
    }

    /// A whole number that its table has bounded within 32 bits.
    pub(crate) fn number32(self, name: &str) -> Option<u32> {
        self.number(name).and_then(|number| u32::try_from(number).ok())
    }

    /// True or false.
    pub(crate) fn boolean(self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    /// Items of a list; none when absent.
    pub(crate) fn list(self, name: &str) -> impl Iterator<Item = View<'a>> {
        self.get(name).and_then(Value::as_array).into_iter().flatten().map(View)
    }
}
