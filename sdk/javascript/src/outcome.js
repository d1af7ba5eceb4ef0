// What becomes of records: `Outcome` for one, `Output` for a batch, and what marks a function.

import { binary, bytesOf, encodeUtf8, utf8Of } from './bytes.js';
import * as host from './host.js';
import { settle } from './promise.js';
import { where } from './where.js';

/** What becomes of one record. */
export class Outcome {
  constructor(what, records = [], reason = '') {
    this.what = what;
    this.records = records;
    this.reason = reason;
    this.keys = [];
  }

  /** It goes on as it is. */
  static kept() {
    return new Outcome('kept');
  }

  /** This text, or these bytes, go on in its place. */
  static changed(data) {
    return new Outcome('many', [binary(data)]);
  }

  /** Several records go on in its place; none is as `dropped`. */
  static many(records) {
    return new Outcome('many', Array.from(records, binary));
  }

  /** It goes nowhere, and that is right. */
  static dropped() {
    return new Outcome('dropped');
  }

  /** It cannot be processed: it goes to the error output with the reason. */
  static failed(reason) {
    return new Outcome('failed', [], String(reason));
  }

  /** Gives what goes on the value of a partition key, for `!{partitionKeyFromLambda:name}`. */
  partition(name, value) {
    this.keys.push([String(name), String(value)]);
    return this;
  }
}

/**
 * The output of a batch. Records are written in the order of the batch; an input that is neither
 * written nor failed is dropped. Everything is joined and encoded once, at the end.
 */
export class Output {
  constructor() {
    this.parts = [];
    this.sources = [];
    this.failures = [];
    this.rows = [];
    this.names = [];
    this.whole = undefined;
  }

  get length() {
    return this.sources.length;
  }

  /** `record` goes on as it is. */
  keep(record) {
    this.write(record.index, record.binary);
  }

  /** `data`, a text or bytes, goes on, made of `record`. May be called several times for a record. */
  push(record, data) {
    this.write(record.index, binary(data));
  }

  /** Writes a binary string, made of the record at `index`. */
  write(index, content) {
    if (this.whole) throw new Error('texts() was the whole output');
    this.parts.push(content);
    this.sources.push(index);
  }

  /** `record` goes to the error output with `reason`. */
  fail(record, reason) {
    this.failures.push({ index: record.index, reason: String(reason) });
  }

  /** Gives the record that was written last the value of a partition key. */
  partition(name, value) {
    const row = this.sources.length - 1;
    if (row < 0) throw new Error('a partition key belongs to a record that was written');
    if (!this.names.includes(name)) this.names.push(name);
    (this.rows[row] ??= new Map()).set(name, String(value));
  }

  /** Sets the whole output at once: the texts that go on, and the index of the source of each (without:
   * one output for each input). They are joined and encoded in one piece. */
  texts(texts, sources = texts.map((_, index) => index)) {
    if (this.sources.length || texts.length !== sources.length) {
      throw new Error('texts() is the whole output, with one source for each text');
    }
    this.parts = texts;
    this.sources = sources;
    this.whole = true;
  }

  /** The payload and the ends of its records. */
  joined() {
    const ends = (parts) => {
      let end = 0;
      return parts.map((part) => (end += part.length));
    };
    if (!this.whole) return [bytesOf(this.parts.join('')), ends(this.parts)];
    const payload = encodeUtf8(this.parts.join(''));
    const lengths = ends(this.parts);
    // Where a character is one byte, lengths of texts are those of their bytes.
    return [payload, payload.length === (lengths.at(-1) ?? 0) ? lengths : ends(this.parts.map(utf8Of))];
  }

  /** The output in the world's columns. */
  columns() {
    const [payload, ends] = this.joined();
    const values = [];
    const partitionEnds = [];
    let end = 0;
    for (let row = 0; this.names.length && row < ends.length; row++) {
      for (const name of this.names) {
        const value = utf8Of(this.rows[row]?.get(name) ?? '');
        values.push(value);
        partitionEnds.push((end += value.length));
      }
    }
    return {
      payload,
      ends,
      sources: this.sources,
      failures: this.failures,
      partitionNames: this.names,
      partitionValues: bytesOf(values.join('')),
      partitionEnds,
    };
  }
}

function put(outcome, record, out) {
  if (!(outcome instanceof Outcome)) {
    out.fail(record, `the function returned ${outcome === null ? 'null' : typeof outcome}, not an Outcome`);
  } else if (outcome.what === 'failed') {
    out.fail(record, outcome.reason);
  } else {
    for (const part of outcome.what === 'kept' ? [record.binary] : outcome.records) {
      out.write(record.index, part);
      for (const [name, value] of outcome.keys) out.partition(name, value);
    }
  }
}

/** How an error is told: `TypeError: no such …`. */
export function said(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function tell(record, error) {
  const lines = [`record ${record.index}, the first of the batch that threw: ${said(error)}`, ...where(error?.stack ?? '')];
  host.log('error', lines.join('\n'));
}

/** Makes a transform of `(record) => Outcome`. What throws fails its record. */
export function perRecord(each) {
  if (typeof each !== 'function') throw new TypeError('perRecord takes a function, (record) => Outcome');
  return perBatch((batch, out) => {
    let told = false;
    for (const record of batch) {
      let outcome;
      try {
        outcome = settle(each(record));
      } catch (error) {
        if (!told) tell(record, error);
        told = true;
        outcome = Outcome.failed(said(error));
      }
      put(outcome, record, out);
    }
  });
}

/** Makes a transform of `(batch, out) => undefined`. What throws means that nothing of it was processed. */
export function perBatch(whole) {
  if (typeof whole !== 'function') throw new TypeError('perBatch takes a function, (batch, out) => undefined');
  return (batch) => {
    const out = new Output();
    settle(whole(batch, out));
    return out;
  };
}
