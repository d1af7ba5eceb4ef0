//! Answers what is not an output: ends that reach past the payload.

use millrace_sdk::guest::bindings::imports::millrace::transform::types;
use millrace_sdk::guest::bindings::transform::{self as bindings, Guest};

struct Rubbish;

impl Guest for Rubbish {
    fn transform(batch: types::Batch) -> Result<types::Output, String> {
        Ok(types::Output {
            payload: batch.payload,
            ends: batch.ends.iter().map(|end| end + 1).collect(),
            sources: (0..batch.ends.len() as u32).collect(),
            failures: Vec::new(),
            partition_names: Vec::new(),
            partition_values: Vec::new(),
            partition_ends: Vec::new(),
        })
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Rubbish with_types_in bindings);
#[cfg(not(target_arch = "wasm32"))]
const _: fn(types::Batch) -> Result<types::Output, String> = <Rubbish as bindings::Guest>::transform;
