//! Fuzz target: `millrace_encode::fuzz::scalar`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_encode::fuzz::scalar(data));
