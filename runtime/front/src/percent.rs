//! Percent-encoding of the request target.

use crate::error::ApiError;

/// What a segment or value stands for.
///
/// # Errors
/// `InvalidArgument`: no percent-encoded UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::invalid("the request target is not percent-encoded UTF-8");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().ok_or_else(wrong)?, bytes.next().ok_or_else(wrong)?];
            let hex = std::str::from_utf8(&digits).map_err(|_| wrong())?;
            out.push(u8::from_str_radix(hex, 16).map_err(|_| wrong())?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).map_err(|_| wrong())
}
