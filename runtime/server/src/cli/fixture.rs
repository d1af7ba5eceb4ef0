//! The records of the demo: the flights that come with the binary, or the user's own file, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// 5,000 of the flights that left New York City in 2013 (`tests/fixtures/README.md`: CC0).
const FLIGHTS: &[u8] = include_bytes!("../../../../tests/fixtures/flights.ndjson.zst");
/// Bytes of one record (`reference/firehose.md` section 3: 1,000 KiB).
const RECORD_BYTES_MAX: usize = 1_024_000;
/// Memory that a zstd stream may ask for: 2^27 bytes of window.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Lines of a source, one at a time: a file of any size takes the memory of one record.
pub(super) struct Lines(Box<dyn BufRead>);

impl Lines {
    /// The flights.
    pub(super) fn flights() -> Result<Self> {
        Ok(Self(zstd(FLIGHTS)?))
    }

    /// A file: NDJSON, or NDJSON compressed with zstd (`.zst`) or gzip (`.gz`).
    pub(super) fn of(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("--input {shown}: the file cannot be opened"))?;
        ensure!(!file.metadata()?.is_dir(), "--input {shown}: this is a folder, name a file");
        Ok(Self(match path.extension().and_then(|e| e.to_str()) {
            Some("zst") => zstd(file)?,
            Some("gz") => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
            _ => Box::new(BufReader::new(file)),
        }))
    }

    /// The next line that is not empty; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let mut line = Vec::new();
            let limit = RECORD_BYTES_MAX as u64 + 2;
            let read = (&mut self.0).take(limit).read_until(b'\n', &mut line).context("reading the records")?;
            if read == 0 {
                return Ok(None);
            }
            while line.last().is_some_and(|b| *b == b'\n' || *b == b'\r') {
                line.pop();
            }
            if line.len() > RECORD_BYTES_MAX {
                bail!("a line has more than {RECORD_BYTES_MAX} bytes, the most that a record may have");
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

/// Decompresses within a bounded window.
pub(super) fn zstd(from: impl Read + 'static) -> Result<Box<dyn BufRead>> {
    let mut decoder = zstd::stream::read::Decoder::new(from)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(Box::new(BufReader::new(decoder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flights_are_all_there() {
        let mut lines = Lines::flights().expect("opens");
        let mut count = 0;
        while let Some(line) = lines.next().expect("reads") {
            assert!(line.starts_with(b"{") && line.ends_with(b"}"));
            count += 1;
        }
        assert_eq!(count, 5_000);
    }
}
