//! Fuzz target: `millrace_front::fuzz::put_record_batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_front::fuzz::put_record_batch(data));
