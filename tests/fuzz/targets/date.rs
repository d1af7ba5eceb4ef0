//! Fuzz target: `millrace_auth::fuzz::date`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_auth::fuzz::date(data));
