//! Fuzz target: `millrace_encode::fuzz::table`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_encode::fuzz::table(data));
