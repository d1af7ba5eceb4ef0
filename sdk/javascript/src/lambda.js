// AWS Lambda's side of a handler: the context, events and answers as JSON, errors as Lambda words them.

import * as host from './host.js';
import { NeverSettles, UnhandledRejection, isThenable, settle } from './promise.js';

/** The account of a function's ARN: a call does not say it. */
const ACCOUNT = '000000000000';

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
    invokedFunctionArn: `arn:aws:lambda:${host.region()}:${ACCOUNT}:function:${call.functionName}${qualifier}`,
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
  const answer = answerOf(handler(event, contextOf(call, done), done), called.promise, handler.length);
  let json;
  try {
    json = JSON.stringify(answer === undefined ? null : answer);
  } catch (error) {
    throw new Failure('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`);
  }
  return json ?? 'null';
}

// Node's Lambda takes whichever is first of the promise that a handler returned and its callback (or
// `context.done`). Another value counts where the handler takes no callback: `(event, context, callback)
// => setTimeout(…)` answers by its callback, not by the timer. One that never answers answers null.
function answerOf(returned, called, parameters) {
  if (isThenable(returned)) return settle(Promise.race([called, returned]));
  if (returned !== undefined && returned !== null && parameters < 3) return returned;
  try {
    return settle(called);
  } catch (error) {
    if (error instanceof NeverSettles) return null;
    throw error;
  }
}
