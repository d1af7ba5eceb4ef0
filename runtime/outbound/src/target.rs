//! One strict reading of a URL and of an authority: what has two readings somewhere is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::uri::PathAndQuery;

use crate::URL_BYTES_MAX;

/// A host name at most, bytes, and one label of it.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// How a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Splits `scheme://rest`; `None` when `text` has no `://`.
    pub(crate) fn split(text: &str) -> Option<Result<(Self, &str), String>> {
        let (scheme, rest) = text.split_once("://")?;
        Some(match scheme.to_ascii_lowercase().as_str() {
            "http" => Ok((Self::Http, rest)),
            "https" => Ok((Self::Https, rest)),
            _ => Err("has a scheme other than https and http".to_owned()),
        })
    }
}

/// A name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

impl Host {
    /// Reads a host. An address has one spelling: dotted decimal, or IPv6 in brackets.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(inner) = text.strip_prefix('[') {
            let v6 = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return v6
                .map(|v6| Self::Address(v6.into()))
                .ok_or_else(|| "has no IPv6 address in its brackets".to_owned());
        }
        if let Ok(v4) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(v4.into()));
        }
        if text.is_empty() {
            return Err("has no host".to_owned());
        }
        if !text.is_ascii() {
            return Err("has a host that is not ASCII: write its punycode form (xn--…)".to_owned());
        }
        let name = text.to_ascii_lowercase();
        // What resolvers take as an address though it is not dotted decimal: 2130706433, 0x7f.1, 0177.0.0.1.
        let last = name.rsplit('.').next().unwrap_or_default();
        let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if hex || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit())) {
            return Err("has an address that is not in dotted decimal (four numbers without leading zeros)".to_owned());
        }
        if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
            return Err("has a host that is no name: labels of letters, digits, - and _, with dots between".to_owned());
        }
        Ok(Self::Name(name))
    }
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Splits `host[:port]`, neither checked beyond the port's being a number.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.rfind(']') {
        // An IPv6 address has colons of its own.
        Some(end) => {
            let (host, rest) = authority.split_at(end + 1);
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("has something between ] and the port".to_owned()),
            }
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let Some(port) = port else { return Ok((host, None)) };
    let plain = !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(number) if plain => Ok((host, Some(number))),
        _ => Err("has a port that is no number from 1 to 65535".to_owned()),
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) path: PathAndQuery,
}

impl Target {
    /// Reads a URL: `https://host[:port][/path][?query]`.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence that begins with "the URL".
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if url.len() > URL_BYTES_MAX {
            return Err(format!("is longer than {URL_BYTES_MAX} bytes"));
        }
        if !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("has blanks, control characters or bytes that are not ASCII: percent-encode them".to_owned());
        }
        if url.contains('\\') {
            return Err("has a backslash, which some read as a slash".to_owned());
        }
        if url.contains('#') {
            return Err("has a fragment (#…), which is never sent: leave it out".to_owned());
        }
        let Some(split) = Scheme::split(url) else { return Err("does not begin with https:// or http://".to_owned()) };
        let (scheme, rest) = split?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("has a user or password before an @: send an authorization header instead".to_owned());
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let path = PathAndQuery::try_from(path).map_err(|error| format!("has a path that cannot be sent: {error}"))?;
        Ok(Self { scheme, host, port: port.unwrap_or_else(|| scheme.port()), path })
    }

    /// The value of the `host` header.
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_urls_are_read() {
        for (url, scheme, host, port, path) in [
            ("https://api.example.com", Scheme::Https, "api.example.com", 443, "/"),
            ("HTTPS://API.Example.com/A?b=C", Scheme::Https, "api.example.com", 443, "/A?b=C"),
            ("http://api.example.com:8080/x", Scheme::Http, "api.example.com", 8080, "/x"),
            ("https://api.example.com?x=1", Scheme::Https, "api.example.com", 443, "/?x=1"),
            ("http://127.0.0.1:1/", Scheme::Http, "127.0.0.1", 1, "/"),
            ("http://[::1]:81/a", Scheme::Http, "[::1]", 81, "/a"),
            ("https://x.example/@:80/?u=a@b", Scheme::Https, "x.example", 443, "/@:80/?u=a@b"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!((target.scheme, target.host.to_string().as_str(), target.port), (scheme, host, port), "{url}");
            assert_eq!(target.path.as_str(), path, "{url}");
        }
    }

    #[test]
    fn other_spellings_of_an_address_are_refused() {
        for host in [
            // 127.0.0.1
            "2130706433",
            "0x7f000001",
            "0x7F000001",
            "017700000001",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "127.0.0.01",
            "127.0.0.0x1",
            "0x7f.1",
            "127.0.0.1.",
            "127.0.0.1.0",
            "1.127.0.0.1",
            "127.0.0",
            "00",
            "0x",
            "%31%32%37.0.0.1",
            "127。0。0。1",
            "①②⑦.⓪.⓪.①",
            "[127.0.0.1]",
            "[::ffff:127.0.0.1",
            "::1",
            "[::1%25lo]",
            // 169.254.169.254
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "025177524776",
            "169.254.43518",
            "169.16689662",
            "169.254.169.254.",
            "169.254.169.0376",
            "[169.254.169.254]",
            "4264.254.169.254",
            "99999999999999999999",
            "256.1.1.1",
            "1.1.1.256",
        ] {
            for url in [format!("http://{host}/"), format!("https://{host}:443")] {
                Target::parse(&url).expect_err(&url);
            }
        }
        // Forms that are addresses are told as addresses, and judged as what they carry.
        for form in ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"] {
            let target = Target::parse(&format!("http://{form}/")).expect(form);
            let Host::Address(address) = target.host else { panic!("{form} is an address") };
            crate::address::judge(address).expect_err(form);
        }
    }

    #[test]
    fn urls_with_two_readings_are_refused_by_name() {
        for (url, word) in [
            ("https://user:pw@api.example.com/", "user or password"),
            ("https://api.example.com@evil.example/", "user or password"),
            ("https://api.example.com\\@evil.example/", "backslash"),
            ("https://api.example.com#@evil.example/", "fragment"),
            ("https://api.example.com /", "blanks"),
            ("https://api.example.com/a\r\nx: y", "control"),
            ("https://api.example.com/ä", "not ASCII"),
            ("ftp://api.example.com/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("gopher://127.0.0.1:25/", "scheme"),
            ("//api.example.com/", "does not begin"),
            ("api.example.com", "does not begin"),
            ("https:api.example.com", "does not begin"),
            ("https:///path", "no host"),
            ("https://:443/", "no host"),
            ("https://api.example.com:/", "port"),
            ("https://api.example.com:0/", "port"),
            ("https://api.example.com:080/", "port"),
            ("https://api.example.com:+80/", "port"),
            ("https://api.example.com:65536/", "port"),
            ("https://api.example.com:80:80/", "port"),
            ("https://[::1]x:80/", "between"),
            ("https://-a.example/", "no name"),
            ("https://a..example/", "no name"),
            ("https://a.example./", "no name"),
            ("https://*.example.com/", "no name"),
            ("https://a%2eexample.com/", "no name"),
        ] {
            let why = Target::parse(url).expect_err(url);
            assert!(why.contains(word), "{url}: {why}");
        }
        let long = format!("https://a.example/{}", "x".repeat(URL_BYTES_MAX));
        assert!(Target::parse(&long).expect_err("long").contains("longer"));
    }

    proptest! {
        /// Whatever is read is written again and read as the same: there is one reading.
        #[test]
        fn what_is_read_is_read_again(url in "https?://[a-z0-9.:\\[\\]@x_-]{0,20}[/?]{0,2}[!-~]{0,12}") {
            if let Ok(target) = Target::parse(&url) {
                let again = format!("{}://{}:{}{}", target.scheme.text(), target.host, target.port, target.path);
                prop_assert_eq!(Target::parse(&again), Ok(target));
            }
        }

        #[test]
        fn no_text_panics(url in "\\PC{0,40}", host in "\\PC{0,20}") {
            if let Ok(target) = Target::parse(&url) {
                prop_assert!(url.is_ascii() && !target.authority().is_empty());
            }
            if let Ok(target) = Target::parse(&format!("https://{host}/")) {
                prop_assert!(!target.authority().contains(['@', '/', '%', ' ']));
            }
        }
    }
}
