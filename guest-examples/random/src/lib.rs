//! Another output at every call: a random number and the time before each record, and one in
//! sixteen doubled. Exactly-once delivery must not rest on a function that repeats itself.

use millrace_sdk::{Batch, Output, now_ms, random_u64};

#[millrace_sdk::transform]
fn random(batch: &Batch, out: &mut Output) -> Result<(), String> {
    let now_ms = now_ms();
    for record in batch.iter() {
        let number = random_u64();
        for _ in 0..if number.is_multiple_of(16) { 2 } else { 1 } {
            out.write(record, |buffer| {
                buffer.extend_from_slice(format!("{number:016x} {now_ms} ").as_bytes());
                buffer.extend_from_slice(record.bytes());
                Ok::<(), String>(())
            })?;
        }
    }
    Ok(())
}
