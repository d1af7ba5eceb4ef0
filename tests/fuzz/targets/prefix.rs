//! Fuzz target: `millrace_encode::fuzz::prefix`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_encode::fuzz::prefix(data));
