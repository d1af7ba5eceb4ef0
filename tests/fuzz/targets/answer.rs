//! Fuzz target: `millrace_object::fuzz::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_object::fuzz::answer(data));
