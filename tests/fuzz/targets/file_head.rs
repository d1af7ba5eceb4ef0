//! Fuzz target: `millrace_log::fuzz::file_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_log::fuzz::file_head(data));
