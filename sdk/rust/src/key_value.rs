//! Small state of the function's own, shared by its versions and instances. Needs the grant
//! `key_value = true`. Natively, in tests, a map of the thread stands in for it.
//!
//! Writes become durable together when the call has answered well; a call that fails leaves nothing.
//! Reads see the call's own writes.

#[cfg(target_arch = "wasm32")]
use crate::guest::bindings::imports::millrace::transform::key_value as host;

#[cfg(not(target_arch = "wasm32"))]
thread_local! {
    static STAND_IN: std::cell::RefCell<std::collections::BTreeMap<String, Vec<u8>>> = const {
        std::cell::RefCell::new(std::collections::BTreeMap::new())
    };
}

/// Keys that one call of [`keys`] answers at most.
#[cfg(not(target_arch = "wasm32"))]
const KEYS_MAX: usize = 1_000;

/// The value of a key, or none.
///
/// # Errors
/// What the host says: a key that is none, too many calls.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, String> {
    #[cfg(target_arch = "wasm32")]
    return host::get(key);
    #[cfg(not(target_arch = "wasm32"))]
    Ok(STAND_IN.with_borrow(|map| map.get(key).cloned()))
}

/// Sets a key of 1 to 256 bytes to a value of at most 64 KiB.
///
/// # Errors
/// What the host says: a key that is none, a value or a store that is too large.
pub fn set(key: &str, value: &[u8]) -> Result<(), String> {
    #[cfg(target_arch = "wasm32")]
    return host::set(key, value);
    #[cfg(not(target_arch = "wasm32"))]
    STAND_IN.with_borrow_mut(|map| {
        map.insert(key.to_owned(), value.to_owned());
        Ok(())
    })
}

/// Removes a key; it need not be there.
///
/// # Errors
/// What the host says: a key that is none, too many calls.
pub fn delete(key: &str) -> Result<(), String> {
    #[cfg(target_arch = "wasm32")]
    return host::delete(key);
    #[cfg(not(target_arch = "wasm32"))]
    STAND_IN.with_borrow_mut(|map| {
        map.remove(key);
        Ok(())
    })
}

/// Keys that begin with `prefix`, in order, at most 1,000, behind `after`.
///
/// # Errors
/// What the host says: too many calls.
pub fn keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, String> {
    #[cfg(target_arch = "wasm32")]
    return host::keys(prefix, after);
    #[cfg(not(target_arch = "wasm32"))]
    Ok(STAND_IN.with_borrow(|map| {
        map.keys()
            .filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .take(KEYS_MAX)
            .cloned()
            .collect()
    }))
}
