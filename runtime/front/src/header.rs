//! A header that may stand once: of two, one would be taken and the other ignored.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{ApiError, Code};

/// The header, unless absent.
///
/// # Errors
/// `Serialization` (`request.malformed`): it stands twice.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::new(Code::Serialization, format!("The header {name} is given more than once")));
    }
    Ok(first)
}
