//! Test files against a deployed function: the server runs the records, the same file judges them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use base64_simd::STANDARD;
use bytes::Bytes;
use http::Method;
use millrace_types::{Clock, SystemClock};
use serde_json::Value;

use super::expect::{self, Got, GotOutput};
use super::file::{Body, Case, Expect, Outcome, Record};
use super::report::{Report, Size, Verdict};
use crate::cli::functions::escape;
use crate::cli::names::FUNCTION;
use crate::cli::outcome::{FULL_BYTES_MAX, SHOWN_RECORDS_MAX};
use crate::client::Client;

/// Runs `cases` against `function`, `NAME` or `NAME:VERSION`.
pub(super) async fn run(client: &mut Client, function: &str, cases: Vec<(PathBuf, Case)>) -> Result<Report> {
    let (name, version) = function.split_once(':').map_or((function, None), |(name, version)| (name, Some(version)));
    let mut path = format!("/v1/functions/{}/invoke", escape(name));
    if let Some(version) = version {
        path = format!("{path}?version={}", escape(version));
    }
    let deployed = settings(client, name).await?;
    let mut report = Report::default();
    for (file, case) in cases {
        let verdict = match cannot(&case, deployed.as_ref()) {
            Some(why) => Verdict::Skipped(why),
            None => match &case.body {
                Body::Records(records, expects) => {
                    let answer = client.plain(Method::POST, &path, Bytes::from(lines(records))).await;
                    let answer = FUNCTION.answer(client, name, answer).await?;
                    judge(expects, &answer).with_context(|| format!("test {:?}", case.name))?
                }
                Body::Event(event, expect) => {
                    let begun = SystemClock.monotonic();
                    let answer = client.invoke(name, version, Bytes::from(event.clone())).await?;
                    let duration = SystemClock.monotonic().saturating_sub(begun);
                    let differences = expect::compare_answer(expect, &answer).into_iter().collect();
                    Verdict::Ran { size: Size::Event, duration, fuel: None, differences }
                }
            },
        };
        report.add(file, case.name, verdict);
    }
    Ok(report)
}

/// The settings of the function as it is deployed; none where the server does not tell.
async fn settings(client: &mut Client, name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let path = format!("/v1/functions/{}?settings=true", escape(name));
    let answer = client.plain(Method::GET, &path, Bytes::new()).await;
    let answer = FUNCTION.answer(client, name, answer).await?;
    Ok(serde_json::from_value(answer["settings"].clone()).ok())
}

/// Why a server cannot run `case`, which asks for what only this process can give.
fn cannot(case: &Case, deployed: Option<&BTreeMap<String, String>>) -> Option<String> {
    if let Some(key) = case.is_virtual {
        return Some(format!("it sets {key}, and a server has its own"));
    }
    if deployed.is_some_and(|deployed| *deployed != case.settings) {
        return Some("the deployed function has other settings".to_owned());
    }
    let Body::Records(records, _) = &case.body else { return None };
    if records.len() > SHOWN_RECORDS_MAX {
        return Some(format!("a server shows {SHOWN_RECORDS_MAX} records of an invocation"));
    }
    let is_line = |data: &[u8]| !data.is_empty() && !data.contains(&b'\n') && !data.ends_with(b"\r");
    let odd = records.iter().position(|record| !is_line(&record.data))?;
    Some(format!("record {odd} is empty or has a line end, and a server takes lines"))
}

fn lines(records: &[Record]) -> Vec<u8> {
    let records = records.iter().flat_map(|record| [record.data.as_slice(), b"\n"]);
    records.collect::<Vec<_>>().concat()
}

fn judge(expects: &[Expect], answer: &Value) -> Result<Verdict> {
    let rows = answer["rows"].as_array().context("the server answered no rows")?;
    anyhow::ensure!(rows.len() == expects.len(), "the server answered {} rows", rows.len());
    let mut differences = Vec::new();
    for (nth, (expect, row)) in expects.iter().zip(rows).enumerate() {
        differences.extend(expect::compare(nth, expect, &got(row)?));
    }
    let duration = Duration::from_micros(answer["durationMicros"].as_u64().unwrap_or_default());
    Ok(Verdict::Ran { size: Size::Records(rows.len()), duration, fuel: None, differences })
}

/// What one row of the server's answer says.
fn got(row: &Value) -> Result<Got> {
    let full = row["full"].as_array();
    let full = full
        .with_context(|| format!("the outputs have more than {FULL_BYTES_MAX} bytes: no server answers all of them"))?;
    let output = |output: &Value| {
        let data = STANDARD.decode_to_vec(output["data"].as_str().unwrap_or_default()).context("an output's bytes")?;
        let keys = serde_json::from_value(output["partitionKeys"].clone()).context("an output's partition keys")?;
        Ok(GotOutput { data, partition_keys: keys })
    };
    let outputs = full.iter().map(output).collect::<Result<Vec<_>>>()?;
    let error = &row["error"];
    Ok(match error["code"].as_str() {
        Some(code) => Got {
            result: Outcome::ProcessingFailed,
            outputs,
            reason: format!("{code}: {}", error["message"].as_str().unwrap_or_default()),
        },
        None if outputs.is_empty() => Got { result: Outcome::Dropped, outputs, reason: String::new() },
        None => Got { result: Outcome::Ok, outputs, reason: String::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case(data: &str) -> Case {
        Case {
            name: "t".to_owned(),
            clock_ms: 0,
            seed: 1,
            is_virtual: None,
            settings: BTreeMap::new(),
            body: Body::Records(
                vec![Record { data: data.into(), key: None, arrival_ms: 0 }],
                vec![Expect { result: Outcome::Ok, outputs: None, reason: None }],
            ),
        }
    }

    #[test]
    fn what_only_this_process_can_give_is_skipped_by_name() {
        let none = BTreeMap::new();
        assert_eq!(cannot(&case("a"), Some(&none)), None);
        assert_eq!(cannot(&case("a"), None), None);
        let mut other = case("a");
        other.is_virtual = Some("clock");
        assert_eq!(cannot(&other, Some(&none)).as_deref(), Some("it sets clock, and a server has its own"));
        other = case("a");
        other.settings.insert("a".to_owned(), "1".to_owned());
        assert_eq!(cannot(&other, Some(&none)).as_deref(), Some("the deployed function has other settings"));
        for data in ["", "a\nb", "a\r"] {
            assert!(cannot(&case(data), None).is_some_and(|why| why.starts_with("record 0 ")), "{data:?}");
        }
        other = case("a");
        let Body::Records(records, _) = &mut other.body else { panic!("records") };
        *records = vec![records[0].clone(); SHOWN_RECORDS_MAX + 1];
        assert_eq!(lines(&records[..2]), b"a\na\n");
        assert!(cannot(&other, None).is_some());
    }

    #[test]
    fn a_row_says_what_became_of_its_record() {
        let ok = got(&json!({ "full": [{ "data": "QQ==", "partitionKeys": { "k": "v" } }] })).expect("reads");
        assert_eq!((ok.result, ok.outputs[0].data.as_slice()), (Outcome::Ok, b"A".as_slice()));
        assert_eq!(ok.outputs[0].partition_keys["k"], "v");
        assert_eq!(got(&json!({ "full": [] })).expect("reads").result, Outcome::Dropped);
        let failed = json!({ "full": [], "error": { "code": "Lambda.X", "message": "why" } });
        assert_eq!(got(&failed).expect("reads").reason, "Lambda.X: why");
        assert!(got(&json!({ "full": null })).is_err());
        let Body::Records(_, expects) = case("a").body else { panic!("records") };
        let answer = json!({ "rows": [{ "full": [] }], "durationMicros": 3 });
        let Verdict::Ran { differences, .. } = judge(&expects, &answer).expect("judges") else { panic!("it ran") };
        assert_eq!(differences[0].what, "result");
    }
}
