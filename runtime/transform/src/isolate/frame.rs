//! What server and worker say to each other: a message in JSON, and bytes beside it.
//!
//! ```text
//! length of the JSON 4 | number of parts 4 | length of each part 8 × number | JSON | parts   little-endian
//! ```

use std::io::{self, Read, Write};
use std::time::Duration;

use millrace_types::{Batch, MIB, Seq};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::abi::{RawFailure, RawOutput};
use crate::error::cut;
use crate::{ANSWER_BYTES_MAX, BatchSource, CallError, Limits, LogLevel, Output, Writes};

/// Parts of one message at most.
const PARTS_MAX: usize = 8;

/// What one message may have.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Bytes of its JSON.
    pub(super) json_bytes_max: usize,
    /// Bytes of all its parts.
    pub(super) parts_bytes_max: u64,
}

impl Bounds {
    /// What the server says: settings, listings of keys; a compiled function, as its file is bounded.
    pub(super) const SERVER: Self = Self { json_bytes_max: 64 * MIB, parts_bytes_max: 1 << 30 };
}

/// What a worker is started with; the code is the part beside it. Without code only the walls are tried.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) settings: std::collections::BTreeMap<String, String>,
    pub(super) limits: Limits,
    pub(super) source: Source,
    pub(super) key_value: bool,
    pub(super) http: bool,
    pub(super) epoch_tick: Duration,
    pub(super) keep_resident_bytes: usize,
    /// Start an instance under the limits once, and say how it went.
    pub(super) try_start: bool,
}

/// A [`BatchSource`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Source {
    stream_arn: String,
    region: String,
    shard: u64,
    function_name: String,
    function_version: String,
}

impl From<&BatchSource> for Source {
    fn from(source: &BatchSource) -> Self {
        let BatchSource { stream_arn, region, shard, function_name, function_version } = source.clone();
        Self { stream_arn, region, shard: shard.as_u64(), function_name, function_version }
    }
}

impl From<Source> for BatchSource {
    fn from(source: Source) -> Self {
        let Source { stream_arn, region, shard, function_name, function_version } = source;
        let shard = millrace_types::ShardId::from_u64(shard);
        Self { stream_arn, region, shard, function_name, function_version }
    }
}

/// A call that a worker is to make.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// Parts: payload, ends, arrivals, keys, ends of keys.
    Batch { deadline: Duration, source: Source, first: u64 },
    /// Part: the event.
    Event { request_id: String, function_name: String, function_version: String, client_context: Option<String> },
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// It runs the function now: whether it is a handler; or which kind of [`crate::Error`] came up.
    Started(Result<bool, (StartError, String)>),
    /// Without code: whether its walls stand, or what the machine does not give.
    Walled(Result<(), String>),
    /// The function logged a line.
    Log {
        level: u8,
        line: String,
    },
    /// The function reads its state; a [`Kept`] is awaited.
    Get {
        key: String,
    },
    Keys {
        prefix: String,
        after: Option<String>,
        limit: usize,
    },
    /// What the call wrote, before its answer.
    Commit(Writes),
    /// The function sends a request; a [`Responded`] is awaited. Part: the body.
    Http {
        method: String,
        url: String,
        headers: Vec<(String, Vec<u8>)>,
        timeout: Duration,
    },
    /// The call has ended. Parts are those of [`output_parts`] for a batch, the answer for an event, or
    /// the text of the error, for it may be as long as an answer.
    Answer {
        outcome: Result<Answered, CallError>,
        init: Duration,
        cold_start: bool,
        memory_high_water_bytes: usize,
    },
}

/// What of an answer is no part.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Answered {
    partition_names: Vec<String>,
}

/// Why a worker does not run its function.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum StartError {
    World,
    Start,
    Engine,
}

/// The server's answer about the function's state.
pub(super) type Kept<T> = Result<T, String>;
/// The server's answer to a request: status and headers; the body is the part.
pub(super) type Responded = Result<(u16, Vec<(String, Vec<u8>)>), String>;

/// Writes one message.
pub(super) fn write(stream: &mut impl Write, message: &impl Serialize, parts: &[&[u8]]) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| io::Error::other("a message is too long"));
    let mut head = Vec::with_capacity(8 + 8 * parts.len() + json.len());
    head.extend_from_slice(&length(json.len())?.to_le_bytes());
    head.extend_from_slice(&length(parts.len())?.to_le_bytes());
    for part in parts {
        head.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    head.extend_from_slice(&json);
    stream.write_all(&head)?;
    parts.iter().try_for_each(|part| stream.write_all(part))
}

/// Reads one message within `bounds` and its parts. Memory is taken as the bytes arrive.
pub(super) fn read<M: DeserializeOwned>(stream: &mut impl Read, bounds: &Bounds) -> io::Result<(M, Vec<Vec<u8>>)> {
    let broken = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [json, count] = [[head[0], head[1], head[2], head[3]], [head[4], head[5], head[6], head[7]]];
    let (json, count) = (u32::from_le_bytes(json) as usize, u32::from_le_bytes(count) as usize);
    if json > bounds.json_bytes_max || count > PARTS_MAX {
        return Err(broken("a message is too long"));
    }
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        let mut length = [0; 8];
        stream.read_exact(&mut length)?;
        lengths.push(u64::from_le_bytes(length));
    }
    if lengths.iter().fold(0_u64, |sum, length| sum.saturating_add(*length)) > bounds.parts_bytes_max {
        return Err(broken("a message is too long"));
    }
    let mut take = |bytes: u64| {
        // Zeroed pages come from the system as they are written, not before.
        let mut whole = vec![0; usize::try_from(bytes).map_err(|_| broken("a message is too long"))?];
        stream.read_exact(&mut whole).map(|()| whole)
    };
    let json = take(json as u64)?;
    let parts = lengths.into_iter().map(&mut take).collect::<io::Result<_>>()?;
    let message = serde_json::from_slice(&json).map_err(|error| broken(&error.to_string()))?;
    Ok((message, parts))
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// The columns of a batch, for `write`.
pub(super) struct BatchColumns {
    ends: Vec<u8>,
    arrivals: Vec<u8>,
    key_ends: Vec<u8>,
}

impl BatchColumns {
    pub(super) fn new(batch: &Batch) -> Self {
        let arrivals = batch.arrivals_ms().iter().flat_map(|ms| ms.to_le_bytes()).collect();
        Self { ends: words(batch.ends()), arrivals, key_ends: words(batch.key_ends()) }
    }

    pub(super) fn parts<'a>(&'a self, batch: &'a Batch) -> [&'a [u8]; 5] {
        [batch.payload(), &self.ends, &self.arrivals, batch.keys(), &self.key_ends]
    }
}

/// The batch of a [`Call::Batch`].
pub(super) fn batch(first: u64, parts: Vec<Vec<u8>>) -> Result<Batch, String> {
    let [payload, ends, arrivals, keys, key_ends] =
        <[Vec<u8>; 5]>::try_from(parts).map_err(|_| "a batch has five columns".to_owned())?;
    let arrivals = arrivals.as_chunks().0.iter().map(|ms| i64::from_le_bytes(*ms)).collect();
    let (ends, key_ends) = (numbers(&ends), numbers(&key_ends));
    Batch::from_columns(Seq::new(first), payload.into(), ends, arrivals, keys.into(), key_ends).map_err(str::to_owned)
}

/// An output on its way: what is in the message, and the parts beside it.
pub(super) fn output_parts(output: Output) -> (Answered, Vec<Vec<u8>>) {
    let Output { payload, ends, sources, failures, partition_names, partition_values, partition_ends } = output;
    let (mut indexes, mut reasons, mut reason_ends) = (Vec::new(), Vec::new(), Vec::new());
    for failure in failures {
        indexes.extend_from_slice(&failure.index.to_le_bytes());
        reasons.extend_from_slice(failure.reason.as_bytes());
        reason_ends.extend_from_slice(&(reasons.len() as u64).to_le_bytes());
    }
    let failures = [indexes, reasons, reason_ends];
    let parts = [payload, words(&ends), words(&sources), partition_values, words(&partition_ends)];
    (Answered { partition_names }, parts.into_iter().chain(failures).collect())
}

/// The output that a worker answered, as unchecked as a guest's.
pub(super) fn raw_output(answered: Answered, parts: Vec<Vec<u8>>) -> Result<RawOutput, String> {
    let [payload, ends, sources, partition_values, partition_ends, indexes, reasons, reason_ends] =
        <[Vec<u8>; PARTS_MAX]>::try_from(parts).map_err(|_| format!("an output has {PARTS_MAX} columns"))?;
    let (indexes, reason_ends) = (numbers(&indexes), reason_ends.as_chunks().0);
    if indexes.len() != reason_ends.len() {
        return Err(format!("{} failures have {} reasons", indexes.len(), reason_ends.len()));
    }
    let mut from = 0;
    let failures = indexes.into_iter().zip(reason_ends).map(|(index, end)| {
        let end = usize::try_from(u64::from_le_bytes(*end)).unwrap_or(usize::MAX);
        let reason = reasons.get(from..end).and_then(|reason| std::str::from_utf8(reason).ok());
        from = end;
        reason.map(|reason| RawFailure { index, reason: reason.to_owned() })
    });
    Ok(RawOutput {
        payload,
        ends: numbers(&ends),
        sources: numbers(&sources),
        failures: failures.collect::<Option<_>>().ok_or("a reason is no text")?,
        partition_names: answered.partition_names,
        partition_values,
        partition_ends: numbers(&partition_ends),
    })
}

/// An error without its text, and the text as a part.
pub(super) fn error_and_text(mut error: CallError) -> (CallError, Vec<u8>) {
    let text = text_of(&mut error).map(std::mem::take).unwrap_or_default();
    (error, text.into_bytes())
}

/// An error with its text, bounded as those of this process are.
pub(super) fn error_with_text(mut error: CallError, parts: Vec<Vec<u8>>) -> Result<CallError, String> {
    let part = parts.into_iter().next().unwrap_or_default();
    let mut text = String::from_utf8(part).map_err(|_| "an error's text is no text".to_owned())?;
    let kept = cut(&text, ANSWER_BYTES_MAX).len();
    text.truncate(kept);
    if let Some(place) = text_of(&mut error) {
        *place = text;
    }
    Ok(error)
}

fn text_of(error: &mut CallError) -> Option<&mut String> {
    match error {
        CallError::Trap { trace } | CallError::Deadline { trace } | CallError::Memory { trace, .. } => Some(trace),
        CallError::Returned(text)
        | CallError::Invalid(text)
        | CallError::NotJson(text)
        | CallError::Event(text)
        | CallError::State(text)
        | CallError::Host(text) => Some(text),
        CallError::OutputTooLarge { .. } | CallError::HostCalls { .. } => None,
    }
}

const LEVELS: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

pub(super) fn level_number(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
    }
}

pub(super) fn level(number: u8) -> Option<LogLevel> {
    LEVELS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Failure;

    fn failure(index: u32, reason: &str) -> Failure {
        Failure { index, reason: reason.to_owned() }
    }

    proptest! {
        #[test]
        fn messages_come_back(text in "\\PC{0,20}", parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut bytes = Vec::new();
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            write(&mut bytes, &text, &slices).expect("written");
            let back: (String, Vec<Vec<u8>>) = read(&mut bytes.as_slice(), &Bounds::SERVER).expect("read");
            prop_assert_eq!(back, (text, parts));
            for cut in 0..bytes.len() {
                prop_assert!(read::<String>(&mut &bytes[..cut], &Bounds::SERVER).is_err());
            }
        }

        #[test]
        fn rubbish_is_no_message_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(read::<Said>(&mut bytes.as_slice(), &Bounds::SERVER));
        }
    }

    #[test]
    fn a_message_that_promises_too_much_is_refused_before_memory_is_taken() {
        let mut head = Vec::new();
        head.extend_from_slice(&2_u32.to_le_bytes());
        head.extend_from_slice(&2_u32.to_le_bytes());
        head.extend_from_slice(&u64::MAX.to_le_bytes());
        head.extend_from_slice(&1_u64.to_le_bytes());
        let told =
            |mut bytes: &[u8], bounds: &Bounds| read::<String>(&mut bytes, bounds).expect_err("long").to_string();
        assert!(told(&head, &Bounds::SERVER).contains("too long"));
        assert!(told(&[0xff; 8], &Bounds::SERVER).contains("too long"));
        let mut good = Vec::new();
        write(&mut good, &"four", &[b"part"]).expect("written");
        for (json_bytes_max, parts_bytes_max) in [(5, 4), (6, 3)] {
            assert!(told(&good, &Bounds { json_bytes_max, parts_bytes_max }).contains("too long"));
        }
        let fits = Bounds { json_bytes_max: 6, parts_bytes_max: 4 };
        read::<String>(&mut good.as_slice(), &fits).expect("fits");
    }

    #[test]
    fn a_batch_and_an_output_come_back() {
        let sent = crate::testing::batch(&["one", "", "three"]);
        let columns = BatchColumns::new(&sent);
        let parts = columns.parts(&sent).iter().map(|part| part.to_vec()).collect();
        assert_eq!(batch(sent.first().get(), parts).expect("batch"), sent);
        let output = Output {
            payload: b"ab".to_vec(),
            ends: vec![1, 2],
            sources: vec![0, 3],
            failures: ["no", ""].iter().zip(1..).map(|(reason, index)| failure(index, reason)).collect(),
            partition_names: vec!["k".to_owned()],
            partition_values: b"xy".to_vec(),
            partition_ends: vec![1, 2],
        };
        let (answered, parts) = output_parts(output.clone());
        let raw = raw_output(answered, parts).expect("raw");
        assert_eq!(Output::check(raw, 4).expect("checked"), output);
        let error = CallError::Trap { trace: "where".to_owned() };
        let (bare, text) = error_and_text(error.clone());
        assert_eq!(error_with_text(bare, vec![text]).expect("text"), error);
    }

    #[test]
    fn reasons_that_are_none_are_refused() {
        let part = |bytes: &[u8]| bytes.to_vec();
        let raw = |reasons: &[u8], ends: &[u64]| {
            let ends = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
            let columns = vec![part(&[]); 5];
            let failures = [part(&[0, 0, 0, 0, 1, 0, 0, 0]), part(reasons), ends];
            raw_output(Answered::default(), columns.into_iter().chain(failures).collect())
        };
        assert!(raw(b"abc", &[1, 3]).is_ok(), "two reasons");
        for (reasons, ends) in [
            (&b"abc"[..], &[1][..]),
            (b"abc", &[2, 1]),
            (b"abc", &[1, 4]),
            (b"abc", &[1, u64::MAX]),
            (b"\xff", &[0, 1]),
        ] {
            assert!(raw(reasons, ends).is_err(), "{reasons:?} {ends:?}");
        }
        assert!(raw_output(Answered::default(), vec![part(&[]); 7]).is_err(), "a column is missing");
    }
}
