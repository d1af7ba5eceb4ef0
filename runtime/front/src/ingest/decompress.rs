//! Decompression of request bodies under a limit of bytes and a limit of growth.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use millrace_types::KIB;

use crate::error::{ApiError, Code};

/// Bytes that are decompressed between two looks at the limits.
const STEP_BYTES: usize = 64 * KIB;
/// Window of a zstd frame at most, as a power of two: 16 MiB of memory. Levels to 19 stay within 8 MiB;
/// the ultra levels and `--long` may ask for more and are refused, with the decoder's words.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Where decompression stops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes out at most.
    pub(crate) bytes_max: usize,
    /// Bytes out for each byte in at most, once `ratio_free_bytes` are out.
    pub(crate) ratio_max: usize,
    /// Bytes for which the ratio is not looked at.
    pub(crate) ratio_free_bytes: usize,
}

/// Decompresses the whole body.
///
/// # Errors
/// `TooLarge` over a limit, `Serialization` for what is not of that encoding.
pub(crate) fn all(encoding: Encoding, body: &[u8], limits: Limits) -> Result<Vec<u8>, ApiError> {
    match encoding {
        Encoding::Identity => Ok(body.to_vec()),
        Encoding::Gzip => bounded(MultiGzDecoder::new(body), body.len(), limits, "gzip"),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|error| broken("zstd", &error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|error| broken("zstd", &error))?;
            bounded(decoder, body.len(), limits, "zstd")
        }
    }
}

fn bounded(mut decoder: impl Read, in_bytes: usize, limits: Limits, name: &str) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        out.resize(filled + STEP_BYTES, 0);
        let step = out.get_mut(filled..).unwrap_or_default();
        let read = decoder.read(step).map_err(|error| broken(name, &error))?;
        if read == 0 {
            out.truncate(filled);
            return Ok(out);
        }
        filled += read;
        if filled > limits.bytes_max {
            return Err(ApiError::new(
                Code::TooLarge,
                format!("The body is over {} bytes once decompressed: send it in parts", limits.bytes_max),
            ));
        }
        if filled > limits.ratio_free_bytes && filled > in_bytes.saturating_mul(limits.ratio_max) {
            return Err(ApiError::slugged(
                Code::TooLarge,
                "request.bomb",
                format!("The body grows more than {}-fold when decompressed", limits.ratio_max),
            ));
        }
    }
}

fn broken(name: &str, error: &std::io::Error) -> ApiError {
    ApiError::new(Code::Serialization, format!("The body is not whole {name}: {error}"))
}
