//! Takes memory until there is no more.

use millrace_sdk::{Outcome, Record};

#[millrace_sdk::transform]
fn eat_memory(record: Record) -> Outcome {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![record.bytes().len() as u8 | 1; 1 << 20]);
        std::hint::black_box(&eaten);
    }
}
