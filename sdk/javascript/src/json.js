// How deep a JSON text is nested: the engine's reader calls itself for each level, and in a component
// the machine's stack ends before the engine's own limit is reached, which would end the call by a trap.

/** Levels that are read. The reader traps behind some 2,000, less where the function is deep itself. */
export const LEVELS_MAX = 1000;
const OPENS = [91, 123];
const BACKSLASH = 92;

// Whether the quote behind a part of a text is escaped.
function escapes(part) {
  let at = part.length;
  while (at > 0 && part.charCodeAt(at - 1) === BACKSLASH) at--;
  return (part.length - at) % 2 === 1;
}

// What stands outside of a JSON text's strings. `split` is the engine's quickest way through a text:
// `indexOf` takes four times as long, an expression ten times.
function outside(text) {
  const kept = [];
  let inside = false;
  for (const part of text.split('"')) {
    if (!inside) kept.push(part);
    inside = !inside || escapes(part);
  }
  return kept.join('');
}

/** The levels of a text up to its end, or up to where it is no JSON; 0 where they are surely not too many. */
export function levels(text) {
  if (text.length <= LEVELS_MAX) return 0;
  const plain = outside(text);
  if (plain.split('[').length + plain.split('{').length <= LEVELS_MAX) return 0;
  const brackets = plain.replace(/[^[\]{}]+/g, '');
  let [level, most] = [0, 0];
  for (let at = 0; at < brackets.length; at++) {
    level += OPENS.includes(brackets.charCodeAt(at)) ? 1 : -1;
    if (level > most) most = level;
  }
  return most;
}

/** Throws a RangeError when a text is nested too deep to be read. */
export function check(text) {
  if (levels(text) > LEVELS_MAX) throw new RangeError(`JSON is nested deeper than ${LEVELS_MAX} levels`);
}

/** Has `JSON.parse` check its text. */
export function install(target = globalThis) {
  const plain = target.JSON.parse;
  target.JSON.parse = function parse(text, reviver) {
    const given = String(text);
    check(given);
    return plain.call(target.JSON, given, reviver);
  };
}
