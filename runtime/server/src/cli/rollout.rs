//! `millrace versions`, `rollback`, `promote` and `shadow`: which version gets which batches.

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::Endpoint;
use super::functions::escape;
use super::names::FUNCTION;
use super::show::{Rows, count, printable};

/// The alias that a rollout is about unless another is named.
const ALIAS: &str = "live";

/// `millrace versions`.
#[derive(Debug, Args)]
pub(super) struct Versions {
    /// The function's name.
    name: String,
    /// The server's JSON as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// `millrace rollback`.
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The function's name.
    name: String,
    /// The alias to turn back.
    #[arg(long, default_value = ALIAS)]
    alias: String,
    /// The version to go back to (default: a canary is ended; else the version that was live before).
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// `millrace promote`.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The function's name.
    name: String,
    /// The alias whose canary gets all batches.
    #[arg(long, default_value = ALIAS)]
    alias: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// `millrace shadow`.
#[derive(Debug, Args)]
pub(super) struct Shadow {
    /// The function's name.
    name: String,
    /// Run this version beside the live one; its outputs are compared and go nowhere.
    #[arg(long, value_name = "VERSION", conflicts_with = "stop")]
    version: Option<u32>,
    /// Its share of the batches, percent.
    #[arg(long, value_name = "PERCENT", default_value = "100", requires = "version",
          value_parser = clap::value_parser!(u8).range(1..=100))]
    share: u8,
    /// Stop what runs beside.
    #[arg(long)]
    stop: bool,
    /// The server's JSON as it is.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// One request about the function `name`, below its route.
async fn ask(endpoint: &Endpoint, method: Method, name: &str, below: &str) -> Result<Value> {
    let mut client = endpoint.connect().await?;
    let path = format!("/v1/functions/{}{below}", escape(name));
    let answer = client.plain(method, &path, Bytes::new()).await;
    FUNCTION.answer(&mut client, name, answer).await
}

impl Versions {
    pub(super) async fn run(self) -> Result<()> {
        let answer = ask(&self.endpoint, Method::GET, &self.name, "").await?;
        if self.json {
            println!("{answer:#}")
        } else {
            println!("{}", versions(&answer))
        }
        Ok(())
    }
}

/// A number or a text as it is; empty when there is none.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// Percent of a share between 0 and 1.
pub(super) fn percent(share: &Value) -> f64 {
    share.as_f64().unwrap_or_default() * 100.0
}

/// The versions, the newest last, and where the aliases point.
fn versions(answer: &Value) -> Rows {
    let mut rows = Rows::new(["version", "published", "bytes", "aliases", "description"]);
    for version in answer["versions"].as_array().into_iter().flatten() {
        let number = word(&version["version"]);
        let aliases = answer["aliases"].as_object().into_iter().flatten();
        let at = aliases.filter_map(|(name, alias)| pointing(name, alias, &number)).collect::<Vec<_>>().join(", ");
        let ms = version["published_ms"].as_i64().unwrap_or_default();
        let published = jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |t| format!("{t:.0}"));
        rows.push([number, published, word(&version["component_bytes"]), at, word(&version["description"])]);
    }
    rows.drop_if_empty(3);
    rows.drop_if_empty(4);
    rows
}

/// `live`, or `live 10 %`, when the alias points at `version`.
fn pointing(name: &str, alias: &Value, version: &str) -> Option<String> {
    let canary = &alias["canary"];
    let share = percent(&canary["share"]);
    if !canary.is_null() && word(&canary["version"]) == version {
        return Some(format!("{name} {share} %"));
    }
    match word(&alias["version"]) == version {
        true if canary.is_null() => Some(name.to_owned()),
        true => Some(format!("{name} {} %", 100.0 - share)),
        false => None,
    }
}

impl Rollback {
    pub(super) async fn run(self) -> Result<()> {
        let answer = ask(&self.endpoint, Method::POST, &self.name, &self.below()).await?;
        println!("{}", alias_line(&self.name, &self.alias, &answer));
        Ok(())
    }

    fn below(&self) -> String {
        let to = self.to.map_or_else(String::new, |to| format!("&to={to}"));
        format!("/rollback?alias={}{to}", escape(&self.alias))
    }
}

impl Promote {
    pub(super) async fn run(self) -> Result<()> {
        let below = format!("/promote?alias={}", escape(&self.alias));
        let answer = ask(&self.endpoint, Method::POST, &self.name, &below).await?;
        println!("{}", alias_line(&self.name, &self.alias, &answer));
        Ok(())
    }
}

/// Where an alias points now.
fn alias_line(name: &str, alias: &str, answer: &Value) -> String {
    let version = word(&answer["version"]);
    let canary = &answer["canary"];
    let canary = match canary.is_null() {
        true => String::new(),
        false => format!(", {} % to version {}", percent(&canary["share"]), word(&canary["version"])),
    };
    format!("{name}:{alias} is version {version}{canary}; batches under way end on the version that they began with")
}

impl Shadow {
    pub(super) async fn run(self) -> Result<()> {
        let (method, below) = match self.version {
            Some(version) => (Method::PUT, format!("/shadow?version={version}&share={}", self.share)),
            None if self.stop => (Method::DELETE, "/shadow".to_owned()),
            None => (Method::GET, "/shadow".to_owned()),
        };
        let answer = ask(&self.endpoint, method, &self.name, &below).await?;
        if self.json {
            println!("{answer:#}");
        } else if let Some(version) = self.version {
            println!("version {version} of {} runs beside the live one on {} % of the batches", self.name, self.share);
            println!("what it does differently: millrace shadow {}", self.name);
        } else {
            if self.stop {
                println!("nothing runs beside {} any more; the last report:", self.name);
            }
            print!("{}", report(&answer));
        }
        Ok(())
    }
}

/// Samples of a report that are shown.
const SAMPLES_SHOWN_MAX: usize = 10;

/// What ran beside did differently.
fn report(answer: &Value) -> String {
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    let batches = number("batches");
    let mut out = format!(
        "{batches} {}, {} skipped, {}: {} different, {} failed beside only, {} failed live only\n",
        if batches == 1 { "batch" } else { "batches" },
        number("skipped"),
        count(number("records"), "record"),
        number("different"),
        number("failedHere"),
        number("failedLive"),
    );
    if let Some(error) = answer["error"].as_str() {
        out.push_str(&format!("it did not run: {}\n", printable(error)));
    }
    for sample in answer["samples"].as_array().into_iter().flatten().take(SAMPLES_SHOWN_MAX) {
        out.push_str(&format!(
            "  input   {}\n  live    {}\n  beside  {}\n\n",
            word(&sample["input"]),
            word(&sample["live"]),
            word(&sample["shadow"])
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        rollback: Rollback,
    }

    #[test]
    fn a_rollback_names_its_alias_and_the_version_that_was_asked_for() {
        let below = |words: &[&str]| {
            let words = [&["rollback"], words].concat();
            Words::try_parse_from(words).expect("parses").rollback.below()
        };
        assert_eq!(below(&["f"]), "/rollback?alias=live");
        assert_eq!(below(&["f", "--to", "3"]), "/rollback?alias=live&to=3");
        assert_eq!(below(&["f", "--alias", "a b", "--to", "12"]), "/rollback?alias=a%20b&to=12");
    }

    #[test]
    fn versions_show_where_the_aliases_point() {
        let answer = json!({
            "versions": [
                { "version": 1, "published_ms": 1_795_597_200_000_i64, "component_bytes": 7, "description": "" },
                { "version": 2, "published_ms": 1_795_597_200_000_i64, "component_bytes": 8, "description": "" },
            ],
            "aliases": {
                "live": { "version": 1, "canary": { "version": 2, "share": 0.25 }, "before": [] },
                "test": { "version": 2, "canary": null, "before": [1] },
            },
        });
        assert_eq!(
            versions(&answer).to_string(),
            " version  published             bytes  aliases\n 1        2026-11-25T09:00:00Z  7      live 75 %\n 2        \
             2026-11-25T09:00:00Z  8      live 25 %, test"
        );
    }

    #[test]
    fn an_alias_is_one_line() {
        let end = "batches under way end on the version that they began with";
        assert_eq!(alias_line("f", "live", &json!({ "version": 1 })), format!("f:live is version 1; {end}"));
        let canary = json!({ "version": 1, "canary": { "version": 2, "share": 0.1 } });
        assert_eq!(alias_line("f", "live", &canary), format!("f:live is version 1, 10 % to version 2; {end}"));
    }

    #[test]
    fn a_report_has_its_sums_and_samples() {
        let answer = json!({ "batches": 2, "skipped": 0, "records": 1, "different": 1, "failedHere": 0, "failedLive": 0,
            "error": "no", "samples": [{ "input": "a", "live": "A", "shadow": "\u{1b}" }] });
        assert_eq!(
            report(&answer),
            "2 batches, 0 skipped, 1 record: 1 different, 0 failed beside only, 0 failed live only\nit did not run: no\n  \
             input   a\n  live    A\n  beside  \\u{1b}\n\n"
        );
    }
}
