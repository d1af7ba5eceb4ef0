// The build script up to the component.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

import { bundle, main, world } from '../build.mjs';
import { where } from '../src/where.js';

const project = mkdtempSync(path.join(tmpdir(), 'millrace-test-'));
after(() => rmSync(project, { recursive: true }));
const given = (source, more = {}) => {
  writeFileSync(path.join(project, 'app.js'), source);
  return { project, source: 'app.js', kind: 'handler', grant: [], ...more };
};
const refused = async (source, more) => {
  try {
    await bundle(given(source, more));
  } catch (error) {
    return error.message;
  }
  throw new Error('it was built');
};

test('errors of the user are one line with the place', async () => {
  assert.match(await refused('let x = 1;\nlet y = };\n'), /^app\.js:2:9: Unexpected "}"$/);
  assert.match(await refused("require('zlib');"), /^app\.js:1:9: there is no zlib: /);
  assert.match(await refused("import fs from 'node:fs'; fs;"), /^app\.js:1:16: node:fs is not there/);
  assert.match(await refused("import 'millrace/http';"), /millrace\/http needs the grant http in millrace\.toml/);
  assert.match(await refused("import 'millrace/nothing';"), /there is no millrace\/nothing/);
  assert.match(await refused('await 1; export const handler = 1;'), /^app\.js:1:1: .*[Tt]op-level await/);
});

test('arguments are checked by name', async (context) => {
  const said = [];
  context.mock.method(console, 'error', (line) => said.push(line));
  assert.equal(await main([project, '--kind', 'other', '--output', 'x']), 1);
  assert.equal(await main([project, '--kind', 'handler', '--output', 'x', '--grant', 'files']), 1);
  assert.equal(await main([project, '--kind', 'handler', '--output', 'x', '--source', 'none.js']), 1);
  assert.equal(await main([project, '--none']), 1);
  assert.match(said[0], /--kind is transform or handler/);
  assert.match(said[1], /--grant is http or key_value, not files/);
  assert.match(said[2], /^none\.js: there is no such file/);
  assert.match(said[3], /--none/);
});

test('async is written out, and lines of the code are lines of the source', async () => {
  const code = await bundle(given('\n\nexports.handler = async () => {\n  throw new Error("mark");\n};\n'));
  assert.doesNotMatch(code, /\basync (function|\()/);
  const row = code.split('\n').findIndex((line) => line.includes('"mark"'));
  const map = JSON.parse(JSON.parse(/^globalThis\.MILLRACE_MAP = (.*);$/m.exec(code)[1]));
  const column = code.split('\n')[row].indexOf('throw') + 1;
  const named = new Set(map.rows.flat().map(([, source]) => map.sources[source]));
  assert.deepEqual([...named], ['app.js'], 'the SDK and the entry have no lines in it');
  assert.deepEqual(where(`    at f (user.js:${row + 1}:${column})\n    at g (user.js:2:5)\n`, JSON.stringify(map)), ['    at f (app.js:4)']);
});

test('a world has its grants', () => {
  const folder = path.join(project, 'wit');
  mkdirSync(folder);
  world(folder, { kind: 'transform', grant: ['key_value', 'http', 'http'] });
  const text = readFileSync(path.join(folder, 'app.wit'), 'utf8');
  assert.match(text, /include millrace:transform\/transform@0\.1\.0; import millrace:transform\/http@0\.1\.0; import millrace:transform\/key-value@0\.1\.0;/);
});
