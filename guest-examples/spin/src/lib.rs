//! Never ends.

use millrace_sdk::{Outcome, Record};

#[millrace_sdk::transform]
fn spin(record: Record) -> Outcome {
    let mut number = record.index() as u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(7));
    }
}
