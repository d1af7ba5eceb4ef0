// Stacks in lines of the project's source: the build leaves beside the code where its lines come from.

const FRAME = /^\s*at (.*?) ?\(?([^\s()]*):(\d+):(\d+)\)?$/;

/** The frames of a stack that lie in the project's source, as `    at name (file:line)`. `map` is JSON:
 * names of files, and for each line of the code where it came from, as [column, file, line]. */
export function where(stack, map = globalThis.MILLRACE_MAP) {
  if (!map) return stack.split('\n').filter((frame) => frame.trim());
  const { sources, rows } = JSON.parse(map);
  const found = [];
  for (const frame of stack.split('\n')) {
    const [, name, , row, column] = FRAME.exec(frame) ?? [];
    const place = rows[row - 1]?.findLast(([start]) => start < column);
    if (place) found.push(`    at ${name || '<anonymous>'} (${sources[place[1]]}:${place[2] + 1})`);
  }
  return found;
}
