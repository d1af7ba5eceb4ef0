// Components of the templates, the example and the sandbox do what their test files say. Wants the
// variable MILLRACE, the path of a `millrace` binary, and the SDK's packages (`npm ci`).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
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
    execFileSync(MILLRACE, ['test', output, ...tests], { stdio: 'inherit' });
  });
}
