//! Fuzz target: `millrace_types::fuzz::record_id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_types::fuzz::record_id(data));
