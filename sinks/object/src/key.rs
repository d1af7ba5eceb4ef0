//! How a key is put into a path or a URL exactly as it stands, and which keys cannot be.
//!
//! `object_store::path::Path` drops empty segments (`a//b`, `/a`), which a Firehose prefix may well
//! have. For S3 such a key is stored below a base URL that already ends with the part up to the last
//! empty segment; nothing is dropped that way and the signature covers the whole URL.

use object_store::path::Path;

/// A key as `object_store` can send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// A path as it stands.
    Plain(Path),
    /// `<base URL>/<head>/<rest>`; `head` is percent-encoded, and may be empty or end with `/`.
    Below {
        /// Up to the last empty segment.
        head: String,
        /// What is behind it.
        rest: Path,
    },
}

/// Refuses what neither a URL nor a folder can hold; `Err` says what is wrong with the key.
pub(crate) fn check(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("is empty");
    }
    if key.ends_with('/') {
        return Err("ends with '/'");
    }
    if key.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("has a segment '.' or '..', which URLs and folders resolve away");
    }
    if key.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("has a control character");
    }
    Ok(())
}

/// Spells `key` for a remote store; `Err` says what is wrong with it.
pub(crate) fn spell(key: &str) -> Result<Spelled, &'static str> {
    check(key)?;
    let parse = |text: &str| Path::parse(text).map_err(|_| "is no path");
    if let Some((head, rest)) = key.rsplit_once("//") {
        return Ok(Spelled::Below { head: encode(&format!("{head}/")), rest: parse(rest)? });
    }
    if let Some(rest) = key.strip_prefix('/') {
        return Ok(Spelled::Below { head: String::new(), rest: parse(rest)? });
    }
    Ok(Spelled::Plain(parse(key)?))
}

/// As `SigV4` wants a path: all but the unreserved characters of RFC 3986 and '/' is escaped.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    fn spelled(key: &str) -> String {
        match spell(key).unwrap() {
            Spelled::Plain(path) => path.as_ref().to_owned(),
            Spelled::Below { head, rest } => format!("{}/{rest}", decode(&head)),
        }
    }

    #[test]
    fn exactly_as_it_stands() {
        for key in [
            "a",
            "a b",
            "a%20b",
            "ü/é",
            "q?x=1&y=#z",
            "a..b/.c/..d",
            "a//b",
            "/a",
            "//a",
            "a///b",
            "ü b//x//c d",
            "~[]{}",
        ] {
            assert_eq!(spelled(key), key);
        }
        assert!(matches!(spell("a/b"), Ok(Spelled::Plain(_))));
        assert_eq!(spell("a b//c"), Ok(Spelled::Below { head: "a%20b/".to_owned(), rest: Path::parse("c").unwrap() }));
    }

    #[test]
    fn refused() {
        for key in ["", "/", "a/", "a//", ".", "..", "a/../b", "../a", "a/./b", "a//../b", "a\0b", "a\nb"] {
            assert!(spell(key).is_err(), "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn no_key_is_changed(key in "[a.ü%? /#+]{0,12}") {
            if spell(&key).is_ok() {
                prop_assert_eq!(spelled(&key), key);
            }
        }
    }
}
