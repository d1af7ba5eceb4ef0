//! Start and stop: refusal without keys, one process for a data directory, a clean stop that flushes.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use millrace_tests::{Destination, ServerOptions, process, server, wait_drained};

use crate::world::{DRAIN, World};

/// Runs a server that must not start; answers what it says.
async fn refused(options: &ServerOptions) -> anyhow::Result<String> {
    let mut child = options.command()?.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let code = process::wait_exit(&mut child, Duration::from_secs(20)).await;
    if code.is_err() {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    anyhow::ensure!(code?.is_some_and(|code| code != 0), "it ended well");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn without_keys_it_starts_on_no_other_address_than_loopback() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut options = ServerOptions::dev(&dir.path().join("data"));
    options.listen = "0.0.0.0:0".to_owned();
    let dev = refused(&options).await?;
    assert!(dev.contains("loopback"), "{dev}");
    options.dev = false;
    let plain = refused(&options).await?;
    assert!(plain.contains("MILLRACE_ACCESS_KEY_ID"), "it says what to set: {plain}");
    Ok(())
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.stream("s", |d| d).await?;
    world.put("s", 0, 10).await?;
    let mut twin = world.server.options().clone();
    twin.listen = "127.0.0.1:0".to_owned();
    // Frozen is not gone: the lock is the kernel's.
    world.server.freeze(true)?;
    let said = refused(&twin).await;
    world.server.freeze(false)?;
    assert!(said?.contains("data"), "the refusal names the data directory");
    assert_eq!(world.delivered("out", "").await?, (0..10).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test]
async fn an_unknown_setting_is_refused_with_the_nearest_name() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let options = ServerOptions::dev(&dir.path().join("data")).env("MILLRACE_DELIVERY_INTERVAL_SCAEL", "1");
    let said = refused(&options).await?;
    assert!(said.contains("MILLRACE_DELIVERY_INTERVAL_SCALE"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_clean_stop_flushes_open_windows_and_is_quick() -> anyhow::Result<()> {
    let mut world = World::start_with(|options| options.env("MILLRACE_DELIVERY_INTERVAL_SCALE", "1")).await?;
    world.stream("s", |d| Destination { window: (128, 900), ..d }).await?;
    world.put("s", 0, 1_000).await?;
    assert!(world.bucket("out").list("").await?.is_empty(), "the window is open for 900 s");
    let (code, seconds) = world.server.stop().await?;
    assert_eq!(code, Some(0), "{}", world.server.log_tail());
    assert!(!world.bucket("out").list("").await?.is_empty(), "the stop flushed it, after {seconds:.2} s");
    world.server.restart().await?;
    assert_eq!(world.delivered("out", "").await?, (0..1_000).collect::<Vec<u64>>());
    Ok(())
}

#[tokio::test]
async fn a_journal_that_lost_its_end_refuses_the_start_until_that_is_accepted() -> anyhow::Result<()> {
    let mut world = World::start().await?;
    world.stream("s", |d| d).await?;
    world.put("s", 0, 500).await?;
    world.server.kill()?;
    let segment = world.server.data_dir().join("journal/0000000000000001.seg");
    // In the midst of the first frame of records.
    std::fs::File::options().write(true).open(&segment)?.set_len(12_400)?;
    let said = refused(world.server.options()).await?;
    assert!(said.contains("journal.lost") && said.contains("0000000000000001.seg"), "{said}");
    let mut verify = std::process::Command::new(server::binary()?);
    let verify = verify.args(["journal", "verify"]).arg(world.server.data_dir()).output()?;
    assert_eq!(verify.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&verify.stdout).into_owned();
    assert!(shown.contains("lost: 0000000000000001.seg") && shown.contains("mark: "), "{shown}");
    let accept = said.split("journal.accept_loss = \"").nth(1).and_then(|rest| rest.split('"').next());
    let accept = accept.context("the refusal says how to go on")?.to_owned();
    world.server.set_options(|options| *options = options.clone().env("MILLRACE_JOURNAL_ACCEPT_LOSS", &accept));
    world.server.restart().await?;
    world.put("s", 500, 510).await?;
    wait_drained(&world.server, DRAIN).await?;
    Ok(())
}

#[tokio::test]
async fn health_says_ready_without_a_key() -> anyhow::Result<()> {
    let world = World::start().await?;
    assert!(world.server.is_ready().await);
    let metrics = millrace_tests::http::Client::new(world.server.base());
    let page = metrics.send("GET", "/metrics", &[], "").await?.ok().context("metrics")?.text();
    assert!(page.contains("# HELP") || page.contains("# TYPE"), "{page}");
    Ok(())
}
