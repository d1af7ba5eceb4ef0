//! Which column a key names, found without work when records look like the one before.

use std::collections::HashMap;

use super::rules::Rules;

/// Spellings that are remembered.
const KEYS_REMEMBERED_MAX: usize = 4_096;
/// Longest spelling that is remembered, bytes.
const KEY_BYTES_MAX: usize = 256;
/// How many expected keys may be missing in a row before the map is asked.
const LOOK_AHEAD: usize = 3;

/// The keys of one struct, or of the record.
#[derive(Debug)]
pub(super) struct Keys {
    top: bool,
    /// Column (folded) to index.
    columns: HashMap<String, usize>,
    /// Spellings in the order in which they were met, with their columns.
    expected: Vec<(Box<str>, Option<usize>)>,
    /// Spelling to its place in `expected`.
    places: HashMap<Box<str>, usize>,
}

impl Keys {
    /// `names` in the order of the columns.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>, top: bool, rules: &Rules) -> Self {
        let columns = names.enumerate().map(|(index, name)| (rules.fold(name).into_owned(), index)).collect();
        Self { top, columns, expected: Vec::new(), places: HashMap::new() }
    }

    /// The column of `key`; `cursor` begins at 0 for each object and is moved along.
    pub(super) fn find(&mut self, cursor: &mut usize, key: &str, rules: &Rules) -> Option<usize> {
        for place in *cursor..(*cursor + LOOK_AHEAD).min(self.expected.len()) {
            let (spelling, column) = &self.expected[place];
            if **spelling == *key {
                *cursor = place + 1;
                return *column;
            }
        }
        if let Some(place) = self.places.get(key) {
            *cursor = place + 1;
            return self.expected[*place].1;
        }
        let column = rules.column_of(key, self.top).and_then(|name| self.columns.get(name.as_ref()).copied());
        if self.expected.len() < KEYS_REMEMBERED_MAX && key.len() <= KEY_BYTES_MAX {
            *cursor = self.expected.len() + 1;
            self.places.insert(key.into(), self.expected.len());
            self.expected.push((key.into(), column));
        }
        column
    }
}
