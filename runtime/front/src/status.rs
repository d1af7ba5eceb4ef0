//! `/v1/status`: what became of each stream's records, and the journal.

use serde_json::{Value, json};

use crate::error::{ApiError, Code};
use crate::firehose;
use crate::shared::Shared;

/// All streams, or the one that is named.
///
/// # Errors
/// No such stream.
pub(crate) async fn answer(shared: &Shared, name: Option<&str>) -> Result<Value, ApiError> {
    let streams = shared.backend.status(name);
    if let Some(name) = name
        && streams.is_empty()
    {
        return Err(firehose::not_found(&*shared.backend, name));
    }
    let streams = serde_json::to_value(&streams).map_err(|error| ApiError::new(Code::Internal, error.to_string()))?;
    Ok(json!({ "streams": streams, "journal": shared.admin.journal_status().await }))
}
