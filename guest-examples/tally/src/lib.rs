//! A handler that counts its events in its own state, and fails, traps or spins when it is asked to.

use millrace_sdk::{Context, key_value, log};
use serde_json::{Value, json};

#[millrace_sdk::handler]
fn tally(event: Value, context: &Context) -> Result<Value, String> {
    let key = event["key"].as_str().unwrap_or("events");
    let before = key_value::get(key)?.and_then(|bytes| String::from_utf8(bytes).ok());
    let count = before.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
    key_value::set(key, count.to_string().as_bytes())?;
    log!(info, "{key} is {count} in {}", context.request_id);
    match event["then"].as_str() {
        Some("fail") => Err(format!("asked to fail at {count}")),
        Some("trap") => panic!("asked to trap at {count}"),
        Some("spin") => loop {
            std::hint::black_box(count);
        },
        _ => Ok(json!({ "count": count, "version": context.function_version })),
    }
}
