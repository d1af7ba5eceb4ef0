//! Grants: the hosts that a function may send requests to, and what is granted of a target.

use std::fmt;
use std::net::IpAddr;

use crate::address::judge;
use crate::target::{Host, Scheme, Target, split_port};

/// Grants of one function at most.
pub const GRANTS_MAX: usize = 64;

/// Hosts that a grant stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// This very host.
    Host(Host),
    /// One label before this suffix, which begins with a dot.
    Under(String),
}

/// One host, or one wildcard, with a scheme and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    scheme: Scheme,
    pattern: Pattern,
    port: u16,
}

/// A grant that cannot be: `grant` as it was written, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the grant {grant:?} {why}")]
pub struct GrantError {
    /// As it was written.
    pub grant: String,
    /// The rest of the sentence.
    pub why: String,
}

impl Grant {
    /// Reads a grant: `api.example.com` and `api.example.com:8443` (https), `*.example.com` (exactly one
    /// label in place of the star), `http://host[:port]` for plain HTTP, `https://host` in full. An
    /// address (`http://127.0.0.1:8080`, `https://[2001:db8::1]`) is granted only by being named.
    ///
    /// # Errors
    /// When `text` is none of these, or names what cannot be reached: the text for who deploys.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        Self::read(text).map_err(|why| GrantError { grant: text.to_owned(), why })
    }

    fn read(text: &str) -> Result<Self, String> {
        let (scheme, authority) = match Scheme::split(text) {
            Some(split) => split?,
            None => (Scheme::Https, text),
        };
        if authority.contains(['/', '?', '#']) {
            return Err("has a path: a grant is for a whole host, [http://]host[:port]".to_owned());
        }
        if authority.contains('@') {
            return Err("has a user or password before an @".to_owned());
        }
        let (host, port) = split_port(authority)?;
        let port = port.unwrap_or_else(|| scheme.port());
        if let Some(suffix) = host.strip_prefix('*') {
            return Self::wildcard(suffix).map(|pattern| Self { scheme, pattern, port });
        }
        let host = Host::parse(host)?;
        match &host {
            Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
                return Err("is for this machine: name the address instead, such as http://127.0.0.1:8080".to_owned());
            }
            Host::Address(address) if address.is_unspecified() || address.is_multicast() => {
                return Err("is no address of one host".to_owned());
            }
            Host::Address(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
                return Err("carries an IPv4 address: write that one".to_owned());
            }
            _ => {}
        }
        Ok(Self { scheme, pattern: Pattern::Host(host), port })
    }

    fn wildcard(suffix: &str) -> Result<Pattern, String> {
        let parent = suffix.strip_prefix('.').ok_or("has a star that is not a whole label: *.example.com")?;
        match Host::parse(parent)? {
            Host::Name(name) if name.contains('.') => Ok(Pattern::Under(format!(".{name}"))),
            Host::Name(_) => Err("would be for a whole top-level domain".to_owned()),
            Host::Address(_) => Err("has a star before an address".to_owned()),
        }
    }

    fn covers(&self, target: &Target) -> bool {
        let host = match &self.pattern {
            Pattern::Host(host) => *host == target.host,
            Pattern::Under(suffix) => match &target.host {
                Host::Name(name) => {
                    name.strip_suffix(suffix.as_str()).is_some_and(|l| !l.is_empty() && !l.contains('.'))
                }
                Host::Address(_) => false,
            },
        };
        host && self.scheme == target.scheme && self.port == target.port
    }
}

impl fmt::Display for Grant {
    /// The shortest form that [`Grant::parse`] reads as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Http {
            f.write_str("http://")?;
        }
        match &self.pattern {
            Pattern::Host(host) => host.fmt(f)?,
            Pattern::Under(suffix) => write!(f, "*{suffix}")?,
        }
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Whose requests these are, and what was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    pub(crate) owner: String,
    grants: Vec<Grant>,
}

impl Allowed {
    /// `owner` names the function: connections are reused by the same owner only.
    #[must_use]
    pub fn new(owner: impl Into<String>, grants: Vec<Grant>) -> Self {
        Self { owner: owner.into(), grants }
    }

    /// Reads grants as they are written; `owner` as in [`Allowed::new`].
    ///
    /// # Errors
    /// The first grant that cannot be, or that there are more than [`GRANTS_MAX`].
    pub fn parse<S: AsRef<str>>(owner: impl Into<String>, grants: &[S]) -> Result<Self, GrantError> {
        if let Some(further) = grants.get(GRANTS_MAX) {
            let why = format!("is one too many: a function may have {GRANTS_MAX}");
            return Err(GrantError { grant: further.as_ref().to_owned(), why });
        }
        let grants = grants.iter().map(|grant| Grant::parse(grant.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self::new(owner, grants))
    }

    pub(crate) fn covers(&self, target: &Target) -> bool {
        self.grants.iter().any(|grant| grant.covers(target))
    }

    /// Whether a connection for `target` may go to `address`: it is public, or a grant names it
    /// literally, with the target's scheme and port.
    ///
    /// # Errors
    /// What the address is, as the address judge says it.
    pub(crate) fn judge(&self, target: &Target, address: IpAddr) -> Result<(), &'static str> {
        let literal = Target { host: Host::Address(address.to_canonical()), ..target.clone() };
        if self.covers(&literal) { Ok(()) } else { judge(address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grant: &str, url: &str) -> bool {
        Grant::parse(grant).expect(grant).covers(&Target::parse(url).expect(url))
    }

    #[test]
    fn a_grant_covers_its_host_scheme_and_port_and_nothing_else() {
        for (grant, url, expected) in [
            ("api.example.com", "https://api.example.com/x", true),
            ("API.example.com", "https://api.EXAMPLE.com:443/", true),
            ("https://api.example.com", "https://api.example.com/", true),
            ("api.example.com", "http://api.example.com/", false),
            ("api.example.com", "https://api.example.com:8443/", false),
            ("api.example.com", "https://x.api.example.com/", false),
            ("api.example.com", "https://xapi.example.com/", false),
            ("api.example.com", "https://api.example.com.evil.example/", false),
            ("api.example.com:8443", "https://api.example.com:8443/", true),
            ("api.example.com:8443", "https://api.example.com/", false),
            ("*.example.com", "https://a.example.com/", true),
            ("*.example.com", "https://example.com/", false),
            ("*.example.com", "https://a.b.example.com/", false),
            ("*.example.com", "https://aexample.com/", false),
            ("*.example.com:444", "https://a.example.com/", false),
            ("http://*.example.com", "http://a.example.com/", true),
            ("http://api.example.com", "https://api.example.com/", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", true),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8081/", false),
            ("http://[::1]:80", "http://[0:0::1]/", true),
        ] {
            assert_eq!(covers(grant, url), expected, "{grant} and {url}");
        }
    }

    #[test]
    fn what_cannot_be_granted_is_refused_with_its_reason() {
        for (grant, word) in [
            ("", "no host"),
            ("*", "whole label"),
            ("*.", "no host"),
            ("*.com", "top-level"),
            ("*example.com", "whole label"),
            ("a.*.example.com", "no name"),
            ("*.*.example.com", "no name"),
            ("*.10.0.0.1", "star before an address"),
            ("api.example.com/", "path"),
            ("https://api.example.com/v1", "path"),
            ("u@api.example.com", "user"),
            ("ftp://api.example.com", "scheme"),
            ("api.example.com:0", "port"),
            ("localhost:8080", "this machine"),
            ("http://a.localhost", "this machine"),
            ("0.0.0.0", "no address of one host"),
            ("[ff02::1]", "no address of one host"),
            ("[::ffff:127.0.0.1]", "IPv4"),
            ("http://2130706433", "dotted decimal"),
            (" api.example.com", "no name"),
        ] {
            let error = Grant::parse(grant).expect_err(grant).to_string();
            assert!(error.contains(word) && error.contains(&format!("{grant:?}")), "{error}");
        }
        let many = vec!["a.example"; GRANTS_MAX + 1];
        Allowed::parse("f", &many).expect_err("too many");
        Allowed::parse("f", many.get(1..).expect("rest")).expect("as many as may be");
    }

    #[test]
    fn a_grant_is_written_as_it_is_read() {
        for text in
            ["api.example.com", "*.example.com:8443", "http://127.0.0.1:8080", "http://[::1]", "http://a.example"]
        {
            assert_eq!(Grant::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn an_address_that_is_not_public_needs_a_grant_of_its_own() {
        let target = Target::parse("https://db.example.com/").expect("url");
        let private: IpAddr = "10.0.0.5".parse().expect("address");
        let judge = |grants: &[&str], address| Allowed::parse("f", grants).expect("grants").judge(&target, address);
        judge(&["db.example.com"], private).expect_err("a name grants no address");
        judge(&["db.example.com", "10.0.0.6"], private).expect_err("another address");
        judge(&["db.example.com", "http://10.0.0.5"], private).expect_err("another scheme");
        judge(&["db.example.com", "10.0.0.5:8443"], private).expect_err("another port");
        judge(&["db.example.com", "10.0.0.5"], private).expect("named literally");
        judge(&["db.example.com", "10.0.0.5"], "::ffff:10.0.0.5".parse().expect("mapped")).expect("the same host");
    }
}
