//! The oracle: keeps the truth about every record, disturbs the server under load, and judges what
//! lies in the bucket. See the README beside it.

mod judge;
mod plan;
mod producer;
mod record;
mod truth;
mod witness;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser as _;
use millrace_tests::{process, status, wait, wait_drained};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::judge::{Expected, Verdict, judge};
use crate::plan::Plan;
use crate::producer::Load;
use crate::truth::Truth;
use crate::world::{STREAMS, World};

/// How long a backlog may take once all faults are over.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a fresh record may take then.
const FRESH_TIMEOUT: Duration = Duration::from_secs(30);

/// One run, as a line of JSON.
#[derive(Debug, Serialize)]
struct Report {
    run: String,
    seed: u64,
    cycles: u32,
    faults: Vec<String>,
    good: bool,
    #[serde(flatten)]
    verdict: Verdict,
    recovery_p50_s: f64,
    recovery_max_s: f64,
    drain_s: f64,
    rss_peak_bytes: u64,
    data_dir_peak_bytes: u64,
    seconds: f64,
    /// What did not come to life again, if anything.
    stuck: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let plan = Plan::parse();
    let mut as_expected = true;
    for run in plan.runs()? {
        let report = one_run(&run).await?;
        println!("{}", serde_json::to_string(&report)?);
        as_expected &= report.good != plan.expect_violation;
    }
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn one_run(plan: &Plan) -> anyhow::Result<Report> {
    let seed = plan.seed.unwrap_or_else(|| wait::wall_ms().unsigned_abs());
    let dir = tempfile::Builder::new().prefix(&format!("oracle-{}-", plan.name())).tempdir()?;
    let report = run_in(plan, dir.path(), seed).await?;
    if plan.keep || !report.good && !plan.expect_violation {
        eprintln!("kept: {}", dir.keep().display());
    }
    Ok(report)
}

async fn run_in(plan: &Plan, dir: &Path, seed: u64) -> anyhow::Result<Report> {
    let started = wait::now_s();
    let mut world = World::start(plan, dir, seed).await?;
    let load = Arc::new(Load {
        truth: Truth::create(&dir.join("truth"))?,
        base: world.server.base().to_owned(),
        streams: STREAMS.map(str::to_owned).to_vec(),
        seed,
        rate: plan.rate,
        partitioned: plan.partitioned,
        producers: plan.producers,
        stop: AtomicBool::new(false),
        cycle: AtomicU32::new(0),
        acked: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        unknown: AtomicU64::new(0),
    });
    let mut producers = JoinSet::new();
    for number in 0..plan.producers {
        producers.spawn(producer::produce(load.clone(), number));
    }
    let cycled = cycle_all(plan, &mut world, &load).await;
    load.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = producers.join_next().await {
        ended??;
    }
    let cycled = cycled?;
    world.calm();
    let drained_from = wait::now_s();
    let stuck = settle(&world, &load).await.err().map(|error| format!("{error:#}"));
    let drain_s = wait::now_s() - drained_from;
    load.truth.sync()?;
    let delivered = own_counts(&world).await;
    let (prefixes, error_prefixes) = World::prefixes();
    let expected =
        Expected { prefixes: &prefixes, error_prefixes: &error_prefixes, partitioned: plan.partitioned, seed };
    let verdict = judge(&world.bucket, &load.truth.claims(), &expected, &delivered, &mut world.witness).await?;
    let mut recoveries = cycled.recoveries_s;
    recoveries.sort_by(f64::total_cmp);
    Ok(Report {
        run: plan.name(),
        seed,
        cycles: plan.cycles,
        faults: plan.faults.iter().map(|fault| format!("{fault:?}")).collect(),
        good: verdict.is_good() && stuck.is_none(),
        verdict,
        recovery_p50_s: recoveries.get(recoveries.len() / 2).copied().unwrap_or(0.0),
        recovery_max_s: recoveries.last().copied().unwrap_or(0.0),
        drain_s,
        rss_peak_bytes: cycled.rss_peak_bytes,
        data_dir_peak_bytes: cycled.data_dir_peak_bytes,
        seconds: wait::now_s() - started,
        stuck,
    })
}

#[derive(Debug, Default)]
struct Cycled {
    recoveries_s: Vec<f64>,
    rss_peak_bytes: u64,
    data_dir_peak_bytes: u64,
}

/// Load, fault, recovery; as often as the plan says.
async fn cycle_all(plan: &Plan, world: &mut World, load: &Load) -> anyhow::Result<Cycled> {
    let mut cycled = Cycled::default();
    for cycle in 0..plan.cycles {
        load.cycle.store(cycle, Ordering::Relaxed);
        world.disturb(plan);
        let load_ms = plan.load_ms_min + world.below(plan.load_ms_max.saturating_sub(plan.load_ms_min));
        tokio::time::sleep(Duration::from_millis(load_ms)).await;
        cycled.rss_peak_bytes = cycled.rss_peak_bytes.max(process::rss_bytes(world.server.pid())?.1);
        cycled.data_dir_peak_bytes = cycled.data_dir_peak_bytes.max(process::dir_bytes(world.server.data_dir()));
        cycled.recoveries_s.push(world.strike(plan).await?);
        load.truth.sync()?;
        eprintln!(
            "cycle {cycle}: acked {}, refused requests {}, unknown requests {}, recovery {:.3} s",
            load.acked.load(Ordering::Relaxed),
            load.refused.load(Ordering::Relaxed),
            load.unknown.load(Ordering::Relaxed),
            cycled.recoveries_s.last().copied().unwrap_or(0.0)
        );
    }
    Ok(cycled)
}

/// After the last fault: the backlog goes, and a fresh record of each stream arrives.
async fn settle(world: &World, load: &Load) -> anyhow::Result<()> {
    wait_drained(&world.server, DRAIN_TIMEOUT).await?;
    for stream in 0..STREAMS.len() {
        producer::fresh(load, u8::try_from(stream)?).await?;
    }
    wait_drained(&world.server, FRESH_TIMEOUT).await?;
    Ok(())
}

/// What the server itself counts as delivered, by stream.
async fn own_counts(world: &World) -> Vec<Option<u64>> {
    let (streams, _) = status::status(world.server.base()).await.unwrap_or_default();
    STREAMS.iter().map(|name| streams.iter().find(|s| s.name == *name).map(|s| s.delivered)).collect()
}
