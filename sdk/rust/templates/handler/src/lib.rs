//! Greets by name, with the greeting of the settings.

use millrace_sdk::{Context, log, setting};
use serde::{Deserialize, Serialize};

/// The event, JSON.
#[derive(Deserialize)]
struct Event {
    name: String,
}

/// The answer, JSON.
#[derive(Serialize, Debug, PartialEq)]
struct Answer {
    message: String,
    function: String,
}

#[millrace_sdk::handler]
fn greet(event: Event, context: &Context) -> Result<Answer, String> {
    if event.name.is_empty() {
        return Err("nobody to greet".to_owned());
    }
    log!(info, "{}: greeting with {} ms left", context.request_id, context.remaining_ms());
    let greeting = setting("GREETING").unwrap_or_else(|| "Hello".to_owned());
    Ok(Answer { message: format!("{greeting}, {}!", event.name), function: context.function_name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_greeted() {
        let answer = greet(Event { name: "Ada".to_owned() }, &Context::default());
        assert_eq!(answer, Ok(Answer { message: "Hello, Ada!".to_owned(), function: "test".to_owned() }));
    }

    #[test]
    fn nobody_is_an_error() {
        let answer = greet(Event { name: String::new() }, &Context::default());
        assert_eq!(answer, Err("nobody to greet".to_owned()));
    }
}
