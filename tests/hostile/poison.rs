//! Records on which a function breaks, in many ways: each stands alone in the error prefix, every other is delivered.

use anyhow::Context as _;
use millrace_tests::{Destination, decode, status_of};

use crate::guests::{IDENTITY, guest};
use crate::world::{World, deploy_as};

/// Records of a stream, the poisonous among them.
const RECORDS: u64 = 400;
/// The numbers of the poisonous ones: at the ends, side by side, and alone.
const POISON: [u64; 6] = [0, 130, 131, 132, 250, 399];

/// Ways to break: name, what the function does on a poisonous record, the code of the error object.
const WAYS: [(&str, &str, &str); 6] = [
    ("traps", "unreachable", "Lambda.FunctionError"),
    ("recurses", "(return (call $again))", "Lambda.FunctionError"),
    (
        "eats",
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        "Lambda.FunctionError",
    ),
    ("lies", "(i32.store (local.get $ends) (i32.const -1))", "Lambda.InvalidReturnFormat"),
    (
        "bursts",
        "(return (call $identity (i32.const 0) (i32.const -1) (local.get $ends) (local.get $records)))",
        "Lambda.InvalidReturnFormat",
    ),
    ("refuses", "(return (call $error (i32.const 1024) (i32.const 4)))", "Lambda.FunctionError"),
];

fn poisoned(way: &str) -> Vec<u8> {
    guest(
        &format!("(if (call $has (local.get $payload) (local.get $bytes) (i32.const 33)) (then {way})) {IDENTITY}"),
        "(func $again (result i32) (i32.add (call $again) (i32.const 1))) (data (i32.const 1024) \"no !\")",
    )
}

fn record(number: u64) -> String {
    if POISON.contains(&number) { format!("{{\"n\":{number},\"x\":\"!\"}}") } else { format!("{{\"n\":{number}}}") }
}

#[tokio::test]
async fn poison_stands_alone_whatever_it_does() -> anyhow::Result<()> {
    let world = World::start().await?;
    for (name, way, _) in WAYS {
        deploy_as(&world, name, poisoned(way).into()).await?.ok()?;
        let retries = |d: Destination| Destination {
            prefix: Some(format!("{name}/")),
            error_prefix: Some(format!("errors/{name}/!{{firehose:error-output-type}}/")),
            function: Some(name.to_owned()),
            ..d
        };
        world.stream(name, retries).await?;
    }
    let lines: Vec<String> = (0..RECORDS).map(record).collect();
    for (name, ..) in WAYS {
        world.plain().put_lines(name, lines.join("\n")).await?.ok()?;
    }
    let good: Vec<u64> = (0..RECORDS).filter(|n| !POISON.contains(n)).collect();
    for (name, _, code) in WAYS {
        assert_eq!(world.delivered("out", &format!("{name}/")).await?, good, "{name}");
        let mut failed = Vec::new();
        for line in world.bucket("out").records(&format!("errors/{name}/processing-failed/")).await? {
            let (original, said) = decode::failure(&line)?;
            assert_eq!(said, code, "{name}");
            let value: serde_json::Value = serde_json::from_slice(&original)?;
            failed.push(value["n"].as_u64().context("a number")?);
        }
        failed.sort_unstable();
        assert_eq!(failed, POISON, "{name}");
        let status = status_of(world.server.base(), name).await?;
        let counts = (status.delivered, status.failed, status.dropped, status.balance);
        assert_eq!(counts, (RECORDS - POISON.len() as u64, POISON.len() as u64, 0, 0), "{name}");
    }
    Ok(())
}
