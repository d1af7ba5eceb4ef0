//! Fuzz target: `millrace_catalog::fuzz::entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_catalog::fuzz::entry(data));
