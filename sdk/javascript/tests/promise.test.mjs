// The SDK's promises against Node's own, and what a call makes of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { HostPromise, NeverSettles, UnhandledRejection, end, enqueue, later, settle } from '../src/promise.js';

// The same program over both kinds of promise: what it logged, in order.
function program(P, log, micro) {
  P.resolve(1).then((value) => log.push(`a${value}`)).then(() => log.push('b'));
  micro(() => log.push('m'));
  let resolve;
  let reject;
  const promise = new P((...both) => ([resolve, reject] = both));
  promise.then((value) => log.push(`w${value}`));
  resolve(P.resolve(5));
  reject(new Error('late'));
  const thenable = { then: (kept) => kept('t') };
  return P.all([
    P.reject(new Error('x')).catch((error) => error.message).finally(() => log.push('f')),
    thenable,
    new P((kept) => kept(P.resolve(2))),
    P.allSettled([1, P.reject(3)]),
    P.any([P.reject(1), P.resolve(2)]),
    P.any([P.reject(1)]).catch((error) => error.errors),
    P.race([new P(() => {}), P.resolve('r')]),
    P.all([]),
    P.resolve(1).finally(() => { throw new Error('from finally'); }).catch((error) => error.message),
    new P(() => { throw new Error('from executor'); }).catch((error) => error.message),
  ]);
}

test('promises do what Node does, in the same order', async () => {
  const [ours, theirs] = [[], []];
  const mine = settle(program(HostPromise, ours, enqueue));
  const others = await program(Promise, theirs, queueMicrotask);
  assert.deepEqual(mine, others);
  assert.deepEqual(ours, theirs);
  end();
});

test('a rejection is thrown, and what never settles is told', () => {
  assert.equal(settle(5), 5);
  assert.equal(settle({ then: (kept) => kept(6) }), 6);
  assert.throws(() => settle(HostPromise.reject(new RangeError('no'))), RangeError);
  assert.throws(() => settle(new HostPromise(() => {})), NeverSettles);
  const made = new HostPromise((kept) => later(() => kept('task')));
  assert.equal(settle(made), 'task');
  const cycle = HostPromise.withResolvers();
  cycle.resolve(cycle.promise);
  assert.throws(() => settle(cycle.promise), /cycle/);
  end();
});

test('a promise may be settled inside a job', () => {
  const order = [];
  HostPromise.resolve().then(() => {
    order.push(settle(HostPromise.resolve('inner').then((value) => value)));
  });
  HostPromise.resolve().then(() => order.push('outer'));
  settle(HostPromise.resolve().then(() => {}));
  settle(HostPromise.resolve());
  assert.deepEqual(order.sort(), ['inner', 'outer']);
  end();
});

test('a rejection that nobody listens to ends the call', () => {
  HostPromise.reject(new Error('nobody'));
  assert.throws(end, (error) => error instanceof UnhandledRejection && error.cause.message === 'nobody');
  end();
});
