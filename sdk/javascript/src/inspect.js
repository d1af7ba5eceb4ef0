// How `console.log` shows values: Node's way for what transforms log.

const LEVELS_MAX = 2;
const ITEMS_MAX = 100;
const LINE_MAX = 72;

function quoted(text) {
  const quote = !text.includes("'") ? "'" : !text.includes('"') ? '"' : '`';
  return quote + JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"') + quote;
}

function wrapped(open, parts, close) {
  if (parts.length === 0) return open + close;
  const line = `${open} ${parts.join(', ')} ${close}`;
  return line.length <= LINE_MAX && !line.includes('\n') ? line : `${open}\n  ${parts.join(',\n').replace(/\n/g, '\n  ')}\n${close}`;
}

/** A value in words. */
export function inspect(value, level = 0, seen = []) {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return `[Function: ${value.name || '(anonymous)'}]`;
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? '-0' : String(value);
  if (value instanceof Error) return value.stack ? `${value.name}: ${value.message}\n${value.stack}`.trimEnd() : String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (seen.includes(value)) return '[Circular *1]';
  if (level > LEVELS_MAX) return Array.isArray(value) ? '[Array]' : '[Object]';
  const inner = (part) => inspect(part, level + 1, [...seen, value]);
  const some = (parts) => (parts.length > ITEMS_MAX ? [...parts.slice(0, ITEMS_MAX), `... ${parts.length - ITEMS_MAX} more items`] : parts);
  if (Array.isArray(value)) return wrapped('[', some(value).map((part, at) => (at < ITEMS_MAX ? inner(part) : part)), ']');
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.length ?? value.byteLength}) [ ${some(Array.from(value)).join(', ')} ]`;
  if (value instanceof Map) return wrapped(`Map(${value.size}) {`, [...value].map(([key, part]) => `${inner(key)} => ${inner(part)}`), '}');
  if (value instanceof Set) return wrapped(`Set(${value.size}) {`, [...value].map(inner), '}');
  const named = value.constructor?.name;
  const keys = Object.keys(value).map((key) => `${/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key)}: ${inner(value[key])}`);
  return wrapped(named && named !== 'Object' ? `${named} {` : '{', keys, '}');
}

/** The line of `console.log(...values)`: `%s %d %i %f %j %o %O %%` in a first string are filled in. */
export function format(...values) {
  const words = [];
  if (typeof values[0] === 'string') {
    let at = 1;
    const filled = values[0].replace(/%[sdifjoO%]/g, (mark) => {
      if (mark === '%%') return values.length > 1 ? '%' : mark;
      if (at >= values.length) return mark;
      const value = values[at++];
      if (mark === '%s') return typeof value === 'string' ? value : inspect(value);
      if (mark === '%d') return String(Number(value));
      if (mark === '%i') return String(Number.parseInt(value, 10));
      if (mark === '%f') return String(Number.parseFloat(value));
      return mark === '%j' ? JSON.stringify(value) : inspect(value);
    });
    words.push(filled);
    values = values.slice(at);
  }
  return [...words, ...values.map((value) => (typeof value === 'string' ? value : inspect(value)))].join(' ');
}
