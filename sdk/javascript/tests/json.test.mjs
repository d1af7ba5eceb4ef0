// Levels of JSON, natively.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LEVELS_MAX, check, install, levels } from '../src/json.js';

test('levels are counted outside of texts', () => {
  // Short texts and those with few brackets are not looked at.
  const others = `${'['.repeat(LEVELS_MAX + 1)}${']'.repeat(LEVELS_MAX + 1)}`;
  assert.equal(levels(others), LEVELS_MAX + 1);
  const flat = '[],'.repeat(LEVELS_MAX);
  for (const [text, count] of [
    ['1', 1],
    ['[{"a": [1]}, [[2]]]', 3],
    ['["]]]]", "[[[[", "\\"]]]", "[\\\\", [1]]', 2],
    ['{"é[": "\ud800[", "": [[["\\\\\\"[["]]]}', 4],
    [']][', 1],
  ]) {
    assert.equal(levels(flat + text), count, text);
  }
});

test('a text of too many levels is not read', () => {
  const nested = (count) => '[{"a":'.repeat(count / 2) + '1' + '}]'.repeat(count / 2);
  check(nested(LEVELS_MAX));
  check(`[${'{"a":[]},'.repeat(5_000)}[]]`);
  assert.throws(() => check(nested(LEVELS_MAX + 2)), /^RangeError: JSON is nested deeper than 1000 levels$/);
  const target = { JSON: { parse: JSON.parse } };
  install(target);
  assert.deepEqual(target.JSON.parse('[1]', (_, value) => (value === 1 ? 2 : value)), [2]);
  assert.throws(() => target.JSON.parse(nested(LEVELS_MAX + 2)), RangeError);
  assert.throws(() => target.JSON.parse('['), SyntaxError);
});
