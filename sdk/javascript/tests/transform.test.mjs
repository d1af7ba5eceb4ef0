// The transform side of the SDK, natively.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Batch, Outcome, Output, perBatch, perRecord } from '../src/index.js';

const text = (bytes) => Buffer.from(bytes).toString();
const seen = (out) => {
  const { payload, ends, sources } = out.columns();
  return ends.map((end, at) => [text(payload.subarray(ends[at - 1] ?? 0, end)), sources[at]]);
};

test('records of a batch have their columns', () => {
  const columns = { payload: Buffer.from('abécd'), ends: [2, 2, 6], arrivalsMs: [10n, 20n, 30n], keys: Buffer.from('kxyz'), keyEnds: [1, 1, 4], firstSequence: 7n };
  const batch = new Batch(columns);
  const records = [...batch].map((r) => [r.text, r.arrivalMs, r.key, r.sequence, r.index]);
  assert.deepEqual(records, [['ab', 10, 'k', 7, 0], ['', 20, '', 8, 1], ['écd', 30, 'xyz', 9, 2]]);
  assert.deepEqual(batch.texts(), ['ab', '', 'écd']);
  const [only] = Batch.of(['{"a":"é"}']);
  assert.deepEqual([only.json(), only.key, text(only.data)], [{ a: 'é' }, undefined, '{"a":"é"}']);
  assert.throws(() => new Batch({ payload: Uint8Array.of(255), ends: [1], arrivalsMs: [0] }).texts(), TypeError);
});

test('each outcome is written', () => {
  const each = {
    keep: () => Outcome.kept().partition('a', 1),
    change: () => Outcome.changed('é'),
    many: () => Outcome.many(['1', Uint8Array.of(255, 0)]).partition('b', 'x'),
    none: () => Outcome.many([]),
    drop: Outcome.dropped,
    fail: () => Outcome.failed('why'),
    wrong: () => 'text',
    throw: () => { throw new RangeError('no'); },
  };
  const out = perRecord((record) => each[record.text]())(Batch.of(Object.keys(each)));
  const columns = out.columns();
  assert.deepEqual(columns.sources, [0, 1, 2, 2]);
  assert.deepEqual([...columns.payload], [...Buffer.from('keepé1'), 255, 0]);
  assert.deepEqual(columns.ends, [4, 6, 7, 9]);
  assert.deepEqual(columns.failures, [
    { index: 5, reason: 'why' },
    { index: 6, reason: 'the function returned string, not an Outcome' },
    { index: 7, reason: 'RangeError: no' },
  ]);
  assert.deepEqual(columns.partitionNames, ['a', 'b']);
  assert.equal(text(columns.partitionValues), '1xx');
  assert.deepEqual(columns.partitionEnds, [1, 1, 1, 1, 1, 2, 2, 3]);
});

test('a whole batch is decoded once and joined once', () => {
  const upper = perBatch((batch, out) => out.texts(batch.texts().map((each) => each.toUpperCase())));
  assert.deepEqual(seen(upper(Batch.of(['ab', 'é', '']))), [['AB', 0], ['É', 1], ['', 2]]);
  assert.deepEqual(seen(upper(Batch.of(['ab']))), [['AB', 0]]);
  const out = new Output();
  out.keep([...Batch.of(['a'])][0]);
  assert.throws(() => out.texts(['b']), /whole output/);
  assert.throws(() => new Output().texts(['b'], []), /one source/);
});

test('partition keys late or twice find their place', () => {
  const out = new Output();
  const given = [[['a', 1]], [['b', 2], ['a', 3]], [], [['b', 'x'], ['b', 'é']]];
  for (const record of Batch.of(given.map(() => 'r'))) {
    out.keep(record);
    for (const [name, value] of given[record.index]) out.partition(name, value);
  }
  const columns = out.columns();
  assert.deepEqual([text(columns.partitionValues), columns.partitionEnds], ['132é', [1, 1, 2, 3, 3, 3, 3, 5]]);
  assert.throws(() => new Output().partition('a', 'b'), /was written/);
});

test('what is no function or no record is refused', () => {
  assert.throws(() => perRecord(5), /takes a function/);
  assert.throws(() => Outcome.changed(5), /not number/);
  assert.throws(() => perBatch(() => { throw new Error('no table'); })(Batch.of(['a'])), /no table/);
});
