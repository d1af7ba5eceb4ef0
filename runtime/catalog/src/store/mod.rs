//! The redb file and the snapshot that readers see.
//!
//! Tables (key → value): `streams` name → JSON of [`Stream`]; `functions` name → JSON of [`Function`];
//! `revisions` "name\0number(10 digits)" → JSON of [`Revision`]; `tables` "database\0name\0version(10 digits)" → JSON of [`Table`]; `meta`
//! text → number: `format` (2), `next_stream_id` and `last_deleted_revision`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use millrace_types::{Clock, StreamId};
use parking_lot::Mutex;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Function, NewStream, Revision, STREAMS_MAX, Stream, StreamStatus, TABLE_VERSIONS_MAX, Table};

const STREAMS: TableDefinition<'static, &str, &str> = TableDefinition::new("streams");
const FUNCTIONS: TableDefinition<'static, &str, &str> = TableDefinition::new("functions");
const REVISIONS: TableDefinition<'static, &str, &str> = TableDefinition::new("revisions");
const TABLES: TableDefinition<'static, &str, &str> = TableDefinition::new("tables");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Format of the entries; a file of another format is refused.
const FORMAT: u64 = 2;

/// Where this server claims to be: the region and account of its ARNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// For example `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
}

/// All configuration at one moment.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    streams: BTreeMap<String, Arc<Stream>>,
    functions: BTreeMap<String, Entry>,
    /// By database, name and version.
    tables: BTreeMap<String, BTreeMap<String, BTreeMap<u32, Arc<Table>>>>,
}

/// The catalog of one data directory. Share it in an `Arc`. Methods that change block on disk.
#[derive(Debug)]
pub struct Catalog {
    database: Mutex<Database>,
    snapshot: ArcSwap<Snapshot>,
    next_stream_id: AtomicU32,
    place: Place,
    clock: Arc<dyn Clock>,
}

impl Catalog {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// When the file is locked by another process, of another format, or damaged.
    pub fn open(path: &Path, place: Place, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let database = crate::database(path)?;
        let write = database.begin_write()?;
        let next;
        {
            let mut meta = write.open_table(META)?;
            let format = meta.get("format")?.map(|v| v.value());
            match format {
                None => drop(meta.insert("format", FORMAT)?),
                Some(FORMAT) => {}
                Some(other) => {
                    let text = format!("catalog format {other} is not {FORMAT}: use the release that wrote it");
                    return Err(redb::Error::Corrupted(text).into());
                }
            }
            next = meta.get("next_stream_id")?.map_or(1, |v| v.value());
            write.open_table(STREAMS)?;
            write.open_table(FUNCTIONS)?;
            write.open_table(REVISIONS)?;
            write.open_table(TABLES)?;
        }
        write.commit()?;
        let snapshot = read_all(&database)?;
        Ok(Self {
            database: Mutex::new(database),
            snapshot: ArcSwap::from_pointee(snapshot),
            next_stream_id: AtomicU32::new(u32::try_from(next).unwrap_or(u32::MAX)),
            place,
            clock,
        })
    }

    /// Everything as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The stream `name`.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.snapshot.load().streams.get(name).cloned()
    }

    /// The id that the next stream will be given: no stream has had it or a higher one.
    #[must_use]
    pub fn next_stream_id(&self) -> StreamId {
        StreamId(self.next_stream_id.load(Ordering::Acquire))
    }

    /// Region and account of this server's ARNs.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Makes a stream: id, ARN, time and version 1 are given here.
    ///
    /// # Errors
    /// [`Error::StreamExists`], [`Error::Limit`], [`Error::Storage`].
    pub fn create_stream(&self, new: NewStream) -> Result<Arc<Stream>, Error> {
        let database = self.database.lock();
        let snapshot = self.snapshot.load();
        if snapshot.streams.contains_key(&new.name) {
            return Err(Error::StreamExists { name: new.name });
        }
        limit("delivery streams", snapshot.streams.len(), STREAMS_MAX)?;
        let write = database.begin_write()?;
        let id = {
            let mut meta = write.open_table(META)?;
            let next = meta.get("next_stream_id")?.map_or(1, |v| v.value());
            meta.insert("next_stream_id", next + 1)?;
            // 2^32 creations on one data directory are refused as a limit, never wrapped.
            StreamId(
                u32::try_from(next)
                    .map_err(|_| Error::Limit { what: "streams ever made", limit: u32::MAX as usize })?,
            )
        };
        let stream = Stream {
            id,
            arn: format!(
                "arn:aws:firehose:{}:{}:deliverystream/{}",
                self.place.region, self.place.account_id, new.name
            ),
            name: new.name,
            created_ms: self.clock.now_ms(),
            version: 1,
            status: StreamStatus::Active,
            tags: new.tags,
            destination: new.destination,
        };
        put(&write, STREAMS, "streams", &stream.name, &stream)?;
        write.commit()?;
        self.next_stream_id.store(id.0.saturating_add(1), Ordering::Release);
        let stream = Arc::new(stream);
        self.publish(|s| drop(s.streams.insert(stream.name.clone(), Arc::clone(&stream))));
        Ok(stream)
    }

    /// Marks a stream as being deleted; it stays so across a restart.
    ///
    /// # Errors
    /// [`Error::NoStream`], [`Error::Storage`].
    pub fn mark_deleting(&self, name: &str) -> Result<Arc<Stream>, Error> {
        let database = self.database.lock();
        let old = self.stream(name).ok_or_else(|| Error::NoStream { name: name.to_owned() })?;
        let stream = Arc::new(Stream { status: StreamStatus::Deleting, ..(*old).clone() });
        let write = database.begin_write()?;
        put(&write, STREAMS, "streams", name, &*stream)?;
        write.commit()?;
        self.publish(|s| drop(s.streams.insert(name.to_owned(), Arc::clone(&stream))));
        Ok(stream)
    }

    /// Forgets a stream.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn remove_stream(&self, name: &str) -> Result<(), Error> {
        let database = self.database.lock();
        let write = database.begin_write()?;
        write.open_table(STREAMS)?.remove(name)?;
        write.commit()?;
        self.publish(|s| drop(s.streams.remove(name)));
        Ok(())
    }

    /// Registers a table, or its next version; those before stay for the streams that name them.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Storage`].
    pub fn put_table(&self, database_name: &str, name: &str, definition: String) -> Result<Arc<Table>, Error> {
        let database = self.database.lock();
        let snapshot = self.snapshot.load();
        limit("table versions", snapshot.tables().count(), TABLE_VERSIONS_MAX)?;
        let table = Arc::new(Table {
            database: database_name.to_owned(),
            name: name.to_owned(),
            version: snapshot.table(database_name, name, None).map_or(1, |newest| newest.version + 1),
            definition,
        });
        let write = database.begin_write()?;
        let key = format!("{database_name}\0{name}\0{:010}", table.version);
        put(&write, TABLES, "tables", &key, &*table)?;
        write.commit()?;
        self.publish(|s| s.add_table(Arc::clone(&table)));
        Ok(table)
    }

    /// Shows a change that is durable. Callers hold the database's lock, so changes show in order.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.snapshot.load());
        change(&mut next);
        self.snapshot.store(Arc::new(next));
    }
}

impl Snapshot {
    /// All streams in ASCII order of their names.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values()
    }

    /// The stream `name`.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.get(name)
    }

    /// Version `version` of the table `name` of `database`; the newest when `None`.
    #[must_use]
    pub fn table(&self, database: &str, name: &str, version: Option<u32>) -> Option<&Arc<Table>> {
        let versions = self.tables.get(database)?.get(name)?;
        match version {
            Some(version) => versions.get(&version),
            None => versions.last_key_value().map(|(_, table)| table),
        }
    }

    /// All versions of all tables, by database, name and number.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }

    fn add_table(&mut self, table: Arc<Table>) {
        let database = self.tables.entry(table.database.clone()).or_default();
        database.entry(table.name.clone()).or_default().insert(table.version, table);
    }
}

fn limit(what: &'static str, count: usize, limit: usize) -> Result<(), Error> {
    if count >= limit { Err(Error::Limit { what, limit }) } else { Ok(()) }
}

fn put(
    write: &redb::WriteTransaction,
    table: TableDefinition<'static, &str, &str>,
    table_name: &'static str,
    key: &str,
    value: &impl Serialize,
) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|source| Error::Damaged {
        table: table_name,
        key: key.to_owned(),
        source,
    })?;
    write.open_table(table)?.insert(key, text.as_str())?;
    Ok(())
}

fn read_all(database: &Database) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot::default();
    for stream in read_table::<Stream>(database, STREAMS, "streams")? {
        snapshot.streams.insert(stream.name.clone(), Arc::new(stream));
    }
    for function in read_table::<Function>(database, FUNCTIONS, "functions")? {
        snapshot.functions.insert(function.name.clone(), Entry::new(function));
    }
    for revision in read_table::<Revision>(database, REVISIONS, "revisions")? {
        if let Some(entry) = snapshot.functions.get_mut(&revision.function) {
            entry.revisions.insert(revision.number, Arc::new(revision));
        }
    }
    for table in read_table::<Table>(database, TABLES, "tables")? {
        snapshot.add_table(Arc::new(table));
    }
    Ok(snapshot)
}

fn read_table<T: DeserializeOwned>(
    database: &Database,
    table: TableDefinition<'static, &str, &str>,
    table_name: &'static str,
) -> Result<Vec<T>, Error> {
    let read = database.begin_read()?;
    let mut entries = Vec::new();
    for entry in read.open_table(table)?.iter()? {
        let (key, value) = entry?;
        let parsed = serde_json::from_str(value.value()).map_err(|source| Error::Damaged {
            table: table_name,
            key: key.value().to_owned(),
            source,
        })?;
        entries.push(parsed);
    }
    Ok(entries)
}

mod functions;

use functions::Entry;
pub use functions::FunctionEdit;

#[cfg(test)]
mod tests;
