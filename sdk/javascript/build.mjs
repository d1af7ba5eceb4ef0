// Makes a component of a project: `node build.mjs PROJECT --kind transform --output build/NAME.wasm`.
//
// It prints one line for an error of the user's, `app.js:3:7: Unexpected "}"`, and ends with 1.
// Options: --kind transform|handler, --source app.js, --grant http, --grant key_value, --output FILE,
// --wit DIR, --dev: the engine that is quicker to build and to compile, and slower to run.

import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { lines } from './source-map.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const GRANTS = { http: 'http', key_value: 'key-value' };
// Modules of Node that the SDK stands in for.
const BUILTINS = { buffer: "export const { Buffer, atob, btoa } = globalThis;", process: 'module.exports = globalThis.process;' };

class UserError extends Error {}

function options(given) {
  const { values, positionals } = parseArgs({
    args: given,
    allowPositionals: true,
    options: {
      kind: { type: 'string' },
      source: { type: 'string', default: 'app.js' },
      grant: { type: 'string', multiple: true, default: [] },
      output: { type: 'string' },
      wit: { type: 'string' },
      dev: { type: 'boolean', default: false },
    },
  });
  if (positionals.length !== 1 || !values.output) throw new UserError('build.mjs PROJECT --kind transform|handler --output FILE');
  if (!['transform', 'handler'].includes(values.kind)) throw new UserError('--kind is transform or handler');
  for (const grant of values.grant) if (!GRANTS[grant]) throw new UserError(`--grant is ${Object.keys(GRANTS).join(' or ')}, not ${grant}`);
  const project = path.resolve(positionals[0]);
  if (!existsSync(path.join(project, values.source))) {
    throw new UserError(`${values.source}: there is no such file in ${project}; \`source\` in millrace.toml names the function's file`);
  }
  return { ...values, project };
}

/** Writes the world of this project: its kind and what it was granted. */
export function world(folder, { wit, kind, grant }) {
  const from = (wit ? [wit] : [path.join(HERE, 'wit'), path.join(HERE, '../../wit/transform')]).find((at) => existsSync(path.join(at, 'world.wit')));
  if (!from) throw new UserError('world.wit: not found; --wit names its folder');
  const deps = path.join(folder, 'deps/millrace-transform');
  mkdirSync(deps, { recursive: true });
  cpSync(path.join(from, 'world.wit'), path.join(deps, 'world.wit'));
  const imports = [...new Set(grant)].sort().map((name) => ` import millrace:transform/${GRANTS[name]}@0.1.0;`);
  writeFileSync(path.join(folder, 'app.wit'), `package local:app;\nworld app { include millrace:transform/${kind}@0.1.0;${imports.join('')} }\n`);
}

async function tool(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UserError(`${name} is not installed: npm ci --prefix ${HERE}`);
  }
}

/** What the project's imports are, besides its own files and packages. */
function resolver({ grant }) {
  const granted = { 'millrace/http': 'http', 'millrace/key-value': 'key_value' };
  const files = { millrace: 'index.js', 'millrace/http': 'http.js', 'millrace/key-value': 'key-value.js' };
  return {
    name: 'millrace',
    setup(build) {
      build.onResolve({ filter: /^millrace:/ }, ({ path: name }) => ({ path: name, external: true }));
      build.onResolve({ filter: /^millrace(\/|$)/ }, ({ path: name }) => {
        if (!files[name]) return { errors: [{ text: `there is no ${name}: ${Object.keys(files).join(', ')} are there` }] };
        const wanted = granted[name];
        if (wanted && !grant.includes(wanted)) return { errors: [{ text: `${name} needs the grant ${wanted} in millrace.toml` }] };
        return { path: path.join(HERE, 'src', files[name]) };
      });
      build.onResolve({ filter: /^(node:)?(buffer|process)$/ }, ({ path: name }) => ({ path: name.replace('node:', ''), namespace: 'builtin' }));
      build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path: name }) => ({ contents: BUILTINS[name], loader: 'js' }));
      build.onResolve({ filter: /^node:/ }, ({ path: name }) => ({ errors: [{ text: `${name} is not there: of Node's modules functions have node:buffer and node:process` }] }));
    },
  };
}

/** One module of the SDK and the project, and its source map. The project's own modules are functions in
 * it that run when the first call loads them; `async` is written out over the SDK's promises. */
export async function bundle(given) {
  const esbuild = await tool('esbuild');
  const [name, maker] = given.kind === 'handler' ? ['handle', 'handler'] : ['transform', 'transformer'];
  const main = path.join(given.project, given.source);
  const entry = `import { ${maker} } from ${JSON.stringify(path.join(HERE, 'src/guest.js'))};
export const ${name} = ${maker}(() => require(${JSON.stringify(main)}), ${JSON.stringify(given.source)});\n`;
  try {
    const { outputFiles } = await esbuild.build({
      stdin: { contents: entry, resolveDir: given.project, sourcefile: 'millrace-entry.js' },
      absWorkingDir: given.project,
      outfile: path.join(given.project, 'app.mjs'),
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      conditions: ['module', 'import', 'require', 'default'],
      target: 'es2024',
      supported: { 'async-await': false, 'async-generator': false, 'for-await': false, 'top-level-await': false },
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
      legalComments: 'none',
      plugins: [resolver(given)],
    });
    const text = (end) => outputFiles.find((file) => file.path.endsWith(end)).text;
    return withMap(text('.mjs'), JSON.parse(text('.map')), given.project);
  } catch (error) {
    const [first] = error.errors ?? [];
    if (!first) throw error;
    const place = first.location ? `${first.location.file}:${first.location.line}:${first.location.column + 1}: ` : '';
    throw new UserError(place + reason(first.text));
  }
}

function reason(text) {
  const [, name] = /^Could not resolve "([^"]+)"/.exec(text) ?? [];
  return name ? `there is no ${name}: no file, no package in node_modules, and not one of the modules that functions have (node:buffer, node:process)` : text;
}

/** Puts in front of the code where its lines come from, so that stacks are told in the project's own. */
function withMap(code, { sources, mappings }, project) {
  // The SDK may lie in the project's own folder.
  const others = /^(\.\.|builtin:|millrace-entry)|(^|\/)node_modules\//;
  const own = (file) => !others.test(file) && !path.resolve(project, file).startsWith(HERE + path.sep);
  const rows = lines(mappings).map((row) => row.filter(([, source]) => own(sources[source])));
  // The first line is this one.
  return `globalThis.MILLRACE_MAP = ${JSON.stringify(JSON.stringify({ sources, rows: [[], ...rows] }))};\n${code}`;
}

async function build(given) {
  const { componentize } = await tool('componentize-qjs');
  const work = mkdtempSync(path.join(tmpdir(), 'millrace-javascript-'));
  try {
    const witPath = path.join(work, 'wit');
    mkdirSync(witPath);
    world(witPath, given);
    const jsSource = await bundle(given);
    // `sync`: the world's exports answer at once. `stubWasi`: nothing is imported but the world.
    const { component } = await componentize({ witPath, world: 'app', jsSource, sync: true, stubWasi: true, optSize: given.dev });
    const output = path.resolve(given.output);
    mkdirSync(path.dirname(output), { recursive: true });
    // Whole or not at all: a build that fails leaves the one before.
    writeFileSync(`${output}.part`, component);
    renameSync(`${output}.part`, output);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Builds; answers the exit code. */
export async function main(given) {
  try {
    await build(options(given));
    return 0;
  } catch (error) {
    if (!(error instanceof UserError) && !error.code?.startsWith?.('ERR_PARSE_ARGS')) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = await main(process.argv.slice(2));
