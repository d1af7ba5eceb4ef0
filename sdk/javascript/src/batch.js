// What a function is given.

import { binary, binaryOf, bytesOf, isAsciiBytes, textOf } from './bytes.js';

/**
 * One record of a batch. `arrivalMs`: when it arrived, milliseconds since the Unix epoch. `sequence`:
 * its number in its shard, the same whenever it is processed. `index`: its place in the batch, from 0.
 */
export class Record {
  constructor(content, arrivalMs = 0, key = undefined, sequence = 0, index = 0) {
    this.binary = binary(content);
    this.arrivalMs = arrivalMs;
    this.keyBinary = key;
    this.sequence = sequence;
    this.index = index;
  }

  /** A record of a binary string, whose bytes are known to be `ascii`. */
  static ofBinary(content, arrivalMs, key, sequence, index, ascii) {
    const record = Object.create(Record.prototype);
    record.binary = content;
    record.arrivalMs = arrivalMs;
    record.keyBinary = key;
    record.sequence = sequence;
    record.index = index;
    record.ascii = ascii;
    return record;
  }

  /** The record as a Uint8Array. */
  get data() {
    return bytesOf(this.binary);
  }

  /** The record as text. Throws a TypeError when it is not UTF-8. */
  get text() {
    return this.ascii ? this.binary : textOf(this.binary, true);
  }

  /** Its partition key as text, undefined where the source has none. */
  get key() {
    return this.keyBinary === undefined ? undefined : textOf(this.keyBinary);
  }

  /** The record's JSON value. Throws a SyntaxError when it is not JSON. */
  json() {
    return JSON.parse(this.text);
  }
}

/**
 * Some records of one shard, in order, packed in columns: `payload` (Uint8Array) has all records one
 * behind the other, `ends` for each record the offset (bytes) of its end. Iterate over it for its
 * records.
 */
export class Batch {
  constructor({ payload, ends, arrivalsMs, keys = new Uint8Array(0), keyEnds = [], firstSequence = 0 }) {
    this.payload = payload;
    this.ends = ends;
    this.arrivalsMs = arrivalsMs;
    this.keys = keys;
    this.keyEnds = keyEnds;
    this.firstSequence = Number(firstSequence);
    this.decoded = undefined;
  }

  /** A batch of these records (strings or Uint8Arrays), without keys, of the Unix epoch: for tests. */
  static of(records) {
    const parts = records.map(binary);
    let end = 0;
    const ends = parts.map((part) => (end += part.length));
    return new Batch({ payload: bytesOf(parts.join('')), ends, arrivalsMs: ends.map(() => 0) });
  }

  get length() {
    return this.ends.length;
  }

  /** The payload as a binary string: one character of 0 to 255 for each byte, decoded once. */
  get binary() {
    return (this.decoded ??= binaryOf(this.payload));
  }

  /** All records as texts: the payload is decoded once and cut. Throws a TypeError when one is not UTF-8. */
  texts() {
    const ascii = isAsciiBytes(this.payload);
    return this.cuts(this.binary, this.ends).map((part) => (ascii ? part : textOf(part, true)));
  }

  cuts(content, ends) {
    let start = 0;
    return ends.map((end) => {
      const part = content.slice(start, end);
      start = end;
      return part;
    });
  }

  *[Symbol.iterator]() {
    const parts = this.cuts(this.binary, this.ends);
    const ascii = isAsciiBytes(this.payload);
    const keys = this.keyEnds.length ? this.cuts(binaryOf(this.keys), this.keyEnds) : undefined;
    for (let index = 0; index < parts.length; index++) {
      const sequence = this.firstSequence + index;
      yield Record.ofBinary(parts[index], Number(this.arrivalsMs[index]), keys?.[index], sequence, index, ascii);
    }
  }
}
