//! Records into rows: each value of a JSON object goes into the column that its key names.

use std::borrow::Cow;
use std::fmt;

use arrow::array::{ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Fields, Schema};
use arrow::error::ArrowError;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::column::Column;
use super::keys::Keys;
use super::rules::{Dialect, Misfit, OTHER, Rules, Unknown, join};
use super::scalar::Token;

/// Source bytes at which the columns are handed to the Parquet writer.
pub(super) const BATCH_SOURCE_BYTES: usize = 1 << 20;
/// Rows at which they are.
pub(super) const BATCH_ROWS: usize = 8_192;
/// Objects that one record may hold.
pub(super) const ROWS_PER_RECORD_MAX: usize = 4_096;
/// Items that all lists of one record may hold: each makes a place in every column of its struct.
pub(super) const ITEMS_PER_RECORD_MAX: usize = 65_536;

/// What is known while one record is read.
#[derive(Debug)]
pub(super) struct Context<'r, 'a> {
    pub(super) rules: &'r Rules,
    pub(super) items_left: usize,
    /// Keys without a column (their paths) and their JSON text; only where they are gathered.
    pub(super) unknown: Vec<(String, &'a str)>,
}

impl<'r> Context<'r, '_> {
    pub(super) fn new(rules: &'r Rules) -> Self {
        Self { rules, items_left: ITEMS_PER_RECORD_MAX, unknown: Vec::new() }
    }

    /// Puts what was gathered since `from` under the path of what is around it.
    pub(super) fn prefix_unknown(&mut self, from: usize, outer: impl Fn() -> String) {
        for (path, _) in &mut self.unknown[from..] {
            *path = join(&outer(), path);
        }
    }
}

/// The columns of a struct, or of the record itself.
#[derive(Debug)]
pub(super) struct Members {
    fields: Fields,
    keys: Keys,
    columns: Vec<Column>,
    rows: usize,
}

impl Members {
    pub(super) fn new(fields: &Fields, top: bool, rules: &Rules) -> Result<Self, ArrowError> {
        let columns = fields.iter().map(|field| Column::new(field.data_type(), rules)).collect::<Result<_, _>>()?;
        let keys = Keys::new(fields.iter().map(|field| field.name().as_str()), top, rules);
        Ok(Self { fields: fields.clone(), keys, columns, rows: 0 })
    }

    /// Appends a row from an object, or with OpenX from a list by position.
    pub(super) fn append<'a>(&mut self, token: &Token<'a>, context: &mut Context<'_, 'a>) -> Result<(), Misfit> {
        match token {
            Token::Object(raw) => self.read(&mut serde_json::Deserializer::from_str(raw), context),
            Token::List(raw) if context.rules.dialect == Dialect::OpenX => {
                let columns = &mut self.columns;
                each_item(raw, context, |index, item, context| match columns.get_mut(index) {
                    Some(column) => column.append(item, context),
                    None => Ok(()),
                })?;
                self.complete();
                Ok(())
            }
            other => Err(Misfit::malformed(other.as_no_object())),
        }
    }

    /// Reads one object from `from` as a row.
    fn read<'a>(
        &mut self,
        from: &mut serde_json::Deserializer<serde_json::de::StrRead<'a>>,
        context: &mut Context<'_, 'a>,
    ) -> Result<(), Misfit> {
        let mut misfit = None;
        let read = ObjectSeed { members: self, context, misfit: &mut misfit }.deserialize(from);
        judge(misfit, read)?;
        self.complete();
        Ok(())
    }

    /// Ends a row: columns that its object did not name become null.
    fn complete(&mut self) {
        self.rows += 1;
        for column in &mut self.columns {
            if column.len() < self.rows {
                column.append_null();
            }
        }
    }

    pub(super) fn append_null(&mut self) {
        self.complete();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows = rows;
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    fn arrays(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.rows = 0;
        self.columns.iter_mut().map(Column::finish).collect()
    }

    pub(super) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<StructArray, ArrowError> {
        StructArray::try_new(self.fields.clone(), self.arrays()?, nulls)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.columns.iter().map(Column::memory_bytes).sum()
    }

    fn value<'a>(
        &mut self,
        index: usize,
        key: &str,
        raw: &'a str,
        context: &mut Context<'_, 'a>,
    ) -> Result<(), Misfit> {
        let column = &mut self.columns[index];
        if column.len() > self.rows {
            // The key is there twice, or in two spellings: the last one counts.
            column.truncate(self.rows);
        }
        let known = context.unknown.len();
        let appended = column.append(raw, context);
        if context.unknown.len() > known {
            context.prefix_unknown(known, || key.to_owned());
        }
        appended.map_err(|misfit| misfit.within(self.fields[index].name()))
    }
}

/// A key; borrowed where it holds no escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct ObjectSeed<'m, 'c, 'r, 'a> {
    members: &'m mut Members,
    context: &'c mut Context<'r, 'a>,
    misfit: &'m mut Option<Misfit>,
}

impl<'a> DeserializeSeed<'a> for ObjectSeed<'_, '_, '_, 'a> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for ObjectSeed<'_, '_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let mut cursor = 0;
        let rules = self.context.rules;
        while let Some(Key(key)) = map.next_key()? {
            let Some(index) = self.members.keys.find(&mut cursor, &key, rules) else {
                match rules.unknown {
                    Unknown::Ignored => drop(map.next_value::<IgnoredAny>()?),
                    Unknown::Gathered => {
                        let raw: &RawValue = map.next_value()?;
                        self.context.unknown.push((key.into_owned(), raw.get()));
                    }
                    Unknown::Refused => {
                        *self.misfit = Some(Misfit::malformed("the schema has no such key").within(&key));
                        return Err(M::Error::custom("refused"));
                    }
                }
                continue;
            };
            let raw: &RawValue = map.next_value()?;
            if let Err(misfit) = self.members.value(index, &key, raw.get(), self.context) {
                *self.misfit = Some(misfit);
                return Err(M::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// The rows of an object in the making.
#[derive(Debug)]
pub(super) struct Rows {
    members: Members,
    /// [`OTHER`], where unknown keys are gathered.
    other: Option<Column>,
    source_bytes: usize,
}

impl Rows {
    /// Rows of `schema`; its last column is [`OTHER`] where unknown keys are gathered.
    pub(super) fn new(schema: &Schema, rules: &Rules) -> Result<Self, ArrowError> {
        let (own, other) = match (rules.unknown, schema.fields().split_last()) {
            (Unknown::Gathered, Some((last, own))) if last.name() == OTHER => {
                (own.iter().cloned().collect(), Some(Column::new(last.data_type(), rules)?))
            }
            _ => (schema.fields().clone(), None),
        };
        Ok(Self { members: Members::new(&own, true, rules)?, other, source_bytes: 0 })
    }

    /// Appends the rows of one record, or nothing of it.
    pub(super) fn append(&mut self, record: &[u8], rules: &Rules) -> Result<(), Misfit> {
        let before = self.members.rows;
        let appended = self.append_rows(record, rules);
        if appended.is_err() {
            self.members.truncate(before);
            if let Some(other) = &mut self.other {
                other.truncate(before);
            }
        } else {
            self.source_bytes += record.len();
        }
        appended
    }

    fn append_rows(&mut self, record: &[u8], rules: &Rules) -> Result<(), Misfit> {
        let mut context = Context::new(rules);
        let mut left = ROWS_PER_RECORD_MAX;
        let mut reader = reader(record)?;
        loop {
            left = left.checked_sub(1).ok_or_else(too_many_rows)?;
            self.members.read(&mut reader, &mut context)?;
            if let Some(other) = &mut self.other {
                if context.unknown.is_empty() {
                    other.append_null()
                } else {
                    other.append_text(&gathered(&mut context))
                }
            }
            if reader.end().is_ok() {
                return Ok(());
            }
        }
    }

    /// True when the rows should go to the Parquet writer.
    pub(super) fn is_full(&self) -> bool {
        self.source_bytes >= BATCH_SOURCE_BYTES || self.members.rows >= BATCH_ROWS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.rows == 0
    }

    /// Takes the rows out, column by column.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.source_bytes = 0;
        let mut arrays = self.members.arrays()?;
        if let Some(other) = &mut self.other {
            arrays.push(other.finish()?);
        }
        Ok(arrays)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.members.memory_bytes() + self.other.as_ref().map_or(0, Column::memory_bytes)
    }
}

/// A reader of a record's JSON texts.
pub(super) fn reader(record: &[u8]) -> Result<serde_json::Deserializer<serde_json::de::StrRead<'_>>, Misfit> {
    let text = std::str::from_utf8(record).map_err(|error| Misfit::unreadable(error.to_string()))?;
    Ok(serde_json::Deserializer::from_str(text))
}

pub(super) fn too_many_rows() -> Misfit {
    Misfit::malformed(format!("the record holds more than {ROWS_PER_RECORD_MAX} objects"))
}

/// What was gathered, as one JSON object.
fn gathered(context: &mut Context<'_, '_>) -> String {
    let mut text = String::from("{");
    for (index, (path, raw)) in context.unknown.drain(..).enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::String(path).to_string());
        text.push(':');
        text.push_str(raw);
    }
    text.push('}');
    text
}

/// Calls `each` with every item of the list whose JSON text is `raw`.
pub(super) fn each_item<'r, 'a>(
    raw: &'a str,
    context: &mut Context<'r, 'a>,
    mut each: impl FnMut(usize, &'a str, &mut Context<'r, 'a>) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    let mut index = 0;
    walk(raw, &mut |_, item| {
        context.items_left = context.items_left.checked_sub(1).ok_or_else(|| {
            Misfit::malformed(format!("the lists of the record hold more than {ITEMS_PER_RECORD_MAX} items"))
        })?;
        index += 1;
        each(index - 1, item, context)
    })
}

/// Calls `each` with every member of the object whose JSON text is `raw`.
pub(super) fn each_member<'r, 'a>(
    raw: &'a str,
    context: &mut Context<'r, 'a>,
    mut each: impl FnMut(&str, &'a str, &mut Context<'r, 'a>) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    walk(raw, &mut |key, value| each(key, value, context))
}

type Each<'e, 'a> = &'e mut dyn FnMut(&str, &'a str) -> Result<(), Misfit>;

/// Walks a list (keys are empty then) or an object.
fn walk<'a>(raw: &'a str, each: Each<'_, 'a>) -> Result<(), Misfit> {
    let mut misfit = None;
    let reader = &mut serde_json::Deserializer::from_str(raw);
    let walked = serde::Deserializer::deserialize_any(reader, Walk { each, misfit: &mut misfit });
    judge(misfit, walked)
}

/// Walks the next object of `from`.
pub(super) fn walk_object<'a>(
    from: &mut serde_json::Deserializer<serde_json::de::StrRead<'a>>,
    each: Each<'_, 'a>,
) -> Result<(), Misfit> {
    let mut misfit = None;
    let walked = serde::Deserializer::deserialize_map(from, Walk { each, misfit: &mut misfit });
    judge(misfit, walked)
}

/// What refused the record: we, or the reader.
fn judge(misfit: Option<Misfit>, read: Result<(), serde_json::Error>) -> Result<(), Misfit> {
    match (misfit, read) {
        (Some(misfit), _) => Err(misfit),
        (None, Err(error)) => Err(Misfit::from_json(&error)),
        (None, Ok(())) => Ok(()),
    }
}

struct Walk<'w, 'e, 'a> {
    each: Each<'e, 'a>,
    misfit: &'w mut Option<Misfit>,
}

impl<'a> Visitor<'a> for Walk<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while let Some(item) = seq.next_element::<&RawValue>()? {
            if let Err(misfit) = (self.each)("", item.get()) {
                *self.misfit = Some(misfit);
                return Err(S::Error::custom("refused"));
            }
        }
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            if let Err(misfit) = (self.each)(&key, value.get()) {
                *self.misfit = Some(misfit);
                return Err(M::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
