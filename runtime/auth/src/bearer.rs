//! Bearer tokens, for the routes that no AWS client uses.

use http::HeaderMap;

use crate::authorization::header;
use crate::error::AuthError;
use crate::keys::{Identity, Policy};

/// The holder of a bearer token, for routes that take one. `None` where the request has no
/// `Authorization: Bearer …`: then it may be signed, see [`crate::begin`].
///
/// # Errors
/// [`AuthError::Unrecognized`] for a token that isn't ours, [`AuthError::HeaderRepeated`] for two
/// Authorization headers.
pub fn bearer(policy: &Policy, headers: &HeaderMap) -> Result<Option<Identity>, AuthError> {
    let Some(header) = header(headers)? else {
        return Ok(None);
    };
    let Some((scheme, token)) = header.split_once(' ') else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    match policy {
        Policy::Dev => Ok(Some(Identity::Dev)),
        Policy::Keys(keys) if keys.holds_token(token.trim_matches(' ')) => Ok(Some(Identity::Bearer)),
        Policy::Keys(_) => Err(AuthError::Unrecognized),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessKeys;
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    fn with(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(text).unwrap());
        headers
    }

    #[test]
    fn a_token_is_known_or_not() {
        let tokens = ["other", "canary-token"].map(str::to_owned);
        let policy = Policy::Keys(AccessKeys::new([], tokens).unwrap());
        assert_eq!(bearer(&policy, &HeaderMap::new()), Ok(None));
        for text in ["AWS4-HMAC-SHA256 Credential=A", "Basic dTpw", "Bearer", ""] {
            assert_eq!(bearer(&policy, &with(text)), Ok(None), "{text}");
        }
        for text in ["Bearer canary-token", "bearer canary-token", "BEARER  canary-token ", "Bearer other"] {
            assert_eq!(bearer(&policy, &with(text)), Ok(Some(Identity::Bearer)), "{text}");
        }
        for token in ["", "canary-toke", "canary-tokens", "Canary-token", "canary-token x"] {
            let header = with(&format!("Bearer {token}"));
            assert_eq!(bearer(&policy, &header), Err(AuthError::Unrecognized), "{token}");
        }
        let mut twice = with("Bearer canary-token");
        assert!(twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer x")));
        assert_eq!(bearer(&policy, &twice), Err(AuthError::HeaderRepeated("authorization")));
    }

    #[test]
    fn under_dev_any_token_passes() {
        assert_eq!(bearer(&Policy::Dev, &with("Bearer whatever")), Ok(Some(Identity::Dev)));
        assert_eq!(bearer(&Policy::Dev, &HeaderMap::new()), Ok(None));
    }
}
