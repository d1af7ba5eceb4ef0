//! Fuzz targets of the object sink: what a store answers, and keys on their way into a path.

use millrace_types::mutate::Target;
use object_store::HeaderMap;
use object_store::client::{HttpError, HttpErrorKind};

use crate::classify::{Place, explain};
use crate::key::{Spelled, check, spell};
use crate::wire::{CODE_BYTES_MAX, MESSAGE_CHARS_MAX, refusal};

/// Bytes of a message at most: names, the store's words (cut), and what to do.
const MESSAGE_BYTES_MAX: usize = 4 * MESSAGE_CHARS_MAX + 1_000;

/// An answer: two bytes of status, then the body. Whatever it says, the error is short and printable.
pub fn answer(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk::<2>() else { return };
    let status = 100 + u16::from_le_bytes(*status) % 500;
    let refusal = refusal(status, &HeaderMap::new(), &String::from_utf8_lossy(body));
    assert!(refusal.code.len() <= CODE_BYTES_MAX && refusal.code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(refusal.message.chars().count() <= MESSAGE_CHARS_MAX && !refusal.message.contains(char::is_control));
    let source = Box::new(HttpError::new(HttpErrorKind::Unknown, refusal));
    let place = Place { bucket: "b", key: "k", location: "s3://b at http://h" };
    let error = explain(&object_store::Error::Generic { store: "S3", source }, place);
    assert!(!error.code.is_empty() && error.code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(error.message.len() <= MESSAGE_BYTES_MAX);
}

/// Keys: what is spelled climbs nowhere and loses nothing.
pub fn key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(spelled) = spell(text) else { return };
    assert!(check(text).is_ok());
    match spelled {
        Spelled::Plain(path) => assert_eq!(path.as_ref(), text),
        Spelled::Below { head, rest } => {
            assert!(head.is_ascii() && (head.is_empty() || head.ends_with('/')));
            assert!(text.ends_with(rest.as_ref()));
        }
    }
}

fn some_answers() -> Vec<Vec<u8>> {
    let body = |status: u16, text: &str| [&status.to_le_bytes(), text.as_bytes()].concat();
    vec![
        body(304, "<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist</Message></Error>"),
        body(201, "<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region><Message>x</Message></Error>"),
        body(403, "SlowDown"),
    ]
}

fn some_keys() -> Vec<Vec<u8>> {
    ["a/b", "ü b//x//c d", "/a", "a%20b?x=1#z", "a..b/.c"].map(|text| text.as_bytes().to_vec()).to_vec()
}

/// All targets of this crate.
#[must_use]
pub fn targets() -> Vec<Target> {
    let words = &[
        "<Code>",
        "</Code>",
        "<Message>",
        "</Message>",
        "<Region>",
        "</Region>",
        "//",
        "..",
        "/./",
        "%2e",
        "\u{0}",
        "é",
    ];
    let target = |name, run, seeds, rounds| Target { name, run, seeds, words, rounds };
    vec![target("answer", answer, some_answers, 10_000), target("key", key, some_keys, 10_000)]
}

#[test]
fn targets_hold() {
    millrace_types::mutate::drive(&targets());
}
