//! The corpus against the real server: each module alone, then all at once, beside a function that must not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use millrace_tests::{Destination, process, status_of, wait};

use crate::corpus::{Case, Must, all};
use crate::guests::example;
use crate::world::{World, deploy, deploy_as, invoke, judge_call, judge_deploy};

/// Records that the bystander gets beside each case.
const BYSTANDERS: u64 = 20;
/// Cases that are called at once in the second round.
const AT_ONCE: usize = 8;
/// How much the server may grow while modules of up to 64 MiB are deployed, one behind the other, bytes: the body,
/// its copy for the child, the child's answer and its parts, the sealed file, and what the allocator keeps.
const GROWTH_OF_DEPLOYS: u64 = 512 << 20;
/// How much it may grow while `AT_ONCE` cases run, bytes: memory of an instance and as much of its answer for each,
/// their code, and what pool and allocator keep.
const GROWTH_OF_CALLS: u64 = 256 << 20;

/// The server's memory at its peak above what it was.
fn grown(world: &World, before: u64) -> anyhow::Result<u64> {
    Ok(process::rss_bytes(world.server.pid())?.1.saturating_sub(before))
}

async fn one(world: &World, case: &Case) -> anyhow::Result<()> {
    if judge_deploy(case, &deploy(world, case).await?)? {
        judge_call(case, &invoke(world, case.name, "{\"n\":1}").await?)?;
    }
    Ok(())
}

/// Calls all deployed cases, [`AT_ONCE`] at a time; what went wrong.
async fn all_at_once(world: Arc<World>) -> anyhow::Result<Vec<String>> {
    let cases: Arc<Vec<&'static Case>> =
        Arc::new(all().filter(|case| !matches!(case.must, Must::BeRefused(_))).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (world, cases, next) = (Arc::clone(&world), Arc::clone(&cases), Arc::clone(&next));
        callers.spawn(async move {
            let mut wrong = Vec::new();
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let judged = invoke(&world, case.name, "{\"n\":1}").await.and_then(|run| judge_call(case, &run));
                wrong.extend(judged.err().map(|error| format!("{} among others: {error:#}", case.name)));
            }
            wrong
        });
    }
    let mut wrong = Vec::new();
    while let Some(done) = callers.join_next().await {
        wrong.extend(done?);
    }
    Ok(wrong)
}

#[tokio::test]
async fn every_module_ends_as_the_corpus_says_and_a_bystander_does_not_notice() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    deploy_as(&world, "good", example("identity").into()).await?.ok()?;
    world
        .stream("bystander", |d| Destination {
            prefix: Some("good/".to_owned()),
            function: Some("good".to_owned()),
            ..d
        })
        .await?;
    let (before, _) = process::rss_bytes(world.server.pid())?;
    let (mut wrong, mut put) = (Vec::new(), 0);
    for case in all() {
        world.put("bystander", put, put + BYSTANDERS).await?;
        put += BYSTANDERS;
        let started = wait::now_s();
        wrong.extend(one(&world, case).await.err().map(|error| format!("{}: {error:#}", case.name)));
        println!("{:>8.0} ms  {}", (wait::now_s() - started) * 1e3, case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let deploys = grown(&world, before)?;
    assert!(deploys <= GROWTH_OF_DEPLOYS, "the server grew by {} MiB", deploys >> 20);

    // The same functions in a server that has not deployed them.
    world.server.stop().await?;
    world.server.restart().await?;
    let (before, _) = process::rss_bytes(world.server.pid())?;
    let world = Arc::new(world);
    let mut round = tokio::task::JoinSet::new();
    round.spawn(all_at_once(Arc::clone(&world)));
    while round.len() > 0 {
        world.put("bystander", put, put + BYSTANDERS).await?;
        put += BYSTANDERS;
        if let Some(done) = round.try_join_next() {
            wrong.extend(done??);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let calls = grown(&world, before)?;
    assert!(calls <= GROWTH_OF_CALLS, "the server grew by {} MiB", calls >> 20);
    println!("the server grew by {} MiB for the deploys, {} MiB for the calls at once", deploys >> 20, calls >> 20);

    assert_eq!(world.delivered("out", "good/").await?, (0..put).collect::<Vec<u64>>());
    let status = status_of(world.server.base(), "bystander").await?;
    assert_eq!((status.failed, status.dropped, status.balance), (0, 0, 0));
    let log = std::fs::read_to_string(world.server.data_dir().with_extension("log")).context("the log")?;
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "a guest wrote a line of its own");
    Ok(())
}

#[tokio::test]
async fn a_fresh_instance_begins_at_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    // Counts its calls in memory, in a global and in a table, and fails when one of them has counted before.
    let counter = crate::guests::guest(
        &format!(
            "(if (i32.or (i32.or (i32.load (i32.const 2048)) (global.get $calls)) \
               (i32.eqz (ref.is_null (table.get 0 (i32.const 0))))) (then unreachable)) \
             (i32.store (i32.const 2048) (i32.const 1)) (global.set $calls (i32.const 1)) \
             (table.set 0 (i32.const 0) (ref.func $transform)) {}",
            crate::guests::IDENTITY
        ),
        "(global $calls (mut i32) (i32.const 0)) (table 4 funcref) (elem declare func $transform)",
    );
    deploy_as(&world, "counter", counter.clone().into()).await?.ok()?;
    for _ in 0..50 {
        let run = invoke(&world, "counter", "1\n2\n3").await?;
        assert_eq!((run["failed"].as_u64(), run["calls"].as_u64()), (Some(0), Some(1)), "{run}");
    }
    // A warm one is asked for, and remembers: the test would see it.
    world.plain().deploy("counter", counter.into(), &[("x-millrace-warm", "true")]).await?;
    let first = invoke(&world, "counter", "1").await?;
    let second = invoke(&world, "counter", "1").await?;
    assert_eq!((first["failed"].as_u64(), second["failed"].as_u64()), (Some(0), Some(1)));
    Ok(())
}
