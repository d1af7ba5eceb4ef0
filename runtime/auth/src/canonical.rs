//! The canonical request and the string to sign, made from what came over the wire.
//!
//! ```text
//! canonical request  METHOD \n path \n query \n (name:value \n)* \n names \n hex(SHA-256(body))
//! string to sign     AWS4-HMAC-SHA256 \n stamp \n scope \n hex(SHA-256(canonical request))
//! ```
//! Every service but S3 encodes the path twice: the path as it came is encoded once more.

use http::HeaderMap;
use http::header::HOST;

use crate::authorization::ALGORITHM;
use crate::digest::{Digest, hex, sha256};
use crate::error::{AuthError, shown};
use crate::stamp::Stamp;

/// The head of a request as it came over the wire, before anything was decoded.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path, still percent-encoded, without the query.
    pub raw_path: &'a str,
    /// What follows the `?`, if there was one.
    pub raw_query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// `:authority` of HTTP/2: stands in for the host where there is no `host` header.
    pub authority: Option<&'a str>,
}

/// The canonical request up to the hash of the body. `names` are sorted.
///
/// # Errors
/// [`AuthError::HeaderAbsent`] for a signed name that the request doesn't have.
pub(crate) fn canonical_head(head: &RequestHead<'_>, names: &[&str]) -> Result<Vec<u8>, AuthError> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b'\n');
    push_path(&mut out, head.raw_path);
    out.push(b'\n');
    push_query(&mut out, head.raw_query.unwrap_or_default());
    out.push(b'\n');
    for name in names {
        push_header(&mut out, head, name)?;
    }
    out.push(b'\n');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    Ok(out)
}

/// The string to sign of a canonical request that [`canonical_head`] began.
pub(crate) fn string_to_sign(mut canonical: Vec<u8>, body: &str, stamp: &Stamp, scope: &str) -> String {
    canonical.extend_from_slice(body.as_bytes());
    let digest: Digest = sha256(&canonical);
    format!("{ALGORITHM}\n{}\n{scope}\n{}", stamp.as_str(), hex(&digest))
}

/// Whether a path has `.` or `..` segments. Signers resolve them, routers don't: such a path would
/// be signed as another one than the one that is served.
pub(crate) fn has_dot_segment(raw_path: &str) -> bool {
    raw_path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// The decoded names of a query's parameters.
pub(crate) fn query_names(raw_query: &str) -> impl Iterator<Item = Vec<u8>> {
    raw_query.split('&').map(|pair| decoded(pair.split_once('=').map_or(pair, |(name, _)| name)))
}

/// Empty segments folded, as every signer does, the rest encoded again.
fn push_path(out: &mut Vec<u8>, raw_path: &str) {
    if raw_path.is_empty() {
        out.push(b'/');
    }
    let mut after_slash = false;
    for byte in raw_path.bytes() {
        match byte {
            b'/' if after_slash => {}
            b'/' => out.push(b'/'),
            other => push_encoded(out, other),
        }
        after_slash = byte == b'/';
    }
}

/// Names and values decoded, encoded in the one way the signature knows, sorted by name, then value.
fn push_query(out: &mut Vec<u8>, raw_query: &str) {
    if raw_query.is_empty() {
        return;
    }
    let encoded = |text: &str| {
        let mut out = Vec::with_capacity(text.len());
        decoded(text).into_iter().for_each(|byte| push_encoded(&mut out, byte));
        out
    };
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = raw_query
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// `name:value\n`, the values of a repeated header joined by commas in the order they came.
fn push_header(out: &mut Vec<u8>, head: &RequestHead<'_>, name: &str) -> Result<(), AuthError> {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), head.authority) {
        (Some(first), _) => push_value(out, first.as_bytes()),
        (None, Some(authority)) if name == HOST.as_str() => push_value(out, authority.as_bytes()),
        (None, _) => return Err(AuthError::HeaderAbsent(shown(name))),
    }
    for value in values {
        out.push(b',');
        push_value(out, value.as_bytes());
    }
    out.push(b'\n');
    Ok(())
}

/// Trimmed, and runs of white space folded to one space.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// RFC 3986: letters, digits and `-._~` stand for themselves.
fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        out.push(byte);
    } else {
        out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Percent-decoding; a `%` without two hex digits stands for itself, and so does `+`.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(raw: &str) -> String {
        let mut out = Vec::new();
        push_path(&mut out, raw);
        String::from_utf8(out).unwrap()
    }

    fn query(raw: &str) -> String {
        let mut out = Vec::new();
        push_query(&mut out, raw);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_folded_and_encoded_once_more() {
        for (raw, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("//example//", "/example/"),
            ("/example space/", "/example%20space/"),
            ("/ሴ", "/%E1%88%B4"),
            ("/-._~09AZaz", "/-._~09AZaz"),
            ("/functions/arn%3Aaws", "/functions/arn%253Aaws"),
            ("/test/@connections/JBDvjfGEIAMCERw%3D", "/test/%40connections/JBDvjfGEIAMCERw%253D"),
        ] {
            assert_eq!(path(raw), canonical);
        }
        for raw in ["/example/..", "/./", "/./example", "/a/../b", "/.."] {
            assert!(has_dot_segment(raw), "{raw}");
        }
        for raw in ["/", "/a.b/..c/...", "/%2e%2e/"] {
            assert!(!has_dot_segment(raw), "{raw}");
        }
    }

    #[test]
    fn queries_are_sorted_and_encoded_in_one_way() {
        for (raw, canonical) in [
            ("", ""),
            ("Param2=value2&Param1=value1", "Param1=value1&Param2=value2"),
            ("Param1=value2&Param1=value1", "Param1=value1&Param1=value2"),
            ("Param-3=Value3&Param=Value2&%E1%88%B4=Value1", "%E1%88%B4=Value1&Param=Value2&Param-3=Value3"),
            ("ሴ=bar", "%E1%88%B4=bar"),
            ("a=b%2fc&d", "a=b%2Fc&d="),
            ("a=%zz&b=+", "a=%25zz&b=%2B"),
            ("a=b=c", "a=b%3Dc"),
        ] {
            assert_eq!(query(raw), canonical);
        }
    }

    #[test]
    fn values_are_trimmed_and_folded() {
        for (raw, canonical) in [("", ""), ("  a \t  b ", "a b"), ("\"a   b   c\"", "\"a b c\"")] {
            let mut out = Vec::new();
            push_value(&mut out, raw.as_bytes());
            assert_eq!(out, canonical.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_a_query_value_is_stable(raw in "[^&=]*") {
            let once = query(&format!("k={raw}"));
            prop_assert!(once.is_ascii());
            prop_assert_eq!(query(&once), once);
        }

        #[test]
        fn decoding_never_panics(raw in "[%0-9a-fA-Fg+é]*") {
            prop_assert!(decoded(&raw).len() <= raw.len());
        }
    }
}
