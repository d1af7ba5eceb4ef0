//! `millrace deploy`: a module, or what a project has built, as the next version of a function.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::functions::escape;
use super::progress::{Progress, mib};
use super::project::{MANIFEST, Project};
use super::{Endpoint, MODULE_BYTES_MAX, key_values, read_file};
use crate::client::Client;
use crate::named::Named;
use millrace_front::VARIABLES_BYTES_MAX;

/// Bytes of a request's path with its query that every server takes.
const PATH_BYTES_MAX: usize = 16 << 10;

/// `millrace deploy`.
#[derive(Debug, Args)]
pub(super) struct Deploy {
    /// The function's name and its module or component; a project's folder; or nothing in a project's folder.
    #[arg(value_name = "NAME FILE | DIR", num_args = 0..=2)]
    what: Vec<String>,
    /// A setting that the function reads, as KEY=VALUE.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Memory of one instance at most, bytes (default 64 MiB).
    #[arg(long)]
    memory_bytes: Option<u64>,
    /// Time of one batch at most, milliseconds (default 5000).
    #[arg(long)]
    deadline_ms: Option<u32>,
    /// Keep instances between batches.
    #[arg(long)]
    warm: bool,
    /// A host that the function may send requests to.
    #[arg(long, value_name = "HOST")]
    grant_http: Vec<String>,
    /// The function may keep state of its own.
    #[arg(long)]
    grant_key_value: bool,
    /// Publish the version and point this alias at it.
    #[arg(long, value_name = "ALIAS")]
    alias: Option<String>,
    /// Give the version this share of the alias's batches only, percent; the others stay where they are.
    #[arg(long, value_name = "PERCENT", requires = "alias", value_parser = clap::value_parser!(u8).range(1..=99))]
    weight: Option<u8>,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// One deploy: what is sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) settings: BTreeMap<String, String>,
    memory_bytes: Option<u64>,
    deadline_ms: Option<u32>,
    warm: bool,
    http: Vec<String>,
    key_value: bool,
    alias: Option<String>,
    weight: Option<u8>,
}

impl Plan {
    /// What a project's manifest says, of its output.
    pub(super) fn of(project: &Project) -> Self {
        let manifest = &project.manifest;
        Self {
            name: manifest.name.clone(),
            file: project.output(),
            settings: manifest.settings.clone(),
            memory_bytes: manifest.limits.memory_mb.map(|mib| u64::from(mib) << 20),
            deadline_ms: manifest.limits.timeout_ms,
            warm: manifest.limits.warm,
            http: manifest.grants.http.clone(),
            key_value: manifest.grants.key_value,
            alias: None,
            weight: None,
        }
    }

    /// True when the settings are not more than a function may have, and not too long to be sent.
    pub(super) fn fits(&self) -> bool {
        let bytes = serde_json::json!(self.settings).to_string().len();
        bytes <= VARIABLES_BYTES_MAX && self.path().len() <= PATH_BYTES_MAX
    }

    fn path(&self) -> String {
        let mut query = Vec::new();
        for (key, value) in &self.settings {
            query.push(format!("setting.{}={}", escape(key), escape(value)));
        }
        query.extend(self.memory_bytes.map(|n| format!("memory-bytes={n}")));
        query.extend(self.deadline_ms.map(|n| format!("deadline-ms={n}")));
        query.extend(self.warm.then(|| "warm=true".to_owned()));
        query.extend(self.http.iter().map(|host| format!("grant.http={}", escape(host))));
        query.extend(self.key_value.then(|| "grant.key-value=true".to_owned()));
        query.extend(self.alias.iter().map(|alias| format!("alias={}", escape(alias))));
        query.extend(self.weight.map(|percent| format!("weight={percent}")));
        let path = format!("/v1/functions/{}", escape(&self.name));
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Deploys; answers what the server says of the version.
    pub(super) async fn send(&self, client: &mut Client) -> Result<Value> {
        let module = read_file(&self.file, MODULE_BYTES_MAX)?;
        let _telling = Progress::begin(format!("the server compiles {}", mib(module.len())));
        client.plain(Method::PUT, &self.path(), Bytes::from(module)).await
    }

    /// The line that says what was deployed.
    pub(super) fn line(&self, made: &Value) -> String {
        let version = made["version"].as_str().map_or_else(|| made["version"].to_string(), str::to_owned);
        let share = match (&self.alias, self.weight) {
            (Some(alias), Some(percent)) => format!("; {percent} % of the batches of {alias} go to it"),
            (Some(alias), None) => format!("; {alias} points at it"),
            _ => String::new(),
        };
        format!("{} version {version} deployed, {} bytes{share}", self.name, made["component_bytes"])
    }
}

impl Deploy {
    pub(super) async fn run(self) -> Result<()> {
        let plan = self.plan()?;
        let made = plan.send(&mut self.endpoint.connect().await?).await?;
        println!("{}", plan.line(&made));
        let qualifier = self.alias.as_ref().map_or_else(String::new, |alias| format!(":{alias}"));
        println!("name it in a stream: arn:aws:lambda:us-east-1:000000000000:function:{}{qualifier}", plan.name);
        Ok(())
    }

    fn plan(&self) -> Result<Plan> {
        let mut plan = match self.what.as_slice() {
            [name, file] => Plan { name: name.clone(), file: file.into(), ..Plan::default() },
            [] => built(&Project::open(None)?)?,
            [dir, ..] if Path::new(dir).join(MANIFEST).is_file() => built(&Project::open(Some(Path::new(dir)))?)?,
            [name, ..] => bail!("{name} is no folder of a project, and alone no function: write NAME FILE.wasm"),
        };
        plan.settings.extend(key_values("--set", &self.set)?);
        plan.memory_bytes = self.memory_bytes.or(plan.memory_bytes);
        plan.deadline_ms = self.deadline_ms.or(plan.deadline_ms);
        plan.warm |= self.warm;
        plan.http.extend(self.grant_http.iter().filter(|host| !plan.http.contains(host)).cloned().collect::<Vec<_>>());
        plan.key_value |= self.grant_key_value;
        plan.alias.clone_from(&self.alias);
        plan.weight = self.weight;
        Ok(plan)
    }
}

fn built(project: &Project) -> Result<Plan> {
    let plan = Plan::of(project);
    if plan.file.is_file() {
        return Ok(plan);
    }
    Err(Named::new("project.build", format!("{} is not built: `millrace build` does it", plan.file.display())).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        deploy: Deploy,
    }

    fn deploy(words: &[&str]) -> Result<Deploy, clap::Error> {
        Words::try_parse_from([&["deploy"], words].concat()).map(|words| words.deploy)
    }

    fn path(words: &[&str]) -> String {
        deploy(words).expect("parses").plan().expect("a plan").path()
    }

    #[test]
    fn only_what_is_given_is_sent() {
        assert_eq!(path(&["f", "f.wasm"]), "/v1/functions/f");
        assert_eq!(
            path(&["f", "f.wasm", "--set", "A b=c&d", "--warm", "--grant-http", "a.example", "--grant-key-value"]),
            "/v1/functions/f?setting.A%20b=c%26d&warm=true&grant.http=a.example&grant.key-value=true"
        );
        assert_eq!(path(&["f", "f.wasm", "--alias", "live", "--weight", "10"]), "/v1/functions/f?alias=live&weight=10");
        assert!(deploy(&["f", "x", "--weight", "10"]).is_err(), "a share of no alias");
        let long = deploy(&["f", "x", &format!("--set=LONG={}", "x".repeat(VARIABLES_BYTES_MAX))]).expect("parses");
        assert!(!long.plan().expect("a plan").fits(), "more than a function may have");
        for (weight, is_one) in [("0", false), ("1", true), ("99", true), ("100", false), ("1.5", false), ("-1", false)]
        {
            let words = ["f", "x", "--alias", "a", &format!("--weight={weight}")];
            assert_eq!(deploy(&words).is_ok(), is_one, "{weight} %");
        }
    }

    #[test]
    fn a_project_says_what_the_words_leave_out() {
        let dir = tempfile::tempdir().expect("dir");
        let manifest = "[function]\nname = 'shout'\nlanguage = 'c'\n[settings]\na = '1'\nb = '2'\n[limits]\nmemory_mb = 2\n\
                        timeout_ms = 7\n[grants]\nhttp = ['x.example']\n";
        std::fs::write(dir.path().join(MANIFEST), manifest).expect("writes");
        let at = dir.path().to_string_lossy().into_owned();
        let error = deploy(&[&at]).expect("parses").plan().expect_err("not built").to_string();
        assert!(error.ends_with("build/shout.wasm is not built: `millrace build` does it"), "{error}");
        std::fs::create_dir(dir.path().join("build")).expect("makes");
        std::fs::write(dir.path().join("build/shout.wasm"), "").expect("writes");
        assert_eq!(
            path(&[&at, "--set", "b=3", "--grant-http", "x.example", "--deadline-ms", "8"]),
            "/v1/functions/shout?setting.a=1&setting.b=3&memory-bytes=2097152&deadline-ms=8&grant.http=x.example"
        );
        assert!(deploy(&["shout"]).expect("parses").plan().is_err(), "a name alone");
    }

    #[test]
    fn the_answer_is_one_line() {
        let plan = Plan { name: "f".to_owned(), ..Plan::default() };
        let made = json!({ "version": 3, "component_bytes": 9 });
        assert_eq!(plan.line(&made), "f version 3 deployed, 9 bytes");
        let canary = Plan { alias: Some("live".to_owned()), weight: Some(10), ..plan };
        assert_eq!(canary.line(&made), "f version 3 deployed, 9 bytes; 10 % of the batches of live go to it");
    }
}
