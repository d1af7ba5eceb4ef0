// What a function's source finds in the air: Node's globals, answered by the host. The component
// imports nothing of WASI: the engine's own clock and randomness would end the call without a word,
// so they are replaced here, before the project's source runs.

import { Buffer, TextDecoder, TextEncoder } from './buffer.js';
import * as host from './host.js';
import { format } from './inspect.js';
import * as json from './json.js';
import { HostPromise, enqueue, later } from './promise.js';

/** Random bytes that are asked for at a time. */
const RANDOM_BYTES = 512;
/** The handler as Lambda names it, `app.handler`; a function over records has none. */
let handler;
/** Environment variables of Lambda. Of them only the regions can be set. */
const RESERVED = {
  AWS_REGION: host.region,
  AWS_DEFAULT_REGION: () => host.setting('AWS_DEFAULT_REGION') || host.region(),
  _HANDLER: () => handler,
  AWS_LAMBDA_FUNCTION_NAME: (call) => call.functionName,
  AWS_LAMBDA_FUNCTION_VERSION: (call) => call.functionVersion,
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: (call) => String(Number(call.memoryLimitBytes) >> 20),
};

function environment() {
  const known = {};
  const look = (name) => {
    if (typeof name !== 'string') return undefined;
    if (!Object.hasOwn(known, name)) {
      const value = Object.hasOwn(RESERVED, name) ? RESERVED[name](host.current()) : host.setting(name);
      if (value === undefined) return undefined;
      known[name] = value;
    }
    return known[name];
  };
  return new Proxy(known, {
    get: (_, name) => look(name),
    has: (_, name) => look(name) !== undefined,
    set: (_, name, value) => {
      known[name] = String(value);
      return true;
    },
    deleteProperty: (_, name) => {
      known[name] = undefined;
      return true;
    },
    ownKeys: () => {
      for (const name of Object.keys(RESERVED)) look(name);
      return Object.keys(known).filter((name) => known[name] !== undefined);
    },
    getOwnPropertyDescriptor: (_, name) => {
      const value = look(name);
      return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
    },
  });
}

function clocks(target) {
  const Plain = target.Date;
  function HostDate(...given) {
    if (!new.target) return new Plain(host.nowMs()).toString();
    return Reflect.construct(Plain, given.length ? given : [host.nowMs()], new.target);
  }
  Object.defineProperty(HostDate, 'name', { value: 'Date' });
  Object.defineProperty(HostDate, 'length', { value: 7 });
  HostDate.prototype = Plain.prototype;
  Object.defineProperty(Plain.prototype, 'constructor', { value: HostDate, writable: true, configurable: true });
  Object.assign(HostDate, { now: host.nowMs, parse: Plain.parse, UTC: Plain.UTC });
  target.Date = HostDate;
  let begun;
  const since = () => host.nowMs() - (begun ??= host.nowMs());
  Object.defineProperty(target, 'performance', { value: { now: since }, writable: true, configurable: true });
}

function randomness(target) {
  let bytes;
  let at = RANDOM_BYTES;
  target.Math.random = () => {
    if (at >= RANDOM_BYTES) {
      bytes = new DataView(host.randomBytes(RANDOM_BYTES).buffer);
      at = 0;
    }
    // 53 bits, as a double has them.
    const value = (bytes.getUint32(at) >>> 5) * 2 ** 26 + (bytes.getUint32(at + 4) >>> 6);
    at += 8;
    return value / 2 ** 53;
  };
  const getRandomValues = (array) => {
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(host.randomBytes(array.byteLength));
    return array;
  };
  const randomUUID = () => {
    const random = Buffer.from(host.randomBytes(16));
    random[6] = (random[6] & 15) | 64;
    random[8] = (random[8] & 63) | 128;
    return random.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  };
  target.crypto = { getRandomValues, randomUUID };
}

function timers(target) {
  const waits = new Map();
  let number = 0;
  const start = (name) => (task, delay, ...given) => {
    if (typeof task !== 'function') throw new TypeError(`${name}: the first argument is a function`);
    if (delay > 0) throw new Error(`${name}: a function cannot wait (${delay} ms); only a delay of 0 is possible`);
    const id = ++number;
    waits.set(id, later(() => waits.delete(id) && task(...given)));
    return id;
  };
  target.setTimeout = start('setTimeout');
  target.setImmediate = (task, ...given) => start('setImmediate')(task, 0, ...given);
  target.setInterval = () => {
    throw new Error('setInterval: a function cannot wait');
  };
  for (const name of ['clearTimeout', 'clearImmediate', 'clearInterval']) {
    target[name] = (id) => {
      waits.get(id)?.();
      waits.delete(id);
    };
  }
  target.queueMicrotask = (job) => enqueue(() => job());
}

function logs(target) {
  const at = (level) => (...values) => host.log(level, format(...values));
  target.console = { log: at('info'), info: at('info'), debug: at('debug'), trace: at('debug'), warn: at('warn'), error: at('error') };
  target.console.dir = target.console.log;
  target.console.assert = (holds, ...values) => holds || target.console.error('Assertion failed:', ...values);
}

function stream(level) {
  // What has no line's end yet is written with what follows.
  let rest = '';
  const write = (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) host.log(level, line);
    return true;
  };
  const end = () => {
    if (rest) host.log(level, rest);
    rest = '';
  };
  return { write, end };
}

const streams = { stdout: stream('info'), stderr: stream('error') };

/** Puts the globals into `target`, the global object. */
export function install(target = globalThis) {
  clocks(target);
  randomness(target);
  timers(target);
  logs(target);
  json.install(target);
  target.Promise = HostPromise;
  target.global = target;
  Object.assign(target, { Buffer, TextDecoder, TextEncoder });
  const nextTick = (job, ...given) => enqueue(() => job(...given));
  const { stdout, stderr } = streams;
  target.process = { env: environment(), nextTick, platform: 'wasi', argv: [], stdout, stderr };
}

/** Has `_HANDLER` name the handler of this file. */
export function handles(file) {
  handler = `${file.replace(/\.[^./]+$/, '')}.handler`;
}

/** A call is over: lines without an end are logged. */
export function end() {
  for (const { end: flush } of Object.values(streams)) flush();
}
