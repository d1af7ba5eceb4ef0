//! Interface `key-value`: small state of a function. Writes are kept aside until the call has answered
//! well, then they become durable together.

use std::collections::BTreeMap;

use millrace_types::{KIB, MIB};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use super::Guest;
use crate::{CallError, abi};

/// Bytes of a key, at least 1.
const KEY_BYTES_MAX: usize = 256;
/// Bytes of a value.
const VALUE_BYTES_MAX: usize = 64 * KIB;
/// Keys that one listing answers.
const KEYS_LISTED_MAX: usize = 1_000;
/// Keys that one call may set or delete.
const WRITES_MAX: usize = 1_000;
/// Bytes that one call may write, keys and values together.
const WRITES_BYTES_MAX: usize = MIB;

/// What one call wrote: the new value of each key, or none where it was deleted.
pub type Writes = BTreeMap<String, Option<Vec<u8>>>;

/// The state of one function. Called on the worker thread, which it may block.
pub trait KeyValue: Send + Sync {
    /// The value of a key (1 to 256 bytes), or none.
    ///
    /// # Errors
    /// A sentence for the function.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String>;

    /// Keys that begin with `prefix`, in the order of their bytes, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// A sentence for the function.
    fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, String>;

    /// Makes all of `writes` durable, or none of them. Called at most once a call, after its answer was
    /// found good and before it counts.
    ///
    /// # Errors
    /// A sentence; the call has failed, then.
    fn commit(&self, writes: &Writes) -> Result<(), String>;
}

/// What the running call wrote.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    writes: Writes,
    bytes: usize,
}

impl Pending {
    /// Keys that are asked of a function's state at once: a listing, and as many as a call may have deleted.
    pub(crate) const KEYS_ASKED_MAX: usize = KEYS_LISTED_MAX + WRITES_MAX;

    pub(super) fn clear(&mut self) {
        self.writes.clear();
        self.bytes = 0;
    }

    pub(crate) fn commit(&mut self, store: Option<&dyn KeyValue>) -> Result<(), CallError> {
        let Some(store) = store.filter(|_| !self.writes.is_empty()) else { return Ok(()) };
        let done = store.commit(&self.writes).map_err(CallError::State);
        self.clear();
        done
    }

    fn get(&self, store: &dyn KeyValue, key: &str) -> Result<Option<Vec<u8>>, String> {
        check_key(key)?;
        match self.writes.get(key) {
            Some(own) => Ok(own.clone()),
            None => store.get(key),
        }
    }

    pub(crate) fn write(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), String> {
        check_key(key)?;
        let value_bytes = value.map_or(0, <[u8]>::len);
        if value_bytes > VALUE_BYTES_MAX {
            return Err(format!("a value has at most {VALUE_BYTES_MAX} bytes, not {value_bytes}"));
        }
        let before = self.writes.get(key).map(|old| key.len() + old.as_ref().map_or(0, Vec::len));
        if before.is_none() && self.writes.len() == WRITES_MAX {
            return Err(format!("one call writes at most {WRITES_MAX} keys"));
        }
        let bytes = self.bytes - before.unwrap_or(0) + key.len() + value_bytes;
        if bytes > WRITES_BYTES_MAX {
            return Err(format!("one call writes at most {WRITES_BYTES_MAX} bytes of keys and values"));
        }
        self.bytes = bytes;
        self.writes.insert(key.to_owned(), value.map(<[u8]>::to_vec));
        Ok(())
    }

    fn keys(&self, store: &dyn KeyValue, prefix: &str, after: Option<&str>) -> Result<Vec<String>, String> {
        if prefix.len() > KEY_BYTES_MAX || after.is_some_and(|after| after.len() > KEY_BYTES_MAX) {
            return Err(format!("a key has at most {KEY_BYTES_MAX} bytes"));
        }
        // Enough that what this call deleted does not leave the listing short.
        let deleted = self.writes.values().filter(|value| value.is_none()).count();
        let mut keys = store.keys(prefix, after, KEYS_LISTED_MAX + deleted)?;
        keys.retain(|key| !self.writes.contains_key(key));
        let own = self.writes.iter().filter(|(key, value)| {
            value.is_some() && key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        keys.extend(own.map(|(key, _)| key.clone()));
        keys.sort();
        keys.truncate(KEYS_LISTED_MAX);
        Ok(keys)
    }
}

fn check_key(key: &str) -> Result<(), String> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        Ok(())
    } else {
        Err(format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {}", key.len()))
    }
}

impl Guest {
    /// Runs `act` over what this call wrote and the function's state.
    fn with_state<T>(
        &mut self,
        act: impl FnOnce(&mut Pending, &dyn KeyValue) -> Result<T, String>,
    ) -> Result<T, String> {
        match &self.shared.key_value {
            Some(store) => act(&mut self.state, &**store),
            None => Err("key-value was not granted to this function".to_owned()),
        }
    }
}

/// Gives `linker` the interface. A module that imports it needs a grant to be deployed.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(abi::KEY_VALUE)?;
    interface.func_wrap("get", |mut store: StoreContextMut<'_, Guest>, (key,): (WasmStr,)| {
        store.data_mut().count()?;
        let key = text(&store, &key)?;
        Ok((store.data_mut().with_state(|own, kept| own.get(kept, &key)),))
    })?;
    interface.func_wrap("set", |mut store: StoreContextMut<'_, Guest>, (key, value): (WasmStr, WasmList<u8>)| {
        store.data_mut().count()?;
        let key = text(&store, &key)?;
        // As much as may be kept, and one byte more, so that a longer one is refused.
        let value = value.as_le_slice(&store);
        let value = value.get(..=VALUE_BYTES_MAX).unwrap_or(value).to_vec();
        Ok((store.data_mut().with_state(|own, _| own.write(&key, Some(&value))),))
    })?;
    interface.func_wrap("delete", |mut store: StoreContextMut<'_, Guest>, (key,): (WasmStr,)| {
        store.data_mut().count()?;
        let key = text(&store, &key)?;
        Ok((store.data_mut().with_state(|own, _| own.write(&key, None)),))
    })?;
    interface.func_wrap("keys", |mut store: StoreContextMut<'_, Guest>, (prefix, after): (WasmStr, Option<WasmStr>)| {
        store.data_mut().count()?;
        let prefix = text(&store, &prefix)?;
        let after = after.map(|after| text(&store, &after)).transpose()?;
        Ok((store.data_mut().with_state(|own, kept| own.keys(kept, &prefix, after.as_deref())),))
    })
}

/// A key or prefix, copied up to a byte more than a key may have.
fn text(store: &StoreContextMut<'_, Guest>, text: &WasmStr) -> wasmtime::Result<String> {
    let text = text.to_str(store)?;
    Ok(super::imports::cut_over(&text, KEY_BYTES_MAX).to_owned())
}

#[cfg(test)]
mod tests;
