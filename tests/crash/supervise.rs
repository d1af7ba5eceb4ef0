//! Runs one plan in a process of its own and makes a report of every way in which that can end: a
//! panic, an error, a signal, a run that takes too long. Nothing that it started outlives it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::wait;
use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use tokio::signal::unix;

use crate::plan::Plan;
use crate::report::Report;

/// Lines of a run's last words that its report shows.
const LAST_WORDS_LINES: usize = 30;
/// Pause between two looks at the run.
const POLL: Duration = Duration::from_millis(20);

/// The signals that end the oracle, which must not end it without a word.
pub(crate) struct Signals([(&'static str, unix::Signal); 3]);

impl Signals {
    /// Takes them over.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let take = |name, kind| anyhow::Ok((name, unix::signal(kind)?));
        Ok(Self([
            take("SIGTERM", unix::SignalKind::terminate())?,
            take("SIGINT", unix::SignalKind::interrupt())?,
            take("SIGHUP", unix::SignalKind::hangup())?,
        ]))
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        let [term, int, hup] = &mut self.0;
        tokio::select! {
            _ = term.1.recv() => term.0,
            _ = int.1.recv() => int.0,
            _ = hup.1.recv() => hup.0,
        }
    }
}

/// What came of a run.
pub(crate) struct Supervised {
    pub(crate) report: Report,
    /// A signal asked the oracle to end: no further run.
    pub(crate) is_last: bool,
}

/// Runs `plan` in a fresh folder, which is kept when the report is not what was asked for.
pub(crate) async fn run(plan: &Plan, signals: &mut Signals) -> Supervised {
    let seed = plan.seed.unwrap_or_else(|| wait::wall_ms().unsigned_abs());
    let plan = Plan { seed: Some(seed), ..plan.clone() };
    run_in_folder(&plan, seed, signals).await.unwrap_or_else(|error| {
        let report = Report::unjudged(&plan, seed, format!("the run cannot be watched: {error:#}"), 0.0);
        Supervised { report, is_last: false }
    })
}

async fn run_in_folder(plan: &Plan, seed: u64, signals: &mut Signals) -> anyhow::Result<Supervised> {
    let dir = tempfile::Builder::new().prefix(&format!("oracle-{}-", plan.name())).tempdir()?;
    plan.leave(dir.path())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--inside").arg(dir.path());
    let (report, is_last) = watch(command, plan, seed, dir.path(), signals).await?;
    if plan.keep || !report.is_as_expected(plan.expect_violation) {
        drop(writeln!(std::io::stderr(), "kept: {}", dir.keep().display()));
    }
    Ok(Supervised { report, is_last })
}

async fn watch(
    mut command: Command,
    plan: &Plan,
    seed: u64,
    dir: &Path,
    signals: &mut Signals,
) -> anyhow::Result<(Report, bool)> {
    let from = wait::now_s();
    // A group of its own, so that the servers which it starts end with it.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context("the run does not start")?;
    let words = last_words(child.stderr.take().context("stderr")?)?;
    let limit = Duration::from_secs(plan.seconds_max());
    let (why, is_last) = tokio::select! {
        ended = end_of(&mut child) => match ended? {
            status if status.success() => (None, false),
            status => (Some(format!("the run ended with {status}")), false),
        },
        () = tokio::time::sleep(limit) => (Some(format!("the run took longer than {limit:?}")), false),
        signal = signals.next() => (Some(format!("the oracle was ended by {signal}")), true),
    };
    // Gone already is what is wanted; what the run left behind goes too.
    kill_process_group(Pid::from_child(&child), Signal::KILL).ok();
    child.wait()?;
    let words = words.join().unwrap_or_default();
    let seconds = wait::now_s() - from;
    let unjudged = |why: String| Report::unjudged(plan, seed, format!("{why}; its last words:\n{words}"), seconds);
    let report = match why {
        Some(why) => unjudged(why),
        None => Report::left_in(dir).unwrap_or_else(|error| unjudged(format!("it left no report: {error:#}"))),
    };
    Ok((report, is_last))
}

async fn end_of(child: &mut Child) -> anyhow::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Passes on what a run says, and keeps the end of it.
fn last_words(stderr: ChildStderr) -> anyhow::Result<JoinHandle<String>> {
    let pass_on = move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Nobody may be there to read it: that must not end the run.
            drop(writeln!(std::io::stderr(), "{line}"));
            if last.len() == LAST_WORDS_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        Vec::from(last).join("\n")
    };
    Ok(millrace_tasks::thread("last-words", pass_on)?)
}

/// In the run's own process: ends its whole group once the oracle is gone, however that went.
pub(crate) fn end_with_parent() -> anyhow::Result<()> {
    millrace_tasks::thread("parent", || {
        let mut byte = [0];
        // Nothing is ever sent: an answer is the end of the pipe.
        drop(std::io::stdin().read(&mut byte));
        kill_current_process_group(Signal::KILL).ok();
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    async fn report_of(script: &str, seconds_max: &str) -> Report {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan::parse_from(["oracle", "--store", "local", "--seconds-max", seconds_max]);
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(dir.path());
        let mut signals = Signals::new().unwrap();
        watch(command, &plan, 1, dir.path(), &mut signals).await.unwrap().0
    }

    #[tokio::test]
    async fn every_end_without_a_report_says_why() {
        for (script, seconds_max, why) in [
            ("echo boom >&2; exit 101", "60", "exit status: 101"),
            ("echo boom >&2; kill -9 $$", "60", "signal: 9"),
            ("echo boom >&2; sleep 600", "1", "longer than 1s"),
            ("echo boom >&2; exit 0", "60", "left no report"),
            ("echo boom >&2; echo '{\"run\":' > report.json", "60", "left no report"),
        ] {
            let report = report_of(script, seconds_max).await;
            let ended = report.ended.clone().unwrap_or_default();
            assert!(!report.good && ended.contains(why) && ended.ends_with("boom"), "{script}: {ended}");
        }
    }

    #[tokio::test]
    async fn what_a_run_leaves_behind_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("pid");
        let script = format!("sleep 600 >&- 2>&- & echo $! > {}; exit 3", pid_file.display());
        assert!(report_of(&script, "60").await.ended.is_some());
        let pid = std::fs::read_to_string(pid_file).unwrap();
        let gone = || async {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            Ok((state.is_empty() || state.contains(") Z ")).then_some(()))
        };
        wait::until("the sleeper to end", Duration::from_secs(20), gone).await.unwrap();
    }
}
