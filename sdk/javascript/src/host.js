// What a function may ask of its host. Natively, in tests, the process stands in for it.

/** Random bytes that the host gives in one call. */
const RANDOM_BYTES_MAX = 65536;
/** The region of a function's ARN, where the setting AWS_REGION names no other: a call does not say it. */
const REGION = 'us-east-1';
const LEVELS = ['debug', 'info', 'warn', 'error'];

// The process's own, taken before anything is replaced.
const native = {
  log: { log: (level, line) => globalThis.console?.error(`${level}: ${line}`) },
  settings: { get: (name) => globalThis.process?.env[name] },
  clock: { nowMs: Date.now },
  random: { bytes: (count) => globalThis.crypto.getRandomValues(new Uint8Array(count)) },
};
let host = native;

/** From here on the host answers: the interfaces `log`, `settings`, `clock`, `random`, `invocation`. */
export function attach(interfaces) {
  host = interfaces;
}

/** Logs lines: `level` is `debug`, `info`, `warn` or `error`. */
export function log(level, message) {
  if (!LEVELS.includes(level)) throw new RangeError(`a level is ${LEVELS.join(', ')}, not ${level}`);
  for (const line of String(message).split('\n')) host.log.log(level, line);
}

/** What the operator set under `name`, or undefined. Natively the environment variable of that name. */
export function setting(name) {
  return host.settings.get(name) ?? undefined;
}

/** The region that `AWS_REGION` and the function's ARN name. */
export function region() {
  return setting('AWS_REGION') || REGION;
}

/** Milliseconds since the Unix epoch. */
export function nowMs() {
  return Number(host.clock.nowMs());
}

/** That many random bytes, good enough for keys. */
export function randomBytes(count) {
  const all = new Uint8Array(count);
  for (let at = 0; at < count; at += RANDOM_BYTES_MAX) {
    all.set(host.random.bytes(Math.min(RANDOM_BYTES_MAX, count - at)), at);
  }
  return all;
}

/** The running call: requestId, functionName, functionVersion, memoryLimitBytes, deadlineMs, clientContext. */
export function current() {
  return host.invocation.current();
}

/** What `call` of the host answers; what it refuses with, a string, becomes an Error. */
export function asked(call) {
  try {
    return call();
  } catch (error) {
    throw error instanceof Error ? error : new Error(String(error));
  }
}
