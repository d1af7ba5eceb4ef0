//! 32 MiB for every batch, however small.

use millrace_sdk::{Batch, Output};

#[millrace_sdk::transform]
fn huge_output(batch: &Batch, out: &mut Output) -> Result<(), String> {
    let piece = vec![b'x'; 32 << 20];
    if let Some(record) = batch.iter().next() {
        out.push(record, &piece);
    }
    Ok(())
}
