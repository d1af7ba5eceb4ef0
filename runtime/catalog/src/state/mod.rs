//! What functions keep beside their configuration: the key-value state that guests write, and events
//! that wait for their invocation. In a file of its own, so that a guest's write waits for no change
//! of the configuration.
//!
//! All of it belongs to an *owner*, which is one function for its whole life and never the next one of its name:
//! [`Function::owner`](crate::Function::owner). Tables (key → value): `state` "owner\0key" → bytes; `used` owner →
//! bytes; `queue` (owner, number) → JSON of [`QueuedEvent`]; `queued` owner → (events, bytes); `counters` text →
//! number: `format` (2) and `next_event`.

mod events;
mod format;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

pub use events::{EventId, QueuedEvent};

use crate::Error;

const STATE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("state");
const USED: TableDefinition<'static, &str, u64> = TableDefinition::new("used");
const QUEUE: TableDefinition<'static, (&str, u64), &[u8]> = TableDefinition::new("queue");
const QUEUED: TableDefinition<'static, &str, (u64, u64)> = TableDefinition::new("queued");
const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("counters");

/// Bytes that one function may keep: of keys, of values, and [`ENTRY_BYTES`] for each entry.
const STATE_BYTES_MAX: u64 = 16 << 20;
/// Bytes that an entry is counted for beside its key and its value: about what it costs in the file.
const ENTRY_BYTES: u64 = 64;

/// The file. Methods block on disk; each change is durable on return.
///
/// There is no lock around it: a transaction that writes waits for the one before by itself, a number of an event is
/// taken in the transaction that writes the event, and readers see the last commit while the next one syncs.
#[derive(Debug)]
pub struct State {
    database: Database,
}

impl State {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// When the file is locked by another process, of another format, or damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let database = crate::database(path)?;
        let write = database.begin_write()?;
        write.open_table(STATE)?;
        write.open_table(USED)?;
        write.open_table(QUEUE)?;
        write.open_table(QUEUED)?;
        format::bring_up(&write)?;
        write.commit()?;
        Ok(Self { database })
    }

    /// The value of an owner's key.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn get(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = self.database.begin_read()?;
        let value = read.open_table(STATE)?.get(place(owner, key).as_str())?.map(|v| v.value().to_vec());
        Ok(value)
    }

    /// Keys of an owner that begin with `prefix`, in order, behind `after`, at most `max`.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn keys(&self, owner: &str, prefix: &str, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        let read = self.database.begin_read()?;
        let table = read.open_table(STATE)?;
        let first = place(owner, prefix);
        let from = after.map(|after| place(owner, after)).filter(|after| *after >= first);
        let bound = from.as_deref().map_or(Bound::Included(first.as_str()), Bound::Excluded);
        let mut keys = Vec::new();
        for entry in table.range::<&str>((bound, Bound::Unbounded))? {
            let (key, _) = entry?;
            if !key.value().starts_with(&first) || keys.len() >= max {
                break;
            }
            keys.push(key.value().get(owner.len() + 1..).unwrap_or_default().to_owned());
        }
        Ok(keys)
    }

    /// Makes the writes of one call durable, all or none: `None` removes a key.
    ///
    /// `is_there` says whether the owner is still in the catalog. It is asked within the transaction, and a function
    /// leaves the catalog before [`Self::forget`] begins its own: so whatever was written for one that was there is
    /// forgotten with it, and nothing is written behind that.
    ///
    /// # Errors
    /// [`Error::NoFunction`] when the owner is not there, [`Error::Limit`] when it would keep more than 16 MiB,
    /// [`Error::Storage`].
    pub fn write(
        &self,
        owner: &str,
        writes: &BTreeMap<String, Option<Vec<u8>>>,
        is_there: impl FnOnce() -> bool,
    ) -> Result<(), Error> {
        let write = self.database.begin_write()?;
        if !is_there() {
            return Err(Error::NoFunction { name: owner.to_owned() });
        }
        {
            let mut table = write.open_table(STATE)?;
            let mut sizes = write.open_table(USED)?;
            let mut used = sizes.get(owner)?.map_or(0, |v| v.value());
            for (key, value) in writes {
                let at = place(owner, key);
                let old = match value {
                    Some(value) => table.insert(at.as_str(), value.as_slice())?.map(|v| v.value().len()),
                    None => table.remove(at.as_str())?.map(|v| v.value().len()),
                };
                used = used.saturating_sub(old.map_or(0, |old| entry_bytes(key.len(), old)));
                used += value.as_ref().map_or(0, |value| entry_bytes(key.len(), value.len()));
            }
            if used > STATE_BYTES_MAX {
                // The transaction is dropped: nothing of it is kept.
                return Err(Error::Limit { what: "bytes of a function's state", limit: STATE_BYTES_MAX as usize });
            }
            sizes.insert(owner, used)?;
        }
        write.commit()?;
        Ok(())
    }

    /// Forgets an owner: its state and its events.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn forget(&self, owner: &str) -> Result<(), Error> {
        let write = self.database.begin_write()?;
        forget(&write, owner)?;
        write.commit()?;
        Ok(())
    }

    /// Forgets all owners but `owners`, and answers who was forgotten: those whose function had left the catalog when
    /// the process was killed before it came to [`Self::forget`].
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn retain(&self, owners: &BTreeSet<String>) -> Result<Vec<String>, Error> {
        let gone: Vec<String> = self.owners()?.into_iter().filter(|owner| !owners.contains(owner)).collect();
        if !gone.is_empty() {
            let write = self.database.begin_write()?;
            for owner in &gone {
                forget(&write, owner)?;
            }
            write.commit()?;
        }
        Ok(gone)
    }

    /// Whoever has state or events.
    fn owners(&self) -> Result<BTreeSet<String>, Error> {
        let read = self.database.begin_read()?;
        let mut owners = BTreeSet::new();
        for entry in read.open_table(USED)?.iter()? {
            owners.insert(entry?.0.value().to_owned());
        }
        for entry in read.open_table(QUEUED)?.iter()? {
            owners.insert(entry?.0.value().to_owned());
        }
        // What could not be read when it was brought to this format: it stays, and is told at each start.
        owners.remove(format::UNREADABLE);
        Ok(owners)
    }
}

fn forget(write: &WriteTransaction, owner: &str) -> Result<(), Error> {
    let (first, end) = (place(owner, ""), format!("{owner}\u{1}"));
    write.open_table(STATE)?.retain_in::<&str, _>(first.as_str()..end.as_str(), |_, _| false)?;
    write.open_table(USED)?.remove(owner)?;
    write.open_table(QUEUE)?.retain_in::<(&str, u64), _>((owner, 0)..=(owner, u64::MAX), |_, _| false)?;
    write.open_table(QUEUED)?.remove(owner)?;
    Ok(())
}

/// Owners have no NUL, so what belongs to one lies together and none reaches another's.
fn place(owner: &str, key: &str) -> String {
    format!("{owner}\0{key}")
}

/// What an entry counts.
fn entry_bytes(key: usize, value: usize) -> u64 {
    (key + value) as u64 + ENTRY_BYTES
}

#[cfg(test)]
mod tests;
