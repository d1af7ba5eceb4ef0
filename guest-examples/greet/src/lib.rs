//! A handler that needs no grant: greets by name, with the greeting of its settings; nobody is an error.

use millrace_sdk::{Context, log, setting};
use serde_json::{Value, json};

#[millrace_sdk::handler]
fn greet(event: Value, context: &Context) -> Result<Value, String> {
    let name = event["name"].as_str().filter(|name| !name.is_empty()).ok_or("nobody to greet")?;
    let greeting = setting("GREETING").unwrap_or_else(|| "Hello".to_owned());
    log!(info, "greets {name}");
    Ok(json!({ "message": format!("{greeting}, {name}!"), "version": context.function_version }))
}
