// The Lambda shim, natively: with the SDK's promises, as in a component.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { format } from '../src/inspect.js';
import { Failure, contextOf, failureOf, find, invoke } from '../src/lambda.js';
import { HostPromise, NeverSettles, later } from '../src/promise.js';

const plain = { Promise: globalThis.Promise, setImmediate: globalThis.setImmediate };
globalThis.Promise = HostPromise;
globalThis.setImmediate = later;
after(() => Object.assign(globalThis, plain));

const call = { requestId: 'r-1', functionName: 'f', functionVersion: '$LATEST', memoryLimitBytes: 128n << 20n, deadlineMs: BigInt(Date.now() + 60_000), clientContext: '{"a":1}' };
const answer = (handler, event = '{}') => invoke(handler, event, call);
const failing = (handler, event) => {
  try {
    answer(handler, event);
  } catch (error) {
    return failureOf(error, () => ['    at f (app.js:1)']).body;
  }
  throw new Error('it did not fail');
};

test('a context is what Lambda gives', () => {
  const context = contextOf(call);
  assert.deepEqual([context.awsRequestId, context.functionName, context.functionVersion, context.memoryLimitInMB], ['r-1', 'f', '$LATEST', '128']);
  delete process.env.AWS_REGION;
  assert.equal(contextOf(call).invokedFunctionArn, 'arn:aws:lambda:us-east-1:000000000000:function:f');
  process.env.AWS_REGION = 'eu-west-1';
  assert.equal(contextOf(call).invokedFunctionArn, 'arn:aws:lambda:eu-west-1:000000000000:function:f');
  assert.ok(contextOf({ ...call, functionVersion: '3' }).invokedFunctionArn.endsWith(':f:3'));
  assert.ok(context.getRemainingTimeInMillis() > 0);
  assert.equal(contextOf({ ...call, deadlineMs: 1n }).getRemainingTimeInMillis(), 0);
  assert.deepEqual(context.clientContext, { a: 1 });
});

test('each way of answering is honoured', () => {
  assert.equal(answer((event) => HostPromise.resolve({ got: event.a }), '{"a":1}'), '{"got":1}');
  assert.equal(answer((event, context, callback) => callback(null, { b: 2 })), '{"b":2}');
  assert.equal(answer((event, context, callback) => later(() => callback(null, 'later'))), '"later"');
  assert.equal(answer((event, context, callback) => void later(() => later(() => callback(null, 'much later')))), '"much later"');
  assert.equal(answer((event, context) => context.succeed('old')), '"old"');
  assert.equal(answer(() => ({ plain: true })), '{"plain":true}');
  assert.equal(answer(() => undefined), 'null');
});

test('beside a callback only a promise is an answer', () => {
  assert.equal(answer((event, context, callback) => (later(() => callback(null, { x: 1 })), 7)), '{"x":1}');
  assert.equal(answer((event, context, callback) => (callback(null, 'called'), { plain: true })), '"called"');
  assert.equal(answer((event, context, callback) => ({ plain: true })), 'null');
  assert.equal(failing((event, context, callback) => (later(() => callback(new RangeError('late'))), 7)).errorType, 'RangeError');
  assert.equal(answer((event, context, callback) => HostPromise.resolve('promised')), '"promised"');
  assert.equal(answer((event, context, callback) => ({ then: (kept) => kept('of another make') })), '"of another make"');
  assert.equal(answer((event, context, callback) => (callback(null, 'first'), HostPromise.resolve('second'))), '"first"');
  assert.equal(answer((event, context) => void later(() => later(() => context.succeed('late')))), '"late"');
});

test('errors are told as Lambda does', () => {
  assert.deepEqual(failing(() => { throw new TypeError('no'); }), { errorType: 'TypeError', errorMessage: 'no', trace: ['TypeError: no', '    at f (app.js:1)'] });
  assert.equal(failing((event, context, callback) => callback(new Error('called'))).errorMessage, 'called');
  assert.equal(failing((event, context, callback) => callback('text')).errorMessage, 'text');
  assert.equal(failing(() => HostPromise.reject(new RangeError('r'))).errorType, 'RangeError');
  assert.equal(failing(() => ({ n: 5n })).errorType, 'Runtime.MarshalError');
  assert.equal(failing(() => 1, '{').errorType, 'Runtime.UnmarshalError');
  assert.equal(failing(() => new HostPromise(() => {})).errorType, 'Runtime.NodeJsExit');
  assert.throws(() => find({}, 'app.js'), Failure);
  assert.equal(find({ default: { handler: answer } }, 'app.js'), answer);
  assert.ok(new NeverSettles('x') instanceof Error);
});

test('console.log shows values in one line where they fit', () => {
  assert.equal(format('%s is %d%%', 'x', 5, { a: [1, 'b'], c: undefined }), "x is 5% { a: [ 1, 'b' ], c: undefined }");
  assert.equal(format('100%', 1), '100% 1');
  assert.equal(format(new Map([[1, new Set()]]), [], null), 'Map(1) { 1 => Set(0) {} } [] null');
  const circular = {};
  circular.self = circular;
  assert.match(format(circular), /Circular/);
  assert.equal(format({ a: { b: { c: { d: 1 } } } }), '{ a: { b: { c: [Object] } } }');
});
