//! The body of an intent: all that is needed to put the object again, or to make it again.
//! JSON, so that `millrace journal dump` can show it; fields are only ever added.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::outbox::Place;

/// The durable decision about one object. Its members are the intent's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// Where the finished bytes lie.
    pub(crate) place: Place,
    /// CRC-64/NVME of the bytes.
    pub(crate) crc64: u64,
    pub(crate) content_encoding: Option<String>,
    pub(crate) metadata: Vec<(String, String)>,
    /// Records (outputs) in the object.
    pub(crate) records: u64,
    /// Folder name of the error output; `None` for data.
    pub(crate) error_type: Option<String>,
    /// What names the partition; `None` without dynamic partitioning.
    pub(crate) partition: Option<String>,
    /// Function and version that made the outputs.
    pub(crate) function: Option<(String, u32)>,
    /// Version of the registered table that gave the columns.
    #[serde(default)]
    pub(crate) table_version: Option<u32>,
}

impl Body {
    pub(crate) fn to_bytes(&self) -> Bytes {
        #[expect(clippy::expect_used, reason = "strings and numbers always serialise")]
        Bytes::from(serde_json::to_vec(self).expect("a body is plain data"))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// `Content-Encoding` as the sink wants it: one of the names that the encoders use.
    pub(crate) fn static_encoding(&self) -> Option<&'static str> {
        const KNOWN: [&str; 5] = ["gzip", "zip", "snappy-java", "hadoop-snappy", "zstd"];
        let own = self.content_encoding.as_deref()?;
        KNOWN.into_iter().find(|known| *known == own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored form of release 0.1; it must be readable for ever.
    const STORED: &str = r#"{"bucket":"b","key":"k","place":{"file":"00000000000000000001.obj","offset":3,"length":9},
        "crc64":18446744073709551615,"content_encoding":"gzip","metadata":[["a","b"]],"records":2,
        "error_type":null,"partition":"c=1/","function":["f",7]}"#;

    #[test]
    fn the_stored_form_of_the_first_release_is_read() {
        let body = Body::from_bytes(STORED.as_bytes()).expect("reads");
        assert_eq!(body.static_encoding(), Some("gzip"));
        assert_eq!((body.crc64, body.place.offset, body.table_version), (u64::MAX, 3, None));
        assert_eq!(Body::from_bytes(&body.to_bytes()).expect("round trip"), body);
        assert!(Body::from_bytes(b"{}").is_err());
    }
}
