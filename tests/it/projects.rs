//! A function project, from nothing to its records: new, build, test, deploy, put, read back, replay.

use std::path::Path;
use std::process::Command;

use millrace_tests::{Destination, server, wait_drained};

use crate::world::{DRAIN, World};

/// Runs `millrace` in `dir`; answers its status and all that it said.
fn millrace(dir: &Path, endpoint: &str, args: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = Command::new(server::binary()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MILLRACE_") {
            command.env_remove(name);
        }
    }
    let output = command.env("MILLRACE_ENDPOINT", endpoint).current_dir(dir).args(args).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test]
async fn a_rust_project_goes_from_nothing_to_its_records() -> anyhow::Result<()> {
    let world = World::start().await?;
    let at = world.server.base().to_owned();
    let parent = tempfile::tempdir()?;
    let run = |dir: &Path, args: &[&str]| millrace(dir, &at, args);
    let (status, said) = run(parent.path(), &["new", "shout", "-t", "rust"])?;
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = run(parent.path(), &["new", "shout", "-t", "rust"])?;
    assert!(status == Some(1) && said.contains("shout is there already"), "{said}");

    let dir = parent.path().join("shout");
    let (status, said) = run(&dir, &["test"])?;
    assert!(status == Some(1) && said.contains("shout.wasm is not built: `millrace build` does it"), "{said}");
    let (status, said) = run(&dir, &["build"])?;
    assert!(status == Some(0) && said.contains("millrace:transform/log"), "{said}");
    let (status, said) = run(&dir, &["test"])?;
    assert!(status == Some(0) && said.contains(" passed, 0 failed\n"), "{said}");
    let again = run(&dir, &["test", "--json"])?.1;
    let fuel =
        |text: &str| text.lines().filter(|line| line.contains("\"fuel\"")).map(str::to_owned).collect::<Vec<_>>();
    assert!(!fuel(&again).is_empty(), "{again}");
    assert_eq!(fuel(&again), fuel(&run(&dir, &["test", "--json"])?.1), "the same operations each time");

    let wrong = parent.path().join("wrong.toml");
    std::fs::write(&wrong, "[[test]]\nname = 'wrong'\n[[test.record]]\ndata = 'no order'\n[[test.expect]]\n")?;
    let wrong = wrong.to_string_lossy().into_owned();
    let (status, said) = run(&dir, &["test", "--tests", &wrong])?;
    assert!(status == Some(1) && said.contains("FAIL  wrong") && said.contains("expected  Ok"), "{said}");

    let (status, said) = run(&dir, &["deploy"])?;
    assert!(status == Some(0) && said.starts_with("shout version 1 deployed"), "{said}");
    let (status, said) = run(&dir, &["test", "--server", "shout"])?;
    assert!(status == Some(0) && said.contains(" passed, 0 failed\n"), "{said}");

    world.stream("orders", |stream| Destination { function: Some("shout".to_owned()), ..stream }).await?;
    let good = r#"{"id":1,"currency":"EUR","price":2.5,"count":4}"#;
    let bad = r#"{"id":2,"currency":"EUR","price":2.5,"count":0}"#;
    world.plain().put_lines("orders", format!("{good}\n{bad}")).await?.ok()?;
    wait_drained(&world.server, DRAIN).await?;
    let keys = world.bucket("out").list("").await?;
    let failed: Vec<_> = keys.iter().filter(|key| key.contains("processing-failed")).collect();
    assert!(failed.len() == 1 && keys.len() == 2, "{keys:?}");

    let data_dir = world.server.data_dir().to_string_lossy().into_owned();
    let replay = |from: &str| run(&dir, &["test", "--from-failed", from, "--data-dir", &data_dir]);
    let (status, said) = replay(&format!("s3://out/{}", failed[0]))?;
    assert!(status == Some(1) && said.contains("1 record: 0 ok, 0 dropped, 1 failed again"), "{said}");
    // A function that takes such an order: the same error object has nothing that fails.
    let lib = dir.join("src/lib.rs");
    std::fs::write(&lib, std::fs::read_to_string(&lib)?.replace("order.count == 0", "order.count == 99"))?;
    assert_eq!(run(&dir, &["build"])?.0, Some(0));
    let (status, said) = replay(&world.server.bucket_dir("out").join(failed[0]).to_string_lossy())?;
    assert!(status == Some(0) && said.contains("1 record: 1 ok, 0 dropped, 0 failed again"), "{said}");
    Ok(())
}
