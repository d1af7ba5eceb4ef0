//! Events that wait for their invocation, each by its owner and a number that no other event ever has.

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};

use super::{COUNTERS, QUEUE, QUEUED, State};
use crate::Error;

/// Events that wait, of all functions and of one.
const EVENTS_MAX: u64 = 10_000;
pub(super) const EVENTS_OF_ONE_MAX: u64 = EVENTS_MAX / 2;
/// Bytes of them as they are stored: 1 GiB of all functions, and half of it of one.
const EVENT_BYTES_MAX: u64 = 1 << 30;
pub(super) const EVENT_BYTES_OF_ONE_MAX: u64 = EVENT_BYTES_MAX / 2;

/// The counter of the number that the next event gets; it never goes back.
pub(super) const NEXT_EVENT: &str = "next_event";

/// Names an event that waits. In the order of acceptance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// Its own: no other event of this file has had it, or ever will.
    pub number: u64,
    /// Whose it is.
    pub owner: String,
}

/// An event that waits for its invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedEvent {
    /// The function's name.
    pub function: String,
    /// The qualifier of the invocation; empty for none.
    pub qualifier: String,
    /// Names the invocation.
    pub request_id: String,
    /// When it was accepted, milliseconds since the Unix epoch.
    pub accepted_ms: i64,
    /// Invocations that were made.
    pub attempts: u32,
    /// `X-Amz-Client-Context`, decoded.
    pub client_context: Option<String>,
    /// Records of failed events that it came through: 0 for one that a client sent.
    #[serde(default)]
    pub hops: u32,
    /// It is done; its destination and the record that this is to be given are left.
    pub record: Option<(String, String)>,
    /// When it was done, milliseconds since the Unix epoch.
    #[serde(default)]
    pub ended_ms: Option<i64>,
    /// The event; empty once the record has it.
    #[serde(with = "payload")]
    pub payload: Vec<u8>,
}

/// Payloads are JSON text as a rule: kept as text where they are UTF-8.
mod payload {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Payload {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Payload::Text(text.to_owned()).serialize(serializer),
            Err(_) => Payload::Bytes(bytes.to_vec()).serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(match Payload::deserialize(deserializer)? {
            Payload::Text(text) => text.into_bytes(),
            Payload::Bytes(bytes) => bytes,
        })
    }
}

impl State {
    /// Takes an event; it waits, durable, until [`Self::remove_event`].
    ///
    /// # Errors
    /// [`Error::Limit`] when 10,000 or 1 GiB of them wait, or half of that of this owner; [`Error::Storage`].
    pub fn push_event(&self, owner: &str, event: &QueuedEvent) -> Result<EventId, Error> {
        let row = encode(event)?;
        let write = self.database.begin_write()?;
        let number;
        {
            let mut queue = write.open_table(QUEUE)?;
            let mut queued = write.open_table(QUEUED)?;
            let mut all = 0;
            for entry in queued.iter()? {
                all += entry?.1.value().1;
            }
            let (events, bytes) = queued.get(owner)?.map_or((0, 0), |v| v.value());
            let size = row.len() as u64;
            limit("events that wait", queue.len()? + 1, EVENTS_MAX)?;
            limit("events of one function that wait", events + 1, EVENTS_OF_ONE_MAX)?;
            limit("bytes of events that wait", all + size, EVENT_BYTES_MAX)?;
            limit("bytes of events of one function that wait", bytes + size, EVENT_BYTES_OF_ONE_MAX)?;
            let mut counters = write.open_table(COUNTERS)?;
            number = counters.get(NEXT_EVENT)?.map_or(1, |v| v.value());
            counters.insert(NEXT_EVENT, number + 1)?;
            queue.insert((owner, number), row.as_slice())?;
            queued.insert(owner, (events + 1, bytes + size))?;
        }
        write.commit()?;
        Ok(EventId { number, owner: owner.to_owned() })
    }

    /// Keeps what is new about an event; one that does not wait any more is not brought back.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn update_event(&self, id: &EventId, event: &QueuedEvent) -> Result<(), Error> {
        self.replace_event(id, Some(encode(event)?))
    }

    /// Forgets an event that is done.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn remove_event(&self, id: &EventId) -> Result<(), Error> {
        self.replace_event(id, None)
    }

    fn replace_event(&self, id: &EventId, row: Option<Vec<u8>>) -> Result<(), Error> {
        let (owner, key) = (id.owner.as_str(), (id.owner.as_str(), id.number));
        let write = self.database.begin_write()?;
        {
            let mut queue = write.open_table(QUEUE)?;
            let mut queued = write.open_table(QUEUED)?;
            let Some(old) = queue.remove(key)?.map(|v| v.value().len() as u64) else { return Ok(()) };
            let (mut events, bytes) = queued.get(owner)?.map_or((0, 0), |v| v.value());
            let mut bytes = bytes.saturating_sub(old);
            match &row {
                Some(row) => {
                    queue.insert(key, row.as_slice())?;
                    bytes += row.len() as u64;
                }
                None => events = events.saturating_sub(1),
            }
            if events == 0 {
                queued.remove(owner)?;
            } else {
                queued.insert(owner, (events, bytes))?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// The events that wait, in the order of acceptance.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn events(&self) -> Result<Vec<EventId>, Error> {
        let read = self.database.begin_read()?;
        let mut ids = Vec::new();
        for entry in read.open_table(QUEUE)?.iter()? {
            let (key, _) = entry?;
            let (owner, number) = key.value();
            ids.push(EventId { number, owner: owner.to_owned() });
        }
        ids.sort();
        Ok(ids)
    }

    /// An event that waits; none when it does not any more.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn event(&self, id: &EventId) -> Result<Option<QueuedEvent>, Error> {
        let read = self.database.begin_read()?;
        let Some(value) = read.open_table(QUEUE)?.get((id.owner.as_str(), id.number))? else { return Ok(None) };
        let damaged = |source| Error::Damaged { table: "queue", key: format!("{}/{}", id.owner, id.number), source };
        serde_json::from_slice(value.value()).map(Some).map_err(damaged)
    }
}

fn limit(what: &'static str, count: u64, limit: u64) -> Result<(), Error> {
    if count > limit { Err(Error::Limit { what, limit: limit as usize }) } else { Ok(()) }
}

fn encode(event: &QueuedEvent) -> Result<Vec<u8>, Error> {
    let damaged = |source| Error::Damaged { table: "queue", key: event.request_id.clone(), source };
    serde_json::to_vec(event).map_err(damaged)
}
