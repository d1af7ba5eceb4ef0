//! Functions through the API: what a hostile one does stays with its own records.

use millrace_tests::{Destination, decode, guests, status_of, wait_drained};

use crate::world::{DRAIN, World};

/// Deploys a guest example and creates a stream `name` that calls it.
async fn stream_with(world: &World, name: &str, guest: &str, headers: &[(&str, &str)]) -> anyhow::Result<()> {
    world.plain().deploy(guest, guests::module(guest)?, headers).await?;
    world
        .stream(name, |d| Destination {
            prefix: Some(format!("{name}/")),
            error_prefix: Some(format!("errors/{name}/!{{firehose:error-output-type}}/")),
            function: Some(guest.to_owned()),
            ..d
        })
        .await
}

#[tokio::test]
async fn a_good_function_turns_every_record_and_can_be_invoked() -> anyhow::Result<()> {
    let world = World::start().await?;
    stream_with(&world, "same", "identity", &[]).await?;
    world.put("same", 0, 2_000).await?;
    assert_eq!(world.delivered("out", "same/").await?, (0..2_000).collect::<Vec<u64>>());
    let outcome = world.plain().send("POST", "/v1/functions/identity/invoke", &[], "{\"n\":1}\n{\"n\":2}\n").await?;
    assert_eq!(outcome.status, 200, "{}", outcome.text());
    Ok(())
}

#[tokio::test]
async fn a_poison_record_stands_alone_in_the_error_prefix() -> anyhow::Result<()> {
    let world = World::start().await?;
    stream_with(&world, "trap", "trap-on-one", &[]).await?;
    let mut lines: Vec<String> = (0..500).map(|n| format!("{{\"n\":{n}}}")).collect();
    lines.insert(250, "{\"n\":9999,\"x\":\"poison\"}".to_owned());
    world.plain().put_lines("trap", lines.join("\n")).await?.ok()?;
    assert_eq!(world.delivered("out", "trap/").await?, (0..500).collect::<Vec<u64>>());
    let status = status_of(world.server.base(), "trap").await?;
    assert_eq!((status.delivered, status.failed, status.balance), (500, 1, 0));
    let errors = world.bucket("out").records("errors/trap/processing-failed/").await?;
    assert_eq!(errors.len(), 1);
    let (original, code) = decode::failure(&errors[0])?;
    assert_eq!(original, lines[250].as_bytes());
    assert!(code.starts_with("Lambda."), "{code}");
    Ok(())
}

#[tokio::test]
async fn hostile_functions_harm_only_their_own_stream() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.stream("bystander", |d| Destination { prefix: Some("bystander/".to_owned()), ..d }).await?;
    let hostile = ["spin", "eat-memory", "deep-recursion", "rubbish", "huge-output"];
    for guest in hostile {
        stream_with(&world, guest, guest, &[("x-millrace-deadline-ms", "100")]).await?;
    }
    for guest in hostile {
        world.put(guest, 0, 3).await?;
    }
    world.put("bystander", 0, 1_000).await?;
    assert_eq!(world.delivered("out", "bystander/").await?, (0..1_000).collect::<Vec<u64>>());
    wait_drained(&world.server, DRAIN).await?;
    for guest in hostile {
        let status = status_of(world.server.base(), guest).await?;
        assert_eq!((status.delivered, status.failed, status.balance), (0, 3, 0), "{guest}");
        let errors = world.bucket("out").records(&format!("errors/{guest}/processing-failed/")).await?;
        let mut originals = Vec::new();
        for line in &errors {
            originals.push(decode::failure(line)?.0);
        }
        originals.sort();
        assert_eq!(originals, [b"{\"n\":0}".to_vec(), b"{\"n\":1}".to_vec(), b"{\"n\":2}".to_vec()], "{guest}");
    }
    Ok(())
}

#[tokio::test]
async fn a_module_that_imports_a_file_system_is_refused_by_name() -> anyhow::Result<()> {
    let world = World::start().await?;
    let refused = world.plain().send("PUT", "/v1/functions/file-system", &[], guests::module("file-system")?).await?;
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    let said = refused.text();
    assert!(said.contains("filesystem") || said.contains("path_open"), "the import is named: {said}");
    let rubbish = world.plain().send("PUT", "/v1/functions/rubbish", &[], "not wasm at all").await?;
    assert!((400..500).contains(&rubbish.status), "{}", rubbish.text());
    assert!(world.server.is_ready().await);
    Ok(())
}

#[tokio::test]
async fn a_partition_name_that_one_record_alone_has_fails_only_that_record() -> anyhow::Result<()> {
    let world = World::start_with(|options| options.env("MILLRACE_DELIVERY_INTERVAL_SCALE", "0.01")).await?;
    world.plain().deploy("partition", guests::module("partition")?, &[]).await?;
    world
        .stream("parts", |d| Destination {
            prefix: Some("parts/!{partitionKeyFromLambda:k}/".to_owned()),
            error_prefix: Some("errors/!{firehose:error-output-type}/".to_owned()),
            function: Some("partition".to_owned()),
            partitioned: true,
            ..d
        })
        .await?;
    world.plain().put_lines("parts", "k=a;{\"n\":1}\nj=b;{\"n\":2}\nk=a;j=b;{\"n\":3}").await?.ok()?;
    assert_eq!(world.delivered("out", "parts/a/").await?, [1, 3]);
    let status = status_of(world.server.base(), "parts").await?;
    assert_eq!((status.delivered, status.failed, status.balance), (2, 1, 0));
    Ok(())
}

#[tokio::test]
async fn a_version_that_cannot_start_under_its_own_memory_is_not_deployed() -> anyhow::Result<()> {
    let world = World::start().await?;
    stream_with(&world, "same", "identity", &[]).await?;
    let headers = [("content-type", "application/wasm"), ("x-millrace-memory-bytes", "65536")];
    let refused = world.plain().send("PUT", "/v1/functions/identity", &headers, guests::module("identity")?).await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("function.start"), "{}", refused.text());
    world.put("same", 0, 10).await?;
    assert_eq!(world.delivered("out", "same/").await?, (0..10).collect::<Vec<u64>>());
    Ok(())
}

/// Each entry of a sealed cache with the code of the one before it: what somebody would write who wants other code
/// to run.
fn swapped(sealed: &[u8]) -> Vec<u8> {
    let (seal, mut rest) = sealed.split_at(72);
    let mut entries = Vec::new();
    while let Some((head, behind)) = rest.split_at_checked(36) {
        let length = u32::from_le_bytes([head[32], head[33], head[34], head[35]]) as usize;
        let (code, behind) = behind.split_at(length);
        entries.push((&head[..32], code));
        rest = behind;
    }
    let codes: Vec<&[u8]> = entries.iter().map(|(_, code)| *code).collect();
    let mut out = seal.to_vec();
    for ((key, _), code) in entries.iter().zip(codes.iter().cycle().skip(codes.len() - 1)) {
        out.extend_from_slice(key);
        out.extend_from_slice(&u32::try_from(code.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(code);
    }
    out
}

#[tokio::test]
async fn code_that_is_kept_for_the_next_version_is_believed_under_the_server_s_seal_only() -> anyhow::Result<()> {
    let world = World::start().await?;
    let module = guests::module("identity")?;
    let cache = world.server.data_dir().join("functions/identity.cache");
    world.plain().deploy("identity", module.clone(), &[]).await?;
    let other_code = swapped(&std::fs::read(&cache)?);
    std::fs::write(&cache, &other_code)?;
    // The same code in another file: a custom section named x.
    let other = [&module[..], &[0, 2, 1, b'x']].concat();
    world.plain().deploy("identity", other.into(), &[]).await?;
    let outcome = world.plain().send("POST", "/v1/functions/identity/invoke", &[], "{\"n\":1}\n").await?;
    assert_eq!(outcome.status, 200, "{}", outcome.text());
    assert_eq!(outcome.json()?["outputs"], 1, "{}", outcome.text());
    assert!(std::fs::read(&cache)? != other_code, "it is made again");
    Ok(())
}
