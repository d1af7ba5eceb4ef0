//! Object keys: the prefix language of Firehose, its checks with their exact texts, and its rules.
//!
//! Key = evaluated prefix, `<stream>-<version>-<yyyy-MM-dd-HH-mm-ss>-<uuid><extension>`. All times of
//! a key come from one instant, the arrival of the object's oldest record, in the custom time zone.
//! - No prefix: `yyyy/MM/dd/HH/`. One without expressions: the same behind it, with no slash added.
//!   One with any expression: as it is.
//! - No error prefix: `<prefix><error-output-type>/yyyy/MM/dd/HH/`; one without expressions likewise.
//!
//! **A key never leaves its prefix, and every key can be stored.** What can be known when the stream is
//! made is checked then, on the longest key that the prefix can make ([`limits`]): dates at their
//! widest, the longest folder of errors, the whole object name. So no key fails later: making one is a
//! total function. Only a partition's values come later: they may hold slashes (they make folders, as at
//! AWS) but neither a control character nor an empty, `.` or `..` part, and the key that they make must
//! keep within the same limits. Such a value is refused, and its record goes to the error prefix.
//! Refused, not escaped: an escaped value would silently share a folder with another one.

mod expression;
mod limits;
mod pattern;
mod print;
mod zone;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use millrace_types::Entropy;

use expression::{Member, Part};
use pattern::Pattern;

/// Characters of a `random-string`.
const RANDOM_CHARS: usize = 11;
/// What is appended to a prefix without expressions.
const DATE_PATTERN: &str = "yyyy/MM/dd/HH/";
/// The time in an object's name.
const NAME_PATTERN: &str = "yyyy-MM-dd-HH-mm-ss";
/// The longest folder of an error object.
const ERROR_TYPE_LONGEST: &str = "format-conversion-failed";
/// In the name of a partition, what stands for a time and for a random string: no value holds them.
const TIME_MARK: char = '\u{1}';
const RANDOM_MARK: char = '\u{2}';
/// AWS's text where a partition key of the prefix is missing, null or empty.
const EMPTY_PARTITION_VALUE: &str = "partitionKeys values must not be null or empty";

/// What the keys of a destination are made by.
#[derive(Debug, Clone, Copy)]
pub struct PrefixSettings<'a> {
    /// The delivery stream's name.
    pub stream: &'a str,
    /// Its `VersionId`.
    pub version: u64,
    /// `Prefix`, empty when absent.
    pub prefix: &'a str,
    /// `ErrorOutputPrefix`, empty when absent.
    pub error_prefix: &'a str,
    /// `CustomTimeZone`; empty or `UTC` when absent.
    pub time_zone: &'a str,
    /// `FileExtension`, empty when absent.
    pub file_extension: &'a str,
    /// Objects are encrypted: local folders keep an instruction file beside each, with a longer name.
    pub encrypted: bool,
    /// `DynamicPartitioningConfiguration.Enabled`.
    pub dynamic_partitioning: bool,
}

/// The checked prefixes of one destination.
#[derive(Debug, Clone)]
pub struct Prefixes {
    data: Vec<Part>,
    error: Vec<Part>,
    /// What the object's name begins with: `<stream>-<version>-`.
    name: String,
    name_time: Pattern,
    file_extension: String,
    /// Bytes of an object's name at most, with that of its instruction file.
    name_bytes_max: usize,
    zone: TimeZone,
}

/// What one object's key is made of.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// Arrival of the object's oldest record, milliseconds since the Unix epoch.
    pub instant_ms: i64,
    /// A fresh version 4 UUID.
    pub uuid: &'a str,
    /// What ends the key where the destination has no `FileExtension`, with its dot; may be empty.
    pub extension: &'a str,
    /// The partition's keys and values; empty without dynamic partitioning.
    pub partition_keys: &'a [(&'a str, &'a str)],
}

impl Prefixes {
    /// Checks and keeps them.
    ///
    /// # Errors
    /// The text of the `InvalidArgumentException`.
    pub fn new(settings: &PrefixSettings<'_>) -> Result<Self, String> {
        let zone = zone::custom(settings.time_zone)?;
        let mut data = expression::parse(settings.prefix, Member::Prefix)?;
        let mut error = expression::parse(settings.error_prefix, Member::ErrorOutputPrefix)?;
        check_expressions(&data, &error, settings)?;
        // Errors go below the data's prefix then, and what is wrong is wrong there.
        let mut error_from = Member::ErrorOutputPrefix;
        if settings.error_prefix.is_empty() {
            error.clone_from(&data);
            error_from = Member::Prefix;
        }
        let date = || expression::time(DATE_PATTERN, Member::Prefix);
        if !has_expression(&error) {
            error.extend([Part::ErrorType, Part::Literal("/".into()), date()?]);
        }
        if !has_expression(&data) {
            data.push(date()?);
        }
        let name_time = Pattern::parse(NAME_PATTERN).ok_or("the name's own pattern cannot be read")?;
        let name = format!("{}-{}-", settings.stream, settings.version);
        let name_bytes_max = limits::name_bytes(&name, settings);
        let file_extension = settings.file_extension.to_owned();
        let prefixes = Self { data, error, name, name_time, file_extension, name_bytes_max, zone };
        for (parts, member) in [(&prefixes.data, Member::Prefix), (&prefixes.error, error_from)] {
            let widest = widest(parts, |_| Ok("x"))?;
            limits::check(&widest, prefixes.name_bytes_max).map_err(|wrong| wrong.of(member))?;
        }
        Ok(prefixes)
    }

    /// The key of a data object; a `random-string` is fresh at each call and occurrence. The partition's
    /// values are those that [`Self::partition`] has taken.
    pub fn data_key(&self, parts: &KeyParts<'_>, entropy: &dyn Entropy) -> String {
        self.key(&self.data, "", parts, entropy)
    }

    /// The key of an error object; `error_type` as `processing-failed`.
    pub fn error_key(&self, parts: &KeyParts<'_>, error_type: &str, entropy: &dyn Entropy) -> String {
        self.key(&self.error, error_type, parts, entropy)
    }

    fn key(&self, of: &[Part], error_type: &str, parts: &KeyParts<'_>, entropy: &dyn Entropy) -> String {
        // A time before 1970 or outside the calendar is none that a clock gave: the nearest stands for it.
        let instant = Timestamp::from_millisecond(parts.instant_ms.max(0)).unwrap_or(Timestamp::MAX);
        let time = instant.to_zoned(self.zone.clone());
        let mut key = String::with_capacity(160);
        for part in of {
            match part {
                Part::Literal(text) => key.push_str(text),
                Part::Time(pattern) => pattern.print(&time, &mut key),
                Part::Random => random_string(&mut key, entropy),
                Part::ErrorType => key.push_str(error_type),
                // A record without the value has no partition, and so no key.
                Part::Partition(name) => key.push_str(value_of(name, parts.partition_keys).unwrap_or_default()),
            }
        }
        key.push_str(&self.name);
        self.name_time.print(&time, &mut key);
        key.push('-');
        key.push_str(parts.uuid);
        key.push_str(if self.file_extension.is_empty() { parts.extension } else { &self.file_extension });
        key
    }

    /// Which partition these keys and values mean: two records are of one partition when this is the
    /// same. It is the prefix with the values put in, and a mark for each time and random string.
    ///
    /// # Errors
    /// A sentence; the record's code is `DynamicPartitioning.MetadataExtractionFailed`.
    pub fn partition(&self, keys: &[(&str, &str)]) -> Result<String, String> {
        let widest = widest(&self.data, |name| partition_value(name, keys))?;
        limits::check(&widest, self.name_bytes_max).map_err(|wrong| wrong.of(Member::Prefix))?;
        let mut partition = String::with_capacity(widest.len());
        for part in &self.data {
            match part {
                Part::Literal(text) => partition.push_str(text),
                Part::Time(_) => partition.push(TIME_MARK),
                Part::Random => partition.push(RANDOM_MARK),
                Part::ErrorType => {}
                Part::Partition(name) => partition.push_str(partition_value(name, keys)?),
            }
        }
        Ok(partition)
    }

    /// The names of the partition keys that the prefix needs, each once, in order.
    pub fn partition_keys(&self) -> impl Iterator<Item = &str> {
        self.data.iter().enumerate().filter_map(|(index, part)| match part {
            Part::Partition(name) if !self.data[..index].contains(part) => Some(name.as_str()),
            _ => None,
        })
    }
}

fn has_expression(parts: &[Part]) -> bool {
    parts.iter().any(|part| !matches!(part, Part::Literal(_)))
}

/// The rules of AWS about which expression stands where.
fn check_expressions(data: &[Part], error: &[Part], settings: &PrefixSettings<'_>) -> Result<(), String> {
    if has_expression(data) && settings.error_prefix.is_empty() {
        return Err("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions".into());
    }
    if has_expression(error) && !error.iter().any(|part| matches!(part, Part::ErrorType)) {
        return Err("ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}".into());
    }
    match (settings.dynamic_partitioning, data.iter().any(|part| matches!(part, Part::Partition(_)))) {
        (true, false) => Err(
            "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled".into()
        ),
        (false, true) => Err(
            "Dynamic Partitioning Namespaces can't be part of a prefix expression when Dynamic Partitioning is not enabled".into(),
        ),
        _ => Ok(()),
    }
}

/// The prefix at its longest; `value` gives the partition's values.
fn widest<'v>(parts: &[Part], value: impl Fn(&str) -> Result<&'v str, String>) -> Result<String, String> {
    let mut out = String::with_capacity(160);
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Time(pattern) => pattern.print_widest(&mut out),
            Part::Random => out.extend(std::iter::repeat_n('x', RANDOM_CHARS)),
            Part::ErrorType => out.push_str(ERROR_TYPE_LONGEST),
            Part::Partition(name) => out.push_str(value(name)?),
        }
    }
    Ok(out)
}

fn value_of<'a>(name: &str, keys: &[(&str, &'a str)]) -> Option<&'a str> {
    keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value).filter(|value| !value.is_empty())
}

fn partition_value<'a>(name: &str, keys: &[(&str, &'a str)]) -> Result<&'a str, String> {
    let value = value_of(name, keys).ok_or(EMPTY_PARTITION_VALUE)?;
    if value.chars().any(char::is_control) {
        return Err(format!("value of partition key '{name}' holds a control character"));
    }
    if value.split('/').any(str::is_empty) {
        return Err(format!("value of partition key '{name}' makes an empty part of the key"));
    }
    Ok(value)
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
