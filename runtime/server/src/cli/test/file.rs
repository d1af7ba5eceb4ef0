//! Test files: what they may hold, read and checked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64_simd::STANDARD;
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::cli::project::toml_file::TomlFile;

/// The virtual clock of a test that does not set it: 2026-01-01T00:00:00Z, milliseconds since the Unix epoch.
const CLOCK_MS: i64 = 1_767_225_600_000;
/// The seed of a test that does not set it.
const SEED: u64 = 1;
const TEST_KEYS: &[&str] = &["name", "clock", "random_seed", "settings", "record", "expect", "event", "answer"];
const RECORD_KEYS: &[&str] = &["data", "data_base64", "json", "key", "arrival"];
const EXPECT_KEYS: &[&str] = &["result", "data", "data_base64", "json", "outputs", "partition_keys", "reason"];
const OUTPUT_KEYS: &[&str] = &["data", "data_base64", "json", "partition_keys"];
const ANSWER_KEYS: &[&str] = &["data", "data_base64", "json", "error"];
const PAYLOAD_KEYS: [&str; 3] = ["data", "data_base64", "json"];

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// What the function's clock says, milliseconds since the Unix epoch.
    pub(super) clock_ms: i64,
    pub(super) seed: u64,
    /// Keys of the file that only a virtual machine can honour, where the test sets them.
    pub(super) is_virtual: Option<&'static str>,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) body: Body,
}

/// What a test is over.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Records, and what is expected of each.
    Records(Vec<Record>, Vec<Expect>),
    /// One event, and the answer.
    Event(Vec<u8>, Answer),
}

/// What is expected of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Payload(Payload),
    /// Text that the error contains.
    Error(String),
}

/// A record that goes in.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) data: Vec<u8>,
    pub(super) key: Option<String>,
    pub(super) arrival_ms: i64,
}

/// What a record became, in the words of a Lambda's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Dropped,
    ProcessingFailed,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::Dropped => "Dropped",
            Self::ProcessingFailed => "ProcessingFailed",
        }
    }
}

/// What is expected of one record.
#[derive(Debug, Clone)]
pub(super) struct Expect {
    pub(super) result: Outcome,
    /// Output records; none when the test does not look at them.
    pub(super) outputs: Option<Vec<Output>>,
    /// Text that the failure contains.
    pub(super) reason: Option<String>,
}

/// What is expected of one output record.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    pub(super) payload: Option<Payload>,
    pub(super) partition_keys: Option<BTreeMap<String, String>>,
}

/// Bytes, or what they say as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Payload {
    Bytes(Vec<u8>),
    Json(Json),
}

impl Payload {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Json(json) => json.to_string().into_bytes(),
        }
    }
}

/// The tests of a file. `settings` are the project's; the file's and the test's own are put over them.
pub(super) fn read(path: &Path, settings: &BTreeMap<String, String>) -> Result<Vec<Case>> {
    let file = TomlFile { path, slug: "project.tests" };
    Reader { file: &file }.cases(&file.read()?, settings)
}

/// The tests of a text, for tests.
#[cfg(test)]
pub(super) fn of_text(text: &str) -> Result<Vec<Case>> {
    let file = TomlFile { path: Path::new("tests.toml"), slug: "project.tests" };
    Reader { file: &file }.cases(&file.parse(text)?, &BTreeMap::new())
}

struct Reader<'a> {
    file: &'a TomlFile<'a>,
}

impl Reader<'_> {
    fn cases(&self, table: &Table, settings: &BTreeMap<String, String>) -> Result<Vec<Case>> {
        self.file.keys(table, "", &["settings", "test"])?;
        let mut all = settings.clone();
        all.extend(self.file.settings(&self.file.table(table, "settings")?, "settings.")?);
        let tests = self.list(table, "test", "")?;
        if tests.is_empty() {
            bail!(self.file.wrong("there is no [[test]]"));
        }
        let mut cases: Vec<Case> = Vec::with_capacity(tests.len());
        for (nth, test) in tests.iter().enumerate() {
            let case = self.case(test, nth, &all)?;
            if cases.iter().any(|other| other.name == case.name) {
                bail!(self.file.wrong(&format!("two tests are called {:?}", case.name)));
            }
            cases.push(case);
        }
        Ok(cases)
    }

    fn case(&self, test: &Table, nth: usize, settings: &BTreeMap<String, String>) -> Result<Case> {
        self.file.keys(test, "test.", TEST_KEYS)?;
        let name = self
            .text(test, "name", "test.")?
            .with_context(|| format!("{}: test {}: a test has a name = \"…\"", self.file.path.display(), nth + 1))?;
        let place = format!("test {name:?}: ");
        let mut settings = settings.clone();
        settings.extend(self.file.settings(&self.file.table(test, "settings")?, "test.settings.")?);
        let clock_ms = self.time(test, "clock", &place)?;
        let seed = match test.get("random_seed") {
            None => None,
            Some(Value::Integer(seed)) if *seed >= 0 => Some(seed.unsigned_abs()),
            Some(_) => bail!(self.file.wrong(&format!("{place}random_seed is a whole number from 0"))),
        };
        let clock = clock_ms.unwrap_or(CLOCK_MS);
        let tables = self.list(test, "record", &place)?;
        let body = match test.contains_key("event") || test.contains_key("answer") {
            true => self.event(test, &place)?,
            false => self.records(test, &tables, clock, &place)?,
        };
        let is_virtual = [
            ("clock", clock_ms.is_some()),
            ("random_seed", seed.is_some()),
            ("arrival", tables.iter().any(|r| r.contains_key("arrival"))),
            ("key", tables.iter().any(|r| r.contains_key("key"))),
        ];
        let is_virtual = is_virtual.into_iter().find_map(|(key, is_set)| is_set.then_some(key));
        Ok(Case { name, clock_ms: clock, seed: seed.unwrap_or(SEED), is_virtual, settings, body })
    }

    fn records(&self, test: &Table, tables: &[Table], clock_ms: i64, place: &str) -> Result<Body> {
        let records = tables.iter().map(|r| self.record(r, clock_ms, place)).collect::<Result<Vec<_>>>()?;
        let expects = self.list(test, "expect", place)?.into_iter().map(|e| self.expect(&e, place));
        let expects = expects.collect::<Result<Vec<_>>>()?;
        if records.is_empty() || records.len() != expects.len() {
            let (records, expects) = (records.len(), expects.len());
            bail!(self.file.wrong(&format!(
                "{place}{records} [[test.record]] and {expects} [[test.expect]]: there is one for each record, in order"
            )));
        }
        Ok(Body::Records(records, expects))
    }

    fn event(&self, test: &Table, place: &str) -> Result<Body> {
        if test.contains_key("record") || test.contains_key("expect") {
            bail!(self.file.wrong(&format!("{place}a test is over records or over one event, not both")));
        }
        let (event, answer) = (self.file.table(test, "event")?, self.file.table(test, "answer")?);
        self.file.keys(&event, "test.event.", &PAYLOAD_KEYS)?;
        self.file.keys(&answer, "test.answer.", ANSWER_KEYS)?;
        let Some(event) = self.payload(&event, place)? else {
            bail!(self.file.wrong(&format!("{place}an event has data, data_base64 or json")));
        };
        let answer = match (self.payload(&answer, place)?, self.text(&answer, "error", place)?) {
            (Some(payload), None) => Answer::Payload(payload),
            (None, Some(error)) => Answer::Error(error),
            _ => bail!(self.file.wrong(&format!("{place}an answer has data, data_base64, json or error, one of them"))),
        };
        Ok(Body::Event(event.into_bytes(), answer))
    }

    fn record(&self, record: &Table, clock_ms: i64, place: &str) -> Result<Record> {
        self.file.keys(record, "test.record.", RECORD_KEYS)?;
        let Some(payload) = self.payload(record, place)? else {
            bail!(self.file.wrong(&format!("{place}a record has data, data_base64 or json")));
        };
        Ok(Record {
            data: payload.into_bytes(),
            key: self.text(record, "key", place)?,
            arrival_ms: self.time(record, "arrival", place)?.unwrap_or(clock_ms),
        })
    }

    fn expect(&self, expect: &Table, place: &str) -> Result<Expect> {
        self.file.keys(expect, "test.expect.", EXPECT_KEYS)?;
        let result = match self.text(expect, "result", place)?.as_deref() {
            None | Some("Ok") => Outcome::Ok,
            Some("Dropped") => Outcome::Dropped,
            Some("ProcessingFailed") => Outcome::ProcessingFailed,
            Some(other) => {
                bail!(self.file.wrong(&format!("{place}result is Ok, Dropped or ProcessingFailed, not {other:?}")))
            }
        };
        let one = self.output(expect, place)?;
        let several = self.list(expect, "outputs", place)?;
        let has_one = one.payload.is_some() || one.partition_keys.is_some();
        let outputs = match (expect.contains_key("outputs"), has_one) {
            (true, true) => {
                bail!(
                    self.file
                        .wrong(&format!("{place}outputs stands for all outputs: put each one's data and keys there"))
                )
            }
            (true, false) => {
                let outputs = several.iter().map(|output| {
                    self.file.keys(output, "test.expect.outputs.", OUTPUT_KEYS)?;
                    self.output(output, place)
                });
                Some(outputs.collect::<Result<Vec<_>>>()?)
            }
            (false, true) => Some(vec![one]),
            (false, false) => None,
        };
        let reason = self.text(expect, "reason", place)?;
        if outputs.is_some() && result != Outcome::Ok || reason.is_some() && result != Outcome::ProcessingFailed {
            bail!(self.file.wrong(&format!("{place}outputs go with result Ok, a reason with ProcessingFailed")));
        }
        Ok(Expect { result, outputs, reason })
    }

    fn output(&self, of: &Table, place: &str) -> Result<Output> {
        let partition_keys = match of.contains_key("partition_keys") {
            true => Some(self.file.settings(&self.file.table(of, "partition_keys")?, "partition_keys.")?),
            false => None,
        };
        Ok(Output { payload: self.payload(of, place)?, partition_keys })
    }

    /// The one of `data`, `data_base64` and `json` that is there.
    fn payload(&self, of: &Table, place: &str) -> Result<Option<Payload>> {
        let given: Vec<&str> = PAYLOAD_KEYS.into_iter().filter(|key| of.contains_key(*key)).collect();
        let [key] = given.as_slice() else {
            let none = given.is_empty();
            return if none {
                Ok(None)
            } else {
                Err(self.file.wrong(&format!("{place}{} say one thing twice", given.join(" and "))))
            };
        };
        match (*key, of.get(*key)) {
            ("json", Some(value)) => Ok(Some(Payload::Json(json(value)))),
            ("data", Some(Value::String(text))) => Ok(Some(Payload::Bytes(text.clone().into_bytes()))),
            ("data_base64", Some(Value::String(text))) => match STANDARD.decode_to_vec(text) {
                Ok(bytes) => Ok(Some(Payload::Bytes(bytes))),
                Err(_) => bail!(self.file.wrong(&format!("{place}data_base64 is not base64"))),
            },
            _ => bail!(self.file.wrong(&format!("{place}{key} is text"))),
        }
    }

    fn text(&self, of: &Table, key: &str, place: &str) -> Result<Option<String>> {
        match of.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => bail!(self.file.wrong(&format!("{place}{key} is text"))),
        }
    }

    /// A moment, milliseconds since the Unix epoch: a time of TOML with its offset, or the same as text.
    fn time(&self, of: &Table, key: &str, place: &str) -> Result<Option<i64>> {
        let text = match of.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Datetime(time)) => time.to_string(),
            Some(_) => String::new(),
        };
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Some(time.as_millisecond())),
            Err(_) => bail!(self.file.wrong(&format!("{place}{key} is a time such as 2026-11-25T09:00:00Z"))),
        }
    }

    fn list(&self, of: &Table, key: &str, place: &str) -> Result<Vec<Table>> {
        let wrong = || self.file.wrong(&format!("{place}{key} is a list of tables"));
        match of.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|one| one.as_table().cloned().ok_or_else(wrong)).collect(),
            Some(_) => Err(wrong()),
        }
    }
}

/// A value of TOML as JSON; a time becomes its text.
fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(is) => (*is).into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(list) => list.iter().map(json).collect(),
        Value::Table(table) => Json::Object(table.iter().map(|(key, value)| (key.clone(), json(value))).collect()),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
