//! Object keys: the prefix language of Firehose, its checks with their exact texts, and its rules.
//!
//! Key = evaluated prefix, `<stream>-<version>-<yyyy-MM-dd-HH-mm-ss>-<uuid><extension>`. All times of
//! a key come from one instant, the arrival of the object's oldest record, in the custom time zone.
//! - No prefix: `yyyy/MM/dd/HH/`. One without expressions: the same behind it, with no slash added.
//!   One with any expression: as it is.
//! - No error prefix: `<prefix><error-output-type>/yyyy/MM/dd/HH/`; one without expressions likewise.
//!
//! **A key never leaves its prefix.** A partition value may hold slashes (they make folders, as at
//! AWS) but no control character, and no key has a segment `.` or `..`: such a value is refused, and
//! its record goes to the error prefix. Refused, not escaped: an escaped value would silently share
//! a folder with another one.

mod expression;
mod pattern;
mod print;
mod zone;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use millrace_types::Entropy;

use expression::{Member, Part};
use pattern::Pattern;

/// UTF-16 units (Java's length) that an evaluated prefix may have.
const EVALUATED_CHARS_MAX: usize = 512;
/// Characters of a `random-string`.
const RANDOM_CHARS: usize = 11;
/// What is appended to a prefix without expressions.
const DATE_PATTERN: &str = "yyyy/MM/dd/HH/";
/// The time in an object's name.
const NAME_PATTERN: &str = "yyyy-MM-dd-HH-mm-ss";
/// AWS's text where a partition key of the prefix is missing, null or empty.
const EMPTY_PARTITION_VALUE: &str = "partitionKeys values must not be null or empty";

/// The checked prefixes of one destination.
#[derive(Debug, Clone)]
pub struct Prefixes {
    data: Vec<Part>,
    error: Vec<Part>,
    name_time: Pattern,
    zone: TimeZone,
}

/// What an object's key is made of.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// The delivery stream's name.
    pub stream: &'a str,
    /// Its `VersionId` at delivery.
    pub version: u64,
    /// Arrival of the object's oldest record, milliseconds since the Unix epoch.
    pub instant_ms: i64,
    /// A fresh version 4 UUID.
    pub uuid: &'a str,
    /// What ends the key, with its dot; may be empty.
    pub extension: &'a str,
    /// The partition's keys and values; empty without dynamic partitioning.
    pub partition_keys: &'a [(&'a str, &'a str)],
}

impl Prefixes {
    /// Checks and keeps `Prefix`, `ErrorOutputPrefix` (empty when absent) and `CustomTimeZone`
    /// (empty or `UTC` when absent).
    ///
    /// # Errors
    /// The text of the `InvalidArgumentException`.
    pub fn new(prefix: &str, error_prefix: &str, time_zone: &str, dynamic_partitioning: bool) -> Result<Self, String> {
        let zone = zone::custom(time_zone)?;
        let mut data = expression::parse(prefix, Member::Prefix)?;
        let mut error = expression::parse(error_prefix, Member::ErrorOutputPrefix)?;
        let has_expression = |parts: &[Part]| parts.iter().any(|part| !matches!(part, Part::Literal(_)));
        if has_expression(&data) && error_prefix.is_empty() {
            return Err("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions".into());
        }
        if has_expression(&error) && !error.iter().any(|part| matches!(part, Part::ErrorType)) {
            return Err(
                "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}".into()
            );
        }
        match (dynamic_partitioning, data.iter().any(|part| matches!(part, Part::Partition(_)))) {
            (true, false) => {
                return Err(
                    "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled"
                        .into(),
                );
            }
            (false, true) => {
                return Err("Dynamic Partitioning Namespaces can't be part of a prefix expression when Dynamic Partitioning is not enabled".into());
            }
            _ => {}
        }
        if error_prefix.is_empty() {
            error.clone_from(&data);
        }
        let date = || expression::time(DATE_PATTERN, Member::Prefix);
        if !has_expression(&error) {
            error.extend([Part::ErrorType, Part::Literal("/".into()), date()?]);
        }
        if !has_expression(&data) {
            data.push(date()?);
        }
        let name_time = Pattern::parse(NAME_PATTERN).ok_or("the name's own pattern cannot be read")?;
        let prefixes = Self { data, error, name_time, zone };
        prefixes.check_static()?;
        Ok(prefixes)
    }

    /// What can be said of the prefixes before there is a record.
    fn check_static(&self) -> Result<(), String> {
        let time = self.time(0)?;
        for parts in [&self.data, &self.error] {
            let evaluated = evaluate(parts, |part, out| {
                match part {
                    Part::Time(pattern) => pattern.print(&time, out),
                    Part::Random => out.push_str(&"x".repeat(RANDOM_CHARS)),
                    Part::ErrorType => out.push_str("processing-failed"),
                    Part::Partition(_) => out.push('x'),
                    Part::Literal(text) => out.push_str(text),
                }
                Ok(())
            })?;
            check_segments(&evaluated)?;
        }
        Ok(())
    }

    fn time(&self, instant_ms: i64) -> Result<Zoned, String> {
        let instant = Timestamp::from_millisecond(instant_ms);
        let instant = instant.map_err(|_| format!("arrival time {instant_ms} ms is outside the calendar"))?;
        Ok(instant.to_zoned(self.zone.clone()))
    }

    /// The key of a data object; a `random-string` is fresh at each call and occurrence.
    ///
    /// # Errors
    /// A sentence: the evaluated prefix is too long, a partition key is missing or its value is refused.
    pub fn data_key(&self, parts: &KeyParts<'_>, entropy: &dyn Entropy) -> Result<String, String> {
        self.key(&self.data, "", parts, entropy)
    }

    /// The key of an error object; `error_type` as `processing-failed`.
    ///
    /// # Errors
    /// As [`Self::data_key`].
    pub fn error_key(&self, parts: &KeyParts<'_>, error_type: &str, entropy: &dyn Entropy) -> Result<String, String> {
        self.key(&self.error, error_type, parts, entropy)
    }

    fn key(
        &self,
        of: &[Part],
        error_type: &str,
        parts: &KeyParts<'_>,
        entropy: &dyn Entropy,
    ) -> Result<String, String> {
        let time = self.time(parts.instant_ms)?;
        let mut key = evaluate(of, |part, out| {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Time(pattern) => pattern.print(&time, out),
                Part::Random => random_string(out, entropy),
                Part::ErrorType => out.push_str(error_type),
                Part::Partition(name) => out.push_str(partition_value(name, parts.partition_keys)?),
            }
            Ok(())
        })?;
        key.push_str(parts.stream);
        key.push_str(&format!("-{}-", parts.version));
        self.name_time.print(&time, &mut key);
        key.push('-');
        key.push_str(parts.uuid);
        key.push_str(parts.extension);
        check_segments(&key)?;
        Ok(key)
    }

    /// The prefix with only the partition's values put in (times and random strings stay as they are
    /// written): two records are of one partition when this is the same.
    ///
    /// # Errors
    /// As [`Self::data_key`]; the record's code is `DynamicPartitioning.MetadataExtractionFailed`.
    pub fn evaluated_prefix(&self, partition_keys: &[(&str, &str)]) -> Result<String, String> {
        let evaluated = evaluate(&self.data, |part, out| {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Time(pattern) => out.push_str(pattern.text()),
                Part::Random => out.push_str("random-string"),
                Part::ErrorType => {}
                Part::Partition(name) => out.push_str(partition_value(name, partition_keys)?),
            }
            Ok(())
        })?;
        check_segments(&evaluated)?;
        Ok(evaluated)
    }

    /// The names of the partition keys that the prefix needs, each once, in order.
    pub fn partition_keys(&self) -> impl Iterator<Item = &str> {
        self.data.iter().enumerate().filter_map(|(index, part)| match part {
            Part::Partition(name) if !self.data[..index].contains(part) => Some(name.as_str()),
            _ => None,
        })
    }
}

fn evaluate(parts: &[Part], mut put: impl FnMut(&Part, &mut String) -> Result<(), String>) -> Result<String, String> {
    let mut evaluated = String::with_capacity(160);
    for part in parts {
        put(part, &mut evaluated)?;
    }
    if evaluated.len() > EVALUATED_CHARS_MAX && evaluated.encode_utf16().count() > EVALUATED_CHARS_MAX {
        return Err(format!("Length of evaluated prefix cannot be greater than {EVALUATED_CHARS_MAX}"));
    }
    Ok(evaluated)
}

fn partition_value<'a>(name: &str, keys: &[(&str, &'a str)]) -> Result<&'a str, String> {
    let value = keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let value = value.filter(|value| !value.is_empty()).ok_or(EMPTY_PARTITION_VALUE)?;
    if value.chars().any(char::is_control) {
        return Err(format!("value of partition key '{name}' holds a control character"));
    }
    Ok(value)
}

/// No key climbs out of its folder.
fn check_segments(key: &str) -> Result<(), String> {
    if key.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("a key cannot hold the segment '.' or '..'".into());
    }
    Ok(())
}

fn random_string(out: &mut String, entropy: &dyn Entropy) {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut written = 0;
    while written < RANDOM_CHARS {
        // Six bits choose of 64; the two that name no character are drawn again, so all are equally likely.
        let mut bits = entropy.next_u64();
        for _ in 0..10 {
            if let Some(character) = ALPHABET.get((bits & 63) as usize)
                && written < RANDOM_CHARS
            {
                out.push(char::from(*character));
                written += 1;
            }
            bits >>= 6;
        }
    }
}

#[cfg(test)]
mod tests;
