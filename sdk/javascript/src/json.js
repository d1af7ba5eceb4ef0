// How deep a JSON text is nested: the engine's reader calls itself for each level, and in a component
// the machine's stack ends before the engine's own limit is reached, which would end the call by a trap.

/** Levels that are read. The reader traps behind some 2,000, less where the function is deep itself. */
export const LEVELS_MAX = 1000;
const OPENS = [91, 123];

/** The levels of a text up to its end, or up to where it is no JSON. */
export function levels(text) {
  const plain = text.includes('\\') ? text.replace(/\\[^]/g, '') : text;
  const outside = plain.split('"').filter((_, index) => index % 2 === 0);
  const brackets = outside.join('').replace(/[^[\]{}]+/g, '');
  let [level, most] = [0, 0];
  for (let at = 0; at < brackets.length; at++) {
    level += OPENS.includes(brackets.charCodeAt(at)) ? 1 : -1;
    if (level > most) most = level;
  }
  return most;
}

// Whether a text may have too many levels at all: a look that costs next to nothing for most.
function opensMany(text) {
  if (text.length <= LEVELS_MAX) return false;
  let count = 0;
  for (const open of '[{') {
    for (let at = text.indexOf(open); at >= 0 && count <= LEVELS_MAX; at = text.indexOf(open, at + 1)) count++;
  }
  return count > LEVELS_MAX;
}

/** Throws a RangeError when a text is nested too deep to be read. */
export function check(text) {
  if (opensMany(text) && levels(text) > LEVELS_MAX) throw new RangeError(`JSON is nested deeper than ${LEVELS_MAX} levels`);
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
