//! `Code.Location`: links to a function's module that need no credentials for a while, as those that
//! the service answers. They are signed with a key that this process alone has.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::HOST;
use http::uri::Authority;
use millrace_types::Entropy;
use sha2::Sha256;

use super::Call;
use crate::error::{ApiError, Code};
use crate::percent::percent_decoded;

/// How long a link holds, seconds; the service's own hold as long.
const LINK_S: i64 = 600;

/// The key of all links.
pub(crate) struct LinkKey([u8; 32]);

/// What a link says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The version that is asked for.
    pub(crate) qualifier: Option<String>,
    /// When it ends (seconds since the Unix epoch) and its signature; absent on a plain request.
    signed: Option<(i64, String)>,
}

impl Link {
    /// Reads the query of `GET /v1/functions/{name}/code`.
    ///
    /// # Errors
    /// A parameter that is unknown, stands twice or without its other half.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let (mut qualifier, mut expires, mut signature) = (None, None, None);
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "qualifier" => &mut qualifier,
                "expires" => &mut expires,
                "signature" => &mut signature,
                other => {
                    let message =
                        format!("unknown query parameter {other:.80}: there are qualifier, expires and signature");
                    return Err(ApiError::invalid(message));
                }
            };
            if slot.replace(percent_decoded(value)?).is_some() {
                let message = format!("the query parameter {name} is given more than once");
                return Err(ApiError::new(Code::Serialization, message));
            }
        }
        let signed = match (expires, signature) {
            (None, None) => None,
            (Some(expires), Some(signature)) => {
                let expires = expires.parse().map_err(|_| ApiError::invalid("expires is no number of seconds"))?;
                Some((expires, signature))
            }
            _ => return Err(ApiError::invalid("expires and signature stand together, as GetFunction answers them")),
        };
        Ok(Self { qualifier, signed })
    }
}

impl LinkKey {
    /// A key of this process.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self(key)
    }

    /// A link to a version of a function, at the host that the caller spoke to.
    pub(super) fn location(&self, call: &Call<'_>, name: &str, version: &str) -> String {
        let host = call.parts.uri.authority().map(Authority::as_str);
        let host = host.or_else(|| call.parts.headers.get(HOST).and_then(|host| host.to_str().ok()));
        let scheme = if call.shared.is_tls { "https" } else { "http" };
        let expires = call.shared.clock.now_ms() / 1000 + LINK_S;
        let signature = self.signature(name, version, expires).finalize().into_bytes();
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let version = version.replace('$', "%24");
        let host = host.unwrap_or("localhost");
        format!("{scheme}://{host}/v1/functions/{name}/code?qualifier={version}&expires={expires}&signature={hex}")
    }

    /// Whether a request carries a link that holds; `false` when it carries none.
    ///
    /// # Errors
    /// `Denied`: it does not hold.
    pub(crate) fn check(&self, name: &str, link: &Link, now_ms: i64) -> Result<bool, ApiError> {
        let Some((expires, signature)) = &link.signed else { return Ok(false) };
        let denied = |message: &str| ApiError::new(Code::Denied("AccessDeniedException"), message);
        if now_ms / 1000 >= *expires {
            return Err(denied("The link has ended: call GetFunction for another"));
        }
        let given: Option<Vec<u8>> = (signature.len() == 64)
            .then(|| signature.as_bytes().chunks(2))
            .and_then(|pairs| pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect());
        let qualifier = link.qualifier.as_deref().unwrap_or("$LATEST");
        let holds = given.is_some_and(|given| self.signature(name, qualifier, *expires).verify_slice(&given).is_ok());
        if holds { Ok(true) } else { Err(denied("The link's signature does not hold: call GetFunction for another")) }
    }

    fn signature(&self, name: &str, qualifier: &str, expires: i64) -> Hmac<Sha256> {
        // INVARIANT: HMAC takes keys of every length.
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        // Neither names nor qualifiers have line ends.
        mac.chain_update(format!("{name}\n{qualifier}\n{expires}"))
    }
}
