// Source maps as esbuild writes them.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The lines of `mappings`, each a list of [column, source, line]; the source map's format, version 3. */
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
