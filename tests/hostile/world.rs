//! A server for the corpus: deploying a case, calling it, judging what became of it.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use millrace_tests::http::Answer;
use serde_json::Value;

#[path = "../it/world.rs"]
mod it;

pub(crate) use it::World;

use crate::corpus::{Case, Must, TIMED_OUT};

/// Time of a call of a hostile function, milliseconds.
pub(crate) const DEADLINE_MS: u32 = 250;
/// Memory of an instance of a hostile function, bytes.
pub(crate) const MEMORY_BYTES: u64 = 16 << 20;
/// What a call may take above 1.2 deadlines: the machine that runs this has other work, and the server's own
/// threads wait for a processor. `bystander::measure` prints what it takes on a machine at rest.
const SCHEDULING: Duration = Duration::from_millis(1_500);
/// What a call that has used up its calls of the host says.
const OUT_OF_CALLS: &str = "calls of the host";
/// Bytes that an answer of the server has at most, whatever a module made it say.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Deploys a case under the corpus's limits.
pub(crate) async fn deploy(world: &World, case: &Case) -> anyhow::Result<Answer> {
    deploy_as(world, case.name, (case.module)().into()).await
}

/// Deploys a module under the corpus's limits.
pub(crate) async fn deploy_as(world: &World, name: &str, module: Bytes) -> anyhow::Result<Answer> {
    let (deadline, memory) = (DEADLINE_MS.to_string(), MEMORY_BYTES.to_string());
    let headers = [
        ("content-type", "application/wasm"),
        ("x-millrace-deadline-ms", deadline.as_str()),
        ("x-millrace-memory-bytes", memory.as_str()),
    ];
    world.plain().send("PUT", &format!("/v1/functions/{name}"), &headers, module).await
}

/// Calls a function with `lines` and delivers nothing.
pub(crate) async fn invoke(world: &World, name: &str, lines: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/functions/{name}/invoke");
    let answer = world.plain().send("POST", &path, &[], lines.to_owned()).await?.ok()?;
    anyhow::ensure!(answer.body.len() <= ANSWER_BYTES_MAX, "an answer of {} bytes", answer.body.len());
    answer.json()
}

/// Holds the answer to a deploy against the corpus; whether the case is deployed now.
pub(crate) fn judge_deploy(case: &Case, answer: &Answer) -> anyhow::Result<bool> {
    let said = answer.text();
    anyhow::ensure!(said.len() <= ANSWER_BYTES_MAX, "an answer of {} bytes: {:.200}", said.len(), said);
    match case.must {
        Must::BeRefused(words) => {
            anyhow::ensure!((400..500).contains(&answer.status), "deployed with {}: {said:.2000}", answer.status);
            for word in words {
                anyhow::ensure!(said.contains(word), "`{word}` is not in: {said:.2000}");
            }
            Ok(false)
        }
        Must::Fail(..) | Must::BeStopped | Must::Answer => {
            anyhow::ensure!(answer.status == 200, "not deployed, {}: {said:.2000}", answer.status);
            Ok(true)
        }
    }
}

/// Holds a call with one record against the corpus.
pub(crate) fn judge_call(case: &Case, run: &Value) -> anyhow::Result<()> {
    let number = |name: &str| run[name].as_u64().with_context(|| format!("no {name} in {run}"));
    let calls = u32::try_from(number("calls")?)?;
    let took = Duration::from_micros(number("durationMicros")?);
    let may_take = (Duration::from_millis(DEADLINE_MS.into()) * 12 / 10 + SCHEDULING) * calls;
    anyhow::ensure!(took <= may_take, "{calls} calls took {took:?}, more than {may_take:?}");
    let memory = number("memoryHighWaterBytes")?;
    anyhow::ensure!(memory <= MEMORY_BYTES, "{memory} bytes of memory");
    let error = &run["rows"][0]["error"];
    match case.must {
        Must::Answer => anyhow::ensure!(number("failed")? == 0 && number("outputs")? == 1, "{run}"),
        Must::Fail(code, says) => {
            anyhow::ensure!(number("failed")? == 1 && number("outputs")? == 0, "{run}");
            let message = error["message"].as_str().unwrap_or_default();
            anyhow::ensure!(error["code"] == code && message.contains(says), "{code} `{says}` expected: {error}");
        }
        Must::BeStopped => {
            anyhow::ensure!(number("failed")? == 1 && number("outputs")? == 0, "{run}");
            let out_of_calls = error["message"].as_str().is_some_and(|text| text.contains(OUT_OF_CALLS));
            anyhow::ensure!(
                error["code"] == TIMED_OUT || out_of_calls,
                "a deadline or `{OUT_OF_CALLS}` expected: {error}"
            );
        }
        Must::BeRefused(_) => anyhow::bail!("was deployed"),
    }
    Ok(())
}
