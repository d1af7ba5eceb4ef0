//! Fuzz target: `millrace_log::fuzz::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_log::fuzz::segment(data));
