// The JavaScript SDK, unchanged but for its endpoint: creates a stream, puts, describes, meets errors, deletes.
// Usage: node firehose.cjs ENDPOINT STREAM BUCKET; ends with 0 when all was as AWS answers.
const assert = require("node:assert/strict");
const {
  CreateDeliveryStreamCommand, DeleteDeliveryStreamCommand, DescribeDeliveryStreamCommand, FirehoseClient,
  ListDeliveryStreamsCommand, PutRecordBatchCommand, PutRecordCommand, ResourceInUseException,
  ResourceNotFoundException,
} = require("@aws-sdk/client-firehose");

const [endpoint, stream, bucket] = process.argv.slice(2);
const client = new FirehoseClient({
  endpoint,
  region: "us-east-1",
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID,
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
  },
  maxAttempts: 1,
});
const bytes = (text) => new TextEncoder().encode(text);
const destination = {
  RoleARN: "arn:aws:iam::000000000000:role/firehose",
  BucketARN: `arn:aws:s3:::${bucket}`,
  BufferingHints: { SizeInMBs: 1, IntervalInSeconds: 1 },
  CompressionFormat: "GZIP",
};

async function active(name) {
  for (let tries = 0; tries < 100; tries += 1) {
    const { DeliveryStreamDescription: found } =
      await client.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName: name }));
    if (found.DeliveryStreamStatus === "ACTIVE") return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${name} is not ACTIVE`);
}

async function main() {
  const create = { DeliveryStreamName: stream, ExtendedS3DestinationConfiguration: destination };
  const { DeliveryStreamARN: arn } = await client.send(new CreateDeliveryStreamCommand(create));
  assert.match(arn, new RegExp(`^arn:aws:firehose:[a-z0-9-]+:\\d{12}:deliverystream/${stream}$`));
  await assert.rejects(client.send(new CreateDeliveryStreamCommand(create)), ResourceInUseException);

  const found = await active(stream);
  assert.equal(found.DeliveryStreamARN, arn);
  assert.equal(found.DeliveryStreamType, "DirectPut");
  assert.equal(found.VersionId, "1");
  assert.equal(found.HasMoreDestinations, false);
  assert.ok(found.CreateTimestamp instanceof Date && Math.abs(Date.now() - found.CreateTimestamp) < 600_000);
  const [{ DestinationId, ExtendedS3DestinationDescription: extended, S3DestinationDescription: mirror }] =
    found.Destinations;
  assert.equal(DestinationId, "destinationId-000000000001");
  assert.equal(extended.CompressionFormat, "GZIP");
  assert.deepEqual(extended.BufferingHints, { SizeInMBs: 1, IntervalInSeconds: 1 });
  assert.equal(mirror.BucketARN, destination.BucketARN);

  const one = await client.send(
    new PutRecordCommand({ DeliveryStreamName: stream, Record: { Data: bytes("one\n") } }));
  assert.ok(one.RecordId.length > 0);
  assert.equal(one.Encrypted, false);
  const two = await client.send(new PutRecordBatchCommand({
    DeliveryStreamName: stream, Records: [{ Data: bytes("two\n") }, { Data: bytes("ü\u0000\n") }],
  }));
  assert.equal(two.FailedPutCount, 0);
  assert.equal(new Set([one.RecordId, ...two.RequestResponses.map((each) => each.RecordId)]).size, 3);

  const { DeliveryStreamNames: names } = await client.send(new ListDeliveryStreamsCommand({ Limit: 10000 }));
  assert.ok(names.includes(stream));
  await assert.rejects(
    client.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName: `${stream}-absent` })),
    (error) => error instanceof ResourceNotFoundException
      && error.message === `Firehose ${stream}-absent under account 000000000000 not found.`);

  const other = `${stream}-gone`;
  await client.send(new CreateDeliveryStreamCommand({
    DeliveryStreamName: other, S3DestinationConfiguration: { ...destination, CompressionFormat: "UNCOMPRESSED" },
  }));
  await active(other);
  await client.send(new DeleteDeliveryStreamCommand({ DeliveryStreamName: other }));
}

main().catch((error) => {
  console.error(error, error.$metadata, error.$response);
  process.exit(1);
});
