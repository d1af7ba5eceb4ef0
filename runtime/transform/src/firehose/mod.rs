//! Firehose's JSON for a transformation (firehose reference, section 5), both ways: as the service that
//! calls a handler with a batch, and as the function that is given such an event.

mod answer;
mod records;
mod request;

pub(crate) use answer::{Answer, read};
pub use records::{EventRecords, event_to_batch, outcome_to_event};
pub(crate) use request::{Request, request};

/// What stands behind the 56 digits of a record's id in an event.
const ID_SUFFIX: &str = "000000";

/// Appends `text` as a JSON string.
fn push_string(json: &mut Vec<u8>, text: &str) {
    // Text is never refused, and a vector takes every byte.
    let written = serde_json::to_writer(&mut *json, text);
    debug_assert!(written.is_ok(), "text became no JSON");
}

#[cfg(test)]
mod tests;
