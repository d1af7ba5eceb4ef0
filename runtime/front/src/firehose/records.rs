//! Reads the bodies of `PutRecord` and `PutRecordBatch` straight into a batch: no tree, no string
//! per record; base64 goes from the body into the payload.

use std::fmt;

use millrace_types::{Batch, BatchBuilder, BatchFull, MIB};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{ApiError, Code};
use crate::protocol::patterns;
use crate::protocol::shape::{FINDINGS_MAX, finding};
use crate::protocol::tree::twice;
use crate::settings::RECORD_BYTES_MAX;

/// Records of one `PutRecordBatch`.
pub(crate) const BATCH_RECORDS_MAX: usize = 500;
/// Record bytes of one `PutRecordBatch`.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * MIB;
/// Letters of a stream's name.
const NAME_CHARS_MAX: usize = 64;
/// Letters of the longest record in base64.
const RECORD_BASE64_MAX: usize = RECORD_BYTES_MAX.div_ceil(3) * 4;

/// Which operation the body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// `PutRecord`: one `Record`.
    One,
    /// `PutRecordBatch`: `Records`.
    Batch,
}

/// Decodes `body`: the stream's name and the records, whole or not at all.
///
/// # Errors
/// `SerializationException` for what is not JSON of the right types or not base64;
/// `ValidationException` for broken constraints; `InvalidArgumentException` over 4 MiB.
pub(crate) fn decode(body: &[u8], put: Put, arrival_ms: i64) -> Result<(String, Batch), ApiError> {
    // Three bytes for four letters: enough for all records, so the payload never moves.
    let records = if put == Put::One { 1 } else { BATCH_RECORDS_MAX.min(body.len() / 8 + 1) };
    let mut reader = Reader {
        put,
        arrival_ms,
        batch: BatchBuilder::with_capacity(records, body.len() / 4 * 3),
        name: None,
        records: None,
        over: false,
        findings: Vec::new(),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    Request(&mut reader)
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| ApiError::new(Code::Serialization, describe(&error)))?;
    reader.finish()
}

/// Where the body stops making sense; serde_json's own words, without the place twice.
fn describe(error: &serde_json::Error) -> String {
    format!("{error}")
}

struct Reader {
    put: Put,
    arrival_ms: i64,
    batch: BatchBuilder,
    name: Option<String>,
    /// Records seen; `None` while there is no member of that name.
    records: Option<usize>,
    /// More bytes than a batch takes: the rest is only checked.
    over: bool,
    findings: Vec<String>,
}

impl Reader {
    fn finding(&mut self, path: &str, constraint: &str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding(path, constraint));
        }
    }

    fn record_path(&self, index: usize, member: &str) -> String {
        match self.put {
            Put::One => format!("record{member}"),
            Put::Batch => format!("records.{}.member{member}", index + 1),
        }
    }

    /// Takes one record's base64.
    fn take(&mut self, index: usize, base64: &str) -> Result<(), Refused> {
        // What is too long as text is not decoded at all.
        let mut too_long = base64.len() > RECORD_BASE64_MAX;
        if !too_long && !self.over && index < BATCH_RECORDS_MAX {
            let taken = self.batch.push_with(self.arrival_ms, |payload| {
                let before = payload.len();
                base64_simd::STANDARD.decode_append(base64, payload).map_err(|_| Refused::Base64)?;
                if payload.len() - before > RECORD_BYTES_MAX { Err(Refused::TooLong) } else { Ok(()) }
            });
            match taken {
                Err(Refused::TooLong) => too_long = true,
                other => other?,
            }
        }
        if too_long {
            let path = self.record_path(index, ".data");
            self.finding(&path, &format!("Member must have length less than or equal to {RECORD_BYTES_MAX}"));
        }
        self.over |= self.batch.payload_bytes() > BATCH_BYTES_MAX;
        Ok(())
    }

    fn finish(mut self) -> Result<(String, Batch), ApiError> {
        let name = self.name.take();
        match &name {
            None => self.finding("deliveryStreamName", "Member must not be null"),
            Some(name) => {
                let pattern = &patterns::STREAM_NAME;
                if !(pattern.holds)(name) {
                    let text = format!("Member must satisfy regular expression pattern: {}", pattern.text);
                    self.finding("deliveryStreamName", &text);
                }
                if name.is_empty() {
                    self.finding("deliveryStreamName", "Member must have length greater than or equal to 1");
                }
                if name.chars().count() > NAME_CHARS_MAX {
                    self.finding("deliveryStreamName", "Member must have length less than or equal to 64");
                }
            }
        }
        let member = if self.put == Put::One { "record" } else { "records" };
        match self.records {
            None => self.finding(member, "Member must not be null"),
            Some(0) => self.finding(member, "Member must have length greater than or equal to 1"),
            Some(count) if count > BATCH_RECORDS_MAX => {
                self.finding(member, "Member must have length less than or equal to 500");
            }
            Some(_) => {}
        }
        if !self.findings.is_empty() {
            return Err(ApiError::validation(&self.findings));
        }
        if self.over {
            return Err(ApiError::invalid("Records size exceeds 4 MB limit"));
        }
        Ok((name.unwrap_or_default(), self.batch.finish()))
    }
}

/// Why a record's text was not taken.
enum Refused {
    Base64,
    TooLong,
    Full,
}

impl From<BatchFull> for Refused {
    fn from(_: BatchFull) -> Self {
        Self::Full
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "Data is not valid base64",
            Self::TooLong | Self::Full => "Data is too long",
        })
    }
}

/// The members of a request, told apart without keeping their names.
enum Field {
    Name,
    Records,
    Unknown(String),
}

struct FieldSeed(Put);

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(match (name, self.0) {
            ("DeliveryStreamName", _) => Field::Name,
            ("Record", Put::One) | ("Records", Put::Batch) => Field::Records,
            _ => Field::Unknown(name.chars().take(80).collect()),
        })
    }
}

struct Request<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for Request<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Request<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        let (mut named, mut held) = (false, false);
        while let Some(field) = map.next_key_seed(FieldSeed(reader.put))? {
            match field {
                // Both would be taken, or one lost: neither is what the client meant.
                Field::Name if std::mem::replace(&mut named, true) => {
                    return Err(A::Error::custom(twice("DeliveryStreamName")));
                }
                Field::Records if std::mem::replace(&mut held, true) => {
                    let name = if reader.put == Put::One { "Record" } else { "Records" };
                    return Err(A::Error::custom(twice(name)));
                }
                Field::Name => reader.name = map.next_value()?,
                Field::Records if reader.put == Put::One => {
                    map.next_value_seed(Record { reader: &mut *reader, index: 0 })?;
                }
                Field::Records => map.next_value_seed(Records(&mut *reader))?,
                Field::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    let small = lower_first(&name);
                    reader.finding(&small, "Member is not known to this operation");
                }
            }
        }
        Ok(())
    }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

struct Records<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut count = 0;
        while seq.next_element_seed(Record { reader: &mut *self.0, index: count })?.is_some() {
            count += 1;
        }
        self.0.records = Some(count);
        Ok(())
    }
}

struct Record<'r> {
    reader: &'r mut Reader,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record: an object with Data")
    }

    /// `null`: an absent `Record`, or a hole in the list.
    fn visit_unit<E>(self) -> Result<(), E> {
        if self.reader.put == Put::Batch {
            let path = self.reader.record_path(self.index, "");
            self.reader.finding(&path, "Member must not be null");
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { reader, index } = self;
        let (mut given, mut has_data) = (false, false);
        while let Some(name) = map.next_key_seed(DataSeed)? {
            match name {
                None if std::mem::replace(&mut given, true) => return Err(A::Error::custom(twice("Data"))),
                None => has_data = map.next_value_seed(Data { reader: &mut *reader, index })?,
                Some(name) => {
                    map.next_value::<IgnoredAny>()?;
                    let path = reader.record_path(index, &format!(".{}", lower_first(&name)));
                    reader.finding(&path, "Member is not known to this operation");
                }
            }
        }
        if !has_data {
            let path = reader.record_path(index, ".data");
            reader.finding(&path, "Member must not be null");
        }
        if reader.put == Put::One {
            reader.records = Some(1);
        }
        Ok(())
    }
}

/// `None` for `Data`, else the unknown name.
struct DataSeed;

impl<'de> DeserializeSeed<'de> for DataSeed {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for DataSeed {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<String>, E> {
        Ok((name != "Data").then(|| name.chars().take(80).collect()))
    }
}

struct Data<'r> {
    reader: &'r mut Reader,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Data<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data as a base64 string")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    /// Borrowed from the body, or, with escapes such as `\/` in it, from serde_json's scratch buffer.
    fn visit_str<E: serde::de::Error>(self, base64: &str) -> Result<bool, E> {
        self.reader.take(self.index, base64).map_err(E::custom)?;
        Ok(true)
    }
}
