//! Fuzz target: `millrace_encode::fuzz::timestamp_format`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_encode::fuzz::timestamp_format(data));
