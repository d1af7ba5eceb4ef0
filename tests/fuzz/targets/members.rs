//! Fuzz target: `millrace_types::fuzz::members`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_types::fuzz::members(data));
