//! What a function may ask of its host. Natively, in tests, the process stands in for it.

#[cfg(target_arch = "wasm32")]
use crate::guest::bindings::millrace::transform;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For who writes the function.
    Debug,
    /// For the record.
    Info,
    /// Somebody should look.
    Warn,
    /// Something was not done.
    Error,
}

/// Logs a line; see [`log!`](macro@crate::log). Natively to stderr.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    transform::log::log(
        match level {
            Level::Debug => transform::log::Level::Debug,
            Level::Info => transform::log::Level::Info,
            Level::Warn => transform::log::Level::Warn,
            Level::Error => transform::log::Level::Error,
        },
        message,
    );
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}

/// What the operator set under `name`. Natively the environment variable of that name.
pub fn setting(name: &str) -> Option<String> {
    #[cfg(target_arch = "wasm32")]
    return transform::settings::get(name);
    #[cfg(not(target_arch = "wasm32"))]
    std::env::var(name).ok()
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return transform::clock::now_ms();
    #[cfg(not(target_arch = "wasm32"))]
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}

/// `len` random bytes, at most 65,536.
pub fn random_bytes(len: u32) -> Vec<u8> {
    #[cfg(target_arch = "wasm32")]
    return transform::random::bytes(len);
    #[cfg(not(target_arch = "wasm32"))]
    {
        use std::hash::{BuildHasher as _, Hasher as _};
        let next = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        std::iter::repeat_with(next).flat_map(u64::to_le_bytes).take(len as usize).collect()
    }
}

/// A random number.
pub fn random_u64() -> u64 {
    let bytes = random_bytes(8);
    u64::from_le_bytes(bytes.try_into().expect("eight bytes were asked for"))
}
