//! The command line: one file for each command.

mod build;
mod demo;
mod deploy;
mod explain;
mod fixture;
mod functions;
mod guest;
mod journal;
mod keys;
mod logs;
mod names;
mod new;
mod outcome;
mod progress;
mod project;
mod rollout;
mod schema;
mod serve;
mod show;
mod status;
mod test;
mod watch;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use millrace_types::SystemClock;

pub(crate) use explain::told;
pub(crate) use outcome::describe;

#[cfg(test)]
pub(crate) use project::manifest_of;
#[cfg(test)]
pub(crate) use test::cases_of;

use crate::client::{Client, Credentials};
use crate::named::Named;

/// Bytes of a module.
const MODULE_BYTES_MAX: u64 = 64 << 20;

/// Amazon Data Firehose on your own machine: records in, WebAssembly turns them, objects out.
#[derive(Debug, Parser)]
#[command(name = "millrace", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Serve),
    /// Send real flights through a server of its own and show what comes out.
    Demo(demo::Demo),
    /// Begin a function project in a language of your choice.
    New(new::New),
    /// Build the function project in this folder to WebAssembly.
    Build(build::Build),
    /// Deploy a WebAssembly module as the next version of a function.
    Deploy(deploy::Deploy),
    /// List deployed functions.
    Functions(functions::List),
    /// Run a deployed function over records, without delivering them.
    Invoke(functions::Invoke),
    /// Build, test and deploy the function project in this folder at each save.
    Watch(watch::Watch),
    /// Run a function's tests, or a module over records, without a server or against one.
    Test(test::Test),
    /// Show the lines that a function wrote.
    Logs(logs::Logs),
    /// List a function's versions, and which of them its aliases point at.
    Versions(rollout::Versions),
    /// Turn an alias back to the version that was live before.
    Rollback(rollout::Rollback),
    /// Give an alias's canary all batches.
    Promote(rollout::Promote),
    /// Run a version beside the live one and compare what they make.
    Shadow(rollout::Shadow),
    /// Show what became of the records of each stream.
    Status(status::Status),
    /// What an error means and what to do about it.
    Explain(explain::Explain),
    /// Tables for format conversion.
    Schema(schema::Schema),
    /// The key ring for client-side encryption.
    Keys(keys::Keys),
    /// Look into a data directory's journal.
    Journal(journal::Journal),
    /// Print which members of the AWS operations are honoured and which are refused, as Markdown.
    #[command(hide = true)]
    Compatibility,
}

/// Where the server of a client command is.
#[derive(Debug, Args)]
struct Endpoint {
    /// URL of the server.
    #[arg(
        long,
        alias = "url",
        value_name = "URL",
        env = "MILLRACE_ENDPOINT",
        default_value = "http://127.0.0.1:4573",
        global = true
    )]
    endpoint: String,
}

impl Endpoint {
    async fn connect(&self) -> Result<Client> {
        Client::connect(&self.endpoint, Credentials::from_variables(), Arc::new(SystemClock)).await
    }
}

/// Runs what the command line asks for.
pub(crate) fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::New(new) => new.run(),
        Command::Build(build) => build.run(),
        Command::Deploy(deploy) => client(deploy.run()),
        Command::Functions(list) => client(list.run()),
        Command::Invoke(invoke) => client(invoke.run()),
        Command::Watch(watch) => client(watch.run()),
        Command::Test(test) => test.run(),
        Command::Logs(logs) => client(logs.run()),
        Command::Versions(versions) => client(versions.run()),
        Command::Rollback(rollback) => client(rollback.run()),
        Command::Promote(promote) => client(promote.run()),
        Command::Shadow(shadow) => client(shadow.run()),
        Command::Status(status) => client(status.run()),
        Command::Explain(explain) => explain.run(),
        Command::Schema(schema) => client(schema.run()),
        Command::Keys(keys) => keys.run(),
        Command::Journal(journal) => journal.run(),
        Command::Compatibility => {
            print!("{}", millrace_front::compatibility_page());
            Ok(())
        }
    }
}

/// Runs a client command: one thread does.
fn client<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting the async runtime")?.block_on(command)
}

/// The pairs of a flag that takes KEY=VALUE; a key that is empty, or is given twice, is refused.
fn key_values(flag: &str, pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').with_context(|| format!("{flag} {pair}: write KEY=VALUE"))?;
        anyhow::ensure!(!key.is_empty(), "{flag} {pair}: the name before `=` is empty: write KEY=VALUE");
        let before = found.insert(key.to_owned(), value.to_owned());
        anyhow::ensure!(before.is_none(), "{flag} gives {key} more than once: give it once");
    }
    Ok(found)
}

/// Refuses a data directory that is not there: to look at one makes none, and a wrong name is no damage.
fn existing_data_dir(dir: &Path) -> Result<()> {
    let missing =
        || Named::new("server.data-dir", format!("there is no data directory {}: name another", dir.display()));
    if dir.is_dir() { Ok(()) } else { Err(missing().into()) }
}

/// Reads a file whole, up to `bytes_max` bytes.
fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let bytes = read_bounded(path, bytes_max).with_context(|| format!("reading {shown}"))?;
    bytes.with_context(|| format!("{shown} has more than {bytes_max} bytes: no more are taken"))
}

/// The bytes of a file; none when there are more than `bytes_max`. A device or a pipe says no length.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by take")]
    std::fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, clap::Error> {
        let words = std::iter::once("millrace").chain(words.iter().copied());
        Cli::try_parse_from(words).map(|cli| cli.command)
    }

    #[test]
    fn help_is_a_word_as_well_as_a_flag() {
        use clap::error::ErrorKind::DisplayHelp;
        for words in [&["help"] as &[_], &["help", "deploy"], &["deploy", "help", "--help"], &["help", "schema", "put"]]
        {
            let shown = parsed(words).expect_err("help");
            assert_eq!(shown.kind(), DisplayHelp, "{words:?}: {shown}");
        }
        let (word, flag) = (parsed(&["help", "deploy"]), parsed(&["deploy", "--help"]));
        assert_eq!(word.expect_err("help").to_string(), flag.expect_err("help").to_string());
    }

    #[test]
    fn flags_of_a_command_stand_before_and_behind_its_verb() {
        for words in [
            ["schema", "put", "d.t", "f.json", "--endpoint", "http://x"],
            ["schema", "--endpoint", "http://x", "put", "d.t", "f.json"],
        ] {
            let command = parsed(&words).expect("parses");
            assert!(matches!(&command, Command::Schema(s) if s.endpoint.endpoint == "http://x"), "{command:?}");
        }
        for words in [["keys", "list", "--data-dir", "d"], ["keys", "--data-dir", "d", "list"]] {
            let command = parsed(&words).expect("parses");
            assert!(matches!(&command, Command::Keys(k) if k.data_dir == Path::new("d")), "{command:?}");
        }
    }

    #[test]
    fn a_key_is_given_once() {
        let pairs = |pairs: &[&str]| key_values("--set", &pairs.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        let found = pairs(&["a=1", "b=x=y", "A="]).expect("good");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("A", ""), ("a", "1"), ("b", "x=y")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(
            pairs(&["a=1", "b=2", "a=1"]).expect_err("twice").to_string(),
            "--set gives a more than once: give it once"
        );
        assert_eq!(
            pairs(&["=1"]).expect_err("no name").to_string(),
            "--set =1: the name before `=` is empty: write KEY=VALUE"
        );
        assert_eq!(pairs(&["a"]).expect_err("no pair").to_string(), "--set a: write KEY=VALUE");
    }
}
