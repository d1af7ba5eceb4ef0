//! Fuzz target: `millrace_transform::fuzz::output`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_transform::fuzz::output(data));
