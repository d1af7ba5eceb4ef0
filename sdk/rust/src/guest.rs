//! What the attributes' code calls: the bindings to the worlds, and the way from them to a function.
//! Not for use by hand.

use std::fmt::Display;

use bindings::imports::millrace::transform::types;

use crate::{Batch, FromRecord, IntoOutcome, Output};

/// What wit-bindgen makes of `wit/transform/world.wit`: everything that a function may import once,
/// and the export of each world. What a function does not call is not in its component.
#[allow(unreachable_pub, missing_docs, clippy::too_many_arguments)]
pub mod bindings {
    pub mod imports {
        wit_bindgen::generate!({
            path: "../../wit/transform",
            inline: "
                package millrace:sdk;
                world imports {
                    import millrace:transform/types@0.1.0;
                    import millrace:transform/log@0.1.0;
                    import millrace:transform/settings@0.1.0;
                    import millrace:transform/clock@0.1.0;
                    import millrace:transform/random@0.1.0;
                    import millrace:transform/invocation@0.1.0;
                    import millrace:transform/key-value@0.1.0;
                    import millrace:transform/http@0.1.0;
                }
            ",
            world: "imports",
            generate_all,
        });
    }
    pub mod transform {
        wit_bindgen::generate!({
            path: "../../wit/transform",
            world: "transform",
            pub_export_macro: true,
            default_bindings_module: "millrace_sdk::guest::bindings::transform",
            with: {
                "millrace:transform/types@0.1.0": crate::guest::bindings::imports::millrace::transform::types,
                "millrace:transform/log@0.1.0": crate::guest::bindings::imports::millrace::transform::log,
                "millrace:transform/settings@0.1.0": crate::guest::bindings::imports::millrace::transform::settings,
                "millrace:transform/clock@0.1.0": crate::guest::bindings::imports::millrace::transform::clock,
                "millrace:transform/random@0.1.0": crate::guest::bindings::imports::millrace::transform::random,
                "millrace:transform/invocation@0.1.0": crate::guest::bindings::imports::millrace::transform::invocation,
            },
        });
    }
    pub mod handler {
        wit_bindgen::generate!({
            path: "../../wit/transform",
            world: "handler",
            pub_export_macro: true,
            default_bindings_module: "millrace_sdk::guest::bindings::handler",
            with: {
                "millrace:transform/log@0.1.0": crate::guest::bindings::imports::millrace::transform::log,
                "millrace:transform/settings@0.1.0": crate::guest::bindings::imports::millrace::transform::settings,
                "millrace:transform/clock@0.1.0": crate::guest::bindings::imports::millrace::transform::clock,
                "millrace:transform/random@0.1.0": crate::guest::bindings::imports::millrace::transform::random,
                "millrace:transform/invocation@0.1.0": crate::guest::bindings::imports::millrace::transform::invocation,
            },
        });
    }
}

/// A function over batches.
pub trait Transform {
    /// Fills `out` from `batch`.
    ///
    /// # Errors
    /// Why nothing of the batch was processed.
    fn transform(batch: &Batch, out: &mut Output) -> Result<(), String>;
}

/// A function over one event.
pub trait Handler {
    /// Answers `event`.
    ///
    /// # Errors
    /// The error message of the invocation.
    fn handle(event: &[u8]) -> Result<Vec<u8>, String>;
}

/// Calls a function of one record for each.
///
/// # Errors
/// None: a record fails by itself.
#[inline]
pub fn each<'b, T, O>(batch: &'b Batch, out: &mut Output, function: impl Fn(T) -> O) -> Result<(), String>
where
    T: FromRecord<'b>,
    O: IntoOutcome,
{
    for record in batch.iter() {
        match T::from_record(record) {
            Ok(taken) => function(taken).into_outcome().put(record, out),
            Err(reason) => out.fail(record, reason),
        }
    }
    Ok(())
}

/// Calls a function of an event's bytes.
///
/// # Errors
/// The function's, as text.
pub fn bytes<'e, E: Display>(
    event: &'e [u8],
    function: impl FnOnce(&'e [u8]) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, String> {
    function(event).map_err(|error| error.to_string())
}

/// Calls a function of an event in JSON.
///
/// # Errors
/// The function's, as text; that the event is not a `T`, or that the answer cannot be written.
#[cfg(feature = "serde")]
pub fn json<'e, T, R, E>(event: &'e [u8], function: impl FnOnce(T) -> Result<R, E>) -> Result<Vec<u8>, String>
where
    T: serde::Deserialize<'e>,
    R: serde::Serialize,
    E: Display,
{
    let event = serde_json::from_slice(event).map_err(|error| format!("the event cannot be read: {error}"))?;
    let answer = function(event).map_err(|error| error.to_string())?;
    serde_json::to_vec(&answer).map_err(|error| format!("the answer cannot be written: {error}"))
}

/// `T` as the export of world `transform`.
pub struct ExportedTransform<T>(std::marker::PhantomData<T>);

impl<T: Transform> bindings::transform::Guest for ExportedTransform<T> {
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

/// `T` as the export of world `handler`.
pub struct ExportedHandler<T>(std::marker::PhantomData<T>);

impl<T: Handler> bindings::handler::Guest for ExportedHandler<T> {
    fn handle(event: Vec<u8>) -> Result<Vec<u8>, String> {
        say_panics();
        T::handle(&event)
    }
}

/// A panic's message goes to the log; the trap that follows has none.
fn say_panics() {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::log(crate::Level::Error, &panic.to_string())));
    });
}
