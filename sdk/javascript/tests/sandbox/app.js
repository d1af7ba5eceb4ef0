// What Node's globals do in a component: each event names one thing to do.

import { Buffer as FromModule } from 'node:buffer';

import { NAME } from './lib/helper.mjs';

let seen = 0;
const atImport = [process.env.AWS_REGION, process.env.AWS_DEFAULT_REGION, process.env._HANDLER];
const refused = (call) => {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return error.message.split(':')[0];
  }
};
const deep = async (value) => {
  await null;
  if (value === 'throw') throw new RangeError('deep trouble');
  return value;
};

const actions = {
  clock: () => ({
    same: [Date.now(), new Date().getTime(), +new Date()].every((at) => at === Date.UTC(2026, 10, 25, 9)),
    dates: [new Date().toISOString(), new Date(2020, 0, 2).toISOString(), new Date(0).toJSON(), `${new Date().getTimezoneOffset()}`],
    kinds: [new Date() instanceof Date, new Date().constructor === Date, typeof Date(), performance.now() >= 0],
  }),
  random: () => {
    const drawn = [Math.random(), Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(4)).join()];
    return { distinct: new Set(drawn).size, between: drawn[0] >= 0 && drawn[0] < 1, length: drawn[2].length };
  },
  absent: () => ({ wait: refused(() => setTimeout(() => {}, 5)), interval: refused(() => setInterval(() => {}, 5)), fetch: typeof fetch }),
  environment: () => {
    process.env.OWN = 1;
    const known = Object.keys(process.env).filter((name) => !name.startsWith('AWS_LAMBDA_FUNCTION_')).sort();
    return { atImport, known, name: NAME, missing: process.env.NONE ?? 'default', own: process.env.OWN, has: 'NAME' in process.env };
  },
  text: () => [
    Buffer.from('héé\u{1F600}').toString('base64'),
    FromModule.from('aMOpw6nwn5iA', 'base64').toString(),
    new TextDecoder().decode(new TextEncoder().encode('é')),
    atob(btoa('x')),
  ],
  promises: async () => {
    const order = [];
    process.nextTick(() => order.push('tick'));
    queueMicrotask(() => order.push('micro'));
    setTimeout(() => order.push('timer'), 0);
    await new Promise((resolve) => setImmediate(resolve));
    for await (const part of (async function* () { yield 1; yield deep(2); })()) order.push(part);
    const settled = await Promise.allSettled([deep('throw'), deep('kept')]);
    return [...order, ...settled.map(({ status }) => status), await deep('throw').catch((error) => error.message)];
  },
  // JSON of as many levels as are read, written again; and of more.
  deep: () => [
    JSON.stringify(JSON.parse('{"a":'.repeat(1000) + '1' + '}'.repeat(1000))).length,
    ...['[', '{"a":', '[{"a":'].map((open) => refused(() => JSON.parse(open.repeat(50_000)))),
  ],
  raise: () => deep('throw'),
  never: () => new Promise(() => {}),
  unhandled: () => void Promise.reject(new Error('nobody listens')),
  cyclic: () => {
    const value = {};
    value.self = value;
    return value;
  },
};

export const handler = async (event, context) => {
  seen++;
  if (event.do === 'context') return [context.invokedFunctionArn.split(':').slice(0, 6), context.getRemainingTimeInMillis() > 0, context.awsRequestId.length > 0, Number(context.memoryLimitInMB) > 0, seen];
  return actions[event.do]();
};
