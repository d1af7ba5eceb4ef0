// Bytes as binary strings, one character of 0 to 255 for each byte, and the way between them, arrays
// and text by the engine's own functions: a loop over bytes is interpreted and runs at some 8 MB/s,
// these at 60 to 500. The SDK keeps records as binary strings: joining, cutting, comparing are native.

const NOT_ASCII = /[^\x00-\x7f]/;
/** What stands for bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd';
// Where an engine lacks the base64 of arrays (Node before 25), its Buffer does it.
const toBase64 = Uint8Array.prototype.toBase64;
const { fromBase64 } = Uint8Array;
const NodeBuffer = globalThis.Buffer;
const plainAtob = globalThis.atob;
const plainBtoa = globalThis.btoa;

/** The binary string of a Uint8Array. */
export function binaryOf(bytes) {
  return toBase64 ? plainAtob(toBase64.call(bytes)) : NodeBuffer.from(bytes).toString('latin1');
}

/** The Uint8Array of a binary string. */
export function bytesOf(binary) {
  return fromBase64 ? fromBase64.call(Uint8Array, plainBtoa(binary)) : new Uint8Array(NodeBuffer.from(binary, 'latin1'));
}

/** Whether every character is below 128. */
export function isAscii(text) {
  return !NOT_ASCII.test(text);
}

/** The UTF-8 of a text, as a binary string. Half a surrogate pair becomes U+FFFD. */
export function utf8Of(text) {
  return isAscii(text) ? text : unescape(encodeURIComponent(text.isWellFormed() ? text : text.toWellFormed()));
}

/** The text of a binary string of UTF-8; what is none becomes U+FFFD, or with `fatal` throws a TypeError. */
export function textOf(binary, fatal = false) {
  if (isAscii(binary)) return binary;
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    if (fatal) throw new TypeError('The encoded data was not valid for encoding utf-8');
    return replaced(binary);
  }
}

/** Whether all bytes are below 128: four at a time, three times as fast as the expression over a string. */
export function isAsciiBytes(bytes) {
  const head = Math.min((4 - (bytes.byteOffset & 3)) & 3, bytes.length);
  const words = new Uint32Array(bytes.buffer, head === bytes.length ? 0 : bytes.byteOffset + head, (bytes.length - head) >> 2);
  let all = 0;
  let at = 0;
  for (; at + 3 < words.length; at += 4) all |= words[at] | words[at + 1] | words[at + 2] | words[at + 3];
  for (; at < words.length; at++) all |= words[at];
  for (at = 0; at < head; at++) all |= bytes[at];
  for (at = head + words.length * 4; at < bytes.length; at++) all |= bytes[at];
  return (all & 0x80808080) === 0;
}

/** The UTF-8 of a text. */
export function encodeUtf8(text) {
  let bytes;
  try {
    bytes = bytesOf(text);
  } catch {
    // It has characters above 255.
    return bytesOf(utf8Of(text));
  }
  // Node's latin1 cuts what is above 255 instead of throwing.
  return isAsciiBytes(bytes) && fromBase64 ? bytes : bytesOf(utf8Of(text));
}

/** The text of UTF-8; what is none becomes U+FFFD, or with `fatal` throws a TypeError. */
export function decodeUtf8(bytes, fatal = false) {
  const content = binaryOf(bytes);
  return isAsciiBytes(bytes) ? content : textOf(content, fatal);
}

// A sequence of UTF-8 at the end of a longest wrong one: each wrong part becomes one U+FFFD.
const SEQUENCE = new RegExp(
  [
    '[\\x00-\\x7f]+|[\\xc2-\\xdf][\\x80-\\xbf]|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}',
    '\\xed[\\x80-\\x9f][\\x80-\\xbf]|\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf1-\\xf3][\\x80-\\xbf]{3}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}',
    '(\\xe0[\\xa0-\\xbf]|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]|\\xed[\\x80-\\x9f]',
    '\\xf0[\\x90-\\xbf][\\x80-\\xbf]?|[\\xf1-\\xf3][\\x80-\\xbf]{1,2}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]?|[^])',
  ].join('|'),
  'g',
);

function replaced(binary) {
  return binary.replace(SEQUENCE, (part, wrong) => (wrong === undefined ? decodeURIComponent(escape(part)) : REPLACEMENT));
}

/** The binary string of what a record may be given as: a text, a Uint8Array, an ArrayBuffer. */
export function binary(data) {
  if (typeof data === 'string') return utf8Of(data);
  if (data instanceof Uint8Array) return binaryOf(data);
  if (data instanceof ArrayBuffer) return binaryOf(new Uint8Array(data));
  throw new TypeError(`a record is a string or a Uint8Array, not ${data === null ? 'null' : typeof data}`);
}
