// The JavaScript SDK's Lambda client, unchanged but for its endpoint: a function's whole life.
// Usage: node lambda.cjs ENDPOINT NAME FOLDER; FOLDER holds greet.wasm, mark.zip and identity.zip.
// Ends with 0 when all was as AWS answers.
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const lambda = require("@aws-sdk/client-lambda");

const [endpoint, name, folder] = process.argv.slice(2);
const client = new lambda.LambdaClient({
  endpoint,
  region: "us-east-1",
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID,
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
  },
  maxAttempts: 1,
});
const waiting = { client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 };
const arn = `arn:aws:lambda:us-east-1:000000000000:function:${name}`;
const file = (called) => readFileSync(path.join(folder, called));
const call = (operation, input) => client.send(new lambda[`${operation}Command`](input));
const of = (more) => ({ FunctionName: name, ...more });
const fails = (promise, type, message) => assert.rejects(promise, (error) =>
  error instanceof lambda[type] && (message === undefined || error.message === message));

async function invoke(event, more) {
  const answer = await call("Invoke", of({ Payload: JSON.stringify(event), ...more }));
  return { ...answer, json: JSON.parse(answer.Payload.transformToString()) };
}

async function configured(input) {
  await call("UpdateFunctionConfiguration", input);
  await lambda.waitUntilFunctionUpdatedV2(waiting, { FunctionName: input.FunctionName });
}

async function creates() {
  const create = of({
    Runtime: "provided.al2023", Handler: "handler", Role: "arn:aws:iam::000000000000:role/lambda",
    Code: { ZipFile: file("greet.wasm") }, MemorySize: 256, Timeout: 5, Description: "greets",
    Environment: { Variables: { GREETING: "Hello" } }, Tags: { team: "clients" },
  });
  const made = await call("CreateFunction", create);
  assert.equal(made.$metadata.httpStatusCode, 201);
  assert.equal(made.FunctionArn, arn);
  await fails(call("CreateFunction", create), "ResourceConflictException", `Function already exist: ${name}`);
  await lambda.waitUntilFunctionActiveV2(waiting, of());
  const { Configuration: found, Tags } = await call("GetFunction", of());
  assert.deepEqual(
    [found.State, found.LastUpdateStatus, found.Version, found.MemorySize, found.Timeout, found.Description],
    ["Active", "Successful", "$LATEST", 256, 5, "greets"]);
  assert.deepEqual([found.Environment.Variables, Tags], [{ GREETING: "Hello" }, { team: "clients" }]);
  assert.equal(found.CodeSha256, made.CodeSha256);
}

async function invokes() {
  const answer = await invoke({ name: "Ada" }, { LogType: "Tail" });
  assert.deepEqual([answer.StatusCode, answer.ExecutedVersion, answer.FunctionError], [200, "$LATEST", undefined]);
  assert.deepEqual(answer.json, { message: "Hello, Ada!", version: "$LATEST" });
  const log = Buffer.from(answer.LogResult, "base64").toString();
  assert.match(log, /^START RequestId: (\S+) Version: \$LATEST\n[^]*greets Ada\n[^]*END RequestId: \1\nREPORT RequestId: \1\t/);
  const failed = await invoke({ name: "" });
  assert.deepEqual([failed.StatusCode, failed.FunctionError, failed.json.errorMessage],
    [200, "Unhandled", "nobody to greet"]);
  assert.equal((await call("Invoke", of({ InvocationType: "DryRun" }))).StatusCode, 204);
  const event = await call("Invoke", of({ InvocationType: "Event", Payload: '{"name":"later"}' }));
  assert.equal(event.StatusCode, 202);
  await fails(call("Invoke", of({ Payload: "no JSON" })), "InvalidRequestContentException");
}

async function rolls() {
  const one = await call("PublishVersion", of({ Description: "the first" }));
  assert.deepEqual([one.Version, one.FunctionArn, one.Description], ["1", `${arn}:1`, "the first"]);
  await configured(of({ Environment: { Variables: { GREETING: "Servus" } } }));
  assert.equal((await call("PublishVersion", of())).Version, "2");
  const { Versions } = await call("ListVersionsByFunction", of());
  assert.deepEqual(Versions.map((each) => each.Version), ["$LATEST", "1", "2"]);

  const half = { AdditionalVersionWeights: { 2: 0.5 } };
  const alias = await call("CreateAlias", of({ Name: "live", FunctionVersion: "1", RoutingConfig: half }));
  assert.deepEqual([alias.AliasArn, alias.FunctionVersion, alias.RoutingConfig], [`${arn}:live`, "1", half]);
  const said = { 1: "Hello, Ada!", 2: "Servus, Ada!" };
  for (let calls = 0; calls < 8; calls += 1) {
    const { ExecutedVersion: version, json } = await invoke({ name: "Ada" }, { Qualifier: "live" });
    assert.deepEqual(json, { message: said[version], version });
  }
  for (const version of ["2", "1"]) { // On, and back.
    const to = { Name: "live", FunctionVersion: version, RoutingConfig: { AdditionalVersionWeights: {} } };
    assert.equal((await call("UpdateAlias", of(to))).FunctionVersion, version);
    assert.equal((await invoke({ name: "Ada" }, { Qualifier: "live" })).json.message, said[version]);
  }
  await fails(call("DeleteFunction", of({ Qualifier: "1" })), "ResourceConflictException");
  await fails(call("GetAlias", of({ Name: "dead" })), "ResourceNotFoundException", `Cannot find alias arn: ${arn}:dead`);
  await call("DeleteAlias", of({ Name: "live" }));
}

async function limits() {
  await call("PutFunctionConcurrency", of({ ReservedConcurrentExecutions: 0 }));
  assert.equal((await call("GetFunctionConcurrency", of())).ReservedConcurrentExecutions, 0);
  await assert.rejects(call("Invoke", of()), (error) => error instanceof lambda.TooManyRequestsException
    && error.Reason === "ReservedFunctionConcurrentInvocationLimitExceeded");
  await call("DeleteFunctionConcurrency", of());
  assert.equal((await call("GetFunctionConcurrency", of())).ReservedConcurrentExecutions, undefined);
  assert.equal((await invoke({ name: "Ada" })).json.message, "Servus, Ada!");

  await call("TagResource", { Resource: arn, Tags: { a: "1", b: "2" } });
  await call("UntagResource", { Resource: arn, TagKeys: ["a", "team"] });
  assert.deepEqual((await call("ListTags", { Resource: arn })).Tags, { b: "2" });
}

async function updatesCode() {
  const FunctionName = `${name}-zip`;
  const transformed = async () => {
    const records = [{ recordId: "7", approximateArrivalTimestamp: 1, data: Buffer.from('{"a":1}').toString("base64") }];
    const { Payload } = await call("Invoke", { FunctionName, Payload: JSON.stringify({
      invocationId: "i", deliveryStreamArn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
      region: "us-east-1", records }) });
    const [{ recordId, result, data }] = JSON.parse(Payload.transformToString()).records;
    assert.deepEqual([recordId, result], ["7", "Ok"]);
    return Buffer.from(data, "base64").toString();
  };
  const made = await call("CreateFunction", {
    FunctionName, Runtime: "provided.al2023", Handler: "transform", Role: "arn:aws:iam::000000000000:role/lambda",
    Code: { ZipFile: file("mark.zip") }, Environment: { Variables: { MARK: "here" } },
  });
  await lambda.waitUntilFunctionActiveV2(waiting, { FunctionName });
  assert.equal(await transformed(), '{"a":1,"mark":"here"}');
  const update = { FunctionName, ZipFile: file("identity.zip") };
  await fails(call("UpdateFunctionCode", { ...update, RevisionId: "0b38ed2e-7a5c-4a3d-8a3f-2f6d4cf1a9c1" }),
    "PreconditionFailedException");
  const updated = await call("UpdateFunctionCode", update);
  assert.notEqual(updated.CodeSha256, made.CodeSha256);
  await lambda.waitUntilFunctionUpdatedV2(waiting, { FunctionName });
  assert.equal(await transformed(), '{"a":1}');
  await call("DeleteFunction", { FunctionName });
}

async function main() {
  await creates();
  await invokes();
  await rolls();
  await limits();
  await updatesCode();
  const names = [];
  for await (const page of lambda.paginateListFunctions({ client, pageSize: 1 }, {})) {
    names.push(...page.Functions.map((each) => each.FunctionName));
  }
  assert.ok(names.includes(name) && !names.includes(`${name}-zip`), names);
  await call("DeleteFunction", of());
  await fails(call("GetFunction", of()), "ResourceNotFoundException", `Function not found: ${arn}`);
  await fails(call("Invoke", of()), "ResourceNotFoundException", `Function not found: ${arn}`);
}

main().catch((error) => {
  console.error(error, error.$metadata, error.$response);
  process.exit(1);
});
