//! An error with its causes, in one line.

use std::error::Error;

/// The error's text and those of its causes, with `: ` in between; what is said already is not said again.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl std::fmt::Display for Said {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Said {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_is_said_once() {
        let cause =
            Said("no room: disk full", Some(Box::new(Said("disk full", Some(Box::new(Said("os error 28", None)))))));
        assert_eq!(
            chain(&Said("a write failed", Some(Box::new(cause)))),
            "a write failed: no room: disk full: os error 28"
        );
    }
}
