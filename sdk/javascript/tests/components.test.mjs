// Components of the templates, the example and the sandbox do what their test files say. Wants the
// variable MILLRACE, the path of a `millrace` binary, and the SDK's packages (`npm ci`).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { main } from '../build.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { MILLRACE } = process.env;
const skip = !MILLRACE ? 'MILLRACE names no binary' : !existsSync(path.join(ROOT, 'node_modules')) && 'npm ci was not run';
const made = mkdtempSync(path.join(tmpdir(), 'millrace-components-'));
after(() => rmSync(made, { recursive: true }));

// What no file of tests wants to hold: an event of more levels of JSON than can be read.
const deep = path.join(made, 'deep.toml');
writeFileSync(deep, `[settings]
NAME = "x"
[[test]]
name = "an event of 100,000 levels"
[test.event]
data = '${'['.repeat(100_000)}'
[test.answer]
error = "Runtime.UnmarshalError"
`);

const PROJECTS = [
  ['templates/transform', 'transform', 'app.js'],
  ['templates/handler', 'handler', 'app.js'],
  ['../../guest-examples/lambda-javascript', 'handler', 'index.js'],
  ['tests/sandbox', 'handler', 'app.js'],
];
for (const [folder, kind, source] of PROJECTS) {
  test(`${folder} does what its test files say`, { skip }, async () => {
    const project = path.join(ROOT, folder);
    const output = path.join(made, `${path.basename(folder)}.wasm`);
    assert.equal(await main([project, '--kind', kind, '--source', source, '--output', output]), 0);
    const files = readdirSync(path.join(project, 'tests')).filter((name) => name.endsWith('.toml'));
    const tests = files.flatMap((name) => ['--tests', path.join(project, 'tests', name)]);
    if (kind === 'handler') tests.push('--tests', deep);
    execFileSync(MILLRACE, ['test', output, ...tests], { stdio: 'inherit' });
  });
}
