//! Input that would be taken in part, or found out too late: refused by name, or followed as it says.

use millrace_tests::http::{Answer, Client};
use millrace_tests::server::binary;
use millrace_tests::{Destination, wait_drained};
use serde_json::{Value, json};

use crate::world::{DRAIN, World};

async fn put_table(world: &World, table: &str, columns: &[&str]) -> anyhow::Result<Answer> {
    let columns: Vec<Value> = columns.iter().map(|name| json!({ "name": name, "type": "int" })).collect();
    world.plain().send("PUT", &format!("/v1/schemas/{table}"), &[], Value::from(columns).to_string()).await
}

/// The request that creates a stream which converts by the table `db.t` in this version.
fn converting(name: &str, version: &str) -> Value {
    let mut destination = Destination {
        parquet: Some("SNAPPY".to_owned()),
        prefix: Some(format!("{name}/")),
        ..Destination::gzip("out")
    }
    .to_json();
    destination["DataFormatConversionConfiguration"]["SchemaConfiguration"] =
        json!({ "DatabaseName": "db", "TableName": "t", "VersionId": version });
    json!({ "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination })
}

async fn rows(world: &World, prefix: &str) -> anyhow::Result<Vec<String>> {
    wait_drained(&world.server, DRAIN).await?;
    let records = world.bucket("out").records(prefix).await?;
    let mut rows: Vec<String> = records.iter().map(|row| String::from_utf8_lossy(row).into_owned()).collect();
    rows.sort_unstable();
    Ok(rows)
}

#[tokio::test]
async fn a_running_stream_follows_its_table_and_a_pinned_one_does_not() -> anyhow::Result<()> {
    let world = World::start().await?;
    put_table(&world, "db/t", &["a"]).await?.ok()?;
    for (name, version) in [("latest", "LATEST"), ("first", "1")] {
        world.firehose().call("CreateDeliveryStream", &converting(name, version)).await?.ok()?;
        world.plain().put_lines(name, r#"{"a":1,"b":2}"#.to_owned()).await?.ok()?;
        assert_eq!(rows(&world, &format!("{name}/")).await?, [r#"{"a":1}"#]);
    }
    put_table(&world, "db/t", &["a", "b"]).await?.ok()?;
    for name in ["latest", "first"] {
        world.plain().put_lines(name, r#"{"a":3,"b":4}"#.to_owned()).await?.ok()?;
    }
    assert_eq!(rows(&world, "latest/").await?, [r#"{"a":1}"#, r#"{"a":3,"b":4}"#], "without a restart");
    assert_eq!(rows(&world, "first/").await?, [r#"{"a":1}"#, r#"{"a":3}"#]);
    let shown = world.firehose().describe("first").await?;
    let extended = &shown["Destinations"][0]["ExtendedS3DestinationDescription"];
    assert_eq!(extended["DataFormatConversionConfiguration"]["SchemaConfiguration"]["VersionId"], "1");
    let missing = world.firehose().call("CreateDeliveryStream", &converting("third", "3")).await?;
    assert!(missing.status == 400 && missing.text().contains("version 3 of the table db.t"), "{}", missing.text());
    for table in ["db/..", "db/T", "db/a.b", "DB/t"] {
        let refused = put_table(&world, table, &["a"]).await?;
        assert!(refused.status == 400 && refused.text().contains("schema.name"), "{table}: {}", refused.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_disk_without_room_is_not_ready_before_anybody_puts() -> anyhow::Result<()> {
    let headroom = (1u64 << 60).to_string();
    let world = World::start_with(|options| options.env("MILLRACE_JOURNAL_HEADROOM_BYTES", &headroom)).await?;
    let answer = Client::new(world.server.base()).send("GET", "/health/ready", &[], "").await?;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().starts_with("journal.full: "), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn what_is_given_twice_is_refused_by_its_name() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.stream("s", |d| d).await?;
    let body = r#"{"DeliveryStreamName":"s","Records":[{"Data":"YQ=="},{"Data":"YQ==","Data":"Yg=="}]}"#;
    let refused = world.firehose().call_raw("PutRecordBatch", body.into()).await?;
    assert!(refused.status == 400 && refused.text().contains("The member Data is given twice"), "{}", refused.text());
    let status = millrace_tests::status_of(world.server.base(), "s").await?;
    assert_eq!(status.accepted, 0, "nothing of the batch is taken");

    let module = world.server.data_dir().join("any.wasm");
    std::fs::write(&module, b"")?;
    let deploy = std::process::Command::new(binary()?)
        .args(["deploy", "f", &module.to_string_lossy(), "--endpoint", world.server.base()])
        .args(["--set", "mode=a", "--set", "mode=b"])
        .output()?;
    let said = String::from_utf8_lossy(&deploy.stderr);
    assert!(!deploy.status.success() && said.contains("--set gives mode more than once"), "{said}");
    Ok(())
}
