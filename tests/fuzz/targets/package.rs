//! Fuzz target: `millrace_front::fuzz::package`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_front::fuzz::package(data));
