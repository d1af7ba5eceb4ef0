//! The types of `wit/transform/world.wit` as they are lowered into and lifted out of a guest.
//! Lists of integers cross as one copy each.

use wasmtime::component::{ComponentType, Lift, Lower};

/// Name of the exported function.
pub(crate) const TRANSFORM: &str = "transform";
/// Names of the imported interfaces.
pub(crate) const LOG: &str = "millrace:transform/log@0.1.0";
pub(crate) const SETTINGS: &str = "millrace:transform/settings@0.1.0";
pub(crate) const CLOCK: &str = "millrace:transform/clock@0.1.0";
pub(crate) const RANDOM: &str = "millrace:transform/random@0.1.0";

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
