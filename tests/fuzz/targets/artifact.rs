//! Fuzz target: `millrace_transform::fuzz::artifact`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_transform::fuzz::artifact(data));
