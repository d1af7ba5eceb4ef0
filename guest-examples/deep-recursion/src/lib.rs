//! Calls itself without end.

use millrace_sdk::{Outcome, Record};

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the point")]
fn down(depth: u64) -> u64 {
    // Not a tail call.
    std::hint::black_box(down(std::hint::black_box(depth) + 1)) + 1
}

#[millrace_sdk::transform]
fn deep_recursion(record: Record) -> Outcome {
    Outcome::changed(down(record.sequence()).to_string())
}
