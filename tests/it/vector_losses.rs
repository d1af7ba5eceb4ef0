//! The four ways in which Vector loses records that it had acknowledged, each as a test of ours. The first
//! three have been seen to fail on servers with such bugs: commit before put, acknowledgement out of memory,
//! acknowledgement by a full journal. The fourth goes by the journal's own count of syncs, which the writer keeps; that
//! each of them is one, and comes before the answer, is counted by the disk itself, with its live and its durable
//! image apart: `vector_losses_no_answer_comes_before_a_sync_of_its_own` in `runtime/log`.
//!
//! 1. Acknowledgements credited to the wrong records after a restart.
//! 2. A 200 once a record is encoded and not yet written.
//! 3. A full buffer that keeps records in memory only.
//! 4. fsync on a timer.

use std::time::Duration;

use millrace_tests::{Destination, status, status_of, wait};

use crate::world::World;

/// A file in the place of the bucket's folder, so that nothing can be delivered to it.
fn block(world: &World, bucket: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = world.server.bucket_dir(bucket);
    std::fs::create_dir_all(world.server.data_dir().join("objects"))?;
    std::fs::write(&path, b"not a folder")?;
    Ok(path)
}

#[tokio::test]
async fn a_restart_credits_no_delivery_to_records_that_were_not_delivered() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    world.stream("s", |d| d).await?;
    world.put("s", 0, 300).await?;
    assert_eq!(world.delivered("out", "").await?.len(), 300);
    // From here on nothing can be delivered, and the reader starts over with each life.
    let objects = world.server.data_dir().join("objects");
    std::fs::rename(objects.join("out"), objects.join("kept"))?;
    let blocked = block(&world, "out")?;
    for life in 1..4 {
        world.put("s", life * 300, (life + 1) * 300).await?;
        world.server.kill()?;
        world.server.restart().await?;
        // Parked again: by now the reader has found its place, and what it read has been tried in vain.
        let status = wait::until("a new attempt", Duration::from_secs(30), || async {
            Ok(Some(status_of(world.server.base(), "s").await?).filter(|status| status.parked.is_some()))
        })
        .await?;
        assert_eq!((status.delivered, status.pending), (300, life * 300), "life {life}");
    }
    std::fs::remove_file(blocked)?;
    std::fs::rename(objects.join("kept"), objects.join("out"))?;
    assert_eq!(world.delivered("out", "").await?, (0..1_200).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test]
async fn a_record_is_there_even_if_the_answer_was_the_last_thing_that_happened() -> anyhow::Result<()> {
    let mut world = World::start_with(|options| options.env("MILLRACE_DELIVERY_INTERVAL_SCALE", "1")).await?;
    world.stream("s", |d| Destination { window: (128, 5), ..d }).await?;
    const ROUNDS: u64 = 12;
    for round in 0..ROUNDS {
        world.put("s", round * 50, (round + 1) * 50).await?;
        world.server.kill()?;
        world.server.restart().await?;
        assert_eq!(status_of(world.server.base(), "s").await?.accepted, (round + 1) * 50, "round {round}");
    }
    assert_eq!(world.delivered("out", "").await?, (0..ROUNDS * 50).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test]
async fn a_full_journal_refuses_and_keeps_nothing_in_memory_only() -> anyhow::Result<()> {
    let mut world = World::start_with(|options| {
        options.env("MILLRACE_JOURNAL_SEGMENT_BYTES", "1048576").env("MILLRACE_JOURNAL_DISK_BYTES_MAX", "8388608")
    })
    .await?;
    let blocked = block(&world, "out")?;
    world.stream("s", |d| d).await?;
    let pad = "z".repeat(2_000);
    let mut acked = Vec::new();
    let mut refusals = 0;
    for round in 0..400u64 {
        let numbers: Vec<u64> = (round * 50..(round + 1) * 50).collect();
        let lines: Vec<String> = numbers.iter().map(|n| format!("{{\"n\":{n},\"pad\":\"{pad}\"}}")).collect();
        let answer = world.plain().put_lines("s", lines.join("\n")).await?;
        if answer.status == 200 {
            acked.extend(numbers);
        } else {
            assert_eq!(answer.status, 503, "{}", answer.text());
            refusals += 1;
        }
    }
    assert!(refusals > 0 && !acked.is_empty(), "{} acknowledged, {refusals} refused", acked.len());
    world.server.kill()?;
    std::fs::remove_file(blocked)?;
    world.server.restart().await?;
    assert_eq!(world.delivered("out", "").await?, acked, "all that was acknowledged, none of what was refused");
    Ok(())
}

#[tokio::test]
async fn every_lone_put_waits_for_an_fsync_of_its_own() -> anyhow::Result<()> {
    let world = World::start().await?;
    // Windows stay open: no sync but that of the puts.
    world.stream("s", |d| Destination { window: (128, 900), ..d }).await?;
    let syncs = || async {
        let (_, journal) = status::status(world.server.base()).await?;
        journal["fsyncs"].as_u64().ok_or_else(|| anyhow::anyhow!("no fsyncs in {journal}"))
    };
    wait::until("a quiet journal", Duration::from_secs(10), || async {
        let before = syncs().await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok((syncs().await? == before).then_some(()))
    })
    .await?;
    for number in 0..20 {
        let before = syncs().await?;
        world.put("s", number, number + 1).await?;
        let after = syncs().await?;
        assert!(after > before, "put {number} was acknowledged with no fsync between");
    }
    Ok(())
}
