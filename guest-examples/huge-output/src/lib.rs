//! 32 MiB for every batch, however small.

use millrace_sdk::{Batch, Output};

#[millrace_sdk::transform]
fn huge_output(batch: &Batch, out: &mut Output) -> Result<(), String> {
    if let Some(record) = batch.iter().next() {
        out.write(record, |buffer| {
            buffer.resize(buffer.len() + (32 << 20), b'x');
            Ok::<(), String>(())
        })?;
    }
    Ok(())
}
