//! Fuzz target: `millrace_front::fuzz::function_name`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_front::fuzz::function_name(data));
