//! The compressions of an object: their wire names, extensions, content encodings and levels.

use serde::{Deserialize, Serialize};

/// `CompressionFormat` of a destination, ours (`ZSTD`) among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Compression {
    /// As the records lie.
    #[default]
    #[serde(rename = "UNCOMPRESSED")]
    Uncompressed,
    /// A row of gzip members (RFC 1952 section 2.2), each of 1 MiB of source bytes.
    #[serde(rename = "GZIP")]
    Gzip,
    /// A ZIP archive with one deflated entry that is named by a random UUID.
    #[serde(rename = "ZIP")]
    Zip,
    /// The xerial snappy-java stream, not the Snappy framing format.
    #[serde(rename = "Snappy")]
    Snappy,
    /// Hadoop's block framing around raw Snappy.
    #[serde(rename = "HADOOP_SNAPPY")]
    HadoopSnappy,
    /// One zstd frame with a checksum; an extension of Millrace.
    #[serde(rename = "ZSTD")]
    Zstd,
}

impl Compression {
    /// All of them, in the order in which AWS lists its own; ours last.
    pub const ALL: [Self; 6] =
        [Self::Zip, Self::HadoopSnappy, Self::Snappy, Self::Gzip, Self::Uncompressed, Self::Zstd];

    /// The compression of this wire name; case matters.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_wire() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_wire(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Zip => "ZIP",
            Self::Snappy => "Snappy",
            Self::HadoopSnappy => "HADOOP_SNAPPY",
            Self::Zstd => "ZSTD",
        }
    }

    /// What ends an object's key when the destination has no `FileExtension`.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Uncompressed => "",
            Self::Gzip => ".gz",
            Self::Zip => ".zip",
            Self::Snappy | Self::HadoopSnappy => ".snappy",
            Self::Zstd => ".zst",
        }
    }

    /// The object's `Content-Encoding`.
    #[must_use]
    pub fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Uncompressed => None,
            Self::Gzip => Some("gzip"),
            Self::Zip => Some("zip"),
            Self::Snappy => Some("snappy-java"),
            Self::HadoopSnappy => Some("hadoop-snappy"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// How hard each compressor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    /// gzip and ZIP, 1–9; what lies outside counts as the nearest.
    pub gzip: u32,
    /// zstd of JSON lines, -7–22.
    pub zstd: i32,
    /// zstd inside Parquet, 1–22: level 1 makes files as small as level 9 does, at twice the speed.
    pub parquet_zstd: i32,
}

impl Default for Levels {
    fn default() -> Self {
        Self { gzip: 6, zstd: 3, parquet_zstd: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_go_both_ways_and_are_case_sensitive() {
        for compression in Compression::ALL {
            assert_eq!(Compression::from_wire(compression.as_wire()), Some(compression));
            let json = serde_json::to_string(&compression).unwrap();
            assert_eq!(json, format!("\"{}\"", compression.as_wire()));
            assert_eq!(serde_json::from_str::<Compression>(&json).unwrap(), compression);
        }
        assert_eq!(Compression::from_wire("SNAPPY"), None);
        assert_eq!(Compression::from_wire("gzip"), None);
    }
}
