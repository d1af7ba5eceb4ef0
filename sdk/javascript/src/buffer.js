// Node's Buffer as far as transforms need it, and TextEncoder and TextDecoder.

import { binaryOf, bytesOf, decodeUtf8, encodeUtf8, textOf, utf8Of } from './bytes.js';

const plainAtob = globalThis.atob;
const plainBtoa = globalThis.btoa;

function encodingOf(name = 'utf8') {
  const known = { utf8: 'utf8', 'utf-8': 'utf8', base64: 'base64', base64url: 'base64url', hex: 'hex', ascii: 'ascii' };
  Object.assign(known, { latin1: 'latin1', binary: 'latin1' });
  const encoding = known[String(name).toLowerCase()];
  if (!encoding) throw new TypeError(`Unknown encoding: ${name}`);
  return encoding;
}

// Node takes base64 of both alphabets, with or without padding, and stops at what is none.
function binaryOfBase64(text) {
  try {
    return plainAtob(text);
  } catch {
    const [kept] = text.replace(/-/g, '+').replace(/_/g, '/').replace(/[^A-Za-z0-9+/=]/g, '').split('=');
    return plainAtob(kept.length % 4 === 1 ? kept.slice(0, -1) : kept.padEnd(kept.length + ((4 - (kept.length % 4)) % 4), '='));
  }
}

function binaryOfHex(text) {
  const [pairs] = /^(?:[0-9a-fA-F]{2})*/.exec(text);
  return pairs.replace(/../g, (pair) => String.fromCharCode(parseInt(pair, 16)));
}

function decode(text, encoding) {
  switch (encodingOf(encoding)) {
    case 'base64':
    case 'base64url':
      return binaryOfBase64(text);
    case 'hex':
      return binaryOfHex(text);
    case 'utf8':
      return utf8Of(text);
    default:
      return text.replace(/[^\x00-\xff]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) & 255));
  }
}

function encode(content, encoding) {
  switch (encodingOf(encoding)) {
    case 'base64':
      return plainBtoa(content);
    case 'base64url':
      return plainBtoa(content).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
    case 'hex':
      return content.replace(/[^]/g, (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0'));
    case 'utf8':
      return textOf(content);
    case 'ascii':
      return content.replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(byte.charCodeAt(0) & 127));
    default:
      return content;
  }
}

/** Node's Buffer: `from`, `alloc`, `concat`, `byteLength`, `isBuffer`, `compare`, `toString`, `equals`, `indexOf`. */
export class Buffer extends Uint8Array {
  static from(value, encoding, length) {
    if (typeof value === 'string') return Buffer.of_(encodingOf(encoding) === 'utf8' ? encodeUtf8(value) : bytesOf(decode(value, encoding)));
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Buffer(value, encoding, length);
    if (value instanceof Uint8Array) return Buffer.of_(new Uint8Array(value));
    if (value?.type === 'Buffer' && Array.isArray(value.data)) return Buffer.of_(Uint8Array.from(value.data));
    if (value !== null && typeof value === 'object' && (Symbol.iterator in value || 'length' in value)) return Buffer.of_(Uint8Array.from(value));
    throw new TypeError(`The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array. Received ${typeof value}`);
  }

  static of_(bytes) {
    return new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  static alloc(size, fill, encoding) {
    const made = new Buffer(size);
    if (fill === undefined || fill === 0) return made;
    const part = typeof fill === 'number' ? [fill] : Buffer.from(fill, encoding);
    for (let at = 0; part.length && at < size; at++) made[at] = part[at % part.length];
    return made;
  }

  static allocUnsafe(size) {
    return new Buffer(size);
  }

  static isBuffer(value) {
    return value instanceof Buffer;
  }

  static isEncoding(name) {
    try {
      return Boolean(encodingOf(name));
    } catch {
      return false;
    }
  }

  static byteLength(value, encoding) {
    return typeof value === 'string' ? decode(value, encoding).length : value.byteLength;
  }

  static concat(list, length = list.reduce((sum, part) => sum + part.length, 0)) {
    const made = new Buffer(length);
    let at = 0;
    for (const part of list) {
      if (at >= length) break;
      made.set(part.length > length - at ? part.subarray(0, length - at) : part, at);
      at += part.length;
    }
    return made;
  }

  static compare(one, other) {
    const [first, second] = [binaryOf(one), binaryOf(other)];
    return first < second ? -1 : first > second ? 1 : 0;
  }

  toString(encoding, start = 0, end = this.length) {
    const part = start === 0 && end === this.length ? this : this.subarray(start, end);
    return encodingOf(encoding) === 'utf8' ? decodeUtf8(part) : encode(binaryOf(part), encoding);
  }

  toJSON() {
    return { type: 'Buffer', data: Array.from(this) };
  }

  equals(other) {
    return this.length === other.length && binaryOf(this) === binaryOf(other);
  }

  compare(other) {
    return Buffer.compare(this, other);
  }

  indexOf(value, from = 0, encoding = 'utf8') {
    if (typeof value === 'number') return super.indexOf(value & 255, from);
    return binaryOf(this).indexOf(typeof value === 'string' ? decode(value, encoding) : binaryOf(value), from);
  }

  includes(value, from, encoding) {
    return this.indexOf(value, from, encoding) !== -1;
  }

  // Node's slice shares memory, as subarray does.
  slice(start, end) {
    return this.subarray(start, end);
  }

  write(text, offset = 0, length = this.length - offset, encoding = 'utf8') {
    const bytes = bytesOf(decode(text, encoding)).subarray(0, Math.min(length, this.length - offset));
    this.set(bytes, offset);
    return bytes.length;
  }

  copy(target, at = 0, start = 0, end = this.length) {
    const part = this.subarray(start, Math.min(end, start + target.length - at));
    target.set(part, at);
    return part.length;
  }
}

/** Text to UTF-8. */
export class TextEncoder {
  get encoding() {
    return 'utf-8';
  }

  encode(text = '') {
    return encodeUtf8(String(text));
  }
}

/** UTF-8 to text; other encodings are refused by name. */
export class TextDecoder {
  constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
    if (!['utf-8', 'utf8', 'unicode-1-1-utf-8'].includes(String(label).trim().toLowerCase())) {
      throw new RangeError(`The "${label}" encoding is not supported: only utf-8 is`);
    }
    this.encoding = 'utf-8';
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }

  decode(data, options) {
    if (options?.stream) throw new TypeError('TextDecoder.decode: stream is not supported');
    if (data === undefined) return '';
    const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
    const text = decodeUtf8(bytes, this.fatal);
    return !this.ignoreBOM && text.startsWith('\ufeff') ? text.slice(1) : text;
  }
}
