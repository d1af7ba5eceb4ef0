//! Functions in the catalog: each change is one transaction over a function and its revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadableTable as _, WriteTransaction};

use super::{Catalog, FUNCTIONS, META, REVISIONS, Snapshot, limit, put};
use crate::{Error, FUNCTIONS_MAX, Function, REVISIONS_MAX, Revision};

/// The highest number that a revision of a function had which is deleted now.
const LAST_DELETED: &str = "last_deleted_revision";

/// A function with its revisions.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) function: Arc<Function>,
    pub(super) revisions: BTreeMap<u32, Arc<Revision>>,
}

impl Entry {
    pub(super) fn new(function: Function) -> Self {
        Self { function: Arc::new(function), revisions: BTreeMap::new() }
    }
}

/// A change of one function: what is in here when the edit ends well is what is stored.
#[derive(Debug)]
pub struct FunctionEdit {
    /// The function.
    pub function: Function,
    /// Its revisions by number; one that is added, changed or taken out here is so in the catalog.
    pub revisions: BTreeMap<u32, Arc<Revision>>,
}

impl Catalog {
    /// Adds the function `name` with its first revision. `make` is given the revision's number: a function that is
    /// made again under an old name goes on behind the old one's numbers, so that name and number never stand for two
    /// codes. The id is given here.
    ///
    /// # Errors
    /// [`Error::FunctionExists`], [`Error::Limit`], [`Error::Storage`].
    pub fn create_function(
        &self,
        name: &str,
        make: impl FnOnce(u32) -> (Function, Revision),
    ) -> Result<Arc<Function>, Error> {
        let database = self.database.lock();
        let snapshot = self.snapshot.load();
        if snapshot.functions.contains_key(name) {
            return Err(Error::FunctionExists { name: name.to_owned() });
        }
        limit("functions", snapshot.functions.len(), FUNCTIONS_MAX)?;
        snapshot.room_for_revision()?;
        let write = database.begin_write()?;
        let (deleted, id) = {
            let mut meta = write.open_table(META)?;
            let id = meta.get("next_function_id")?.map_or(1, |v| v.value());
            meta.insert("next_function_id", id + 1)?;
            (meta.get(LAST_DELETED)?.map_or(0, |v| v.value()), id)
        };
        let first = u32::try_from(deleted + 1)
            .map_err(|_| Error::Limit { what: "revisions ever made", limit: u32::MAX as usize })?;
        let (mut function, mut revision) = make(first);
        (function.id, revision.function_id) = (id, id);
        put(&write, FUNCTIONS, "functions", &function.name, &function)?;
        put_revision(&write, &revision)?;
        write.commit()?;
        let mut entry = Entry::new(function);
        let function = Arc::clone(&entry.function);
        entry.revisions.insert(revision.number, Arc::new(revision));
        self.publish(|s| drop(s.functions.insert(function.name.clone(), entry)));
        Ok(function)
    }

    /// Changes a function as `edit` says; nothing changes when it refuses.
    ///
    /// # Errors
    /// [`Error::NoFunction`], [`Error::Limit`], [`Error::Storage`], and what `edit` answers.
    pub fn edit_function<T, E: From<Error>>(
        &self,
        name: &str,
        edit: impl FnOnce(&mut FunctionEdit) -> Result<T, E>,
    ) -> Result<T, E> {
        let database = self.database.lock();
        let snapshot = self.snapshot.load();
        let old = snapshot.functions.get(name).ok_or_else(|| Error::NoFunction { name: name.to_owned() })?;
        let mut next = FunctionEdit { function: (*old.function).clone(), revisions: old.revisions.clone() };
        let answer = edit(&mut next)?;
        if next.revisions.len() > old.revisions.len() {
            snapshot.room_for_revision()?;
        }
        let written = (|| {
            let write = database.begin_write()?;
            put(&write, FUNCTIONS, "functions", name, &next.function)?;
            for (number, revision) in &next.revisions {
                if old.revisions.get(number).is_none_or(|before| !Arc::ptr_eq(before, revision)) {
                    put_revision(&write, revision)?;
                }
            }
            for gone in old.revisions.keys().filter(|number| !next.revisions.contains_key(number)) {
                write.open_table(REVISIONS)?.remove(key(name, *gone).as_str())?;
            }
            write.commit()?;
            Ok::<(), Error>(())
        })();
        written?;
        let entry = Entry { function: Arc::new(next.function), revisions: next.revisions };
        self.publish(|s| drop(s.functions.insert(name.to_owned(), entry)));
        Ok(answer)
    }

    /// Forgets a function and its revisions; answers what it was.
    ///
    /// # Errors
    /// [`Error::NoFunction`], [`Error::Storage`].
    pub fn remove_function(&self, name: &str) -> Result<Arc<Function>, Error> {
        let database = self.database.lock();
        let snapshot = self.snapshot.load();
        let old = snapshot.functions.get(name).ok_or_else(|| Error::NoFunction { name: name.to_owned() })?;
        let write = database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let deleted = meta.get(LAST_DELETED)?.map_or(0, |v| v.value());
            meta.insert(LAST_DELETED, deleted.max(u64::from(old.function.last_revision)))?;
        }
        write.open_table(FUNCTIONS)?.remove(name)?;
        for number in old.revisions.keys() {
            write.open_table(REVISIONS)?.remove(key(name, *number).as_str())?;
        }
        write.commit()?;
        let gone = Arc::clone(&old.function);
        self.publish(|s| drop(s.functions.remove(name)));
        Ok(gone)
    }
}

impl Snapshot {
    /// All functions in ASCII order of their names.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.values().map(|entry| &entry.function)
    }

    /// The function `name`.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Arc<Function>> {
        self.functions.get(name).map(|entry| &entry.function)
    }

    /// A revision of the function `name`.
    #[must_use]
    pub fn revision(&self, name: &str, number: u32) -> Option<&Arc<Revision>> {
        self.functions.get(name)?.revisions.get(&number)
    }

    /// All revisions of all functions.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        self.functions.values().flat_map(|entry| entry.revisions.values())
    }

    fn room_for_revision(&self) -> Result<(), Error> {
        limit("function revisions", self.revisions().count(), REVISIONS_MAX)
    }
}

fn key(name: &str, number: u32) -> String {
    format!("{name}\0{number:010}")
}

fn put_revision(write: &WriteTransaction, revision: &Revision) -> Result<(), Error> {
    put(write, REVISIONS, "revisions", &key(&revision.function, revision.number), revision)
}
