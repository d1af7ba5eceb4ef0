//! Fuzz target: `millrace_encode::fuzz::date_pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_encode::fuzz::date_pattern(data));
