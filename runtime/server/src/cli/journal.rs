//! `millrace journal verify|dump`: looks into a stopped data directory; changes nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::NOTHING};
use millrace_log::inspect::{self, DumpedFrame, MarkReport, Report};
use millrace_log::{Hidden, RealDisk};
use millrace_types::{Lane, ShardId, StreamId};

/// `millrace journal`.
#[derive(Debug, Args)]
pub(super) struct Journal {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check every frame, and by the rules of a start that all is there; exit status 1 when something is
    /// damaged or gone.
    Verify {
        /// The data directory.
        #[arg(env = "MILLRACE_DATA_DIR", default_value = "millrace-data")]
        dir: PathBuf,
    },
    /// Print every frame, one a line.
    Dump {
        /// The data directory.
        #[arg(env = "MILLRACE_DATA_DIR", default_value = "millrace-data")]
        dir: PathBuf,
        /// Frames of this shard only, as STREAM.LANE.
        #[arg(long)]
        shard: Option<String>,
    },
}

impl Journal {
    pub(super) fn run(self) -> Result<()> {
        match self.verb {
            Verb::Verify { dir } => verify(&dir),
            Verb::Dump { dir, shard } => dump(&dir, shard.as_deref()),
        }
    }
}

fn verify(dir: &Path) -> Result<()> {
    super::existing_data_dir(dir)?;
    let report = inspect::verify(&RealDisk, &dir.join("journal"))?;
    show(&report);
    if let Some(loss) = &report.loss {
        bail!(
            "durable bytes of the journal in {} are gone; nothing was changed. A start refuses to go on without \
             them, unless it is told to by journal.accept_loss = \"{}\"",
            dir.display(),
            loss.accept()
        );
    }
    if let Some(why) = &report.refused {
        bail!("a start of the journal in {} is refused: {why}; nothing was changed", dir.display());
    }
    if !report.missing.is_empty() {
        bail!(
            "files of the journal in {} are gone that held undelivered records, or may have: {}; nothing was changed",
            dir.display(),
            report.missing.join(", ")
        );
    }
    if !report.is_whole() {
        bail!("the journal in {} is damaged; nothing was changed", dir.display());
    }
    println!("whole");
    Ok(())
}

fn show(report: &Report) {
    let mut files = Table::new();
    files.load_preset(NOTHING).set_header([
        "file",
        "bytes",
        "frames",
        "records",
        "torn tail",
        "damaged places",
        "index",
    ]);
    for file in &report.files {
        let index = file.index.map_or("-", |fits| if fits { "fits" } else { "does not fit" });
        files.add_row([
            file.file.clone(),
            file.bytes.to_string(),
            file.frames.to_string(),
            file.records.to_string(),
            file.torn_bytes.to_string(),
            file.damage.len().to_string(),
            index.to_owned(),
        ]);
    }
    println!("{files}");
    for (shard, found) in &report.shards {
        println!("shard {shard}: {} records, {} to {}", found.records, found.first, found.end);
    }
    for file in &report.files {
        for (offset, bytes, why) in &file.damage {
            println!("damaged: {} at {offset}, {bytes} bytes: {why}", file.file);
        }
    }
    for range in &report.quarantined {
        if let Some(shard) = range.shard {
            let file = if range.file.is_empty() { String::new() } else { format!("{}: ", range.file) };
            println!("missing: records {} to {} of shard {shard}: {file}{}", range.from, range.to, range.why);
        }
    }
    for place in &report.hidden {
        println!(
            "unknown: {} at {}, {} bytes: whose records lay there only a later record or decision can tell ({})",
            place.file,
            place.offset,
            place.bytes,
            Hidden::SLUG
        );
    }
    for file in &report.unreadable {
        println!("unreadable: {file}");
    }
    println!("mark: {}", mark_line(&report.mark));
    if let Some(loss) = &report.loss {
        println!("lost: {loss}");
    }
}

fn mark_line(mark: &MarkReport) -> String {
    match mark {
        MarkReport::Absent => "none; a loss at the journal's end may pass for a torn tail".into(),
        MarkReport::Unusable(why) => format!("unusable, {why}; a loss at the journal's end may pass for a torn tail"),
        MarkReport::Whole { segment: None, .. } => "no segment was begun".into(),
        MarkReport::Whole { segment: Some(segment), durable_bytes } => {
            format!("{durable_bytes} bytes of {segment} were durable")
        }
    }
}

fn dump(dir: &Path, shard: Option<&str>) -> Result<()> {
    super::existing_data_dir(dir)?;
    let filter = inspect::Filter { shard: shard.map(parse_shard).transpose()?, kind: None };
    inspect::dump(&RealDisk, &dir.join("journal"), filter, &mut |frame| println!("{}", line(frame)))?;
    Ok(())
}

/// One frame: place, kind, shard as `--shard` takes it, numbers, content in words.
fn line(frame: &DumpedFrame) -> String {
    let shard = frame.shard.map_or_else(|| "-".to_owned(), |shard| shard.to_string());
    format!(
        "{}:{} {:?} shard={shard} first={} count={} bytes={} {}",
        frame.file, frame.offset, frame.kind, frame.first, frame.count, frame.bytes, frame.detail
    )
}

fn parse_shard(text: &str) -> Result<ShardId> {
    let numbers = text.split_once('.').and_then(|(stream, lane)| Some((stream.parse().ok()?, lane.parse().ok()?)));
    let (stream, lane) = numbers.with_context(|| format!("a shard is STREAM.LANE, two numbers, not {text}"))?;
    Ok(ShardId::new(StreamId(stream), Lane(lane)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::settings::Settings;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        journal: Journal,
    }

    fn dir_of(args: &[&str]) -> PathBuf {
        let journal = Command::try_parse_from([&["journal"], args].concat()).expect("these arguments").journal;
        match journal.verb {
            Verb::Verify { dir } | Verb::Dump { dir, .. } => dir,
        }
    }

    #[test]
    fn the_directory_is_the_one_that_the_server_takes_unless_it_is_given() {
        let usual = std::env::var_os("MILLRACE_DATA_DIR").map_or_else(|| Settings::default().data_dir, PathBuf::from);
        for verb in ["verify", "dump"] {
            assert_eq!(dir_of(&[verb]), usual);
            assert_eq!(dir_of(&[verb, "elsewhere"]), Path::new("elsewhere"));
        }
        assert_eq!(dir_of(&["dump", "--shard", "1.0"]), usual);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_and_not_judged() {
        for said in [verify(Path::new("/no/such")), dump(Path::new("/no/such"), None)] {
            assert!(said.expect_err("refused").to_string().starts_with("there is no data directory /no/such: "));
        }
    }
}
