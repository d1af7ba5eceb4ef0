// Stacks in lines of the project's source: the build leaves its source map beside the code.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const FRAME = /^\s*at (.*?) ?\(?([^\s()]*):(\d+):(\d+)\)?$/;

/** The lines of `mappings`, each a list of [column, source, line]; see the source map's format, version 3. */
export function lines(mappings) {
  let source = 0;
  let line = 0;
  return mappings.split(';').map((row) => {
    let column = 0;
    return row.split(',').filter(Boolean).map((segment) => {
      const numbers = [];
      let value = 0;
      let shift = 0;
      for (const digit of segment) {
        const bits = DIGITS.indexOf(digit);
        value += (bits & 31) << shift;
        shift += 5;
        if (bits < 32) {
          numbers.push(value & 1 ? -(value >> 1) : value >> 1);
          value = shift = 0;
        }
      }
      column += numbers[0];
      source += numbers[1] ?? 0;
      line += numbers[2] ?? 0;
      return [column, source, line];
    });
  });
}

/** The frames of a stack that lie in the project's source, as `    at name (file:line)`. */
export function where(stack, map = globalThis.MILLRACE_MAP) {
  if (!map) return stack.split('\n').filter((frame) => frame.trim());
  const rows = lines(map.mappings);
  const found = [];
  for (const frame of stack.split('\n')) {
    const match = FRAME.exec(frame);
    if (!match) continue;
    const [, name, , row, column] = match;
    const segment = rows[row - 1 - map.before]?.findLast(([start]) => start < column) ?? undefined;
    const file = segment && map.sources[segment[1]];
    if (file) found.push(`    at ${name || '<anonymous>'} (${file}:${segment[2] + 1})`);
  }
  return found;
}
