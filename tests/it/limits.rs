//! The disk's limits: over them puts are refused by name, deliveries go on, and it recovers by itself.

use std::time::Duration;

use millrace_tests::http::Answer;
use millrace_tests::{Destination, status_of, wait};

use crate::world::World;

const RECORD_BYTES: usize = 20_000;

async fn put_large(world: &World, stream: &str, number: u64) -> anyhow::Result<Answer> {
    let pad = "y".repeat(RECORD_BYTES);
    let lines: Vec<String> = (0..40).map(|n| format!("{{\"n\":{},\"pad\":\"{pad}\"}}", number * 40 + n)).collect();
    world.plain().put_lines(stream, lines.join("\n")).await
}

/// Puts until one is refused; answers how many were taken.
async fn fill(world: &World, stream: &str) -> anyhow::Result<(u64, Answer)> {
    for number in 0..2_000 {
        let answer = put_large(world, stream, number).await?;
        if answer.status != 200 {
            return Ok((number * 40, answer));
        }
    }
    anyhow::bail!("the disk limit was never reached")
}

#[tokio::test]
async fn a_stream_over_its_disk_share_is_refused_alone_and_recovers() -> anyhow::Result<()> {
    let world = World::start_with(|options| options.env("MILLRACE_JOURNAL_BACKLOG_BYTES_MAX", "4194304")).await?;
    let objects = world.server.data_dir().join("objects");
    std::fs::create_dir_all(&objects)?;
    std::fs::write(objects.join("dead"), b"not a folder")?;
    world.stream("full", |d| Destination { bucket: "dead".to_owned(), ..d }).await?;
    world.stream("fine", |d| d).await?;
    let (taken, refusal) = fill(&world, "full").await?;
    assert!(taken > 0);
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert!(refusal.text().contains("stream.backlog"), "the condition has a name: {}", refusal.text());
    let large = vec![b'x'; 900_000];
    assert!(!world.firehose().put("full", &large).await?, "and so over the Firehose API");
    assert_eq!(put_large(&world, "fine", 0).await?.status, 200, "the neighbour is taken");

    std::fs::remove_file(objects.join("dead"))?;
    wait::until("the stream to be taken again", Duration::from_secs(60), || async {
        Ok((put_large(&world, "full", taken / 40).await?.status == 200).then_some(()))
    })
    .await?;
    assert_eq!(world.delivered("dead", "").await?, (0..taken + 40).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_puts_while_deliveries_go_on() -> anyhow::Result<()> {
    let world = World::start_with(|options| {
        // No shard lags, so the disk as a whole is the limit.
        options
            .env("MILLRACE_JOURNAL_SEGMENT_BYTES", "1048576")
            .env("MILLRACE_JOURNAL_DISK_BYTES_MAX", "8388608")
            .env("MILLRACE_JOURNAL_LAG_SEGMENTS", "1000")
    })
    .await?;
    world.stream("s", |d| Destination { window: (128, 5), ..d }).await?;
    let (taken, refusal) = fill(&world, "s").await?;
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert!(refusal.text().contains("journal.full"), "{}", refusal.text());
    // The window closes, its records are delivered and committed although no put is taken, and that
    // makes room.
    wait::until("room", Duration::from_secs(60), || async {
        Ok((put_large(&world, "s", taken / 40).await?.status == 200).then_some(()))
    })
    .await?;
    assert_eq!(world.delivered("out", "").await?, (0..taken + 40).collect::<Vec<u64>>());
    assert_eq!(status_of(world.server.base(), "s").await?.failed, 0);
    Ok(())
}

/// A client that is cut off while it writes would see a broken pipe.
#[tokio::test]
async fn an_upload_over_the_limit_gets_its_answer() -> anyhow::Result<()> {
    let world = World::start().await?;
    let answer = world.plain().send("PUT", "/v1/functions/large", &[], vec![0; 100 << 20]).await?;
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.text().contains("request.too-large"), "{}", answer.text());
    Ok(())
}
