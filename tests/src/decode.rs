//! From an object's bytes to its records, by the end of its key; decoders are not the product's own.

use std::io::Read;

use anyhow::Context as _;
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Decompressed bytes of one object that the harness takes in.
const OBJECT_BYTES_MAX: u64 = 2 << 30;

/// The records of an object: lines of JSON, compressed or not, or the rows of a Parquet file as
/// JSON objects.
///
/// # Errors
/// When the object is torn: its codec or its checksum refuses it, or its last line is not closed.
pub fn records(key: &str, body: &Bytes) -> anyhow::Result<Vec<Vec<u8>>> {
    if key.ends_with(".parquet") {
        return split(&rows_as_lines(body).with_context(|| format!("{key} is no whole Parquet file"))?);
    }
    let text = decompress(key, body).with_context(|| format!("{key} does not decompress"))?;
    split(&text).with_context(|| key.to_owned())
}

/// The bytes below the compression that the key's end names (`.gz`, `.zst`, or none).
///
/// # Errors
/// When the codec or its checksum refuses them, and above 2 GiB.
pub fn decompress(key: &str, body: &Bytes) -> anyhow::Result<Vec<u8>> {
    if key.ends_with(".gz") {
        read_all(flate2::read::MultiGzDecoder::new(body.as_ref()))
    } else if key.ends_with(".zst") {
        read_all(zstd::stream::read::Decoder::new(body.as_ref())?)
    } else {
        Ok(body.to_vec())
    }
}

/// How many records an object holds, after decompressing or decoding all of it.
///
/// # Errors
/// As [`records`].
pub fn count(key: &str, body: &Bytes) -> anyhow::Result<u64> {
    if key.ends_with(".parquet") {
        let mut rows = 0;
        for batch in ParquetRecordBatchReaderBuilder::try_new(body.clone())?.build()? {
            rows += batch?.num_rows() as u64;
        }
        return Ok(rows);
    }
    let text = decompress(key, body)?;
    anyhow::ensure!(text.last().is_none_or(|byte| *byte == b'\n'), "{key}: the last line is not closed");
    Ok(text.iter().filter(|byte| **byte == b'\n').count() as u64)
}

/// The original record of a line of an error object (`rawData`), and its error code.
///
/// # Errors
/// When the line has no such members.
pub fn failure(line: &[u8]) -> anyhow::Result<(Vec<u8>, String)> {
    let value: serde_json::Value = serde_json::from_slice(line)?;
    let raw = value["rawData"].as_str().context("rawData")?;
    let code = value["errorCode"].as_str().or_else(|| value["lastErrorCode"].as_str()).context("errorCode")?;
    let bytes = base64_simd::STANDARD.decode_to_vec(raw).context("rawData is not base64")?;
    Ok((bytes, code.to_owned()))
}

fn rows_as_lines(body: &Bytes) -> anyhow::Result<Vec<u8>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    for batch in ParquetRecordBatchReaderBuilder::try_new(body.clone())?.build()? {
        writer.write(&batch?)?;
    }
    writer.finish()?;
    Ok(writer.into_inner())
}

fn split(text: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let body = text.strip_suffix(b"\n").context("the last line is not closed")?;
    Ok(body.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect())
}

fn read_all(reader: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut reader = reader.take(OBJECT_BYTES_MAX);
    #[expect(clippy::disallowed_methods, reason = "bounded by take on the line above")]
    reader.read_to_end(&mut out)?;
    anyhow::ensure!((out.len() as u64) < OBJECT_BYTES_MAX, "more than {OBJECT_BYTES_MAX} bytes");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LINES: &[u8] = b"{\"id\":1}\n{\"id\":2}\n";

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn lines_come_back_from_every_compression() {
        let zstd = Bytes::from(zstd::bulk::compress(LINES, 3).unwrap());
        for (key, body) in [("a", Bytes::from_static(LINES)), ("a.gz", gzip(LINES)), ("a.zst", zstd)] {
            assert_eq!(records(key, &body).unwrap(), [b"{\"id\":1}".to_vec(), b"{\"id\":2}".to_vec()], "{key}");
            assert_eq!(count(key, &body).unwrap(), 2);
        }
    }

    #[test]
    fn torn_objects_are_seen() {
        let whole = gzip(LINES);
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            assert!(records("a.gz", &whole.slice(..cut)).is_err(), "cut at {cut}");
        }
        assert!(records("a", &Bytes::from_static(b"{\"id\":1}\n{\"id")).is_err());
        assert!(records("a.parquet", &Bytes::from_static(b"PAR1")).is_err());
    }

    #[test]
    fn an_error_line_gives_the_original_back() {
        let line = br#"{"rawData":"aGk=","errorCode":"Lambda.FunctionError","errorMessage":"x"}"#;
        assert_eq!(failure(line).unwrap(), (b"hi".to_vec(), "Lambda.FunctionError".to_owned()));
        assert!(failure(b"{}").is_err());
    }
}
