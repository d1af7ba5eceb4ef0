//! Registered tables: a definition as JSON, Hive (Glue) types as Arrow types.

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use serde::Deserialize;
use std::sync::Arc;

/// Columns that a table may have, those within structs included.
const COLUMNS_MAX: usize = 2_000;
/// How deep types may nest.
const DEPTH_MAX: usize = 16;
/// Digits of a decimal in 128 bits.
const DECIMAL_DIGITS_MAX: u8 = 38;
/// Name of a list's item in the Parquet format's own list layout.
pub(super) const ITEM: &str = "element";

/// A registered table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// 1, one more for each `schema put`; [`Table::parse`] answers 1.
    pub version: u32,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Hive type as written, as `array<struct<a:int>>`.
    pub hive_type: String,
    data_type: DataType,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    #[serde(alias = "fields", alias = "Columns")]
    columns: Vec<ColumnForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnForm {
    #[serde(alias = "Name")]
    name: String,
    #[serde(rename = "type", alias = "Type", alias = "data_type")]
    hive_type: String,
    /// Every column is nullable; taken so that lists of Arrow fields can be given as they are.
    #[serde(default, rename = "nullable")]
    _nullable: Option<bool>,
    #[serde(default, rename = "comment", alias = "Comment")]
    _comment: Option<String>,
}

impl Table {
    /// Reads a definition: `{"columns":[{"name":"a","type":"bigint"},…]}`, or the bare list. Types are
    /// Hive's (`tinyint smallint int bigint float double boolean string char(n) varchar(n) binary date
    /// timestamp decimal(p,s) array<> struct<> map<>`) or the plain names of Arrow (`int64`, `utf8`, …).
    ///
    /// # Errors
    /// A sentence that names the column and what is wrong.
    pub fn parse(database: &str, name: &str, definition: &[u8]) -> Result<Self, String> {
        // Not an untagged enum: that one would hide which member is wrong, unknown or there twice.
        let forms = match definition.trim_ascii_start().first() {
            Some(b'[') => serde_json::from_slice(definition),
            _ => serde_json::from_slice::<Wrapped>(definition).map(|wrapped| wrapped.columns),
        };
        let forms: Vec<ColumnForm> = forms.map_err(|error| {
            format!("a table is a JSON object {{\"columns\":[{{\"name\":…,\"type\":…}},…]}} or the list alone: {error}")
        })?;
        let mut columns: Vec<Column> = Vec::with_capacity(forms.len());
        let mut budget = COLUMNS_MAX;
        for form in forms {
            if form.name.is_empty() || columns.iter().any(|known| known.name.eq_ignore_ascii_case(&form.name)) {
                return Err(format!("column name '{}' is empty or there twice", form.name));
            }
            let data_type = hive_type(&form.hive_type, &mut budget)
                .map_err(|wrong| format!("column '{}': type '{}': {wrong}", form.name, form.hive_type))?;
            columns.push(Column { name: form.name, hive_type: form.hive_type, data_type });
        }
        if columns.is_empty() {
            return Err("a table needs at least one column".into());
        }
        Ok(Self { database: database.to_owned(), name: name.to_owned(), version: 1, columns })
    }

    pub(super) fn schema(&self) -> Schema {
        let fields = self.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
        Schema::new(fields.collect::<Vec<_>>())
    }
}

/// A list of `item`, in the Parquet format's own layout.
pub(super) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new(ITEM, item, true)))
}

/// The one type of times: microseconds in UTC.
pub(super) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn hive_type(text: &str, budget: &mut usize) -> Result<DataType, String> {
    let mut parser = Parser { rest: text.trim(), budget };
    let data_type = parser.data_type(0)?;
    if parser.rest.is_empty() { Ok(data_type) } else { Err(format!("'{}' follows the type", parser.rest)) }
}

struct Parser<'a, 'b> {
    rest: &'a str,
    budget: &'b mut usize,
}

impl<'a> Parser<'a, '_> {
    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        *self.budget = self.budget.checked_sub(1).ok_or_else(|| format!("more than {COLUMNS_MAX} columns"))?;
        let word = self.word().to_ascii_lowercase();
        match word.as_str() {
            "tinyint" | "int8" => Ok(DataType::Int8),
            "smallint" | "int16" => Ok(DataType::Int16),
            "int" | "integer" | "int32" => Ok(DataType::Int32),
            "bigint" | "long" | "int64" => Ok(DataType::Int64),
            "float" | "float32" => Ok(DataType::Float32),
            "double" | "float64" => Ok(DataType::Float64),
            "boolean" | "bool" => Ok(DataType::Boolean),
            "string" | "utf8" => Ok(DataType::Utf8),
            "binary" => Ok(DataType::Binary),
            "date" | "date32" => Ok(DataType::Date32),
            "timestamp" => Ok(timestamp_type()),
            // The length is the reader's to enforce: nothing is cut off here.
            "char" | "varchar" => self.numbers().map(|_| DataType::Utf8),
            "decimal" => self.decimal(),
            "array" => {
                self.expect('<')?;
                let item = self.data_type(depth + 1)?;
                self.expect('>')?;
                Ok(list_of(item))
            }
            "map" => self.map(depth),
            "struct" => self.fields(depth),
            _ => Err(format!("'{word}' is no type")),
        }
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        let numbers = self.numbers()?;
        let precision = numbers.first().copied().unwrap_or(10);
        let scale = numbers.get(1).copied().unwrap_or(0);
        match i8::try_from(scale) {
            Ok(scale_digits) if (1..=DECIMAL_DIGITS_MAX).contains(&precision) && scale <= precision => {
                Ok(DataType::Decimal128(precision, scale_digits))
            }
            _ => Err(format!("a decimal has 1 to {DECIMAL_DIGITS_MAX} digits and at most as many behind the point")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<DataType, String> {
        self.expect('<')?;
        let key = self.data_type(depth + 1)?;
        if key != DataType::Utf8 {
            return Err("the keys of a map are strings".into());
        }
        self.expect(',')?;
        let value = self.data_type(depth + 1)?;
        self.expect('>')?;
        let entry = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
        Ok(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false))
    }

    fn fields(&mut self, depth: usize) -> Result<DataType, String> {
        self.expect('<')?;
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.word();
            if name.is_empty() || fields.iter().any(|known| known.name().eq_ignore_ascii_case(name)) {
                return Err(format!("field name '{name}' is empty or there twice"));
            }
            self.expect(':')?;
            let data_type = self.data_type(depth + 1)?;
            fields.push(Field::new(name, data_type, true));
            if self.expect(',').is_err() {
                self.expect('>')?;
                return Ok(DataType::Struct(fields.into()));
            }
        }
    }

    /// `(1,2)`, or nothing.
    fn numbers(&mut self) -> Result<Vec<u8>, String> {
        if self.expect('(').is_err() {
            return Ok(Vec::new());
        }
        let (inside, rest) = self.rest.split_once(')').ok_or("a parenthesis is open")?;
        self.rest = rest.trim_start();
        // Lengths of texts go to 65,535 and are not kept: what does not fit counts as the largest.
        inside
            .split(',')
            .map(|number| number.trim().parse::<u32>().map(|n| u8::try_from(n).unwrap_or(u8::MAX)))
            .collect::<Result<_, _>>()
            .map_err(|_| format!("'({inside})' holds no numbers"))
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| "<>():,".contains(c) || c.is_whitespace()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest.trim_start();
                Ok(())
            }
            None => Err(format!("'{wanted}' is missing before '{}'", self.rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(hive: &str) -> Result<DataType, String> {
        let text = serde_json::json!([{ "name": "c", "type": hive }]).to_string();
        Table::parse("d", "t", text.as_bytes()).map(|table| table.columns[0].data_type.clone())
    }

    #[test]
    fn hive_types_become_arrow_types() {
        assert_eq!(one("tinyint"), Ok(DataType::Int8));
        assert_eq!(one("BIGINT"), Ok(DataType::Int64));
        assert_eq!(one("varchar(65535)"), Ok(DataType::Utf8));
        assert_eq!(one("decimal"), Ok(DataType::Decimal128(10, 0)));
        assert_eq!(one("decimal(38, 10)"), Ok(DataType::Decimal128(38, 10)));
        assert_eq!(one("timestamp"), Ok(timestamp_type()));
        assert_eq!(one("array<array<int>>"), Ok(list_of(list_of(DataType::Int32))));
        let inner =
            Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", list_of(DataType::Utf8), true)]);
        assert_eq!(one("struct< a : int, b:array<string> >"), Ok(DataType::Struct(inner)));
        assert!(matches!(one("map<string,double>"), Ok(DataType::Map(_, false))));
    }

    #[test]
    fn odd_definitions_are_refused_by_name() {
        for wrong in [
            "",
            "text",
            "array<int",
            "array<>",
            "struct<>",
            "struct<a>",
            "struct<a:int,a:int>",
            "decimal(39,0)",
            "decimal(5,6)",
            "decimal(a)",
            "map<int,int>",
            "int int",
            "array<int>>",
            "varchar(10",
        ] {
            let error = one(wrong).unwrap_err();
            assert!(error.starts_with("column 'c': type"), "{wrong}: {error}");
        }
        let deep = format!("{}int{}", "array<".repeat(20), ">".repeat(20));
        assert!(one(&deep).unwrap_err().contains("nested deeper than 16"));
        for wrong in [
            "",
            "{}",
            "[]",
            "{\"columns\":[]}",
            "[{\"name\":\"\",\"type\":\"int\"}]",
            "[{\"name\":\"a\"}]",
            "[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"A\",\"type\":\"int\"}]",
            "[{\"name\":\"a\",\"type\":\"int\",\"x\":1}]",
        ] {
            assert!(Table::parse("d", "t", wrong.as_bytes()).is_err(), "{wrong}");
        }
        let many: Vec<_> =
            (0..=COLUMNS_MAX).map(|n| serde_json::json!({ "name": format!("c{n}"), "type": "int" })).collect();
        assert!(
            Table::parse("d", "t", &serde_json::to_vec(&many).unwrap()).unwrap_err().contains("more than 2000 columns")
        );
    }

    #[test]
    fn what_is_there_twice_or_unknown_is_named() {
        for (wrong, named) in [
            (r#"[{"name":"a","name":"b","type":"int"}]"#, "duplicate field `name`"),
            (r#"[{"name":"a","type":"int","Type":"bigint"}]"#, "duplicate field `type`"),
            (r#"{"columns":[],"columns":[{"name":"a","type":"int"}]}"#, "duplicate field `columns`"),
            (r#"{"columns":[{"name":"a","type":"int","x":1}]}"#, "unknown field `x`"),
        ] {
            let error = Table::parse("d", "t", wrong.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let columns = r#"[{"name":"a","type":"bigint"},{"name":"b","type":"string","comment":"x"}]"#;
        let bare = Table::parse("d", "t", columns.as_bytes()).unwrap();
        let wrapped = Table::parse("d", "t", format!("{{\"columns\":{columns}}}").as_bytes()).unwrap();
        assert_eq!(bare, wrapped);
        assert_eq!(bare.schema().field(0), &Field::new("a", DataType::Int64, true));
    }
}
