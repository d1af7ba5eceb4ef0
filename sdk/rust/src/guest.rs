//! What the attribute's code calls: the bindings to the world, and the way from them to a function.
//! Not for use by hand.

use bindings::millrace::transform::types;

use crate::{Batch, IntoOutcome, Output, Record};

/// What wit-bindgen makes of `wit/transform/world.wit`.
#[allow(unreachable_pub, missing_docs, clippy::too_many_arguments)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/transform",
        world: "transform",
        pub_export_macro: true,
        default_bindings_module: "millrace_sdk::guest::bindings",
    });
}

/// A function over batches.
pub trait Transform {
    /// Fills `out` from `batch`.
    ///
    /// # Errors
    /// Why nothing of the batch was processed.
    fn transform(batch: &Batch, out: &mut Output) -> Result<(), String>;
}

/// Calls a function of one record for each.
///
/// # Errors
/// None: a record fails by itself.
#[inline]
pub fn each<O: IntoOutcome>(batch: &Batch, out: &mut Output, function: impl Fn(Record<'_>) -> O) -> Result<(), String> {
    for record in batch.iter() {
        function(record).into_outcome().put(record, out);
    }
    Ok(())
}

/// `T` as the world's export.
pub struct Exported<T>(std::marker::PhantomData<T>);

impl<T: Transform> bindings::Guest for Exported<T> {
    fn transform(batch: types::Batch) -> Result<types::Output, String> {
        say_panics();
        // The lists become ours as they lie: nothing is copied.
        let batch = Batch {
            payload: batch.payload,
            ends: batch.ends,
            arrivals_ms: batch.arrivals_ms,
            keys: batch.keys,
            key_ends: batch.key_ends,
            first_sequence: batch.first_sequence,
        };
        let mut out = Output::for_batch(&batch);
        T::transform(&batch, &mut out)?;
        let (partition_names, partition_values, partition_ends) = out.take_partitions();
        let failures = std::mem::take(&mut out.failures);
        Ok(types::Output {
            payload: out.payload,
            ends: out.ends,
            sources: out.sources,
            failures: failures.into_iter().map(|(index, reason)| types::Failure { index, reason }).collect(),
            partition_names,
            partition_values,
            partition_ends,
        })
    }
}

/// A panic's message goes to the log; the trap that follows has none.
fn say_panics() {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::log(crate::Level::Error, &panic.to_string())));
    });
}
