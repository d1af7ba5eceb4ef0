//! The AWS SDK for Rust, unchanged but for its endpoint: create, put, describe, list, delete.

use anyhow::Context as _;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_firehose::error::ProvideErrorMetadata as _;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{
    BufferingHints, CompressionFormat, DeliveryStreamStatus, DeliveryStreamType, ExtendedS3DestinationConfiguration,
    Record,
};
use aws_sdk_firehose::{Client, Config};
use millrace_tests::{Server, ServerOptions, wait_drained};

use crate::world::{DRAIN, World};

fn client(server: &Server, id: &str, secret: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(server.base())
        .credentials_provider(Credentials::new(id, secret, None, None, "tests"))
        .build();
    Client::from_conf(config)
}

fn destination(bucket: &str) -> anyhow::Result<ExtendedS3DestinationConfiguration> {
    Ok(ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/tests")
        .bucket_arn(format!("arn:aws:s3:::{bucket}"))
        .prefix("raw/")
        .buffering_hints(BufferingHints::builder().size_in_mbs(1).interval_in_seconds(1).build())
        .compression_format(CompressionFormat::Gzip)
        .build()?)
}

fn record(text: &str) -> anyhow::Result<Record> {
    Ok(Record::builder().data(Blob::new(text.as_bytes())).build()?)
}

#[tokio::test]
async fn a_stream_lives_its_life_through_the_sdk() -> anyhow::Result<()> {
    let world = World::start().await?;
    let sdk = client(&world.server, "test", "test");
    let create = sdk
        .create_delivery_stream()
        .delivery_stream_name("orders")
        .delivery_stream_type(DeliveryStreamType::DirectPut)
        .extended_s3_destination_configuration(destination("out")?);
    let created = Box::pin(create.send()).await?;
    let arn = created.delivery_stream_arn().context("arn")?;
    assert_eq!(arn, "arn:aws:firehose:us-east-1:000000000000:deliverystream/orders");

    let one = sdk.put_record().delivery_stream_name("orders").record(record("{\"n\":0}\n")?).send().await?;
    assert_eq!(one.record_id().len(), 56);
    let mut batch = sdk.put_record_batch().delivery_stream_name("orders");
    for n in 1..=300 {
        batch = batch.records(record(&format!("{{\"n\":{n}}}\n"))?);
    }
    let answer = batch.send().await?;
    assert_eq!((answer.failed_put_count(), answer.request_responses().len()), (0, 300));

    assert_eq!(world.delivered("out", "raw/").await?, (0..=300).collect::<Vec<u64>>());
    let key = world.bucket("out").list("raw/").await?.remove(0);
    assert!(key.contains("/orders-1-") && key.ends_with(".gz"), "{key}");

    let described = sdk.describe_delivery_stream().delivery_stream_name("orders").send().await?;
    let description = described.delivery_stream_description().context("description")?;
    assert_eq!(*description.delivery_stream_status(), DeliveryStreamStatus::Active);
    assert_eq!((description.version_id(), description.destinations().len()), ("1", 1));
    let extended = description.destinations()[0].extended_s3_destination_description().context("extended")?;
    assert_eq!(*extended.compression_format(), CompressionFormat::Gzip);

    let listed = sdk.list_delivery_streams().send().await?;
    assert_eq!(listed.delivery_stream_names(), ["orders"]);
    sdk.delete_delivery_stream().delivery_stream_name("orders").send().await?;
    let gone = millrace_tests::wait::until("the deletion", DRAIN, || async {
        let listed = sdk.list_delivery_streams().send().await?;
        Ok(listed.delivery_stream_names().is_empty().then_some(()))
    });
    gone.await?;
    let refused = sdk.put_record().delivery_stream_name("orders").record(record("x")?).send().await;
    let error = refused.err().context("a put to a deleted stream is refused")?.into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    assert_eq!(error.message(), Some("Firehose orders under account 000000000000 not found."));
    Ok(())
}

#[tokio::test]
async fn keys_are_demanded_once_there_are_any() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut options = ServerOptions::dev(&dir.path().join("data"))
        .env("MILLRACE_ACCESS_KEY_ID", "AKIDTESTS")
        .env("MILLRACE_SECRET_ACCESS_KEY", "a-secret-of-the-tests-only");
    options.dev = false;
    let server = Server::start(options).await?;
    let good = client(&server, "AKIDTESTS", "a-secret-of-the-tests-only");
    assert!(good.list_delivery_streams().send().await?.delivery_stream_names().is_empty());
    for (id, secret) in [("AKIDTESTS", "another"), ("AKIDOTHER", "a-secret-of-the-tests-only")] {
        let refused = client(&server, id, secret).list_delivery_streams().send().await;
        let error = refused.err().context("a wrong key is refused")?.into_service_error();
        let code = error.code().unwrap_or_default();
        assert!(["InvalidSignatureException", "UnrecognizedClientException"].contains(&code), "{code}");
    }
    wait_drained_with_keys(&server, &good).await
}

/// The harness's own status reader shows a bearer that this server does not know: the SDK looks instead.
async fn wait_drained_with_keys(server: &Server, sdk: &Client) -> anyhow::Result<()> {
    assert!(wait_drained(server, DRAIN).await.is_err(), "the status needs a key too");
    sdk.list_delivery_streams().send().await?;
    Ok(())
}
