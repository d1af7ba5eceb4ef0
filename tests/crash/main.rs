//! The oracle: keeps the truth about every record, disturbs the server under load, and judges what
//! lies in the bucket. See the README beside it.

mod judge;
mod plan;
mod producer;
mod record;
mod report;
mod run;
mod supervise;
mod truth;
mod witness;
mod world;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use millrace_tests::conditions;

use crate::plan::Plan;
use crate::report::{Report, TABLE_HEAD};
use crate::supervise::Signals;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let plan = Plan::parse();
    if let Some(dir) = &plan.inside {
        supervise::end_with_parent()?;
        run::run_in(&Plan::left_in(dir)?, dir).await?.leave(dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut signals = Signals::new()?;
    let (runs, left_out) = plan.runs()?;
    for name in left_out {
        eprintln!("{name} is left out: there is no --minio or --weed PROGRAM for it");
    }
    let mut reports: Vec<Report> = Vec::new();
    for run in &runs {
        let supervised = supervise::run(run, &mut signals).await;
        let line = serde_json::to_string(&supervised.report)?;
        reports.push(supervised.report);
        if let Some(path) = &plan.table {
            write_table(path, &reports).with_context(|| format!("write {}", path.display()))?;
        }
        writeln!(std::io::stdout(), "{line}").context("nobody reads the reports")?;
        if supervised.is_last {
            break;
        }
    }
    let is_whole = reports.len() == runs.len();
    let as_expected = reports.iter().all(|report| report.is_as_expected(plan.expect_violation));
    Ok(if is_whole && as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Written anew after each run, so that it is there however the set ends.
fn write_table(path: &Path, reports: &[Report]) -> anyhow::Result<()> {
    let rows: Vec<String> = reports.iter().map(Report::row).collect();
    let conditions = conditions::line(&std::env::temp_dir());
    std::fs::write(path, format!("{conditions}.\n\n{TABLE_HEAD}\n{}\n", rows.join("\n")))?;
    Ok(())
}
