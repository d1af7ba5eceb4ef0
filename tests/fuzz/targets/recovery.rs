//! Fuzz target: `millrace_log::fuzz::recovery`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_log::fuzz::recovery(data));
