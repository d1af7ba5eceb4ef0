//! What a handler answered, read as Firehose reads it: record by record, and each that is not in order
//! fails alone, with the wire's code and text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Formatter, Result as Written};
use std::ops::Range;

use base64_simd::STANDARD;
use millrace_types::{Batch, RecordId};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::ID_SUFFIX;
use crate::abi::RawOutput;
use crate::call::BatchSource;
use crate::output::{PARTITION_NAME_BYTES_MAX, PARTITION_NAMES_MAX, PROCESSING_FAILED};
use crate::{CallError, Output};

const INVALID: &str = "Lambda.InvalidReturnFormat";
/// The wire's texts.
const NO_DATA: &str = "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource \
                       and processing result is Ok.";
const MISSING: &str = "One or more record Ids were not returned. Ensure that the Lambda function returns all \
                       received record Ids.";
const DUPLICATED: &str = "Multiple records were returned with the same record ID. Ensure that the Lambda function \
                          returns unique record IDs for each record.";
const NO_VALUE: &str = "partitionKeys values must not be null or empty";

/// What the records of one event became; indices are the event's.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Records that go on; without failures.
    pub(crate) output: Output,
    /// Index, code and message of each record that failed, in order.
    pub(crate) failures: Vec<(u32, &'static str, String)>,
}

#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(rename = "recordId", borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<RawMetadata<'a>>,
}

#[derive(Deserialize)]
struct RawMetadata<'a> {
    #[serde(rename = "partitionKeys", borrow)]
    partition_keys: Option<RawKeys<'a>>,
}

/// Partition keys. Of more than an output may have, one more is kept than it may have: it is refused for that.
#[derive(Default)]
struct RawKeys<'a>(BTreeMap<String, Option<&'a RawValue>>);

/// One record's end.
enum End<'a> {
    Missing,
    Delivered { data: Cow<'a, str>, keys: BTreeMap<String, String> },
    Dropped,
    Failed(&'static str, String),
}

/// Reads the answer to the event of the records `range` of `batch`.
///
/// # Errors
/// [`CallError::NotJson`], and [`CallError::Invalid`] for JSON of another shape: then nothing is known of
/// any record.
pub(crate) fn read(
    answer: &[u8],
    batch: &Batch,
    range: Range<usize>,
    source: &BatchSource,
) -> Result<Answer, CallError> {
    let first = batch.first().get() + range.start as u64;
    let mut reading = Reading { source, first, ends: range.map(|_| End::Missing).collect() };
    reading.take_all(answer).map_err(|error| match error.classify() {
        Category::Data => CallError::Invalid(error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => CallError::NotJson(error.to_string()),
    })?;
    put_together(reading.ends)
}

/// An answer that is being read. Its records are taken one by one: however many it has, what is kept of them is
/// the ends of the event's records.
struct Reading<'a, 'e> {
    source: &'e BatchSource,
    /// Sequence number of the event's first record.
    first: u64,
    ends: Vec<End<'a>>,
}

impl<'a> Reading<'a, '_> {
    fn take_all(&mut self, answer: &'a [u8]) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_slice(answer);
        Whole(self).deserialize(&mut json)?;
        json.end()
    }

    fn take(&mut self, record: RawRecord<'a>) {
        let at = record.id.as_deref().and_then(|id| index(id, self.source, self.first));
        // What was not asked for is ignored, as at AWS.
        let Some(end) = at.and_then(|at| self.ends.get_mut(at)) else { return };
        *end = match end {
            End::Missing => judge(record),
            _ => End::Failed("Lambda.DuplicatedRecordId", DUPLICATED.to_owned()),
        };
    }
}

/// Reads the object.
struct Whole<'r, 'a, 'e>(&'r mut Reading<'a, 'e>);

impl<'de> DeserializeSeed<'de> for Whole<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> Written {
        f.write_str("an object with `records`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name != "records" {
                members.next_value::<IgnoredAny>()?;
            } else if std::mem::replace(&mut seen, true) {
                return Err(A::Error::duplicate_field("records"));
            } else {
                members.next_value_seed(Records(&mut *self.0))?;
            }
        }
        if seen { Ok(()) } else { Err(A::Error::missing_field("records")) }
    }
}

/// Reads the list of records.
struct Records<'r, 'a, 'e>(&'r mut Reading<'a, 'e>);

impl<'de> DeserializeSeed<'de> for Records<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> Written {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(record) = records.next_element()? {
            self.0.take(record);
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawKeys<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = RawKeys<'de>;

            fn expecting(&self, f: &mut Formatter<'_>) -> Written {
                f.write_str("an object of partition keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<RawKeys<'de>, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some(name) = members.next_key::<String>()? {
                    if keys.len() <= PARTITION_NAMES_MAX || keys.contains_key(&name) {
                        keys.insert(name, members.next_value()?);
                    } else {
                        members.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(RawKeys(keys))
            }
        }

        json.deserialize_map(Names)
    }
}

/// The place of record `id` behind the record with sequence number `first`.
fn index(id: &str, source: &BatchSource, first: u64) -> Option<usize> {
    let id: RecordId = id.strip_suffix(ID_SUFFIX)?.parse().ok()?;
    if id.shard != source.shard {
        return None;
    }
    usize::try_from(id.seq.get().checked_sub(first)?).ok()
}

fn judge(record: RawRecord<'_>) -> End<'_> {
    match record.result.as_deref() {
        Some("Ok") => {}
        Some("Dropped") => return End::Dropped,
        Some("ProcessingFailed") => {
            return End::Failed("Lambda.ProcessingFailedStatus", PROCESSING_FAILED.to_owned());
        }
        Some(_) | None => {
            return End::Failed(INVALID, "The result must be Ok, Dropped or ProcessingFailed.".to_owned());
        }
    }
    let Some(data) = record.data else { return End::Failed(INVALID, NO_DATA.to_owned()) };
    let Some(data) = text(data) else { return End::Failed(INVALID, "The data is not a string.".to_owned()) };
    match partition_keys(record.metadata) {
        Ok(keys) => End::Delivered { data, keys },
        Err((code, message)) => End::Failed(code, message),
    }
}

fn partition_keys(metadata: Option<RawMetadata<'_>>) -> Result<BTreeMap<String, String>, (&'static str, String)> {
    let mut keys = BTreeMap::new();
    for (name, value) in metadata.and_then(|metadata| metadata.partition_keys).unwrap_or_default().0 {
        if name.is_empty() || name.len() > PARTITION_NAME_BYTES_MAX {
            let bytes = name.len();
            return Err((
                INVALID,
                format!("A partition key's name has 1 to {PARTITION_NAME_BYTES_MAX} bytes, not {bytes}."),
            ));
        }
        let value = match value {
            Some(value) => {
                scalar(value).ok_or_else(|| (INVALID, format!("The partition key {name} is not a string.")))?
            }
            None => Cow::Borrowed(""),
        };
        if value.is_empty() {
            return Err(("DynamicPartitioning.MetadataExtractionFailed", NO_VALUE.to_owned()));
        }
        keys.insert(name, value.into_owned());
    }
    Ok(keys)
}

/// The text of a JSON string.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(value.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The text of a JSON string, number or boolean.
fn scalar(value: &RawValue) -> Option<Cow<'_, str>> {
    let raw = value.get();
    if raw.starts_with(['{', '[']) { None } else { text(value).or(Some(Cow::Borrowed(raw))) }
}

/// The columns of an output, in the order of the records.
fn put_together(ends: Vec<End<'_>>) -> Result<Answer, CallError> {
    let inputs = ends.len();
    let mut failures = Vec::new();
    let mut raw = RawOutput::default();
    let mut delivered: Vec<BTreeMap<String, String>> = Vec::new();
    for (at, end) in (0_u32..).zip(ends) {
        let failure = match end {
            End::Missing => ("Lambda.MissingRecordId", MISSING.to_owned()),
            End::Failed(code, message) => (code, message),
            End::Dropped => continue,
            End::Delivered { data, keys } => {
                let before = raw.payload.len();
                if STANDARD.decode_append(data.as_bytes(), &mut raw.payload).is_ok() {
                    raw.ends.push(u32::try_from(raw.payload.len()).unwrap_or(u32::MAX));
                    raw.sources.push(at);
                    delivered.push(keys);
                    continue;
                }
                raw.payload.truncate(before);
                (INVALID, "The data is not Base64.".to_owned())
            }
        };
        failures.push((at, failure.0, failure.1));
    }
    for keys in &delivered {
        // No more names than an output may have, and one: that is refused below.
        raw.partition_names
            .extend(keys.keys().filter(|name| !raw.partition_names.contains(name)).cloned().collect::<Vec<_>>());
        if raw.partition_names.len() > PARTITION_NAMES_MAX {
            break;
        }
    }
    for keys in &delivered {
        for name in &raw.partition_names {
            raw.partition_values.extend_from_slice(keys.get(name).map_or("", String::as_str).as_bytes());
            raw.partition_ends.push(u32::try_from(raw.partition_values.len()).unwrap_or(u32::MAX));
        }
    }
    let output = Output::check(raw, inputs).map_err(CallError::Invalid)?;
    Ok(Answer { output, failures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_as_they_are_read_and_not_collected() {
        let source = BatchSource::default();
        let mut reading = Reading { source: &source, first: 0, ends: vec![End::Missing] };
        let id = RecordId { shard: source.shard, seq: millrace_types::Seq::ZERO };
        let answer = format!(r#"{{"records":[{{}},{{"recordId":"{id}{ID_SUFFIX}","result":"Dropped"}},{{}},{{"#);
        assert!(reading.take_all(answer.as_bytes()).is_err(), "it goes on");
        assert!(matches!(reading.ends[..], [End::Dropped]), "the record before the end is judged already");
    }

    #[test]
    fn of_too_many_partition_keys_no_more_are_kept_than_tell_so() {
        let names: Vec<String> = (0..10 * PARTITION_NAMES_MAX).map(|nth| format!(r#""{nth}":1"#)).collect();
        let text = format!("{{{}}}", names.join(","));
        let keys: RawKeys<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(keys.0.len(), PARTITION_NAMES_MAX + 1);
    }
}
