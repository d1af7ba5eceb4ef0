//! What functions keep beside their configuration: the key-value state that guests write, and events
//! that wait for their invocation. In a file of its own, so that a guest's write waits for no change
//! of the configuration.
//!
//! Tables (key → value): `state` "function\0key" → bytes; `events` number → JSON of [`QueuedEvent`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use parking_lot::Mutex;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::Error;

const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");
const USED: TableDefinition<'static, &str, u64> = TableDefinition::new("used");
const EVENTS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("events");

/// Bytes of keys and values that one function may keep.
const STATE_BYTES_MAX: u64 = 16 << 20;
/// Events that wait, of all functions.
const EVENTS_MAX: u64 = 10_000;

/// The file. Methods block on disk; each change is durable on return.
#[derive(Debug)]
pub struct State {
    database: Mutex<Database>,
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
    /// It is done; its destination and the record that this is to be given are left.
    pub record: Option<(String, String)>,
    /// The event.
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
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// When the file is locked by another process or damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let database = Database::create(path)?;
        let write = database.begin_write()?;
        write.open_table(STATE)?;
        write.open_table(USED)?;
        write.open_table(EVENTS)?;
        write.commit()?;
        Ok(Self { database: Mutex::new(database) })
    }

    /// The value of a function's key.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn get(&self, function: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = self.database.lock().begin_read()?;
        let value = read.open_table(STATE)?.get(place(function, key).as_str())?.map(|v| v.value().to_vec());
        Ok(value)
    }

    /// Keys of a function that begin with `prefix`, in order, behind `after`, at most `max`.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn keys(&self, function: &str, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        let read = self.database.lock().begin_read()?;
        let table = read.open_table(STATE)?;
        let first = place(function, prefix);
        let from = after.map(|after| place(function, after)).filter(|after| *after >= first);
        let bound = from.as_deref().map_or(Bound::Included(first.as_str()), Bound::Excluded);
        let mut keys = Vec::new();
        for entry in table.range::<&str>((bound, Bound::Unbounded))? {
            let (key, _) = entry?;
            if !key.value().starts_with(&first) || keys.len() >= max {
                break;
            }
            keys.push(key.value().get(function.len() + 1..).unwrap_or_default().to_owned());
        }
        Ok(keys)
    }

    /// Makes the writes of one call durable, all or none: `None` removes a key.
    ///
    /// # Errors
    /// [`Error::Limit`] when the function would keep more than 16 MiB, [`Error::Storage`].
    pub fn write(&self, function: &str, writes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), Error> {
        let database = self.database.lock();
        let write = database.begin_write()?;
        {
            let mut table = write.open_table(STATE)?;
            let mut sizes = write.open_table(USED)?;
            let mut used = sizes.get(function)?.map_or(0, |v| v.value());
            for (key, value) in writes {
                let at = place(function, key);
                let old = match value {
                    Some(value) => table.insert(at.as_str(), value.as_slice())?.map(|v| v.value().len()),
                    None => table.remove(at.as_str())?.map(|v| v.value().len()),
                };
                used = used.saturating_sub(old.map_or(0, |old| (key.len() + old) as u64));
                used += value.as_ref().map_or(0, |value| (key.len() + value.len()) as u64);
            }
            if used > STATE_BYTES_MAX {
                // The transaction is dropped: nothing of it is kept.
                return Err(Error::Limit { what: "bytes of a function's state", limit: STATE_BYTES_MAX as usize });
            }
            sizes.insert(function, used)?;
        }
        write.commit()?;
        Ok(())
    }

    /// Forgets a function: its state and its events.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn forget(&self, function: &str) -> Result<(), Error> {
        let database = self.database.lock();
        let write = database.begin_write()?;
        {
            let first = place(function, "");
            let end = format!("{function}\u{1}");
            write.open_table(STATE)?.retain_in::<&str, _>(first.as_str()..end.as_str(), |_, _| false)?;
            write.open_table(USED)?.remove(function)?;
            // One that does not read belongs to nobody: it stays, and is told when its turn comes.
            let is_ours =
                |value: &[u8]| serde_json::from_slice::<QueuedEvent>(value).is_ok_and(|e| e.function == function);
            write.open_table(EVENTS)?.retain(|_, value| !is_ours(value))?;
        }
        write.commit()?;
        Ok(())
    }

    /// Takes an event; it waits, durable, until [`Self::remove_event`].
    ///
    /// # Errors
    /// [`Error::Limit`] when 10,000 wait, [`Error::Storage`].
    pub fn push_event(&self, event: &QueuedEvent) -> Result<u64, Error> {
        let database = self.database.lock();
        let write = database.begin_write()?;
        let number;
        {
            let mut table = write.open_table(EVENTS)?;
            if table.len()? >= EVENTS_MAX {
                return Err(Error::Limit { what: "events that wait", limit: EVENTS_MAX as usize });
            }
            number = table.last()?.map_or(1, |(last, _)| last.value() + 1);
            table.insert(number, encode(event)?.as_slice())?;
        }
        write.commit()?;
        Ok(number)
    }

    /// Keeps an event's new count of attempts.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn update_event(&self, number: u64, event: &QueuedEvent) -> Result<(), Error> {
        let database = self.database.lock();
        let write = database.begin_write()?;
        write.open_table(EVENTS)?.insert(number, encode(event)?.as_slice())?;
        write.commit()?;
        Ok(())
    }

    /// Forgets an event that is done.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn remove_event(&self, number: u64) -> Result<(), Error> {
        let database = self.database.lock();
        let write = database.begin_write()?;
        write.open_table(EVENTS)?.remove(number)?;
        write.commit()?;
        Ok(())
    }

    /// Numbers of the events that wait, in the order of acceptance.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn events(&self) -> Result<Vec<u64>, Error> {
        let read = self.database.lock().begin_read()?;
        let mut numbers = Vec::new();
        for entry in read.open_table(EVENTS)?.iter()? {
            numbers.push(entry?.0.value());
        }
        Ok(numbers)
    }

    /// An event that waits; none when it does not any more.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn event(&self, number: u64) -> Result<Option<QueuedEvent>, Error> {
        let read = self.database.lock().begin_read()?;
        let Some(value) = read.open_table(EVENTS)?.get(number)? else { return Ok(None) };
        let damaged = |source| Error::Damaged { table: "events", key: number.to_string(), source };
        serde_json::from_slice(value.value()).map(Some).map_err(damaged)
    }
}

fn encode(event: &QueuedEvent) -> Result<Vec<u8>, Error> {
    let damaged = |source| Error::Damaged { table: "events", key: event.request_id.clone(), source };
    serde_json::to_vec(event).map_err(damaged)
}

/// Names have no NUL, so a function's keys lie together and none reaches another's.
fn place(function: &str, key: &str) -> String {
    format!("{function}\0{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(pairs: &[(&str, Option<&[u8]>)]) -> BTreeMap<String, Option<Vec<u8>>> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.map(<[u8]>::to_vec))).collect()
    }

    #[test]
    fn state_belongs_to_one_function_and_survives() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("state.redb");
        {
            let state = State::open(&path).expect("opens");
            state.write("f", &writes(&[("a", Some(b"1")), ("ab", Some(b"2")), ("b", Some(b"3"))])).expect("written");
            state.write("f2", &writes(&[("a", Some(b"other"))])).expect("written");
            state.write("f", &writes(&[("b", None)])).expect("removed");
        }
        let state = State::open(&path).expect("opens again");
        assert_eq!(state.get("f", "a").expect("read").as_deref(), Some(&b"1"[..]));
        assert_eq!(state.get("f", "b").expect("read"), None);
        assert_eq!(state.keys("f", "", None, 10).expect("keys"), ["a", "ab"]);
        assert_eq!(state.keys("f", "a", Some("a"), 10).expect("keys"), ["ab"]);
        assert_eq!(state.keys("f", "", None, 1).expect("keys"), ["a"]);
        state.forget("f").expect("forgotten");
        assert_eq!(state.keys("f", "", None, 10).expect("keys"), [""; 0]);
        assert_eq!(state.keys("f2", "", None, 10).expect("keys"), ["a"]);
    }

    #[test]
    fn state_over_its_limit_leaves_what_was_there() {
        let dir = tempfile::tempdir().expect("dir");
        let state = State::open(&dir.path().join("state.redb")).expect("opens");
        let large = vec![0; STATE_BYTES_MAX as usize - 1];
        state.write("f", &writes(&[("a", Some(&large))])).expect("just fits");
        let rest = &large[2..];
        state
            .write("f", &writes(&[("a", Some(b"x")), ("b", Some(rest))]))
            .expect("room was given back within the call");
        let refused = state.write("f", &writes(&[("c", Some(b"123"))]));
        assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
        assert_eq!(state.keys("f", "", None, 10).expect("keys"), ["a", "b"]);
        state.write("f", &writes(&[("b", None), ("c", Some(b"123"))])).expect("room again");
    }

    #[test]
    fn events_wait_in_order_until_they_are_removed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("state.redb");
        let event = |payload: &[u8]| QueuedEvent {
            function: "f".to_owned(),
            qualifier: String::new(),
            request_id: "r".to_owned(),
            accepted_ms: 1,
            attempts: 0,
            client_context: None,
            record: None,
            payload: payload.to_vec(),
        };
        let state = State::open(&path).expect("opens");
        let first = state.push_event(&event(b"{}")).expect("taken");
        let second = state.push_event(&event(&[0xff, 0])).expect("taken");
        state.update_event(second, &QueuedEvent { attempts: 2, ..event(&[0xff, 0]) }).expect("kept");
        drop(state);
        let state = State::open(&path).expect("opens again");
        assert_eq!(state.events().expect("read"), [first, second]);
        let read = state.event(second).expect("read").expect("there");
        assert_eq!((read.attempts, read.payload.as_slice()), (2, &[0xff, 0][..]));
        state.remove_event(first).expect("removed");
        assert_eq!((state.events().expect("read"), state.event(first).expect("read")), (vec![second], None));
        state.forget("g").expect("nothing of it");
        assert_eq!(state.events().expect("read"), [second]);
        state.forget("f").expect("forgotten");
        assert_eq!(state.events().expect("read"), [0; 0]);
    }
}
