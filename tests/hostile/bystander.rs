//! By hand: what a good function notices of hostile ones beside it, as figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use millrace_tests::{Destination, process, wait};
use tokio::task::JoinSet;

use crate::corpus::{Case, Must, all};
use crate::guests::example;
use crate::world::{DEADLINE_MS, World, deploy, deploy_as, invoke};

/// Seconds of one round.
const ROUND_S: f64 = 10.0;
/// Rounds alone and rounds beside hostile functions, by turns.
const ROUNDS: usize = 3;
/// Calls a second that the good function is given: far below what it could do.
const CALLS_A_SECOND: f64 = 100.0;
/// Records of a call.
const RECORDS: usize = 100;
/// Callers of hostile functions.
const HOSTILE: usize = 4;

/// What a round measured.
struct Round {
    calls: u64,
    call: Histogram<u64>,
    put: Histogram<u64>,
}

/// The good function called at its pace, its stream put to beside it.
async fn good(world: &World) -> anyhow::Result<Round> {
    let lines = (0..RECORDS).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>().join("\n");
    let mut round = Round { calls: 0, call: Histogram::new(3)?, put: Histogram::new(3)? };
    let start = wait::now_s();
    let mut due = start;
    while wait::now_s() - start < ROUND_S {
        // Late calls are made at once, and their wait counts.
        let early = due - wait::now_s();
        if early > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(early)).await;
        }
        invoke(world, "good", &lines).await?;
        round.call.record(micros(wait::now_s() - due))?;
        let before = wait::now_s();
        world.plain().put_lines("bystander", lines.clone()).await?.ok()?;
        round.put.record(micros(wait::now_s() - before))?;
        round.calls += 1;
        due += 1.0 / CALLS_A_SECOND;
    }
    Ok(round)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time in microseconds")]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// Calls hostile functions until it is told to stop; the longest that one took, as a part of its deadline.
async fn hostile(world: Arc<World>, stop: Arc<AtomicBool>, first: usize) -> anyhow::Result<f64> {
    let cases: Vec<&Case> = all().filter(|case| !matches!(case.must, Must::BeRefused(_))).collect();
    let mut longest: f64 = 0.0;
    for nth in (0..).map(|turn: usize| (first + turn * 7) % cases.len()) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let run = invoke(&world, cases[nth].name, "{\"n\":1}").await?;
        let took_ms = run["durationMicros"].as_f64().unwrap_or(0.0) / 1e3 / run["calls"].as_f64().unwrap_or(1.0);
        longest = longest.max(took_ms / f64::from(DEADLINE_MS));
    }
    Ok(longest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by hand, on a machine at rest: prints figures and asserts none"]
async fn measure() -> anyhow::Result<()> {
    let world = Arc::new(World::start().await?);
    deploy_as(&world, "good", example("identity").into()).await?.ok()?;
    let destination =
        |d: Destination| Destination { prefix: Some("good/".to_owned()), function: Some("good".to_owned()), ..d };
    world.stream("bystander", destination).await?;
    for case in all().filter(|case| !matches!(case.must, Must::BeRefused(_))) {
        deploy(&world, case).await?.ok()?;
    }
    good(&world).await?;
    println!("| round | calls/s | call p50 ms | call p99 ms | put p99 ms | hostile: longest / deadline | RSS MiB |");
    println!("|---|---|---|---|---|---|---|");
    for round in 0..ROUNDS * 2 {
        let beside = round % 2 == 1;
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for first in 0..if beside { HOSTILE } else { 0 } {
            callers.spawn(hostile(Arc::clone(&world), Arc::clone(&stop), first * 13));
        }
        let seen = good(&world).await?;
        stop.store(true, Ordering::Relaxed);
        let mut longest: f64 = 0.0;
        while let Some(done) = callers.join_next().await {
            longest = longest.max(done??);
        }
        let ms = |histogram: &Histogram<u64>, quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "| {} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
            if beside { "beside hostile" } else { "alone" },
            seen.calls as f64 / ROUND_S,
            ms(&seen.call, 0.5),
            ms(&seen.call, 0.99),
            ms(&seen.put, 0.99),
            longest,
            process::rss_bytes(world.server.pid())?.0 >> 20
        );
    }
    Ok(())
}
