//! `/v1/status`: what became of each stream's records, and the journal.

use millrace_delivery::StreamStatusReport;
use serde::Serialize;
use serde_json::Value;

use crate::error::{ApiError, Code};
use crate::firehose;
use crate::shared::Shared;

/// The answer, written as it is: a tree of a thousand streams would cost more than to look at them.
#[derive(Serialize)]
struct Answer {
    streams: Vec<StreamStatusReport>,
    journal: Value,
}

/// All streams, or the one that is named, as JSON.
///
/// # Errors
/// No such stream.
pub(crate) async fn answer(shared: &Shared, name: Option<&str>) -> Result<String, ApiError> {
    let streams = shared.backend.status(name);
    if let Some(name) = name
        && streams.is_empty()
    {
        return Err(firehose::not_found(&*shared.backend, name));
    }
    let answer = Answer { streams, journal: shared.admin.journal_status().await };
    serde_json::to_string(&answer).map_err(|error| ApiError::new(Code::Internal, error.to_string()))
}
