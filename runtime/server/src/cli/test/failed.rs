//! `millrace test --from-failed`: records that failed, out of their error objects, run once more.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use base64_simd::STANDARD;
use millrace_object::ObjectBuckets;
use serde_json::{Value, json};

use super::expect::{self, Got, shown};
use super::file::{Outcome, Record};
use super::subject::{self, Subject, Surroundings};
use crate::cli::fixture::zstd;
use crate::cli::read_file;
use crate::cli::show::{count, printable};
use crate::settings::Settings;

/// Objects of one replay.
const OBJECTS_MAX: usize = 10_000;
/// Bytes of one error object as it is stored.
const OBJECT_BYTES_MAX: usize = 256 << 20;
/// Bytes of a line: a record of 1,000 KiB in base64, and what is said of it.
const LINE_BYTES_MAX: u64 = 2 << 20;
/// Records that run as one batch.
const BATCH_RECORDS: usize = 500;
/// Records that are shown one by one; the sums count all.
const SHOWN_RECORDS_MAX: usize = 50;
/// Beginnings of objects whose compression is not read.
const UNREADABLE: [(&[u8], &str); 2] = [(b"PK\x03\x04", "ZIP"), (b"\x82SNAPPY\0", "Snappy")];

/// A record that failed.
struct Failed {
    record: Record,
    /// Where its line stands: object and line.
    place: String,
    /// The code of its error.
    code: String,
}

/// What the records became.
#[derive(Debug, Default)]
pub(super) struct Replay {
    sums: BTreeMap<&'static str, u64>,
    rows: Vec<Value>,
}

/// Replays the error objects at `from`: `s3://BUCKET/PREFIX`, a folder or a file.
pub(super) fn run(
    subject: &Subject,
    settings: &BTreeMap<String, String>,
    from: &str,
    server: &dyn Fn() -> Result<Settings>,
) -> Result<Replay> {
    let mut replay = Replay::default();
    let mut batch = Vec::new();
    let mut objects = Objects::find(from, server)?;
    while let Some((name, bytes)) = objects.next()? {
        let mut lines = lines(&name, bytes)?;
        let mut number = 0;
        while let Some(failed) = next(&name, &mut lines, &mut number)? {
            batch.push(failed);
            if batch.len() == BATCH_RECORDS {
                replay.take(subject, settings, std::mem::take(&mut batch))?;
            }
        }
    }
    if !batch.is_empty() {
        replay.take(subject, settings, batch)?;
    }
    ensure!(!replay.sums.is_empty(), "{from}: there is no record in it");
    Ok(replay)
}

impl Replay {
    fn take(&mut self, subject: &Subject, settings: &BTreeMap<String, String>, batch: Vec<Failed>) -> Result<()> {
        let (records, told): (Vec<Record>, Vec<(String, String)>) =
            batch.into_iter().map(|failed| (failed.record, (failed.place, failed.code))).unzip();
        let columns = subject::batch(&records)?;
        let ran = subject.run(Surroundings { settings: settings.clone(), ..Surroundings::default() }, &columns);
        for (got, (place, code)) in expect::got(&columns, &ran).iter().zip(told) {
            *self.sums.entry(got.result.word()).or_default() += 1;
            if self.rows.len() < SHOWN_RECORDS_MAX {
                self.rows.push(json!({ "place": place, "was": code, "now": got.result.word(), "what": what(got) }));
            }
        }
        Ok(())
    }

    fn number(&self, outcome: Outcome) -> u64 {
        self.sums.get(outcome.word()).copied().unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "records": self.sums.values().sum::<u64>(),
            "ok": self.number(Outcome::Ok),
            "dropped": self.number(Outcome::Dropped),
            "failed": self.number(Outcome::ProcessingFailed),
            "rows": self.rows,
        })
    }

    /// An error when a record fails again.
    pub(super) fn verdict(&self) -> Result<()> {
        match self.number(Outcome::ProcessingFailed) {
            0 => Ok(()),
            failed => bail!("{} of {} failed again", count(failed, "record"), self.sums.values().sum::<u64>()),
        }
    }
}

impl std::fmt::Display for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |row: &Value, name: &str| printable(row[name].as_str().unwrap_or_default());
        for row in &self.rows {
            let [place, was, now, what] = ["place", "was", "now", "what"].map(|name| text(row, name));
            writeln!(f, "{place}  was {was}, is now {now}  {}", what.replace('\n', " "))?;
        }
        let all: u64 = self.sums.values().sum();
        if all > self.rows.len() as u64 {
            writeln!(f, "… and {} more", all - self.rows.len() as u64)?;
        }
        let (ok, dropped) = (self.number(Outcome::Ok), self.number(Outcome::Dropped));
        let failed = self.number(Outcome::ProcessingFailed);
        writeln!(f, "{}: {ok} ok, {dropped} dropped, {failed} failed again", count(all, "record"))
    }
}

/// What a record became, in short.
fn what(got: &Got) -> String {
    match got.result {
        Outcome::Ok => got.outputs.iter().map(|output| shown(&output.data)).collect::<Vec<_>>().join(", "),
        Outcome::Dropped => String::new(),
        Outcome::ProcessingFailed => got.reason.clone(),
    }
}

/// The objects of a replay, one after the other.
enum Objects {
    Files(std::vec::IntoIter<PathBuf>),
    Bucket {
        runtime: tokio::runtime::Runtime,
        buckets: Box<ObjectBuckets>,
        bucket: String,
        keys: std::vec::IntoIter<String>,
    },
}

impl Objects {
    fn find(from: &str, server: &dyn Fn() -> Result<Settings>) -> Result<Self> {
        let Some(rest) = from.strip_prefix("s3://") else {
            return Ok(Self::Files(files(Path::new(from))?.into_iter()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let settings = server()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let lookup = Arc::new(|name: &str| std::env::var(name).ok());
        let objects = crate::assemble::objects(&settings);
        let buckets = ObjectBuckets::reading(settings.data_dir.join("objects"), objects, lookup)?;
        let keys = runtime.block_on(buckets.list(bucket, prefix, OBJECTS_MAX))?;
        ensure!(!keys.is_empty(), "{from}: there is no object");
        Ok(Self::Bucket { runtime, buckets: Box::new(buckets), bucket: bucket.to_owned(), keys: keys.into_iter() })
    }

    /// The next one: its name for people, its bytes.
    fn next(&mut self) -> Result<Option<(String, Vec<u8>)>> {
        match self {
            Self::Files(files) => {
                let Some(path) = files.next() else { return Ok(None) };
                Ok(Some((path.display().to_string(), read_file(&path, OBJECT_BYTES_MAX as u64)?)))
            }
            Self::Bucket { runtime, buckets, bucket, keys } => {
                let Some(key) = keys.next() else { return Ok(None) };
                let bytes = runtime.block_on(buckets.read(bucket, &key, OBJECT_BYTES_MAX))?;
                Ok(Some((format!("s3://{bucket}/{key}"), bytes)))
            }
        }
    }
}

/// A file, or all files below a folder whose names do not begin with a dot.
fn files(from: &Path) -> Result<Vec<PathBuf>> {
    if !from.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let (mut found, mut open) = (Vec::new(), vec![from.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
            let path = entry?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            match path.is_dir() {
                _ if hidden => {}
                true => open.push(path),
                false => found.push(path),
            }
        }
        ensure!(found.len() <= OBJECTS_MAX, "{}: more than {OBJECTS_MAX} files", from.display());
    }
    found.sort();
    Ok(found)
}

/// The lines of an object, whatever of gzip, zstd and nothing it is compressed with.
fn lines(name: &str, bytes: Vec<u8>) -> Result<Box<dyn BufRead>> {
    if let Some((_, what)) = UNREADABLE.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        bail!("{name}: {what} is not read: objects in gzip, zstd or without compression are");
    }
    Ok(match bytes.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(Cursor::new(bytes)))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd(Cursor::new(bytes))?,
        _ => Box::new(Cursor::new(bytes)),
    })
}

/// The record of the next line that is not empty.
fn next(name: &str, lines: &mut dyn BufRead, number: &mut u64) -> Result<Option<Failed>> {
    loop {
        let mut line = Vec::new();
        let read = Read::take(&mut *lines, LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let read = read.with_context(|| format!("{name}: reading behind line {number}"))?;
        if read == 0 {
            return Ok(None);
        }
        *number += 1;
        ensure!(read as u64 <= LINE_BYTES_MAX, "{name}:{number}: a line of more than {LINE_BYTES_MAX} bytes");
        if line.trim_ascii().is_empty() {
            continue;
        }
        return failed(&line)
            .map(|(record, code)| Some(Failed { record, place: format!("{name}:{number}"), code }))
            .with_context(|| format!("{name}:{number}: this is no line of an error object"));
    }
}

/// Reads a line (`reference/firehose.md` section 6: names and types differ with the kind of the failure).
fn failed(line: &[u8]) -> Result<(Record, String)> {
    let told: Value = serde_json::from_slice(line).context("it is not JSON")?;
    let raw = told["rawData"].as_str().context("it has no rawData")?;
    let data = STANDARD.decode_to_vec(raw).context("its rawData is not base64")?;
    let arrival = &told["arrivalTimestamp"];
    let arrival_ms = arrival.as_i64().or_else(|| arrival.as_str()?.parse().ok()).unwrap_or_default();
    let code = ["errorCode", "lastErrorCode"].iter().find_map(|name| told[*name].as_str()).unwrap_or("unknown");
    Ok((Record { data, key: None, arrival_ms }, code.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const LINE: &str = r#"{"rawData":"YWJj","errorCode":"Lambda.FunctionError","arrivalTimestamp":7}"#;

    fn read(bytes: &[u8]) -> Result<Vec<(String, i64, String)>> {
        let (mut lines, mut number) = (lines("o", bytes.to_vec())?, 0);
        let mut found = Vec::new();
        while let Some(failed) = next("o", &mut lines, &mut number)? {
            found.push((String::from_utf8(failed.record.data)?, failed.record.arrival_ms, failed.code));
        }
        Ok(found)
    }

    #[test]
    fn lines_are_read_however_they_are_compressed() {
        let text = format!("{LINE}\n\n{}\n", LINE.replace("errorCode", "lastErrorCode").replace(":7", ":\"8\""));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text.as_bytes()).expect("compresses");
        let zstd = zstd::stream::encode_all(text.as_bytes(), 1).expect("compresses");
        for bytes in [text.clone().into_bytes(), gzip.finish().expect("compresses"), zstd] {
            let code = "Lambda.FunctionError".to_owned();
            assert_eq!(
                read(&bytes).expect("reads"),
                [("abc".to_owned(), 7, code.clone()), ("abc".to_owned(), 8, code)]
            );
        }
    }

    #[test]
    fn what_is_no_error_object_is_said_by_place() {
        for (bytes, said) in [
            (b"PK\x03\x04x".as_slice(), "o: ZIP is not read"),
            (b"\n{}\n", "o:2: this is no line of an error object: it has no rawData"),
            (b"{\"rawData\":\"%\"}", "its rawData is not base64"),
            (b"x\n", "it is not JSON"),
            (&[0x1f, 0x8b, 8, 0], "o: reading behind line 0"),
        ] {
            let error = format!("{:#}", read(bytes).expect_err(said));
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn files_of_a_folder_are_taken_in_order() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::create_dir(dir.path().join("b")).expect("makes");
        for name in ["b/2", "a", ".hidden"] {
            std::fs::write(dir.path().join(name), LINE).expect("writes");
        }
        assert_eq!(files(dir.path()).expect("finds"), ["a", "b/2"].map(|name| dir.path().join(name)));
        assert_eq!(files(&dir.path().join("a")).expect("finds").len(), 1);
    }

    #[test]
    fn the_sums_stand_last() {
        let sums = BTreeMap::from([("Ok", 2), ("ProcessingFailed", 1)]);
        let rows = vec![json!({ "place": "o:1", "was": "Lambda.X", "now": "Ok", "what": "ABC" })];
        let replay = Replay { sums, rows };
        assert_eq!(
            replay.to_string(),
            "o:1  was Lambda.X, is now Ok  ABC\n… and 2 more\n3 records: 2 ok, 0 dropped, 1 failed again\n"
        );
        assert_eq!(replay.verdict().expect_err("one fails").to_string(), "1 record of 3 failed again");
        assert_eq!(replay.json()["failed"], 1);
    }
}
