//! What server and worker say to each other: a message in JSON, and bytes beside it.
//!
//! ```text
//! length of the JSON 4 | number of parts 4 | length of each part 8 × number | JSON | parts   little-endian
//! ```

use std::io::{self, Read, Write};
use std::time::Duration;

use millrace_types::MIB;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::columns::Answered;
use crate::{BatchSource, CallError, Limits, LogLevel, Writes};

/// Parts of one message at most.
pub(super) const PARTS_MAX: usize = 8;

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
    /// The call has ended. Parts are those of [`output_parts`](super::columns::output_parts) for a batch, the answer for an event, or
    /// the text of the error, for it may be as long as an answer.
    Answer {
        outcome: Result<Answered, CallError>,
        init: Duration,
        cold_start: bool,
        memory_high_water_bytes: usize,
    },
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
}
