// AWS Lambda's side of a handler: the context, events and answers as JSON, errors as Lambda words them.

import * as host from './host.js';
import { NeverSettles, UnhandledRejection, settle } from './promise.js';

/** What a Lambda's ARN says here; nobody looks at region and account. */
const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:';

/** An error of the invocation. */
export class Failure extends Error {
  constructor(errorType, errorMessage, trace = []) {
    super(errorMessage);
    this.body = { errorType, errorMessage, trace };
  }

  /** Lambda's JSON of it. */
  json() {
    return JSON.stringify(this.body);
  }
}

/** The second parameter of a handler; `done(error, answer)` is what the older `context.done` calls. */
export function contextOf(call, done) {
  const qualifier = call.functionVersion === '$LATEST' ? '' : `:${call.functionVersion}`;
  return {
    callbackWaitsForEmptyEventLoop: true,
    awsRequestId: call.requestId,
    functionName: call.functionName,
    functionVersion: call.functionVersion,
    memoryLimitInMB: String(Number(BigInt(call.memoryLimitBytes) >> 20n)),
    invokedFunctionArn: ARN + call.functionName + qualifier,
    logGroupName: `/aws/lambda/${call.functionName}`,
    logStreamName: `[${call.functionVersion}]${call.requestId}`,
    clientContext: call.clientContext ? JSON.parse(call.clientContext) : undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, Number(call.deadlineMs) - host.nowMs()),
    done,
    succeed: (answer) => done(null, answer),
    fail: (error) => done(error ?? 'handled'),
  };
}

/** The failure that an error of the function is; `where` turns a stack into lines of the source. */
export function failureOf(error, where) {
  if (error instanceof Failure) return error;
  if (error instanceof NeverSettles) return new Failure('Runtime.NodeJsExit', error.message);
  if (error instanceof UnhandledRejection) {
    const { body } = failureOf(error.cause, where);
    return new Failure('Runtime.UnhandledPromiseRejection', `${body.errorType}: ${body.errorMessage}`, body.trace);
  }
  if (!(error instanceof Error)) return new Failure(typeof error, typeof error === 'string' ? error : JSON.stringify(error) ?? String(error));
  return new Failure(error.name, error.message, [`${error.name}: ${error.message}`, ...where(error.stack ?? '')]);
}

/** The module's handler. */
export function find(module, file) {
  const place = module.handler ?? module.lambda_handler ?? module.default?.handler;
  if (typeof place === 'function') return place;
  throw new Failure('Runtime.HandlerNotFound', `${file}: handler is undefined or not exported`);
}

/** Calls the handler with the event's JSON and answers the answer's. */
export function invoke(handler, text, call) {
  let event;
  try {
    event = JSON.parse(text);
  } catch (error) {
    throw new Failure('Runtime.UnmarshalError', `Unable to unmarshal input: ${error.message}`);
  }
  const called = Promise.withResolvers();
  const done = (error, answer) => (error === null || error === undefined ? called.resolve(answer) : called.reject(error));
  const returned = handler(event, contextOf(call, done), done);
  // A handler answers by what it returns, or by the callback that it takes as its third parameter.
  const answers = returned !== undefined && returned !== null ? returned : handler.length >= 3 ? called.promise : undefined;
  const answer = settle(answers === undefined ? Promise.race([called.promise, nothingLeft()]) : answers);
  let json;
  try {
    json = JSON.stringify(answer === undefined ? null : answer);
  } catch (error) {
    throw new Failure('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`);
  }
  return json ?? 'null';
}

// A handler of two parameters may have called `context.done`; when it did not, its answer is null.
function nothingLeft() {
  return new Promise((resolve) => setImmediate(() => resolve(null)));
}
