//! Code of a request: in its body in base64, or an object of a bucket.

use base64_simd::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::backend::Code;
use super::package::{self, PACKAGE_BYTES_MAX};
use super::{Call, refusal};
use crate::error::{ApiError, Code as ErrorCode};

/// Reads the code that `holder` (a structure of the request) names, and takes the text out of it.
///
/// # Errors
/// None is named, or two are; what is named is no package.
pub(super) async fn read(call: &Call<'_>, holder: &mut Value) -> Result<Code, ApiError> {
    let zip = holder.get_mut("ZipFile").map(Value::take).filter(|zip| !zip.is_null());
    let text = |name: &str| holder.get(name).and_then(Value::as_str);
    let package = match (zip, text("S3Bucket"), text("S3Key")) {
        (Some(Value::String(zip)), None, None) => return millrace_tasks::blocking(move || decoded(zip)).await,
        (None, Some(bucket), Some(key)) => {
            let object = call.backend().object(bucket, key, PACKAGE_BYTES_MAX).await;
            object.map_err(|error| refusal::of_name(call.place(), "", error))?
        }
        (None, None, None) => return Err(ApiError::invalid("Please provide a source for function code.")),
        (None, ..) => return Err(ApiError::invalid("S3Bucket and S3Key stand together: give both")),
        _ => {
            return Err(ApiError::invalid(
                "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            ));
        }
    };
    millrace_tasks::blocking(move || package::open(package)).await
}

fn decoded(zip: String) -> Result<Code, ApiError> {
    if zip.is_empty() {
        return Err(ApiError::invalid("Uploaded file must be a non-empty zip"));
    }
    let mut bytes = zip.into_bytes();
    // In place: code is large, and lies in memory often enough.
    let length = STANDARD
        .decode_inplace(&mut bytes)
        .map_err(|_| ApiError::new(ErrorCode::Serialization, "ZipFile is not valid base64"))?
        .len();
    bytes.truncate(length);
    package::open(Bytes::from(bytes))
}
