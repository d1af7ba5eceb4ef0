//! The Authorization header of Signature Version 4, read without a copy.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::digest::{Digest, from_hex};
use crate::error::{AuthError, shown};

/// Bytes of an Authorization header at most.
pub const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;
/// Names in `SignedHeaders` at most; a client signs some ten.
pub const SIGNED_HEADERS_MAX: usize = 128;
/// Characters of a scope's region or service at most.
const SCOPE_WORD_CHARS_MAX: usize = 64;

/// The one algorithm.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last word of every scope.
pub(crate) const TERMINATOR: &str = "aws4_request";

/// The Authorization header, which stands at most once.
pub(crate) fn header(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(AuthError::HeaderRepeated("authorization"));
    }
    value.to_str().map(Some).map_err(|_| AuthError::Malformed("it has characters beyond visible ASCII"))
}

/// What a well-formed header says; nothing of it is proven yet.
pub struct Authorization<'a> {
    /// The access key's id.
    pub key_id: &'a str,
    /// The scope's day, `YYYYMMDD`.
    pub day: &'a str,
    /// The scope's region.
    pub region: &'a str,
    /// The scope's service; some signers leave it empty for a loopback host.
    pub service: &'a str,
    /// The header names that are signed: lower case, ascending, each once.
    pub signed_headers: Vec<&'a str>,
    /// `keyid/day/region/service`: names the signing key.
    pub(crate) key_scope: &'a str,
    pub(crate) signature: Digest,
}

// No signature in logs: it is valid for five minutes.
impl std::fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization").field("key_scope", &self.key_scope).finish_non_exhaustive()
    }
}

impl<'a> Authorization<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, the parameters in any
    /// order. Takes any text; never panics.
    ///
    /// # Errors
    /// [`AuthError::Missing`] for another scheme, [`AuthError::Algorithm`] for another AWS scheme,
    /// else the first thing that is wrong.
    pub fn parse(header: &'a str) -> Result<Self, AuthError> {
        if header.len() > AUTHORIZATION_BYTES_MAX {
            return Err(AuthError::Malformed("it is longer than 8 KiB"));
        }
        let header = header.trim_matches(' ');
        let (scheme, parameters) = header.split_once(' ').unwrap_or((header, ""));
        match scheme {
            ALGORITHM => {}
            other if other.starts_with("AWS") => return Err(AuthError::Algorithm(shown(other))),
            _ => return Err(AuthError::Missing),
        }
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for parameter in parameters.split(',') {
            let (name, value) =
                parameter.trim_matches(' ').split_once('=').ok_or(AuthError::Malformed("a parameter has no '='"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(AuthError::Malformed("it has an unknown parameter")),
            };
            if slot.replace(value).is_some() {
                return Err(AuthError::Malformed("a parameter is repeated"));
            }
        }
        let required = |value: Option<&'a str>, name| value.filter(|v| !v.is_empty()).ok_or(AuthError::Parameter(name));
        let credential = required(credential, "Credential")?;
        let signature = required(signature, "Signature")?;
        let signed_headers = names(required(signed_headers, "SignedHeaders")?)?;
        let signature = from_hex(signature.as_bytes())
            .ok_or(AuthError::Malformed("'Signature' is not 64 lower-case hex digits"))?;

        let (key_scope, terminator) = credential.rsplit_once('/').ok_or(AuthError::CredentialParts)?;
        let mut parts = key_scope.split('/');
        let mut part = || parts.next().ok_or(AuthError::CredentialParts);
        let (key_id, day, region, service) = (part()?, part()?, part()?, part()?);
        if parts.next().is_some() || key_id.is_empty() {
            return Err(AuthError::CredentialParts);
        }
        if terminator != TERMINATOR {
            return Err(AuthError::ScopeTerminator);
        }
        if region.is_empty() || !is_scope_word(region) {
            return Err(AuthError::ScopeRegion);
        }
        Ok(Self { key_id, day, region, service, signed_headers, key_scope, signature })
    }

    /// `day/region/service/aws4_request`, as it stands in a string to sign.
    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.day, self.region, self.service)
    }
}

/// Letters, digits and `-`: what regions and services are made of.
fn is_scope_word(word: &str) -> bool {
    word.len() <= SCOPE_WORD_CHARS_MAX && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The names of `SignedHeaders`. Strictly ascending, so that a set of names has one text and no
/// name stands twice.
fn names(list: &str) -> Result<Vec<&str>, AuthError> {
    let names: Vec<&str> = list.split(';').take(SIGNED_HEADERS_MAX + 1).collect();
    if names.len() > SIGNED_HEADERS_MAX {
        return Err(AuthError::Malformed("'SignedHeaders' has more than 128 names"));
    }
    if names.iter().any(|name| name.is_empty() || name.bytes().any(|b| b.is_ascii_uppercase())) {
        return Err(AuthError::Malformed("'SignedHeaders' has a name that is empty or not in lower case"));
    }
    if !names.is_sorted_by(|a, b| a < b) {
        return Err(AuthError::Malformed("'SignedHeaders' is not in ascending order"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIGNATURE: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn text_of(credential: &str, names: &str) -> String {
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={SIGNATURE}")
    }

    #[test]
    fn a_header_is_read_in_any_order_with_or_without_spaces() {
        for text in [
            text_of("AKID/20150830/us-east-1/firehose/aws4_request", "host;x-amz-date"),
            format!(
                "AWS4-HMAC-SHA256 Signature={SIGNATURE},SignedHeaders=host;x-amz-date,Credential=AKID/20150830/us-east-1/firehose/aws4_request"
            ),
        ] {
            let read = Authorization::parse(&text).unwrap();
            assert_eq!(
                (read.key_id, read.day, read.region, read.service),
                ("AKID", "20150830", "us-east-1", "firehose")
            );
            assert_eq!(read.signed_headers, ["host", "x-amz-date"]);
            assert_eq!(read.key_scope, "AKID/20150830/us-east-1/firehose");
            assert_eq!(read.scope(), "20150830/us-east-1/firehose/aws4_request");
            assert!(!format!("{read:?}").contains("5fa00fa3"), "no signature in logs");
        }
        let text = text_of("AKID/20150830/us-east-1//aws4_request", "host");
        assert_eq!(Authorization::parse(&text).unwrap().service, "");
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for (text, algorithm) in [
            ("AWS AKID:c2lnbmF0dXJl", "AWS"),
            ("AWS3-HTTPS AWSAccessKeyId=AKID", "AWS3-HTTPS"),
            ("AWS4-ECDSA-P256-SHA256 Credential=AKID", "AWS4-ECDSA-P256-SHA256"),
            ("AWS4-HMAC-SHA256-PAYLOAD Credential=AKID", "AWS4-HMAC-SHA256-PAYLOAD"),
        ] {
            let error = Authorization::parse(text).unwrap_err();
            assert_eq!(error, AuthError::Algorithm(algorithm.to_owned()));
            assert_eq!(error.aws_type(), "IncompleteSignatureException");
        }
        for text in ["", " ", "Basic dXNlcjpwYXNz", "Bearer token", "aws4-hmac-sha256 Credential=A"] {
            assert_eq!(Authorization::parse(text).unwrap_err(), AuthError::Missing, "{text}");
        }
    }

    #[test]
    fn a_broken_header_is_refused_with_its_reason() {
        let scope = "AKID/20150830/us-east-1/firehose/aws4_request";
        let broken = |text: &str| Authorization::parse(text).unwrap_err();
        assert_eq!(broken("AWS4-HMAC-SHA256"), AuthError::Malformed("a parameter has no '='"));
        assert_eq!(
            broken(&format!("AWS4-HMAC-SHA256 SignedHeaders=host, Signature={SIGNATURE}")),
            AuthError::Parameter("Credential")
        );
        assert_eq!(
            broken(&format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=, Signature={SIGNATURE}")),
            AuthError::Parameter("SignedHeaders")
        );
        assert_eq!(
            broken(&format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=")),
            AuthError::Parameter("Signature")
        );
        assert_eq!(
            broken(&(text_of(scope, "host") + ", Extra=1")),
            AuthError::Malformed("it has an unknown parameter")
        );
        assert_eq!(
            broken(&format!("{}, Signature={SIGNATURE}", text_of(scope, "host"))),
            AuthError::Malformed("a parameter is repeated")
        );
        for names in ["host;Host", "host;host", "x-amz-date;host", "host;", ";host"] {
            assert!(matches!(broken(&text_of(scope, names)), AuthError::Malformed(_)), "{names}");
        }
        let many: Vec<String> = (0..=SIGNED_HEADERS_MAX).map(|i| format!("h{i:04}")).collect();
        assert!(matches!(broken(&text_of(scope, &many.join(";"))), AuthError::Malformed(_)));
        assert!(matches!(broken(&"A".repeat(AUTHORIZATION_BYTES_MAX + 1)), AuthError::Malformed(_)));
    }

    #[test]
    fn a_broken_scope_is_refused_with_its_reason() {
        for (credential, error) in [
            ("AKID", AuthError::CredentialParts),
            ("AKID/20150830/us-east-1/aws4_request", AuthError::CredentialParts),
            ("A/B/20150830/us-east-1/firehose/aws4_request", AuthError::CredentialParts),
            ("/20150830/us-east-1/firehose/aws4_request", AuthError::CredentialParts),
            ("AKID/20150830/us-east-1/firehose/aws3_request", AuthError::ScopeTerminator),
            ("AKID/20150830//firehose/aws4_request", AuthError::ScopeRegion),
            ("AKID/20150830/us east/firehose/aws4_request", AuthError::ScopeRegion),
        ] {
            assert_eq!(Authorization::parse(&text_of(credential, "host")).unwrap_err(), error, "{credential}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            prop_assert!(Authorization::parse(&text).is_err());
        }

        #[test]
        fn no_text_of_the_right_scheme_panics(text in "AWS4-HMAC-SHA256 [ -~é]*(Credential=[a-zA-Z0-9/=,;-]*)?[, ]*(SignedHeaders=[a-z;-]*)?, *(Signature=[0-9a-f]{0,70})?") {
            if let Ok(read) = Authorization::parse(&text) {
                prop_assert!(!read.key_id.is_empty() && !read.signed_headers.is_empty());
            }
        }

        #[test]
        fn a_cut_header_is_refused(cut in 0_usize..180) {
            let text = text_of("AKID/20150830/us-east-1/firehose/aws4_request", "host;x-amz-date");
            prop_assume!(cut < text.len());
            prop_assert!(Authorization::parse(text.split_at(cut).0).is_err());
        }
    }
}
