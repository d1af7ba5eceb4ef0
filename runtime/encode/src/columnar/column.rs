//! Columns in the making: JSON values in, Arrow arrays out. A column can be cut back, so a record that
//! does not fit leaves nothing behind.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;

use super::row::{Context, Members};
use super::rules::{Dialect, Misfit, Rules};
use super::scalar::{self, Token};

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    /// Values whose append went through; kept here because it is asked for at every value.
    len: usize,
    valid: NullBufferBuilder,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Boolean(BooleanBufferBuilder),
    /// Whole numbers of this many bits.
    Int(u32, Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(u8, i8, Vec<i128>),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    Text(Packed),
    Binary(Packed),
    List(FieldRef, Vec<i32>, Box<Column>),
    Struct(Box<Members>),
    Map(FieldRef, Vec<i32>, Box<(Column, Column)>),
}

/// Byte strings, one behind the other.
#[derive(Debug)]
struct Packed {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Packed {
    fn new() -> Self {
        Self { ends: vec![0], bytes: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(end(self.bytes.len()));
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len + 1);
        self.bytes.truncate(self.ends[len] as usize);
    }

    /// Takes both out; the next batch will be about as long.
    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let bytes = take(&mut self.bytes);
        (take_ends(&mut self.ends), Buffer::from_vec(bytes))
    }
}

/// A batch holds far less than 2 GiB: it is cut at [`super::row::BATCH_SOURCE_BYTES`].
fn end(bytes: usize) -> i32 {
    #[expect(clippy::expect_used, reason = "a batch is cut long before; a wrong offset must not be written")]
    i32::try_from(bytes).expect("a column of a batch is below 2 GiB")
}

fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let fresh = Vec::with_capacity(values.len());
    std::mem::replace(values, fresh)
}

fn take_ends(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = take(ends);
    ends.push(0);
    OffsetBuffer::new(ScalarBuffer::from(taken))
}

impl Column {
    /// An empty column of this type; types are those of [`super::table`] and [`super::infer`].
    pub(super) fn new(data_type: &DataType, rules: &Rules) -> Result<Self, ArrowError> {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Values::Int(8, Vec::new()),
            DataType::Int16 => Values::Int(16, Vec::new()),
            DataType::Int32 => Values::Int(32, Vec::new()),
            DataType::Int64 => Values::Int(64, Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => Values::Decimal(*precision, *scale, Vec::new()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Timestamp(..) => Values::Timestamp(Vec::new()),
            DataType::Utf8 => Values::Text(Packed::new()),
            DataType::Binary => Values::Binary(Packed::new()),
            DataType::List(item) => {
                Values::List(Arc::clone(item), vec![0], Box::new(Self::new(item.data_type(), rules)?))
            }
            DataType::Struct(fields) => Values::Struct(Box::new(Members::new(fields, false, rules)?)),
            DataType::Map(entry, _) => match entry.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let key = Self::new(pair[0].data_type(), rules)?;
                    let value = Self::new(pair[1].data_type(), rules)?;
                    Values::Map(Arc::clone(entry), vec![0], Box::new((key, value)))
                }
                other => return Err(ArrowError::NotYetImplemented(format!("a map of {other}"))),
            },
            other => return Err(ArrowError::NotYetImplemented(format!("a column of {other}"))),
        };
        Ok(Self { len: 0, valid: NullBufferBuilder::new(0), values })
    }

    /// Values so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends the value whose JSON text is `raw`. On a misfit the column is to be cut back.
    pub(super) fn append<'a>(&mut self, raw: &'a str, context: &mut Context<'_, 'a>) -> Result<(), Misfit> {
        let token = Token::of(raw)?;
        let rules = context.rules;
        if token.is_null(rules.dialect) {
            self.append_null();
            return Ok(());
        }
        match &mut self.values {
            Values::Text(texts) => scalar::text(&token, rules, |text| texts.push(text.as_bytes()))?,
            Values::Int(bits, values) => values.push(scalar::integer(&token, *bits, rules)?),
            Values::Float64(values) => values.push(scalar::float64(&token, rules)?),
            Values::Float32(values) => values.push(scalar::float32(&token, rules)?),
            Values::Boolean(values) => values.append(scalar::boolean(&token, rules)?),
            Values::Decimal(precision, scale, values) => {
                values.push(scalar::decimal(&token, *precision, *scale, rules)?);
            }
            Values::Date(values) => values.push(scalar::date(&token)?),
            Values::Timestamp(values) => values.push(scalar::timestamp_us(&token, rules)?),
            Values::Binary(blobs) => blobs.push(&scalar::binary(&token)?),
            Values::List(_, ends, items) => {
                append_list(items, &token, raw, context)?;
                ends.push(end(items.len()));
            }
            Values::Struct(members) => members.append(&token, context)?,
            Values::Map(_, ends, pair) => {
                append_map(pair, &token, context)?;
                ends.push(end(pair.0.len()));
            }
        }
        self.valid.append_non_null();
        self.len += 1;
        Ok(())
    }

    /// Appends a text as it is; the column is one of texts.
    pub(super) fn append_text(&mut self, text: &str) {
        if let Values::Text(texts) = &mut self.values {
            texts.push(text.as_bytes());
            self.valid.append_non_null();
            self.len += 1;
        }
    }

    /// Appends a null.
    pub(super) fn append_null(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int(_, values) | Values::Timestamp(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal(.., values) => values.push(0),
            Values::Date(values) => values.push(0),
            Values::Text(values) | Values::Binary(values) => values.push(&[]),
            Values::List(_, ends, _) | Values::Map(_, ends, _) => {
                let last = ends[ends.len() - 1];
                ends.push(last);
            }
            Values::Struct(members) => members.append_null(),
        }
        self.valid.append_null();
        self.len += 1;
    }

    /// Cuts back to `len` values; what a failed append left goes too.
    pub(super) fn truncate(&mut self, len: usize) {
        if self.len > len {
            self.valid.truncate(len);
            self.len = len;
        }
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::Int(_, values) | Values::Timestamp(values) => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Decimal(.., values) => values.truncate(len),
            Values::Date(values) => values.truncate(len),
            Values::Text(values) | Values::Binary(values) => values.truncate(len),
            Values::List(_, ends, items) => {
                ends.truncate(len + 1);
                items.truncate(ends[len] as usize);
            }
            Values::Struct(members) => members.truncate(len),
            Values::Map(_, ends, pair) => {
                ends.truncate(len + 1);
                pair.0.truncate(ends[len] as usize);
                pair.1.truncate(ends[len] as usize);
            }
        }
    }

    /// Takes the values out as an array.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.valid.finish();
        self.len = 0;
        Ok(match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int(8, values) => Arc::new(Int8Array::new(narrow(values, |v| v as i8), nulls)),
            Values::Int(16, values) => Arc::new(Int16Array::new(narrow(values, |v| v as i16), nulls)),
            Values::Int(32, values) => Arc::new(Int32Array::new(narrow(values, |v| v as i32), nulls)),
            Values::Int(_, values) => Arc::new(Int64Array::new(take(values).into(), nulls)),
            Values::Float32(values) => Arc::new(Float32Array::new(take(values).into(), nulls)),
            Values::Float64(values) => Arc::new(Float64Array::new(take(values).into(), nulls)),
            Values::Decimal(precision, scale, values) => {
                let array = Decimal128Array::new(take(values).into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Values::Date(values) => Arc::new(Date32Array::new(take(values).into(), nulls)),
            Values::Timestamp(values) => {
                Arc::new(TimestampMicrosecondArray::new(take(values).into(), nulls).with_timezone("UTC"))
            }
            Values::Text(texts) => {
                let (ends, bytes) = texts.take();
                Arc::new(StringArray::try_new(ends, bytes, nulls)?)
            }
            Values::Binary(blobs) => {
                let (ends, bytes) = blobs.take();
                Arc::new(BinaryArray::try_new(ends, bytes, nulls)?)
            }
            Values::List(field, ends, items) => {
                Arc::new(ListArray::try_new(Arc::clone(field), take_ends(ends), items.finish()?, nulls)?)
            }
            Values::Struct(members) => Arc::new(members.finish(nulls)?),
            Values::Map(entry, ends, pair) => Arc::new(finish_map(entry, take_ends(ends), pair, nulls)?),
        })
    }

    /// Bytes of memory held, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.valid.allocated_size()
            + match &self.values {
                Values::Boolean(values) => values.capacity() / 8,
                Values::Int(_, values) | Values::Timestamp(values) => values.capacity() * 8,
                Values::Float32(values) => values.capacity() * 4,
                Values::Float64(values) => values.capacity() * 8,
                Values::Decimal(.., values) => values.capacity() * 16,
                Values::Date(values) => values.capacity() * 4,
                Values::Text(packed) | Values::Binary(packed) => packed.bytes.capacity() + packed.ends.capacity() * 4,
                Values::List(_, ends, items) => ends.capacity() * 4 + items.memory_bytes(),
                Values::Struct(members) => members.memory_bytes(),
                Values::Map(_, ends, pair) => ends.capacity() * 4 + pair.0.memory_bytes() + pair.1.memory_bytes(),
            }
    }
}

/// The values were held against the width when they were appended.
fn narrow<T>(values: &mut Vec<i64>, to: impl Fn(i64) -> T) -> ScalarBuffer<T>
where
    T: arrow::datatypes::ArrowNativeType,
{
    take(values).into_iter().map(to).collect::<Vec<T>>().into()
}

fn append_list<'a>(
    items: &mut Column,
    token: &Token<'a>,
    raw: &'a str,
    context: &mut Context<'_, 'a>,
) -> Result<(), Misfit> {
    match token {
        Token::List(raw) => super::row::each_item(raw, context, |index, item, context| {
            let known = context.unknown.len();
            let appended = items.append(item, context);
            context.prefix_unknown(known, || format!("[{index}]"));
            appended.map_err(|misfit| misfit.within(&format!("[{index}]")))
        }),
        _ if context.rules.dialect == Dialect::OpenX => items.append(raw, context),
        _ => Err(Misfit::malformed("java.io.IOException: Start of Array expected")),
    }
}

fn append_map<'a>(pair: &mut (Column, Column), token: &Token<'a>, context: &mut Context<'_, 'a>) -> Result<(), Misfit> {
    let Token::Object(raw) = token else {
        return Err(Misfit::malformed(format!("{} where a map is expected", token.kind())));
    };
    super::row::each_member(raw, context, |key, value, context| {
        let fold = context.rules.dialect == Dialect::OpenX && context.rules.fold_case;
        if fold {
            pair.0.append_text(&key.to_lowercase())
        } else {
            pair.0.append_text(key)
        }
        pair.1.append(value, context).map_err(|misfit| misfit.within(key))
    })
}

fn finish_map(
    entry: &FieldRef,
    ends: OffsetBuffer<i32>,
    pair: &mut (Column, Column),
    nulls: Option<NullBuffer>,
) -> Result<MapArray, ArrowError> {
    let fields = match entry.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into(),
    };
    let entries = StructArray::try_new(fields, vec![pair.0.finish()?, pair.1.finish()?], None)?;
    MapArray::try_new(Arc::clone(entry), ends, entries, nulls, false)
}
