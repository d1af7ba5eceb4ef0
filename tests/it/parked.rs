//! A destination that says no parks its own stream: neighbours go on, the journal is not pinned, and
//! nothing is dropped.

use std::time::Duration;

use millrace_tests::proxy::Faults;
use millrace_tests::{Destination, Keys, Proxy, ServerOptions, process, status_of, wait};

use crate::exactly_once::store::Memory;
use crate::world::World;

const STREAMS: u64 = 10;
/// Small segments, so that a few MiB of load fill many of them.
const SEGMENT_BYTES: &str = "1048576";

/// Streams `s0` to `s9`, the last of which goes to a bucket that cannot be.
async fn ten_streams(world: &World) -> anyhow::Result<()> {
    for number in 0..STREAMS {
        let bucket = if number == STREAMS - 1 { "dead" } else { "out" };
        let prefix = Some(format!("s{number}/"));
        world.stream(&format!("s{number}"), |d| Destination { bucket: bucket.to_owned(), prefix, ..d }).await?;
    }
    Ok(())
}

/// `rounds` requests of 200 large records to each stream; answers the numbers that each has then.
async fn load(world: &World, rounds: u64) -> anyhow::Result<u64> {
    let pad = "x".repeat(400);
    for round in 0..rounds {
        for stream in 0..STREAMS {
            let lines: Vec<String> =
                (0..200).map(|n| format!("{{\"n\":{},\"pad\":\"{pad}\"}}", round * 200 + n)).collect();
            world.plain().put_lines(&format!("s{stream}"), lines.join("\n")).await?.ok()?;
        }
    }
    Ok(rounds * 200)
}

#[tokio::test]
async fn one_dead_destination_among_ten_neither_stops_the_others_nor_pins_the_journal() -> anyhow::Result<()> {
    let change = |options: ServerOptions| options.env("MILLRACE_JOURNAL_SEGMENT_BYTES", SEGMENT_BYTES);
    let mut world = World::start_with(change).await?;
    // A file where the bucket's folder should be: the local folder's way to say no.
    let objects = world.server.data_dir().join("objects");
    std::fs::create_dir_all(&objects)?;
    std::fs::write(objects.join("dead"), b"not a folder")?;
    ten_streams(&world).await?;
    let each = load(&world, 40).await?;
    for stream in 0..STREAMS - 1 {
        let name = format!("s{stream}");
        wait::until("a neighbour's delivery", Duration::from_secs(60), || async {
            let status = status_of(world.server.base(), &name).await?;
            Ok((status.pending == 0 && status.delivered == each).then_some(()))
        })
        .await?;
    }
    let dead = status_of(world.server.base(), "s9").await?;
    assert_eq!((dead.pending, dead.delivered, dead.balance), (each, 0, 0));
    let parked = dead.parked.expect("it says why it is parked");
    assert!(parked.message.contains("dead") || parked.message.contains("s9"), "{parked:?}");

    // What the dead stream holds moves to runs of its own: the shared segments go.
    let journal = world.server.data_dir().join("journal");
    wait::until("the journal's segments to be freed", Duration::from_secs(30), || async {
        let own = process::dir_bytes(&journal.join("settled"));
        let shared = process::dir_bytes(&journal) - own;
        Ok((own > 0 && shared < 16 << 20).then_some(()))
    })
    .await?;

    // Across a crash, and once the bucket is there, all of it arrives once.
    world.server.kill()?;
    std::fs::remove_file(objects.join("dead"))?;
    world.server.restart().await?;
    let all: Vec<u64> = (0..each).collect();
    assert_eq!(world.delivered("dead", "").await?, all);
    for stream in 0..STREAMS - 1 {
        assert_eq!(world.delivered("out", &format!("s{stream}/")).await?, all, "stream s{stream}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_gone_parks_and_its_return_resumes() -> anyhow::Result<()> {
    let stored = Memory::start().await?;
    let proxy = Proxy::start(&stored.endpoint, 1).await?;
    proxy.set(Faults { always: Some(404), ..Faults::default() });
    let world = World::start_with(|options| options.s3(proxy.endpoint(), &Keys::any())).await?;
    world.stream("s", |d| Destination { bucket: "missing".to_owned(), ..d }).await?;
    world.put("s", 0, 500).await?;
    let parked = wait::until("the alarm", Duration::from_secs(30), || async {
        Ok(status_of(world.server.base(), "s").await?.parked)
    })
    .await?;
    assert_eq!(parked.code, "NoSuchBucket");
    assert!(parked.message.contains("missing"), "it names the bucket: {parked:?}");
    world.put("s", 500, 600).await?;
    let status = status_of(world.server.base(), "s").await?;
    assert_eq!((status.accepted, status.pending, status.failed), (600, 600, 0), "nothing is dropped");
    assert_eq!(stored.puts(), 0);

    // The store comes back, and nobody tells the server.
    proxy.set(Faults::default());
    millrace_tests::wait_drained(&world.server, crate::world::DRAIN).await?;
    let status = wait::until("the end of the alarm", Duration::from_secs(30), || async {
        let status = status_of(world.server.base(), "s").await?;
        Ok(status.parked.is_none().then_some(status))
    })
    .await?;
    assert_eq!((status.delivered, status.failed, status.balance), (600, 0, 0));
    let mut numbers = Vec::new();
    for (key, versions) in stored.objects() {
        let body = versions.last().expect("a key has an object");
        for record in millrace_tests::decode::records(&key, body)? {
            numbers.push(serde_json::from_slice::<serde_json::Value>(&record)?["n"].as_u64());
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..600).map(Some).collect::<Vec<_>>(), "all of it, once");
    Ok(())
}
