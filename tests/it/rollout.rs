//! New versions beside old ones, under load: canaries, promotion, rollback, shadows, a thousand swaps.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::{Destination, guests, status_of, wait_drained};
use millrace_types::{Clock as _, SystemClock};
use serde_json::Value;

use crate::world::{DRAIN, World};

/// Deploys `mark` as a version that writes `mark`; `query` says alias and weight.
async fn deploy(world: &World, mark: &str, query: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/functions/mark?setting.MARK={mark}&{query}");
    world.plain().send("PUT", &path, &[], guests::module("mark")?).await?.ok()?.json()
}

async fn stream_behind(world: &World, alias: &str) -> anyhow::Result<()> {
    world
        .stream("s", |d| Destination {
            prefix: Some("s/".to_owned()),
            error_prefix: Some("errors/!{firehose:error-output-type}/".to_owned()),
            function: Some(format!("mark:{alias}")),
            ..d
        })
        .await
}

/// Numbers by mark, and how many marks each object holds at most.
async fn marked(world: &World) -> anyhow::Result<(BTreeMap<String, Vec<u64>>, usize)> {
    wait_drained(&world.server, DRAIN).await?;
    let (mut numbers, mut marks_max) = (BTreeMap::<String, Vec<u64>>::new(), 0);
    for key in world.bucket("out").list("s/").await? {
        let mut marks = BTreeMap::new();
        for record in world.bucket("out").records(&key).await? {
            let value: Value = serde_json::from_slice(&record)?;
            let mark = value["mark"].as_str().context("no mark")?.to_owned();
            *marks.entry(mark.clone()).or_insert(0) += 1;
            numbers.entry(mark).or_default().push(value["n"].as_u64().context("no number")?);
        }
        marks_max = marks_max.max(marks.len());
    }
    Ok((numbers, marks_max))
}

fn all(numbers: &BTreeMap<String, Vec<u64>>) -> Vec<u64> {
    let mut all: Vec<u64> = numbers.values().flatten().copied().collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn a_canary_gets_its_share_in_objects_of_its_own_until_it_is_promoted_or_taken_back() -> anyhow::Result<()> {
    let world = World::start().await?;
    deploy(&world, "one", "alias=live").await?;
    stream_behind(&world, "live").await?;
    deploy(&world, "two", "alias=live&weight=30").await?;
    for batch in 0..200 {
        world.put("s", batch * 10, batch * 10 + 10).await?;
    }
    let (numbers, marks_max) = marked(&world).await?;
    assert_eq!(all(&numbers), (0..2_000).collect::<Vec<u64>>());
    assert_eq!(marks_max, 1, "an object holds outputs of one version");
    // Batches may join under load, so their number is not known; of some hundred both must have had some.
    assert_eq!(numbers.keys().collect::<Vec<_>>(), ["one", "two"]);
    let status = status_of(world.server.base(), "s").await?;
    assert_eq!((status.delivered, status.balance), (2_000, 0));

    world.plain().send("POST", "/v1/functions/mark/promote?alias=live", &[], "").await?.ok()?;
    let before = numbers["one"].len();
    world.put("s", 2_000, 2_500).await?;
    let (numbers, _) = marked(&world).await?;
    assert_eq!(numbers["one"].len(), before, "the old version runs no more");
    let back = world.plain().send("POST", "/v1/functions/mark/rollback?alias=live", &[], "").await?.ok()?.json()?;
    assert_eq!(back["version"], 1);
    world.put("s", 2_500, 3_000).await?;
    let (numbers, _) = marked(&world).await?;
    assert_eq!(numbers["one"].len(), before + 500);
    assert_eq!(all(&numbers), (0..3_000).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test]
async fn a_thousand_swaps_under_load_lose_and_double_nothing() -> anyhow::Result<()> {
    const SWAPS: u32 = 1_000;
    let world = World::start().await?;
    for mark in ["one", "two"] {
        deploy(&world, mark, "alias=live").await?;
    }
    stream_behind(&world, "live").await?;
    let swapping = async {
        let mut slowest = Duration::ZERO;
        for swap in 0..SWAPS {
            let started = SystemClock.monotonic();
            let path = format!("/v1/functions/mark/rollback?alias=live&to={}", 1 + swap % 2);
            world.plain().send("POST", &path, &[], "").await?.ok()?;
            slowest = slowest.max(SystemClock.monotonic().saturating_sub(started));
        }
        anyhow::Ok(slowest)
    };
    let swapped = std::sync::atomic::AtomicBool::new(false);
    let putting = async {
        let mut count = 0;
        while !swapped.load(std::sync::atomic::Ordering::Relaxed) {
            world.put("s", count, count + 50).await?;
            count += 50;
        }
        anyhow::Ok(count)
    };
    let (slowest, count) = tokio::join!(
        async {
            let slowest = swapping.await;
            swapped.store(true, std::sync::atomic::Ordering::Relaxed);
            slowest
        },
        putting
    );
    let (slowest, count) = (slowest?, count?);
    let (numbers, marks_max) = marked(&world).await?;
    println!("{SWAPS} swaps, the slowest {slowest:?}, beside {count} records");
    assert_eq!(all(&numbers), (0..count).collect::<Vec<u64>>());
    assert!(numbers.len() == 2 && marks_max == 1, "both versions ran, each into objects of its own");
    Ok(())
}

#[tokio::test]
async fn a_shadow_is_compared_record_by_record_and_delivers_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    deploy(&world, "one", "alias=live").await?;
    deploy(&world, "two", "").await?;
    stream_behind(&world, "live").await?;
    world.plain().send("PUT", "/v1/functions/mark/shadow?version=2&share=100", &[], "").await?.ok()?;
    world.put("s", 0, 100).await?;
    let (numbers, _) = marked(&world).await?;
    assert_eq!(numbers.keys().collect::<Vec<_>>(), ["one"], "nothing of the shadow is delivered");
    let report = millrace_tests::until("the shadow has run", DRAIN, async || {
        let report = world.plain().send("GET", "/v1/functions/mark/shadow", &[], "").await?.ok()?.json()?;
        Ok((report["records"].as_u64() >= Some(1)).then_some(report))
    })
    .await?;
    assert_eq!(report["different"], report["records"], "{report}");
    let sample = &report["samples"][0];
    assert!(sample["live"].as_str().is_some_and(|live| live.contains("\"one\"")), "{sample}");
    assert!(sample["shadow"].as_str().is_some_and(|shadow| shadow.contains("\"two\"")), "{sample}");
    world.plain().send("DELETE", "/v1/functions/mark/shadow", &[], "").await?.ok()?;
    let ended = world.plain().send("GET", "/v1/functions/mark/shadow", &[], "").await?.ok()?.json()?;
    assert_eq!(ended["running"], false);
    Ok(())
}

#[tokio::test]
async fn a_deploy_that_fails_or_is_cut_leaves_what_was_live() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    deploy(&world, "one", "alias=live").await?;
    stream_behind(&world, "live").await?;
    let refused =
        world.plain().send("PUT", "/v1/functions/mark?alias=live", &[], guests::module("file-system")?).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let memory = "/v1/functions/mark?alias=live&memory-bytes=65536";
    let refused = world.plain().send("PUT", memory, &[], guests::module("mark")?).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let share = "/v1/functions/mark?alias=other&weight=10";
    let refused = world.plain().send("PUT", share, &[], guests::module("flights")?).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let share = "/v1/functions/fresh?alias=live&weight=10";
    let refused = world.plain().send("PUT", share, &[], guests::module("flights")?).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let missing = world.plain().send("GET", "/v1/functions/fresh", &[], "").await?;
    assert_eq!(missing.status, 404, "{}", missing.text());
    let folder = world.server.data_dir().join("functions");
    let files = || -> anyhow::Result<usize> { Ok(std::fs::read_dir(&folder)?.count()) };
    assert_eq!(files()?, 3, "one component, its code, and the cache for the next");
    for _ in 0..5 {
        // Killed while it compiles, or before, or behind.
        let plain = world.plain();
        let module = guests::module("flights")?;
        let cut = tokio::time::timeout(
            Duration::from_millis(20),
            plain.send("PUT", "/v1/functions/mark?alias=live", &[], module),
        );
        anyhow::ensure!(cut.await.is_err(), "the deploy was faster than its cut");
        world.server.kill()?;
        world.server.restart().await?;
    }
    // Nobody waits for this one any more, and the server lives on.
    let plain = world.plain();
    let module = guests::module("flights")?;
    let path = "/v1/functions/mark?alias=live";
    drop(tokio::time::timeout(Duration::from_millis(20), plain.send("PUT", path, &[], module)).await);
    let shown = millrace_tests::until("the cut deploy is taken back", DRAIN, async || {
        let lambda = world.plain().send("GET", "/2015-03-31/functions/mark", &[], "").await?.ok()?.json()?;
        let settled = lambda["Configuration"]["LastUpdateStatus"] != "InProgress" && files()? == 3;
        Ok(settled.then_some(world.plain().send("GET", "/v1/functions/mark", &[], "").await?.ok()?.json()?))
    })
    .await?;
    assert_eq!((&shown["aliases"]["live"]["version"], &shown["versions"]["2"]), (&1.into(), &Value::Null), "{shown}");
    let answer = world.plain().send("POST", "/v1/functions/mark/invoke", &[], "{\"n\":1}").await?.ok()?.text();
    assert!(answer.contains("one"), "$LATEST is what it was: {answer}");
    world.put("s", 0, 100).await?;
    let (numbers, _) = marked(&world).await?;
    assert_eq!(numbers.keys().collect::<Vec<_>>(), ["one"]);
    Ok(())
}
