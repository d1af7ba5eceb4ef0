//! Schema inference: the shape of a sample of records, and the columns made of it. The rules stand at
//! the head of [`super`].
//!
//! Invariant: every record that a sample has taken fits the schema that is made of the sample.

use arrow::datatypes::{DataType, Field, Schema};

use super::row::{Context, ROWS_PER_RECORD_MAX, each_item, each_member, reader, too_many_rows, walk_object};
use super::rules::{Dialect, Misfit, OTHER, Rules, Unknown};
use super::scalar::{Token, is_empty_object};
use super::table::list_of;

/// Records of a sample.
const SAMPLE_RECORDS_MAX: usize = 1_000;
/// Bytes of a sample.
const SAMPLE_BYTES_MAX: usize = 1 << 20;
/// Columns that are inferred, those within structs included; further keys have no column.
const COLUMNS_MAX: usize = 1_000;
/// How deep structs and lists are inferred; what lies deeper is a text.
const DEPTH_MAX: usize = 8;

/// What the values of one key have in common.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// Nothing but nulls so far.
    Null,
    Boolean,
    Int,
    Float,
    Text,
    List(Box<Shape>),
    Struct(Members),
}

/// Keys (as columns) in order of appearance.
type Members = Vec<(String, Shape)>;

/// The first records of an object, with their shape.
#[derive(Debug, Default)]
pub(super) struct Sample {
    members: Members,
    payload: Vec<u8>,
    ends: Vec<usize>,
}

impl Sample {
    /// Takes a record in, or nothing of it.
    pub(super) fn take(&mut self, record: &[u8], rules: &Rules) -> Result<(), Misfit> {
        let shape = shape_of_record(record, rules)?;
        if rules.dialect == Dialect::Strict {
            // May fail half way: so the shape is only replaced when all went well.
            let mut merged = self.members.clone();
            merge_members(&mut merged, shape, true)?;
            if merged.is_empty() {
                return Err(Misfit::malformed("the object has no key that could make a column"));
            }
            if leaves(&merged) > COLUMNS_MAX {
                return Err(too_many_columns());
            }
            self.members = merged;
        } else {
            merge_members(&mut self.members, shape, false)?;
        }
        self.payload.extend_from_slice(record);
        self.ends.push(self.payload.len());
        Ok(())
    }

    /// True when the schema should be made.
    pub(super) fn is_full(&self) -> bool {
        self.ends.len() >= SAMPLE_RECORDS_MAX || self.payload.len() >= SAMPLE_BYTES_MAX
    }

    /// The records taken.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.payload[start..*end])
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.payload.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// The columns of the records taken; with [`OTHER`] at the end where unknown keys are gathered.
    pub(super) fn schema(&self, rules: &Rules) -> Schema {
        let mut left = COLUMNS_MAX;
        let mut fields = fields(&self.members, &mut left);
        if rules.unknown == Unknown::Gathered {
            fields.push(Field::new(OTHER, DataType::Utf8, true));
        }
        Schema::new(fields)
    }
}

fn shape_of_record(record: &[u8], rules: &Rules) -> Result<Members, Misfit> {
    let mut context = Context::new(rules);
    let mut reader = reader(record)?;
    let mut all = Members::new();
    let strict = rules.dialect == Dialect::Strict;
    for _ in 0..ROWS_PER_RECORD_MAX {
        let mut members = Members::new();
        walk_object(&mut reader, &mut |key, raw| member(&mut members, key, raw, 0, &mut context))?;
        merge_members(&mut all, members, strict)?;
        if reader.end().is_ok() {
            return Ok(all);
        }
    }
    Err(too_many_rows())
}

fn member(
    members: &mut Members,
    key: &str,
    raw: &str,
    depth: usize,
    context: &mut Context<'_, '_>,
) -> Result<(), Misfit> {
    let Some(column) = context.rules.column_of(key, depth == 0) else {
        if context.rules.unknown == Unknown::Refused {
            return Err(Misfit::malformed("the key can name no column").within(key));
        }
        return Ok(());
    };
    let shape = shape_of(raw, depth + 1, context).map_err(|misfit| misfit.within(key))?;
    match members.iter_mut().find(|(known, _)| *known == column) {
        // The key is there twice, or in two spellings. The last one will count, but both must fit.
        Some((_, known)) => {
            merge(known, shape, context.rules.dialect == Dialect::Strict).map_err(|misfit| misfit.within(key))?
        }
        None => add(members, column.into_owned(), shape, context.rules.dialect == Dialect::Strict)?,
    }
    Ok(())
}

/// A further column. Members beyond [`COLUMNS_MAX`] could never have one, and to look for each key among
/// ever more of them would take a record of a hundred thousand keys many seconds.
fn add(members: &mut Members, column: String, shape: Shape, strict: bool) -> Result<(), Misfit> {
    if members.len() < COLUMNS_MAX {
        members.push((column, shape));
    } else if strict {
        return Err(too_many_columns());
    }
    Ok(())
}

fn too_many_columns() -> Misfit {
    Misfit::malformed(format!("more than {COLUMNS_MAX} columns"))
}

fn shape_of(raw: &str, depth: usize, context: &mut Context<'_, '_>) -> Result<Shape, Misfit> {
    let strict = context.rules.dialect == Dialect::Strict;
    Ok(match Token::of(raw)? {
        Token::Null => Shape::Null,
        Token::Boolean(_) => Shape::Boolean,
        Token::Text(_) => Shape::Text,
        Token::Number(number) => match (number.parse::<i64>(), number.parse::<f64>()) {
            (Ok(_), _) => Shape::Int,
            (_, Ok(value)) if value.is_finite() => Shape::Float,
            _ if strict => return Err(Misfit::malformed("the number is larger than a double")),
            _ => Shape::Text,
        },
        Token::Object(raw) if is_empty_object(raw) => {
            if strict {
                Shape::Null
            } else {
                Shape::Text
            }
        }
        Token::List(_) | Token::Object(_) if depth >= DEPTH_MAX => {
            if strict {
                return Err(Misfit::malformed(format!("nested deeper than {DEPTH_MAX}")));
            }
            Shape::Text
        }
        Token::List(raw) => {
            let mut items = Shape::Null;
            let mut detached = Context { rules: context.rules, items_left: context.items_left, unknown: Vec::new() };
            each_item(raw, &mut detached, |index, item, context| {
                let shape = shape_of(item, depth + 1, context)?;
                merge(&mut items, shape, strict).map_err(|misfit| misfit.within(&format!("[{index}]")))
            })?;
            context.items_left = detached.items_left;
            Shape::List(Box::new(items))
        }
        Token::Object(raw) => {
            let mut members = Members::new();
            let mut detached = Context { rules: context.rules, items_left: context.items_left, unknown: Vec::new() };
            each_member(raw, &mut detached, |key, value, context| member(&mut members, key, value, depth, context))?;
            context.items_left = detached.items_left;
            // Keys that can name no column leave a struct without any.
            if members.is_empty() { Shape::Text } else { Shape::Struct(members) }
        }
    })
}

fn merge(into: &mut Shape, other: Shape, strict: bool) -> Result<(), Misfit> {
    match (&mut *into, other) {
        (_, Shape::Null) => {}
        (Shape::Null, other) => *into = other,
        (Shape::Int, Shape::Float) => *into = Shape::Float,
        (Shape::Float, Shape::Int) => {}
        (Shape::List(items), Shape::List(other)) => {
            merge(items, *other, strict).map_err(|misfit| misfit.within("[]"))?;
        }
        (Shape::Struct(members), Shape::Struct(other)) => merge_members(members, other, strict)?,
        (known, other) if *known == other => {}
        (known, other) if strict => {
            return Err(Misfit::malformed(format!("{} where {} came first", other.name(), known.name())));
        }
        (known, _) => *known = Shape::Text,
    }
    Ok(())
}

fn merge_members(into: &mut Members, other: Members, strict: bool) -> Result<(), Misfit> {
    for (at, (key, shape)) in other.into_iter().enumerate() {
        // Records mostly have their keys in the same order.
        let known = match into.get(at) {
            Some((known, _)) if *known == key => Some(at),
            _ => into.iter().position(|(known, _)| *known == key),
        };
        match known {
            Some(at) => merge(&mut into[at].1, shape, strict).map_err(|misfit| misfit.within(&key))?,
            None => add(into, key, shape, strict)?,
        }
    }
    Ok(())
}

impl Shape {
    fn name(&self) -> &'static str {
        match self {
            Self::Null => "a null",
            Self::Boolean => "a boolean",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::List(_) => "a list",
            Self::Struct(_) => "an object",
        }
    }
}

fn leaves(members: &Members) -> usize {
    members.iter().map(|(_, shape)| leaves_of(shape)).sum()
}

fn leaves_of(shape: &Shape) -> usize {
    match shape {
        Shape::List(items) => leaves_of(items),
        Shape::Struct(members) => 1 + leaves(members),
        _ => 1,
    }
}

/// Columns of `members`, as many as `left` allows.
fn fields(members: &Members, left: &mut usize) -> Vec<Field> {
    let mut fields = Vec::new();
    for (name, shape) in members {
        let before = *left;
        if before == 0 {
            break;
        }
        if let Some(data_type) = data_type(shape, left) {
            fields.push(Field::new(name, data_type, true));
        }
    }
    fields
}

fn data_type(shape: &Shape, left: &mut usize) -> Option<DataType> {
    *left = left.checked_sub(1)?;
    Some(match shape {
        Shape::Boolean => DataType::Boolean,
        Shape::Int => DataType::Int64,
        Shape::Float => DataType::Float64,
        Shape::Null | Shape::Text => DataType::Utf8,
        Shape::List(items) => {
            *left += 1;
            list_of(data_type(items, left)?)
        }
        Shape::Struct(members) => match fields(members, left) {
            // Parquet knows no struct without members.
            fields if fields.is_empty() => DataType::Utf8,
            fields => DataType::Struct(fields.into()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columnar::{Deserializer, Inference, SchemaSource};

    fn rules(inference: Inference) -> Rules {
        let deserializer =
            Deserializer::OpenX { dots_to_underscores: false, case_insensitive: true, mappings: Default::default() };
        Rules::new(&deserializer, &SchemaSource::Infer(inference)).unwrap()
    }

    fn infer(records: &[&str], inference: Inference) -> Result<String, String> {
        let rules = rules(inference);
        let mut sample = Sample::default();
        for record in records {
            sample.take(record.as_bytes(), &rules).map_err(|misfit| misfit.message())?;
        }
        let schema = sample.schema(&rules);
        let fields = schema.fields().iter().map(|field| format!("{}:{}", field.name(), field.data_type()));
        Ok(fields.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn relaxed_keeps_everything() {
        let schema = infer(
            &[
                r#"{"B":1,"a":null,"c":true,"d":"x","e":[],"f":{"G":1},"h":{}}"#,
                r#"{"b":2.5,"c":1,"e":[1],"f":{"i":[null,"y"]},"z":12345678901234567890}"#,
                r#"{"b":1,"e":[2.5]} {"f":{"g":"text"}}"#,
            ],
            Inference::Relaxed,
        );
        assert_eq!(
            schema.unwrap(),
            "b:Float64 a:Utf8 c:Utf8 d:Utf8 e:List(Float64, field: 'element') \
             f:Struct(\"g\": Utf8, \"i\": List(Utf8, field: 'element')) h:Utf8 z:Float64 _other:Utf8"
        );
    }

    #[test]
    fn strict_refuses_and_names_the_key() {
        let message = |records: &[&str]| infer(records, Inference::Strict).unwrap_err();
        assert_eq!(
            message(&[r#"{"a":{"b":1}}"#, r#"{"a":{"b":"x"}}"#]),
            "Data does not match the schema. column 'a.b': a text where a whole number came first"
        );
        assert_eq!(
            message(&[r#"{"a":[1,"x"]}"#]),
            "Data does not match the schema. column 'a[1]': a text where a whole number came first"
        );
        assert_eq!(
            infer(&[r#"{"a":1,"b":{}}"#, r#"{"a":1.5,"b":2}"#], Inference::Strict).unwrap(),
            "a:Float64 b:Int64"
        );
    }

    #[test]
    fn limits_hold() {
        let deep = format!("{}1{}", "{\"a\":[".repeat(20), "]}".repeat(20));
        assert!(infer(&[&deep], Inference::Relaxed).unwrap().len() < 500);
        assert!(infer(&[&deep], Inference::Strict).unwrap_err().contains("nested deeper than 8"));
        let wide: String = (0..2_000).map(|n| format!("\"k{n}\":{n},")).collect();
        let wide = format!("{{{}}}", wide.trim_end_matches(','));
        assert_eq!(infer(&[&wide], Inference::Relaxed).unwrap().split(' ').count(), COLUMNS_MAX + 1);
        assert!(infer(&[&wide], Inference::Strict).unwrap_err().contains("more than 1000 columns"));
        let mut sample = Sample::default();
        sample.take(wide.as_bytes(), &rules(Inference::Relaxed)).expect("relaxed");
        assert_eq!(sample.members.len(), COLUMNS_MAX, "what has no column is not kept, nor looked through");
        let inner = format!("{{\"s\":{wide}}}");
        assert!(infer(&[&inner], Inference::Strict).unwrap_err().contains("more than 1000 columns"));
        let rows = "{}".repeat(ROWS_PER_RECORD_MAX + 1);
        assert!(infer(&[&rows], Inference::Relaxed).unwrap_err().contains("more than 4096 objects"));
        let items = format!("{{\"a\":[{}0]}}", "0,".repeat(70_000));
        assert!(infer(&[&items], Inference::Relaxed).unwrap_err().contains("more than 65536 items"));
    }
}
