//! Traps on a record that holds `poison`; every other goes on as it is.

use millrace_sdk::{Outcome, Record};

#[inline(never)]
fn look_at(record: Record) {
    if record.bytes().windows(6).any(|window| window == b"poison") {
        panic!("record {} is poison", record.index());
    }
}

#[millrace_sdk::transform]
fn trap_on_one(record: Record) -> Outcome {
    look_at(record);
    Outcome::kept()
}
