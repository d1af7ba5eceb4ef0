//! What a function may ask of its host. Natively, in tests, the process stands in for it.

#[cfg(target_arch = "wasm32")]
use crate::guest::bindings::imports::millrace::transform;

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

/// The running call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Names this call in logs and answers.
    pub request_id: String,
    /// The function's name.
    pub function_name: String,
    /// The published version, or `$LATEST`.
    pub function_version: String,
    /// Memory that an instance may have, bytes.
    pub memory_limit_bytes: u64,
    /// When the call is ended, milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// `X-Amz-Client-Context` of an invocation, decoded; none for batches of a stream.
    pub client_context: Option<String>,
}

impl Context {
    /// Milliseconds until the call is ended.
    pub fn remaining_ms(&self) -> u64 {
        self.deadline_ms.saturating_sub(now_ms())
    }
}

impl Default for Context {
    /// A call for tests: function `test`, version `$LATEST`, 64 MiB, five seconds.
    fn default() -> Self {
        Self {
            request_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            function_name: "test".to_owned(),
            function_version: "$LATEST".to_owned(),
            memory_limit_bytes: 64 << 20,
            deadline_ms: now_ms() + 5_000,
            client_context: None,
        }
    }
}

/// The running call. Natively the default one.
pub fn context() -> Context {
    #[cfg(target_arch = "wasm32")]
    {
        let call = transform::invocation::current();
        Context {
            request_id: call.request_id,
            function_name: call.function_name,
            function_version: call.function_version,
            memory_limit_bytes: call.memory_limit_bytes,
            deadline_ms: call.deadline_ms,
            client_context: call.client_context,
        }
    }
    #[cfg(not(target_arch = "wasm32"))]
    Context::default()
}
