//! Fuzz target: `millrace_delivery::fuzz::intent`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_delivery::fuzz::intent(data));
