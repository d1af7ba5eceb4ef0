//! The format of the file, and how one of the first format is brought to the second: there an event had nothing but
//! a number, which was given again when it was free, and an entry of the state was counted without [`ENTRY_BYTES`].
//!
//! [`ENTRY_BYTES`]: super::ENTRY_BYTES

use std::collections::BTreeMap;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::events::{NEXT_EVENT, QueuedEvent};
use super::{COUNTERS, QUEUE, QUEUED, STATE, USED, entry_bytes};
use crate::Error;

const FORMAT: u64 = 2;
/// Events of the first format: number → JSON.
const FIRST_EVENTS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("events");
/// The owner of events of the first format that do not read; no function is called so.
pub(super) const UNREADABLE: &str = "";

/// Brings the file to [`FORMAT`].
pub(super) fn bring_up(write: &WriteTransaction) -> Result<(), Error> {
    let mut counters = write.open_table(COUNTERS)?;
    match counters.get("format")?.map(|v| v.value()) {
        Some(FORMAT) => return Ok(()),
        Some(other) => {
            let text = format!("state format {other} is not {FORMAT}: use the release that wrote it");
            return Err(redb::Error::Corrupted(text).into());
        }
        None => {}
    }
    counters.insert("format", FORMAT)?;
    counters.insert(NEXT_EVENT, move_events(write)?)?;
    count_state(write)
}

/// Gives the events their owners, functions that had no other id than their name. Answers the next number.
fn move_events(write: &WriteTransaction) -> Result<u64, Error> {
    let mut next = 1;
    {
        let first = write.open_table(FIRST_EVENTS)?;
        let mut queue = write.open_table(QUEUE)?;
        let mut queued = write.open_table(QUEUED)?;
        for entry in first.iter()? {
            let (number, row) = entry?;
            let event = serde_json::from_slice::<QueuedEvent>(row.value());
            let owner = event.map_or_else(|_| UNREADABLE.to_owned(), |event| event.function);
            let (events, bytes) = queued.get(owner.as_str())?.map_or((0, 0), |v| v.value());
            queued.insert(owner.as_str(), (events + 1, bytes + row.value().len() as u64))?;
            queue.insert((owner.as_str(), number.value()), row.value())?;
            next = number.value() + 1;
        }
    }
    write.delete_table(FIRST_EVENTS)?;
    Ok(next)
}

fn count_state(write: &WriteTransaction) -> Result<(), Error> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for entry in write.open_table(STATE)?.iter()? {
        let (at, value) = entry?;
        if let Some((owner, key)) = at.value().split_once('\0') {
            *all.entry(owner.to_owned()).or_default() += entry_bytes(key.len(), value.value().len());
        }
    }
    let mut used = write.open_table(USED)?;
    for (owner, bytes) in all {
        used.insert(owner.as_str(), bytes)?;
    }
    Ok(())
}
