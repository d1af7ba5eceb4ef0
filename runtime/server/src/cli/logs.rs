//! `millrace logs`: the lines that a function wrote.

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use http::Method;
use millrace_types::{Clock, SystemClock};
use serde_json::Value;

use super::Endpoint;
use super::functions::escape;
use super::names::FUNCTION;
use super::show::{count, printable};

/// How long the server may wait for a line before it answers without one, milliseconds.
const WAIT_MS: u32 = 20_000;

/// `millrace logs`.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The function's name.
    name: String,
    /// Go on with each new line until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Lines of the last while only, such as 30s, 10m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = while_ms)]
    since: Option<i64>,
    /// Lines of one version only: its number, or $LATEST for what is not published.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// A length of time, milliseconds.
fn while_ms(text: &str) -> Result<i64, String> {
    let wrong = || "a length of time is a whole number and s, m, h or d: 10m".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: i64 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    number.checked_mul(ms).filter(|ms| *ms > 0).ok_or_else(wrong)
}

impl Logs {
    pub(super) async fn run(self) -> Result<()> {
        let mut client = self.endpoint.connect().await?;
        let from_ms = self.since.map(|since| SystemClock.now_ms().saturating_sub(since));
        let mut read = None;
        loop {
            let path = self.path(read);
            let answer = client.plain(Method::GET, &path, Bytes::new()).await;
            let answer = FUNCTION.answer(&mut client, &self.name, answer).await?;
            let lost = answer["lost"].as_u64().unwrap_or_default();
            if lost > 0 {
                eprintln!("{} not kept any more", count(lost, "line"));
            }
            let lines = answer["lines"].as_array().context("the server answered no lines")?;
            for line in lines.iter().filter(|line| self.shows(line, from_ms)) {
                println!("{}", shown(line));
            }
            if lines.is_empty() && !self.follow {
                return Ok(());
            }
            read = Some(answer["next"].as_u64().context("the server answered no next")?);
        }
    }

    /// The route of the page behind the line of number `read`.
    fn path(&self, read: Option<u64>) -> String {
        // The first page comes at once: what there is, is shown before anything is waited for.
        let wait = if self.follow && read.is_some() { format!("&wait-ms={WAIT_MS}") } else { String::new() };
        format!("/v1/functions/{}/logs?after={}{wait}", escape(&self.name), read.unwrap_or_default())
    }

    fn shows(&self, line: &Value, from_ms: Option<i64>) -> bool {
        from_ms.is_none_or(|from| line["timeMs"].as_i64().is_some_and(|at| at >= from))
            && self.version.as_deref().is_none_or(|version| line["version"] == version)
    }
}

/// A line as it is shown: when, how much it matters, which version, the text.
fn shown(line: &Value) -> String {
    let ms = line["timeMs"].as_i64().unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"));
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    format!("{time} {:5} {} {}", text("level"), text("version"), printable(text("message")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn logs(since: Option<i64>, version: Option<&str>) -> Logs {
        let endpoint = Endpoint { endpoint: "http://x".to_owned() };
        Logs { name: "a b".to_owned(), follow: true, since, version: version.map(str::to_owned), endpoint }
    }

    #[test]
    fn a_line_is_one_line() {
        let line =
            json!({ "seq": 1, "timeMs": 1_795_597_200_123_i64, "level": "warn", "version": "3", "message": "a\tb\n" });
        assert_eq!(shown(&line), "2026-11-25T09:00:00.123Z warn  3 a\\tb");
        let line = json!({ "timeMs": 0, "level": "info", "version": "$LATEST", "message": "x" });
        assert_eq!(shown(&line), "1970-01-01T00:00:00.000Z info  $LATEST x");
    }

    #[test]
    fn lines_are_chosen_by_time_and_version() {
        let line = json!({ "timeMs": 10, "version": "3" });
        for (version, from_ms, shows) in
            [(None, None, true), (Some("3"), Some(10), true), (Some("$LATEST"), None, false), (None, Some(11), false)]
        {
            assert_eq!(logs(None, version).shows(&line, from_ms), shows, "{version:?} {from_ms:?}");
        }
        assert_eq!(logs(None, None).path(None), "/v1/functions/a%20b/logs?after=0");
        let silent = "/v1/functions/a%20b/logs?after=0&wait-ms=20000";
        assert_eq!(logs(None, None).path(Some(0)), silent, "a function that wrote nothing is waited for");
        assert_eq!(logs(None, None).path(Some(7)), "/v1/functions/a%20b/logs?after=7&wait-ms=20000");
    }

    #[test]
    fn times_have_units() {
        assert_eq!((while_ms("30s"), while_ms("10m"), while_ms("1d")), (Ok(30_000), Ok(600_000), Ok(86_400_000)));
        for wrong in ["", "10", "m", "-1m", "0s", "1.5h", "9999999999999999d", "1ü"] {
            assert!(while_ms(wrong).is_err(), "{wrong}");
        }
    }
}
