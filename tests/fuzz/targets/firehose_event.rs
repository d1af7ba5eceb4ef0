//! Fuzz target: `millrace_transform::fuzz::firehose_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_transform::fuzz::firehose_event(data));
