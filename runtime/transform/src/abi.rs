//! The types of `wit/transform/world.wit` as they are lowered into and lifted out of a guest.
//! Lists of integers cross as one copy each.

use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

/// The version of `millrace:transform` that this host has.
pub(crate) const VERSION: &str = "0.1.0";
/// Name of the function that world `transform` exports.
pub(crate) const TRANSFORM: &str = "transform";
/// Name of the function that world `handler` exports.
pub(crate) const HANDLE: &str = "handle";
/// Names of the imported interfaces.
pub(crate) const LOG: &str = "millrace:transform/log@0.1.0";
pub(crate) const SETTINGS: &str = "millrace:transform/settings@0.1.0";
pub(crate) const CLOCK: &str = "millrace:transform/clock@0.1.0";
pub(crate) const RANDOM: &str = "millrace:transform/random@0.1.0";
pub(crate) const INVOCATION: &str = "millrace:transform/invocation@0.1.0";
pub(crate) const KEY_VALUE: &str = "millrace:transform/key-value@0.1.0";
pub(crate) const HTTP: &str = "millrace:transform/http@0.1.0";

/// `record batch`.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(crate) struct BatchArg<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) ends: &'a [u32],
    #[component(name = "arrivals-ms")]
    pub(crate) arrivals_ms: &'a [i64],
    pub(crate) keys: &'a [u8],
    #[component(name = "key-ends")]
    pub(crate) key_ends: &'a [u32],
    #[component(name = "first-sequence")]
    pub(crate) first_sequence: u64,
}

/// `record failure`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct RawFailure {
    pub(crate) index: u32,
    pub(crate) reason: String,
}

/// `record output`, before anything of it is believed.
#[derive(ComponentType, Lift, Default)]
#[component(record)]
pub(crate) struct RawOutput {
    pub(crate) payload: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    pub(crate) sources: Vec<u32>,
    pub(crate) failures: Vec<RawFailure>,
    #[component(name = "partition-names")]
    pub(crate) partition_names: Vec<String>,
    #[component(name = "partition-values")]
    pub(crate) partition_values: Vec<u8>,
    #[component(name = "partition-ends")]
    pub(crate) partition_ends: Vec<u32>,
}

/// Parameters of `transform`.
pub(crate) type Params<'a> = (BatchArg<'a>,);
/// Results of `transform`.
pub(crate) type Results = (Result<RawOutput, String>,);

/// Parameters of `handle`.
pub(crate) type HandleParams<'a> = (&'a [u8],);
/// Results of `handle`.
pub(crate) type HandleResults = (Result<Vec<u8>, String>,);

/// `record context` of interface `invocation`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Context {
    #[component(name = "request-id")]
    pub(crate) request_id: String,
    #[component(name = "function-name")]
    pub(crate) function_name: String,
    #[component(name = "function-version")]
    pub(crate) function_version: String,
    #[component(name = "memory-limit-bytes")]
    pub(crate) memory_limit_bytes: u64,
    #[component(name = "deadline-ms")]
    pub(crate) deadline_ms: u64,
    #[component(name = "client-context")]
    pub(crate) client_context: Option<String>,
}

/// `record request` of interface `http`: nothing of it is copied before its size was looked at.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct RawRequest {
    pub(crate) method: WasmStr,
    pub(crate) url: WasmStr,
    pub(crate) headers: WasmList<(WasmStr, WasmList<u8>)>,
    pub(crate) body: WasmList<u8>,
    #[component(name = "timeout-ms")]
    pub(crate) timeout_ms: Option<u32>,
}

/// `record response` of interface `http`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}
