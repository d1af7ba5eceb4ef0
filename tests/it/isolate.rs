//! `--isolate process`: functions answer as ever, and a worker that is killed takes nothing with it.

use anyhow::Context as _;
use millrace_tests::{Destination, guests, status_of, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::world::{DRAIN, World};

async fn isolated() -> anyhow::Result<World> {
    World::start_with(|options| options.env("MILLRACE_ISOLATE", "process")).await
}

/// Processes of the server that run functions.
fn workers(world: &World) -> anyhow::Result<Vec<i32>> {
    let mut workers = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", world.server.pid()))? {
        // A thread may have ended since it was listed, and a worker as well.
        let children = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.ends_with(b"\0run-function\0") {
                workers.push(pid.parse()?);
            }
        }
    }
    Ok(workers)
}

/// Kills the workers that there are, as soon as there is one.
async fn kill_workers(world: &World) -> anyhow::Result<()> {
    until("a function has a process", DRAIN, async || Ok((!workers(world)?.is_empty()).then_some(()))).await?;
    for pid in workers(world)? {
        // One that has just ended by itself is gone.
        let _gone = kill_process(Pid::from_raw(pid).context("no process")?, Signal::KILL);
    }
    Ok(())
}

async fn invoke(world: &World, event: &Value) -> anyhow::Result<(bool, Value)> {
    let headers = [("content-type", "application/json")];
    let path = "/2015-03-31/functions/tally/invocations";
    let answer = world.plain().send("POST", path, &headers, event.to_string()).await?.ok()?;
    Ok((answer.headers.contains_key("x-amz-function-error"), answer.json()?))
}

#[tokio::test]
async fn a_worker_that_is_killed_fails_one_invocation_which_wrote_nothing() -> anyhow::Result<()> {
    let world = isolated().await?;
    let path = "/v1/functions/tally?grant.key-value=true&deadline-ms=60000";
    world.plain().send("PUT", path, &[], guests::module("tally")?).await?.ok()?;
    assert_eq!(invoke(&world, &json!({})).await?.1["count"], 1);
    assert!(invoke(&world, &json!({ "then": "fail" })).await?.0);
    let spins = json!({ "then": "spin" });
    let (failed, killed) = tokio::join!(invoke(&world, &spins), async {
        // It logs before it spins: then it is in the middle.
        until("the call spins", DRAIN, async || {
            let logs = world.plain().send("GET", "/v1/functions/tally/logs?after=0", &[], "").await?.text();
            Ok((logs.matches("events is 2").count() == 2).then_some(()))
        })
        .await?;
        kill_workers(&world).await
    });
    killed?;
    let (is_error, told) = failed?;
    assert!(is_error && told["errorMessage"].as_str().context("no message")?.contains("by signal 9"), "{told}");
    assert_eq!(invoke(&world, &json!({})).await?.1["count"], 2, "the next one counts on");
    world.plain().send("DELETE", "/2015-03-31/functions/tally", &[], "").await?.ok()?;
    until("no process is left of it", DRAIN, async || Ok(workers(&world)?.is_empty().then_some(()))).await
}

#[tokio::test]
async fn records_are_all_delivered_though_workers_are_killed() -> anyhow::Result<()> {
    let world = isolated().await?;
    world.plain().deploy("identity", guests::module("identity")?, &[]).await?;
    world
        .stream("same", |d| Destination {
            prefix: Some("same/".to_owned()),
            function: Some("identity".to_owned()),
            ..d
        })
        .await?;
    for round in 0..5 {
        world.put("same", round * 400, (round + 1) * 400).await?;
        kill_workers(&world).await?;
    }
    assert_eq!(world.delivered("out", "same/").await?, (0..2_000).collect::<Vec<u64>>());
    let status = status_of(world.server.base(), "same").await?;
    assert_eq!((status.delivered, status.failed, status.balance), (2_000, 0, 0));
    Ok(())
}
