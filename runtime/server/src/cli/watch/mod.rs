//! `millrace watch`: build, test and deploy at each save. What fails leaves the live version as it is.

mod scan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use millrace_types::{Clock, SystemClock};

use self::scan::Seen;
use super::deploy::Plan;
use super::project::Project;
use super::{Endpoint, build, explain, test};
use crate::signal::Stops;

/// How often the files are looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long the files must be still before they are built: an editor saves several at once.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// `millrace watch`.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The project's folder (default: the one that the current folder is in).
    dir: Option<PathBuf>,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Watch {
    pub(super) async fn run(self) -> Result<()> {
        let dir = Project::open(self.dir.as_deref())?.dir;
        let mut stops = Stops::listen()?;
        println!(
            "watching {}: build, test and deploy to {} at each save; Ctrl-C ends",
            dir.display(),
            self.endpoint.endpoint
        );
        tokio::select! {
            () = stops.next() => Ok(()),
            ended = self.rounds(dir) => ended,
        }
    }

    async fn rounds(&self, dir: PathBuf) -> Result<()> {
        let mut seen = look(dir.clone()).await?;
        // The first round is not about a save.
        let mut saved_ms = SystemClock.now_ms();
        let mut kept = None;
        loop {
            // Files that change while this runs are seen behind it: `seen` is what it began with.
            match self.round(dir.clone(), saved_ms, &mut kept).await {
                Ok(line) => println!("{line}\n"),
                Err(error) => {
                    eprintln!("millrace: {}\nthe version that is live stays as it is\n", explain::told(&error))
                }
            }
            let now = changed(&dir, seen.clone()).await?;
            saved_ms = saved(&seen, &now, SystemClock.now_ms());
            seen = now;
        }
    }

    /// One round; answers its last line. `saved_ms` is when the newest file was saved.
    async fn round(&self, dir: PathBuf, saved_ms: i64, kept: &mut Option<test::Subject>) -> Result<String> {
        let clock = SystemClock;
        let begun = clock.monotonic();
        let (project, made) = millrace_tasks::blocking(move || made(&dir)).await?;
        let build_s = clock.monotonic().saturating_sub(begun);
        let begun = clock.monotonic();
        let (plan, subject) = (made.plan(&project), kept.take());
        let (tested, subject) = millrace_tasks::blocking(move || tested(&project, &made, subject)).await;
        *kept = subject;
        tested?;
        let test_s = clock.monotonic().saturating_sub(begun);
        let begun = clock.monotonic();
        let made = plan.send(&mut self.endpoint.connect().await?).await?;
        let deploy_s = clock.monotonic().saturating_sub(begun);
        println!("{}", plan.line(&made));
        let live_ms = clock.now_ms().saturating_sub(saved_ms);
        Ok(timing([build_s, test_s, deploy_s], live_ms))
    }
}

/// What a round deploys: a file, and settings that it needs besides the project's.
struct Made {
    file: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Made {
    fn plan(&self, project: &Project) -> Plan {
        let mut plan = Plan::of(project);
        plan.file.clone_from(&self.file);
        plan.settings.extend(self.settings.clone());
        plan
    }
}

/// Builds the project, the quicker way where its language has one.
fn made(dir: &Path) -> Result<(Project, Made)> {
    let project = Project::open(Some(dir))?;
    if let Some(quick) = build::quick(&project)? {
        let made = Made { file: quick.file, settings: quick.settings };
        if made.plan(&project).fits() {
            println!("{}", quick.way);
            return Ok((project, made));
        }
    }
    let built = build::build(&project)?;
    println!("{}", built.line());
    Ok((project, Made { file: built.file, settings: BTreeMap::new() }))
}

/// Runs the project's tests; an error when one fails. Gives back what may be kept for the next round.
fn tested(project: &Project, made: &Made, mut kept: Option<test::Subject>) -> (Result<()>, Option<test::Subject>) {
    let verdict = match test::project(project, &made.file, &made.settings, &mut kept) {
        Ok(None) => {
            println!("no tests in tests/");
            Ok(())
        }
        Ok(Some(report)) => {
            let verdict = report.verdict();
            if verdict.is_ok() {
                println!("{}", report.totals())
            } else {
                print!("{report}")
            }
            verdict
        }
        Err(error) => Err(error),
    };
    (verdict, kept)
}

fn timing(steps: [Duration; 3], live_ms: i64) -> String {
    let [build, test, deploy] = steps.map(|step| step.as_secs_f64());
    let live = live_ms as f64 / 1000.0;
    format!("live {live:.2} s after the save: build {build:.2} s, test {test:.2} s, deploy {deploy:.2} s")
}

/// When what is new in `after` was saved, milliseconds since the Unix epoch: a file that went away, or that came
/// with an old time, counts from when it was seen.
fn saved(before: &Seen, after: &Seen, now_ms: i64) -> i64 {
    if after.newest_ms() > before.newest_ms() { after.newest_ms() } else { now_ms }
}

async fn look(dir: PathBuf) -> Result<Seen> {
    millrace_tasks::blocking(move || scan::look(&dir)).await
}

/// Waits until the files are other than `before`, and then still.
async fn changed(dir: &Path, before: Seen) -> Result<Seen> {
    loop {
        tokio::time::sleep(POLL).await;
        let mut now = look(dir.to_owned()).await?;
        if now == before {
            continue;
        }
        loop {
            tokio::time::sleep(DEBOUNCE).await;
            let later = look(dir.to_owned()).await?;
            if later == now {
                return Ok(now);
            }
            now = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_what_took_how_long() {
        let steps = [1_000, 250, 20].map(Duration::from_millis);
        assert_eq!(timing(steps, 1_500), "live 1.50 s after the save: build 1.00 s, test 0.25 s, deploy 0.02 s");
    }

    #[tokio::test]
    async fn several_saves_are_one_change() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("millrace.toml"), "[function]\nname = 'a'\nlanguage = 'c'\n").expect("writes");
        let before = look(dir.path().to_owned()).await.expect("looks");
        for name in ["a.c", "b.c"] {
            std::fs::write(dir.path().join(name), "x").expect("writes");
        }
        let after = changed(dir.path(), before.clone()).await.expect("looks");
        assert_ne!(after, before);
        assert_eq!(after, look(dir.path().to_owned()).await.expect("looks"), "both are in it");
        assert_eq!(saved(&after, &after, 7), 7, "nothing newer: from when it was seen");
    }
}
