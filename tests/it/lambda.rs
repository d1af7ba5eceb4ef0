//! Invocations over the Lambda API: state of a function's own, events that survive a kill, throttling.

use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::{Answer, guests, until};
use serde_json::{Value, json};

use crate::world::{DRAIN, World};

/// Deploys `tally` with its own state, and answers the world.
async fn tally() -> anyhow::Result<World> {
    let world = World::start().await?;
    let path = "/v1/functions/tally?grant.key-value=true&deadline-ms=300";
    world.plain().send("PUT", path, &[], guests::module("tally")?).await?.ok()?;
    Ok(world)
}

async fn invoke(world: &World, kind: &str, event: &Value) -> anyhow::Result<Answer> {
    let headers = [("content-type", "application/json"), ("x-amz-invocation-type", kind)];
    let path = "/2015-03-31/functions/tally/invocations";
    world.plain().send("POST", path, &headers, event.to_string()).await
}

async fn count(world: &World) -> anyhow::Result<u64> {
    let answer = invoke(world, "RequestResponse", &json!({})).await?.ok()?.json()?;
    answer["count"].as_u64().with_context(|| format!("no count in {answer}"))
}

#[tokio::test]
async fn state_is_kept_when_a_call_answers_well_and_only_then() -> anyhow::Result<()> {
    let mut world = tally().await?;
    assert_eq!(count(&world).await?, 1);
    for then in ["fail", "trap", "spin"] {
        let failed = invoke(&world, "RequestResponse", &json!({ "then": then })).await?;
        assert_eq!(failed.status, 200, "{}", failed.text());
        assert_eq!(failed.headers.get("x-amz-function-error").context("no error")?, "Unhandled");
    }
    assert_eq!(count(&world).await?, 2, "calls that failed wrote nothing");
    world.server.kill()?;
    world.server.restart().await?;
    assert_eq!(count(&world).await?, 3, "it was durable before it was answered");
    Ok(())
}

#[tokio::test]
async fn an_accepted_event_runs_though_the_server_is_killed() -> anyhow::Result<()> {
    let mut world = tally().await?;
    for number in 0..20 {
        let taken = invoke(&world, "Event", &json!({ "key": format!("event {number}") })).await?;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
    world.server.kill()?;
    world.server.restart().await?;
    for number in 0..20 {
        // A call that fails says what it would have counted, and keeps nothing.
        let look = json!({ "key": format!("event {number}"), "then": "fail" });
        until(&format!("event {number} has run"), DRAIN, async || {
            let said = invoke(&world, "RequestResponse", &look).await?.text();
            // It may have run twice, never not at all.
            Ok((!said.contains("fail at 1\"")).then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_record_of_an_event_that_failed_lands_in_its_bucket() -> anyhow::Result<()> {
    let world = tally().await?;
    let put = async |destination: &str| {
        let path = "/2019-09-25/functions/tally/event-invoke-config";
        let config = json!({ "MaximumRetryAttempts": 0,
                             "DestinationConfig": { "OnFailure": { "Destination": destination } } });
        world.plain().send("PUT", path, &[("content-type", "application/json")], config.to_string()).await
    };
    for (refused, why) in [
        ("arn:aws:lambda:us-east-1:000000000000:function:tally", "is the function itself"),
        ("arn:aws:lambda:eu-west-1:000000000000:function:other", "another region or account"),
    ] {
        let answer = put(refused).await?;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(refused) && answer.text().contains(why), "{}", answer.text());
    }
    put("arn:aws:s3:::lost").await?.ok()?;
    let event = json!({ "key": "doomed", "then": "fail" });
    assert_eq!(invoke(&world, "Event", &event).await?.status, 202);
    let lost = world.bucket("lost");
    let key = until("the record of the event", DRAIN, async || {
        Ok(lost.list("aws/lambda/async/tally/").await?.into_iter().next())
    })
    .await?;
    let record: Value = serde_json::from_slice(&lost.get(&key).await?)?;
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(record["requestPayload"], event);
    Ok(())
}

#[tokio::test]
async fn imports_need_their_grant() -> anyhow::Result<()> {
    let world = World::start().await?;
    let refused = world.plain().send("PUT", "/v1/functions/tally", &[], guests::module("tally")?).await?;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("millrace:transform/key-value"), "{}", refused.text());
    Ok(())
}

#[tokio::test]
async fn log_lines_are_kept_for_whoever_asks() -> anyhow::Result<()> {
    let world = tally().await?;
    count(&world).await?;
    let page = world.plain().send("GET", "/v1/functions/tally/logs?after=0", &[], "").await?.ok()?.json()?;
    let line = page["lines"][0]["message"].as_str().context("a line")?;
    assert!(line.starts_with("events is 1 in "), "{line}");
    let after = format!("/v1/functions/tally/logs?after={}&wait-ms=10000", page["next"]);
    let plain = world.plain();
    let waiting = plain.send("GET", &after, &[], "");
    let (page, counted) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        count(&world).await
    });
    assert_eq!(counted?, 2);
    assert_eq!(page?.ok()?.json()?["lines"].as_array().map(Vec::len), Some(1));
    Ok(())
}
