//! Ids as types: a stream, a lane of it, the shard both name, a sequence number, a record id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stream's number in the catalog; never given twice in one data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u32);

/// Which of a stream's delivery shards, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lane(pub u16);

/// An ordered log: stream and lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(u64);

impl ShardId {
    /// The shard of `lane` in `stream`.
    #[must_use]
    pub const fn new(stream: StreamId, lane: Lane) -> Self {
        Self(((stream.0 as u64) << 16) | lane.0 as u64)
    }

    /// From its stored number.
    #[must_use]
    pub const fn from_u64(raw: u64) -> Self {
        Self(raw)
    }

    /// The number that is stored.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The stream it belongs to.
    #[must_use]
    pub const fn stream(self) -> StreamId {
        StreamId((self.0 >> 16) as u32)
    }

    /// Its lane.
    #[must_use]
    pub const fn lane(self) -> Lane {
        Lane((self.0 & 0xffff) as u16)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream().0, self.lane().0)
    }
}

/// A record's place in its shard. The first record of a shard is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(u64);

impl Seq {
    /// Place of the first record.
    pub const ZERO: Self = Self(0);

    /// From a number.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `count` places further.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// Records from `earlier` to here; panics when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a producer is told and an error object shows: 56 digits that name shard and place
/// (`reference/firehose.md` section 5: Direct PUT ids are 56-digit numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordId {
    /// The shard that took the record.
    pub shard: ShardId,
    /// Its place there.
    pub seq: Seq,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "49{:020}{:034}", self.shard.as_u64(), self.seq.get())
    }
}

impl FromStr for RecordId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a record id is 56 digits that begin with 49";
        if text.len() != 56 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(WRONG);
        }
        let shard = text.get(2..22).and_then(|t| t.parse().ok()).ok_or(WRONG)?;
        let seq = text.get(22..).and_then(|t| t.parse().ok()).ok_or(WRONG)?;
        if !text.starts_with("49") {
            return Err(WRONG);
        }
        Ok(Self { shard: ShardId::from_u64(shard), seq: Seq::new(seq) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn record_ids_round_trip(stream: u32, lane: u16, seq: u64) {
            let id = RecordId { shard: ShardId::new(StreamId(stream), Lane(lane)), seq: Seq::new(seq) };
            let text = id.to_string();
            prop_assert_eq!(text.len(), 56);
            prop_assert_eq!(text.parse::<RecordId>().expect("own text"), id);
            prop_assert_eq!((id.shard.stream().0, id.shard.lane().0), (stream, lane));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "49", &"5".repeat(56), &"49".repeat(27), "49é"] {
            assert!(text.parse::<RecordId>().is_err(), "{text}");
        }
    }
}
