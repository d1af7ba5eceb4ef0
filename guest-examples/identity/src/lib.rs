//! Every record as it is.

use millrace_sdk::{Batch, Output};

#[millrace_sdk::transform]
fn identity(batch: &Batch, out: &mut Output) -> Result<(), String> {
    for record in batch.iter() {
        out.keep(record);
    }
    Ok(())
}
