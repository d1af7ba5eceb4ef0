//! `millrace test`: a function over records: test files with what is expected, or records to look at.

mod expect;
mod failed;
mod file;
mod remote;
mod report;
mod subject;
mod virtuals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use millrace_types::{BatchBuilder, Clock, SystemClock};

use self::file::{Body, Case};
use self::report::{Report, Size, Verdict};
use self::subject::Surroundings;
pub(super) use self::subject::{Subject, grants};
use super::project::Project;
use super::{Endpoint, key_values, outcome, read_file};
use crate::named::Named;
use crate::settings::{self, Settings};

/// Bytes of an input file.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// `millrace test`.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The module or component, or a project's folder (default: the project that the current folder is in).
    path: Option<PathBuf>,
    /// Test files, instead of the project's tests/*.toml.
    #[arg(long, value_name = "FILE")]
    tests: Vec<PathBuf>,
    /// Records to look at, one a line: shows what each becomes and expects nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "tests")]
    input: Option<PathBuf>,
    /// Run records that failed once more: error objects in s3://BUCKET/PREFIX, a folder or a file.
    #[arg(long, value_name = "WHERE", conflicts_with_all = ["tests", "input", "server"])]
    from_failed: Option<String>,
    /// Folder of a server's data, which local buckets are in (default ./millrace-data).
    #[arg(long, value_name = "DIR", requires = "from_failed")]
    data_dir: Option<PathBuf>,
    /// S3-compatible store that buckets are in.
    #[arg(long, value_name = "URL", requires = "from_failed")]
    s3_endpoint: Option<String>,
    /// A setting that the function reads, as KEY=VALUE; it wins over those of the project and the tests.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run the tests against a deployed function, NAME or NAME:VERSION, instead of in this process.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["input", "set"])]
    server: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
    /// Print what became of each test as JSON.
    #[arg(long, conflicts_with = "input")]
    json: bool,
}

/// What is tested.
struct Target {
    /// The module or component.
    file: PathBuf,
    /// The project that it is of.
    project: Option<Project>,
}

impl Target {
    /// A file, or the output of a project.
    fn of(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(file) if !file.is_dir() => Ok(Self { file: file.to_owned(), project: None }),
            dir => {
                let project = Project::open(dir)?;
                if !project.output().is_file() {
                    let message = format!("{} is not built: `millrace build` does it", project.output().display());
                    return Err(Named::new("project.build", message).into());
                }
                Ok(Self { file: project.output(), project: Some(project) })
            }
        }
    }

    fn settings(&self) -> BTreeMap<String, String> {
        self.project.as_ref().map_or_else(BTreeMap::new, |project| project.manifest.settings.clone())
    }

    fn subject(&self) -> Result<Subject> {
        Subject::load(&self.file, self.project.as_ref().map(|project| &project.manifest), None)
    }
}

impl Test {
    pub(super) fn run(self) -> Result<()> {
        let set = key_values("--set", &self.set)?;
        if let Some(input) = &self.input {
            return look(&Target::of(self.path.as_deref())?, input, set);
        }
        if let Some(from) = &self.from_failed {
            return self.replay(from, set);
        }
        let report = match &self.server {
            Some(function) => super::client(self.at_server(function))?,
            None => {
                let target = Target::of(self.path.as_deref())?;
                let cases = self.cases(target.project.as_ref(), &set)?;
                run_cases(&target.subject()?, cases)?
            }
        };
        if self.json {
            println!("{:#}", report.json())
        } else {
            print!("{report}")
        }
        report.verdict()
    }

    fn replay(&self, from: &str, set: BTreeMap<String, String>) -> Result<()> {
        let target = Target::of(self.path.as_deref())?;
        let mut settings = target.settings();
        settings.extend(set);
        let replay = failed::run(&target.subject()?, &settings, from, &|| self.server_settings())?;
        if self.json {
            println!("{:#}", replay.json())
        } else {
            print!("{replay}")
        }
        replay.verdict()
    }

    /// Settings of a server, for where its buckets are.
    fn server_settings(&self) -> Result<Settings> {
        let data_dir = self.data_dir.as_ref().map(|dir| ("data_dir".to_owned(), dir.to_string_lossy().into_owned()));
        let endpoint = self.s3_endpoint.as_ref().map(|url| ("s3_endpoint".to_owned(), url.clone()));
        let file = std::env::var_os("MILLRACE_CONFIG").map(PathBuf::from);
        settings::load(file.as_deref(), std::env::vars(), &data_dir.into_iter().chain(endpoint).collect::<Vec<_>>())
    }

    async fn at_server(&self, function: &str) -> Result<Report> {
        // The server has the module: only the test files of a project are asked for.
        let project = if self.tests.is_empty() || self.path.is_some() {
            Some(Project::open(self.path.as_deref())?)
        } else {
            None
        };
        let cases = self.cases(project.as_ref(), &BTreeMap::new())?;
        let mut client = self.endpoint.connect().await?;
        remote::run(&mut client, function, cases).await
    }

    fn cases(&self, project: Option<&Project>, set: &BTreeMap<String, String>) -> Result<Vec<(PathBuf, Case)>> {
        let files = match project {
            Some(project) if self.tests.is_empty() => project.tests()?,
            _ => self.tests.clone(),
        };
        if files.is_empty() {
            let message = "there are no test files: tests/NAME.toml of a project, --tests FILE, or --input RECORDS";
            bail!(Named::new("project.tests", message));
        }
        cases(&files, project, set)
    }
}

/// Runs a project's tests over `file`, with `set` above their settings; none when it has no test files. What
/// is `kept` of the last run saves compiling the same module again.
pub(super) fn project(
    project: &Project,
    file: &Path,
    set: &BTreeMap<String, String>,
    kept: &mut Option<Subject>,
) -> Result<Option<Report>> {
    let files = project.tests()?;
    if files.is_empty() {
        return Ok(None);
    }
    let cases = cases(&files, Some(project), set)?;
    let subject = match kept.take() {
        Some(same) if same.is_of(file, &project.manifest)? => same,
        other => Subject::load(file, Some(&project.manifest), other.as_ref())?,
    };
    run_cases(kept.insert(subject), cases).map(Some)
}

/// The tests of `files`, with the project's settings below their own and `set` above.
fn cases(files: &[PathBuf], project: Option<&Project>, set: &BTreeMap<String, String>) -> Result<Vec<(PathBuf, Case)>> {
    let settings = project.map_or_else(BTreeMap::new, |project| project.manifest.settings.clone());
    let mut cases = Vec::new();
    for file in files {
        for mut case in file::read(file, &settings)? {
            case.settings.extend(set.clone());
            cases.push((file.clone(), case));
        }
    }
    Ok(cases)
}

/// Runs tests in this process, one after the other.
fn run_cases(subject: &Subject, cases: Vec<(PathBuf, Case)>) -> Result<Report> {
    let mut report = Report::default();
    for (file, case) in cases {
        report.add(file, case.name.clone(), run_case(subject, &case)?);
    }
    Ok(report)
}

fn run_case(subject: &Subject, case: &Case) -> Result<Verdict> {
    let with = Surroundings { clock_ms: Some(case.clock_ms), seed: Some(case.seed), settings: case.settings.clone() };
    let begun = SystemClock.monotonic();
    let (size, fuel, differences) = match &case.body {
        Body::Records(records, expects) => {
            let batch = subject::batch(records)?;
            let ran = subject.run(with, &batch);
            let got = expect::got(&batch, &ran);
            let pairs = expects.iter().zip(&got).enumerate();
            let differences = pairs.filter_map(|(nth, (expect, got))| expect::compare(nth, expect, got)).collect();
            (Size::Records(records.len()), Some(ran.stats.fuel), differences)
        }
        Body::Event(event, answer) => {
            let called = subject.handle(with, event);
            let got = called.output.map_err(|error| subject::error_text(&error));
            (Size::Event, called.fuel, expect::compare_answer(answer, &got).into_iter().collect())
        }
    };
    // The function's own clock stands: the time is the machine's, with the start of the instance.
    let duration = SystemClock.monotonic().saturating_sub(begun);
    Ok(Verdict::Ran { size, duration, fuel, differences })
}

/// The tests of a text: each with its name, its records and its expectations.
#[cfg(test)]
pub(crate) fn cases_of(text: &str) -> Result<Vec<(String, usize, usize)>> {
    let numbers = |body: &Body| match body {
        Body::Records(records, expects) => (records.len(), expects.len()),
        Body::Event(..) => (1, 1),
    };
    let cases = file::of_text(text)?;
    Ok(cases.iter().map(|case| (case.name.clone(), numbers(&case.body).0, numbers(&case.body).1)).collect())
}

/// Shows what the lines of a file become.
fn look(target: &Target, input: &Path, set: BTreeMap<String, String>) -> Result<()> {
    let subject = target.subject()?;
    let lines = read_file(input, INPUT_BYTES_MAX)?;
    let clock = SystemClock;
    let mut batch = BatchBuilder::with_capacity(1024, lines.len());
    for line in lines.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)).filter(|l| !l.is_empty()) {
        batch.push(line, clock.now_ms())?;
    }
    let batch = batch.finish();
    let mut settings = target.settings();
    settings.extend(set);
    let ran = subject.run(Surroundings { settings, ..Surroundings::default() }, &batch);
    let imports = &subject.imports;
    println!("imports: {}", if imports.is_empty() { "none".to_owned() } else { imports.join(", ") });
    outcome::print(&outcome::describe(&batch, &ran));
    Ok(())
}
