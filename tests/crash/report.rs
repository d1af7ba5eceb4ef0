//! What a run came to: one line of JSON, and one row of the table in `docs/reliability.md`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::judge::Verdict;
use crate::plan::Plan;

/// Name of the file in a run's folder in which the run leaves its report.
const FILE: &str = "report.json";
/// Head of the Markdown table that [`Report::row`] fills.
pub(crate) const TABLE_HEAD: &str = "| run | cycles | acknowledged | lost | double | ghosts | torn | else | faults that struck | recovery p50 / max | seconds, seed | good |\n|---|---|---|---|---|---|---|---|---|---|---|---|";

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) run: String,
    pub(crate) seed: u64,
    pub(crate) cycles: u32,
    /// Whether the contract was kept, everything came to life again, and each fault asked for struck.
    pub(crate) good: bool,
    /// Why the run ended before it could be judged, if it did: all counts are 0 then.
    pub(crate) ended: Option<String>,
    /// What did not come to life again, if anything.
    pub(crate) stuck: Option<String>,
    /// How often each fault struck.
    pub(crate) struck: BTreeMap<String, u64>,
    /// Faults asked for that never struck: the run says nothing about them.
    pub(crate) missed: Vec<String>,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    pub(crate) recovery_p50_s: f64,
    pub(crate) recovery_max_s: f64,
    pub(crate) drain_s: f64,
    pub(crate) rss_peak_bytes: u64,
    pub(crate) data_dir_peak_bytes: u64,
    pub(crate) seconds: f64,
}

impl Report {
    /// A run that ended before it could be judged.
    pub(crate) fn unjudged(plan: &Plan, seed: u64, why: String, seconds: f64) -> Self {
        Self {
            run: plan.name(),
            seed,
            cycles: plan.cycles,
            good: false,
            ended: Some(why),
            stuck: None,
            struck: BTreeMap::new(),
            missed: Vec::new(),
            verdict: Verdict::default(),
            recovery_p50_s: 0.0,
            recovery_max_s: 0.0,
            drain_s: 0.0,
            rss_peak_bytes: 0,
            data_dir_peak_bytes: 0,
            seconds,
        }
    }

    /// Leaves it in the run's folder.
    pub(crate) fn leave(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::write(dir.join(FILE), serde_json::to_vec(self)?).context("report")
    }

    /// The report that a run left in its folder.
    pub(crate) fn left_in(dir: &Path) -> anyhow::Result<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(FILE))?).context("report")
    }

    /// Whether the run is what was asked for: good, or, for a planted bug, judged and found not to be.
    pub(crate) fn is_as_expected(&self, expect_violation: bool) -> bool {
        if expect_violation { self.ended.is_none() && !self.good } else { self.good }
    }

    /// Its row of the table.
    pub(crate) fn row(&self) -> String {
        let v = &self.verdict;
        let others = v.misplaced + v.reordered + v.errored + v.changed + v.miscounted;
        let struck: Vec<String> = self.struck.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        let good = match (&self.ended, &self.stuck) {
            (Some(_), _) => "no: not judged",
            (None, Some(_)) => "no: stuck",
            _ if !self.missed.is_empty() => "no: a fault never struck",
            _ if self.good => "yes",
            _ => "no",
        };
        format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | {others} | {} | {:.2} s / {:.2} s | {:.0} s, {} | {good} |",
            self.run,
            self.cycles,
            grouped(v.acked),
            v.lost,
            v.dup,
            v.ghost,
            v.torn,
            struck.join(", "),
            self.recovery_p50_s,
            self.recovery_max_s,
            self.seconds,
            self.seed
        )
    }
}

/// A number with a comma every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn a_run_that_was_not_judged_is_neither_good_nor_a_bug_that_was_caught() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan::parse_from(["oracle", "--store", "local"]);
        Report::unjudged(&plan, 7, "signal: 9".to_owned(), 1.5).leave(dir.path()).unwrap();
        let mut report = Report::left_in(dir.path()).unwrap();
        assert!(!report.is_as_expected(false) && !report.is_as_expected(true));
        assert!(report.row().ends_with("| 2 s, 7 | no: not judged |"), "{}", report.row());
        report.ended = None;
        assert!(report.is_as_expected(true) && !report.is_as_expected(false));
        assert_eq!(TABLE_HEAD.lines().next().unwrap().matches('|').count(), report.row().matches('|').count());
        assert_eq!((grouped(7).as_str(), grouped(1_234_567).as_str()), ("7", "1,234,567"));
    }
}
