//! The commands against a server, and without one: an error names what was asked for, the nearest name that
//! there is, and its page.

use std::process::Command;

use millrace_tests::{guests, server};

use crate::world::World;

/// Runs `millrace` with `args`; answers whether it ended well, and all that it said.
fn millrace(endpoint: &str, args: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(server::binary()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MILLRACE_") {
            command.env_remove(name);
        }
    }
    let output = command.env("MILLRACE_ENDPOINT", endpoint).args(args).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test]
async fn unknown_names_lead_to_the_nearest() -> anyhow::Result<()> {
    let world = World::start().await?;
    let at = world.server.base();
    for (args, empty) in [
        (&["status"] as &[_], "no delivery streams at"),
        (&["functions"], "no functions at"),
        (&["schema", "list"], "no tables at"),
    ] {
        let (well, said) = millrace(at, args)?;
        assert!(well && said.starts_with(empty), "{args:?}: {said}");
    }
    world.stream("flights", |d| d).await?;
    world.plain().deploy("identity", guests::module("identity")?, &[]).await?;
    let input = world.server.data_dir().join("input");
    std::fs::write(&input, "{\"n\":1}\n")?;
    let input = input.to_string_lossy().into_owned();
    for (args, error) in [
        (
            &["status", "flihgts"] as &[&str],
            "no delivery stream flihgts; did you mean flights? See: millrace explain stream.unknown",
        ),
        (
            &["status", "../x"],
            "no delivery stream ../x; `millrace status` lists all; see: millrace explain stream.unknown",
        ),
        (
            &["invoke", "idnetity", "--input", &input],
            "no function idnetity; did you mean identity? See: millrace explain function.unknown",
        ),
        (
            &["invoke", "identity", "--version", "7", "--input", &input],
            "the function identity version 7 is not deployed: `millrace deploy identity FILE.wasm`; see: millrace \
             explain function.unknown",
        ),
    ] {
        assert_eq!(millrace(at, args)?, (false, format!("millrace: {error}\n")), "{args:?}");
    }
    let (well, said) = millrace(at, &["status", "flights"])?;
    assert!(well && said.contains(" flights  0 "), "{said}");
    Ok(())
}

#[tokio::test]
async fn no_server_a_taken_port_and_folders_in_the_way_have_their_pages() -> anyhow::Result<()> {
    let world = World::start().await?;
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let shown = data.to_string_lossy().into_owned();
    let taken = world.server.base().trim_start_matches("http://");
    let serve = |listen| ["serve", "--dev", "--data-dir", &shown, "--listen", listen];
    let page = |args: &[&str], slug: &str| -> anyhow::Result<()> {
        let (well, said) = millrace("http://127.0.0.1:1", args)?;
        anyhow::ensure!(!well && said.trim_end().ends_with(&format!("millrace explain {slug}")), "{args:?}: {said}");
        Ok(())
    };
    page(&["status"], "server.unreachable")?;
    page(&serve(taken), "server.address")?;
    for (in_the_way, slug) in
        [("outbox", "outbox.open"), ("keys", "server.data-dir"), ("catalog.redb", "catalog.storage")]
    {
        std::fs::create_dir_all(&data)?;
        std::fs::write(data.join(in_the_way), "a file")?;
        page(&serve("127.0.0.1:0"), slug)?;
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::write(&data, "a file")?;
    let below = format!("{shown}/below");
    page(&["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir", &below], "server.data-dir")?;
    Ok(())
}

#[test]
fn a_command_whose_output_nobody_reads_ends_quietly() -> anyhow::Result<()> {
    for args in [&["compatibility"] as &[_], &["explain"], &["new", "shout", "-t", "c"]] {
        let dir = tempfile::tempdir()?;
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let ended = Command::new(server::binary()?).args(args).current_dir(dir.path()).stdout(writer).output()?;
        // What a shell says of a tool that SIGPIPE ended.
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(141), ""), "{args:?}");
    }
    Ok(())
}
