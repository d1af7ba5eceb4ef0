//! What became of the tests: a line for each, a diff for a failure, totals.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::expect::Difference;
use crate::cli::show::count;

/// Differences of one test that are shown one by one.
const SHOWN_DIFFERENCES_MAX: usize = 10;

/// What became of one test.
#[derive(Debug)]
pub(in crate::cli) enum Verdict {
    /// It ran.
    Ran {
        size: Size,
        /// Time in calls.
        duration: Duration,
        /// WebAssembly operations, where they are counted.
        fuel: Option<u64>,
        /// What was not as expected; empty when it passed.
        differences: Vec<Difference>,
    },
    /// It could not run here, and why.
    Skipped(String),
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Ran { differences, .. } if differences.is_empty() => "passed",
            Self::Ran { .. } => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// What a test was over.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Size {
    Records(usize),
    Event,
}

/// All tests of a run.
#[derive(Debug, Default)]
pub(in crate::cli) struct Report(Vec<(PathBuf, String, Verdict)>);

impl Report {
    pub(super) fn add(&mut self, file: PathBuf, name: String, verdict: Verdict) {
        self.0.push((file, name, verdict));
    }

    fn number(&self, word: &str) -> usize {
        self.0.iter().filter(|(_, _, verdict)| verdict.word() == word).count()
    }

    /// An error when a test failed.
    pub(in crate::cli) fn verdict(&self) -> Result<()> {
        match self.number("failed") as u64 {
            0 => Ok(()),
            failed => bail!("{} of {} failed", count(failed, "test"), self.0.len()),
        }
    }

    /// The last line.
    pub(in crate::cli) fn totals(&self) -> String {
        let [passed, failed, skipped] = ["passed", "failed", "skipped"].map(|word| self.number(word));
        let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
        format!("{passed} passed, {failed} failed{skipped}")
    }

    pub(super) fn json(&self) -> Value {
        let tests = self.0.iter().map(|(file, name, verdict)| {
            let mut test = json!({ "file": file.display().to_string(), "name": name, "status": verdict.word() });
            match verdict {
                Verdict::Ran { size, duration, fuel, differences } => {
                    if let Size::Records(records) = size {
                        test["records"] = json!(records);
                    }
                    test["fuel"] = json!(fuel);
                    test["durationMicros"] = json!(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
                    test["differences"] = differences.iter().map(Difference::json).collect();
                }
                Verdict::Skipped(why) => test["reason"] = json!(why),
            }
            test
        });
        let [passed, failed, skipped] = ["passed", "failed", "skipped"].map(|word| self.number(word));
        json!({ "tests": tests.collect::<Vec<_>>(), "passed": passed, "failed": failed, "skipped": skipped })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, name, verdict) in &self.0 {
            match verdict {
                Verdict::Ran { size, duration, fuel, differences } => {
                    let word = if differences.is_empty() { "ok  " } else { "FAIL" };
                    let size = match size {
                        Size::Records(records) => count(*records as u64, "record"),
                        Size::Event => "event".to_owned(),
                    };
                    let fuel = fuel.map_or_else(String::new, |fuel| format!(", fuel {fuel}"));
                    writeln!(f, "{word}  {name} ({size}, {:.2} ms{fuel})", duration.as_secs_f64() * 1000.0)?;
                    for difference in differences.iter().take(SHOWN_DIFFERENCES_MAX) {
                        writeln!(f, "{}", difference.lines())?;
                    }
                    if differences.len() > SHOWN_DIFFERENCES_MAX {
                        let more = differences.len() - SHOWN_DIFFERENCES_MAX;
                        writeln!(f, "  and {} more", count(more as u64, "difference"))?;
                    }
                }
                Verdict::Skipped(why) => writeln!(f, "skip  {name}: {why}")?,
            }
        }
        writeln!(f, "{}", self.totals())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(differences: usize) -> Verdict {
        let difference = |record| Difference {
            record: Some(record),
            what: "data".to_owned(),
            expected: "A".to_owned(),
            got: "a".to_owned(),
        };
        let differences = (0..differences).map(difference).collect();
        Verdict::Ran { size: Size::Records(1), duration: Duration::from_micros(1234), fuel: Some(7), differences }
    }

    #[test]
    fn a_line_for_each_and_the_totals() {
        let mut report = Report::default();
        report.add("t.toml".into(), "good".to_owned(), ran(0));
        assert!(report.verdict().is_ok());
        assert_eq!(report.to_string(), "ok    good (1 record, 1.23 ms, fuel 7)\n1 passed, 0 failed\n");
        report.add("t.toml".into(), "bad".to_owned(), ran(1));
        report.add("t.toml".into(), "later".to_owned(), Verdict::Skipped("no clock".to_owned()));
        assert_eq!(
            report.to_string(),
            "ok    good (1 record, 1.23 ms, fuel 7)\nFAIL  bad (1 record, 1.23 ms, fuel 7)\n  record 0: data\n    expected  A\n    \
             got       a\nskip  later: no clock\n1 passed, 1 failed, 1 skipped\n"
        );
        assert_eq!(report.verdict().expect_err("one failed").to_string(), "1 test of 3 failed");
        let json = report.json();
        assert_eq!((&json["passed"], &json["tests"][2]["reason"]), (&json!(1), &json!("no clock")));
        assert_eq!(json["tests"][1]["differences"][0]["expected"], "A");
    }

    #[test]
    fn many_differences_are_counted() {
        let mut report = Report::default();
        report.add("t.toml".into(), "bad".to_owned(), ran(SHOWN_DIFFERENCES_MAX + 2));
        assert!(report.to_string().contains("  and 2 differences more\n"), "{report}");
    }
}
