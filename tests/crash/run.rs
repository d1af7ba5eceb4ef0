//! One run from its start to its report: load, faults, recovery, the drain, the verdict.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::{process, status, wait, wait_drained};
use tokio::task::JoinSet;

use crate::judge::{Expected, judge};
use crate::plan::Plan;
use crate::producer::{self, Load};
use crate::report::Report;
use crate::truth::Truth;
use crate::world::{STREAMS, World};

/// How long a backlog may take once all faults are over.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a fresh record may take then.
const FRESH_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs `plan` in the folder `dir`.
///
/// # Errors
/// When there is nothing to judge: something that must not end has ended, or could not be asked.
pub(crate) async fn run_in(plan: &Plan, dir: &Path) -> anyhow::Result<Report> {
    let started = wait::now_s();
    let seed = plan.seed.context("a plan has its seed by now")?;
    let mut world = World::start(plan, dir, seed).await.context("the world does not start")?;
    let load = Arc::new(Load {
        truth: Truth::create(&dir.join("truth"))?,
        base: world.server.base().to_owned(),
        streams: STREAMS.map(str::to_owned).to_vec(),
        seed,
        rate: plan.rate,
        partitioned: plan.is_partitioned(),
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
    let cycled = cycle_all(plan, &mut world, &load, &mut producers).await?;
    load.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = producers.join_next().await {
        ended.context("a producer panicked")??;
    }
    world.calm();
    let drained_from = wait::now_s();
    let settled = settle(&world, &load).await;
    let drain_s = wait::now_s() - drained_from;
    load.truth.sync()?;
    let (stuck, delivered) = match settled {
        Ok(delivered) => (None, delivered),
        Err(error) => (Some(format!("{error:#}")), Vec::new()),
    };
    let (prefixes, error_prefixes) = World::prefixes();
    let expected =
        Expected { prefixes: &prefixes, error_prefixes: &error_prefixes, partitioned: plan.is_partitioned(), seed };
    let verdict = judge(&world.bucket, &load.truth.claims(), &expected, &delivered, &mut world.witness)
        .await
        .context("the bucket cannot be read")?;
    let mut recoveries = cycled.recoveries_s;
    recoveries.sort_by(f64::total_cmp);
    let (struck, missed) = world.struck(plan);
    Ok(Report {
        run: plan.name(),
        seed,
        cycles: plan.cycles,
        good: verdict.is_good() && stuck.is_none() && missed.is_empty(),
        ended: None,
        stuck,
        struck,
        missed,
        verdict,
        recovery_p50_s: recoveries.get(recoveries.len() / 2).copied().unwrap_or(0.0),
        recovery_max_s: recoveries.last().copied().unwrap_or(0.0),
        drain_s,
        rss_peak_bytes: cycled.rss_peak_bytes,
        data_dir_peak_bytes: cycled.data_dir_peak_bytes,
        seconds: wait::now_s() - started,
    })
}

#[derive(Debug, Default)]
struct Cycled {
    recoveries_s: Vec<f64>,
    rss_peak_bytes: u64,
    data_dir_peak_bytes: u64,
}

/// Load, fault, recovery; as often as the plan says.
async fn cycle_all(
    plan: &Plan,
    world: &mut World,
    load: &Load,
    producers: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Cycled> {
    let mut cycled = Cycled::default();
    for cycle in 0..plan.cycles {
        load.cycle.store(cycle, Ordering::Relaxed);
        world.disturb(plan, cycle);
        let load_ms = plan.load_ms_min + world.below(plan.load_ms_max.saturating_sub(plan.load_ms_min));
        // The store is lost at any time of it, the server at its end.
        let before_ms = world.below(load_ms);
        tokio::time::sleep(Duration::from_millis(before_ms)).await;
        world.strike_store().with_context(|| format!("cycle {cycle}"))?;
        tokio::time::sleep(Duration::from_millis(load_ms - before_ms)).await;
        let (_, rss_peak_bytes) = process::rss_bytes(world.server.pid())
            .with_context(|| format!("the server ended by itself in cycle {cycle}:\n{}", world.server.log_tail()))?;
        cycled.rss_peak_bytes = cycled.rss_peak_bytes.max(rss_peak_bytes);
        cycled.data_dir_peak_bytes = cycled.data_dir_peak_bytes.max(process::dir_bytes(world.server.data_dir()));
        cycled.recoveries_s.push(world.strike(plan).await.with_context(|| format!("cycle {cycle}"))?);
        load.truth.sync()?;
        if let Some(ended) = producers.try_join_next() {
            ended.context("a producer panicked")??;
            anyhow::bail!("a producer ended by itself in cycle {cycle}");
        }
        eprintln!(
            "{} cycle {cycle}: acked {}, refused requests {}, unknown requests {}, recovery {:.3} s",
            plan.name(),
            load.acked.load(Ordering::Relaxed),
            load.refused.load(Ordering::Relaxed),
            load.unknown.load(Ordering::Relaxed),
            cycled.recoveries_s.last().copied().unwrap_or(0.0)
        );
    }
    Ok(cycled)
}

/// After the last fault: the backlog goes, and a fresh record of each stream arrives. Answers what the
/// server itself counts as delivered, by stream.
async fn settle(world: &World, load: &Load) -> anyhow::Result<Vec<u64>> {
    wait_drained(&world.server, DRAIN_TIMEOUT).await?;
    for stream in 0..STREAMS.len() {
        producer::fresh(load, u8::try_from(stream)?).await?;
    }
    wait_drained(&world.server, FRESH_TIMEOUT).await?;
    let mut delivered = Vec::with_capacity(STREAMS.len());
    for stream in STREAMS {
        delivered.push(status::status_of(world.server.base(), stream).await?.delivered);
    }
    Ok(delivered)
}
