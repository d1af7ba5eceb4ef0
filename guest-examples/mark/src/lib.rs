//! Writes the setting `MARK` into every JSON object, so that it can be seen which version made it.

use millrace_sdk::{Batch, Output, setting};

#[millrace_sdk::transform]
fn mark(batch: &Batch, out: &mut Output) -> Result<(), String> {
    let end = format!(",\"mark\":\"{}\"}}", setting("MARK").unwrap_or_default());
    for record in batch.iter() {
        match record.bytes().strip_suffix(b"}") {
            Some(open) => out.write(record, |buffer| {
                buffer.extend_from_slice(open);
                buffer.extend_from_slice(end.as_bytes());
                Ok::<(), String>(())
            })?,
            None => out.fail(record, "not a JSON object"),
        }
    }
    Ok(())
}
