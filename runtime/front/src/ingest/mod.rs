//! Plain HTTP ingest: a body of lines, of a JSON array, or of one raw record becomes one batch,
//! which is taken whole or refused whole.

mod decompress;
#[cfg(test)]
mod tests;

use std::fmt;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use millrace_delivery::Appended;
use millrace_types::{Batch, BatchBuilder, BatchFull, PAYLOAD_BYTES_MAX, RECORDS_MAX, RecordId};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::Received;
use crate::budget::Share;
use crate::error::{ApiError, Code};
use crate::header::single;
use crate::settings::{
    DECOMPRESSION_RATIO_MAX, INGEST_BODY_BYTES_MAX, INGEST_DECODED_BYTES_MAX, RATIO_FREE_BYTES, RECORD_BYTES_MAX,
};
use crate::shared::Shared;
pub(crate) use decompress::{Encoding, Limits, all as decompressed};

/// How a body is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One record a line.
    Lines,
    /// One record an element of a JSON array.
    Array,
    /// The body is one record.
    Raw,
}

/// The form and encoding that the head names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    form: Form,
    encoding: Encoding,
}

impl Kind {
    /// Reads the head.
    ///
    /// # Errors
    /// `Media` for types and encodings that are not taken; `Serialization` where one is given twice.
    pub(crate) fn of(parts: &Parts) -> Result<Self, ApiError> {
        let text = |name| -> Result<String, ApiError> {
            let value = single(&parts.headers, &name)?.map(|value| String::from_utf8_lossy(value.as_bytes()));
            Ok(value.unwrap_or_default().chars().take(100).collect::<String>().to_ascii_lowercase())
        };
        let content_type = text(CONTENT_TYPE)?;
        let form = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Form::Array,
            "application/octet-stream" => Form::Raw,
            // What curl sends with --data-binary and no type of its own.
            "" | "application/x-www-form-urlencoded" => Form::Lines,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Form::Lines
            }
            other if other.starts_with("text/") => Form::Lines,
            other => {
                return Err(ApiError::new(
                    Code::Media,
                    format!(
                        "The content type {other} is not taken: send application/x-ndjson, application/json (an \
                         array) or application/octet-stream (one record)"
                    ),
                ));
            }
        };
        let content_encoding = text(CONTENT_ENCODING)?;
        let encoding = match content_encoding.trim() {
            "" | "identity" => Encoding::Identity,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "zstd" => Encoding::Zstd,
            other => {
                return Err(ApiError::new(
                    Code::Media,
                    format!("The content encoding {other} is not taken: send gzip, zstd or none"),
                ));
            }
        };
        Ok(Self { form, encoding })
    }
}

/// What a body over its limit is told.
pub(crate) fn too_large() -> ApiError {
    ApiError::new(
        Code::TooLarge,
        format!("The body is over {INGEST_BODY_BYTES_MAX} bytes: send it in parts, or compressed"),
    )
}

/// Decodes a body whose sender is known. The share of the decompressed bytes is given back by its drop.
///
/// # Errors
/// A body that does not read as its head says, or that is over a limit.
pub(crate) async fn decode(
    shared: &Shared,
    kind: Kind,
    received: Received,
    now_ms: i64,
) -> Result<(Batch, Vec<Share>), ApiError> {
    let Received { bytes, share } = received;
    if kind.encoding == Encoding::Identity {
        looks_compressed(kind.form, &bytes)?;
        return Ok((cut(kind.form, &bytes, now_ms)?, vec![share]));
    }
    let decoded = shared.decoded.buy(INGEST_DECODED_BYTES_MAX).await?;
    let limits = Limits {
        bytes_max: INGEST_DECODED_BYTES_MAX,
        ratio_max: DECOMPRESSION_RATIO_MAX,
        ratio_free_bytes: RATIO_FREE_BYTES,
    };
    // Decompression takes longer than a task may hold its thread.
    let batch = millrace_tasks::blocking(move || {
        let plain = decompressed(kind.encoding, &bytes, limits)?;
        drop(bytes);
        cut(kind.form, &plain, now_ms)
    })
    .await?;
    Ok((batch, vec![share, decoded]))
}

/// A compressed body whose head does not say so would become records of binary rubbish: no line of text and no
/// JSON array begins like one.
fn looks_compressed(form: Form, body: &[u8]) -> Result<(), ApiError> {
    let encoding = match body {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0x1f, 0x8b, ..] => "gzip",
        _ => return Ok(()),
    };
    if form == Form::Raw {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Media,
        format!(
            "The body begins like {encoding}: send it with Content-Encoding: {encoding}, or, if it is one record, as \
             application/octet-stream"
        ),
    ))
}

/// The answer: how many, and the ids of the first and the last.
pub(crate) fn answer(appended: Appended, count: usize) -> String {
    let first = RecordId { shard: appended.shard, seq: appended.first };
    let last = RecordId { shard: appended.shard, seq: appended.first.plus(count.saturating_sub(1) as u64) };
    format!(r#"{{"records":{count},"firstRecordId":"{first}","lastRecordId":"{last}"}}"#)
}

/// Lines as records, `\n` or `\r\n` taken off, empty lines left out.
///
/// # Errors
/// A line that is too long, too many of them, or none.
pub(crate) fn lines(body: &[u8], now_ms: i64) -> Result<Batch, ApiError> {
    cut(Form::Lines, body, now_ms)
}

/// As [`lines`], in any form.
pub(crate) fn cut(form: Form, body: &[u8], now_ms: i64) -> Result<Batch, ApiError> {
    let mut cutter = Cutter { batch: BatchBuilder::with_capacity(0, body.len()), now_ms };
    match form {
        Form::Raw => cutter.push(body, "The body")?,
        Form::Lines => {
            let mut rest = body;
            let mut number = 0usize;
            while !rest.is_empty() {
                number += 1;
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let (line, behind) = rest.split_at(end);
                rest = behind.get(1..).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    cutter.push_numbered(line, "Line", number)?;
                }
            }
        }
        Form::Array => cutter.array(body)?,
    }
    if cutter.batch.is_empty() {
        return Err(ApiError::slugged(Code::InvalidArgument, "request.empty", "The body holds no record"));
    }
    Ok(cutter.batch.finish())
}

struct Cutter {
    batch: BatchBuilder,
    now_ms: i64,
}

impl Cutter {
    fn push(&mut self, record: &[u8], what: &str) -> Result<(), ApiError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(ApiError::slugged(
                Code::TooLarge,
                "record.too-large",
                format!("{what} has {} bytes; a record has at most {RECORD_BYTES_MAX}", record.len()),
            ));
        }
        self.batch.push(record, self.now_ms).map_err(|BatchFull| {
            ApiError::new(
                Code::TooLarge,
                format!(
                    "The body holds more than {RECORDS_MAX} records or {PAYLOAD_BYTES_MAX} bytes: send it in parts"
                ),
            )
        })
    }

    /// As [`Self::push`]; the name is put together only for an error.
    fn push_numbered(&mut self, record: &[u8], noun: &str, number: usize) -> Result<(), ApiError> {
        if record.len() > RECORD_BYTES_MAX {
            self.push(record, &format!("{noun} {number}"))
        } else {
            self.push(record, noun)
        }
    }

    fn array(&mut self, body: &[u8]) -> Result<(), ApiError> {
        let mut refused = None;
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = json.deserialize_seq(Elements { cutter: self, refused: &mut refused }).and_then(|()| json.end());
        if let Some(error) = refused {
            return Err(error);
        }
        read.map_err(|error| ApiError::new(Code::Serialization, format!("The body is not a JSON array: {error}")))
    }
}

/// Takes each element's own text as a record.
struct Elements<'a> {
    cutter: &'a mut Cutter,
    refused: &'a mut Option<ApiError>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            number += 1;
            if let Err(error) = self.cutter.push_numbered(element.get().as_bytes(), "Element", number) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
