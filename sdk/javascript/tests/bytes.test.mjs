// Bytes, text and Buffer against Node's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Buffer as Ours, TextDecoder as OurDecoder, TextEncoder as OurEncoder } from '../src/buffer.js';
import { binaryOf, bytesOf, decodeUtf8, encodeUtf8, isAsciiBytes, textOf, utf8Of } from '../src/bytes.js';

// The same bytes each run.
let state = 7;
const next = () => (state = (state * 1103515245 + 12345) % 2 ** 31) >>> 16;
const some = (count) => Uint8Array.from({ length: count }, () => next() & 255);

test('bytes and binary strings are the same', () => {
  const all = Uint8Array.from({ length: 256 }, (_, at) => at);
  assert.deepEqual(bytesOf(binaryOf(all)), all);
  assert.deepEqual([...bytesOf('')], []);
});

test('a byte above 127 is found wherever it is', () => {
  const shared = new ArrayBuffer(64);
  for (let from = 0; from < 9; from++) {
    for (let length = 0; length < 24; length++) {
      const bytes = new Uint8Array(shared, from, length).fill(127);
      assert.ok(isAsciiBytes(bytes), `${from} ${length}`);
      for (let at = 0; at < length; at++) {
        bytes[at] = 128;
        assert.ok(!isAsciiBytes(bytes), `${from} ${length} ${at}`);
        bytes[at] = 127;
      }
    }
  }
});

test('UTF-8 is read and written as Node does', () => {
  for (const each of ['', 'abc', 'é', '\u{1F600}x', 'a\ud800b', '\ufffd']) {
    assert.deepEqual([...bytesOf(utf8Of(each))], [...Buffer.from(each)]);
    assert.deepEqual([...encodeUtf8(each)], [...Buffer.from(each)]);
    assert.equal(decodeUtf8(Buffer.from(each)), Buffer.from(each).toString());
    assert.deepEqual([...new OurEncoder().encode(each)], [...new TextEncoder().encode(each)]);
  }
  for (let round = 0; round < 2000; round++) {
    // Near valid sequences, as well as at random.
    const bytes = round % 2 ? some(12) : Uint8Array.from(Buffer.from('é\u{1F600}€a').map((byte) => (next() % 9 ? byte : next() & 255)));
    assert.equal(textOf(binaryOf(bytes)), new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), `${bytes}`);
  }
  assert.throws(() => new OurDecoder('utf-8', { fatal: true }).decode(Uint8Array.of(255)), TypeError);
  assert.throws(() => new OurDecoder('utf-16le'), /utf-16le/);
  assert.equal(new OurDecoder().decode(Uint8Array.of(0xef, 0xbb, 0xbf, 65)), 'A');
});

test('Buffer is as Node has it', () => {
  const texts = ['', 'aGk=', 'aGk', 'aGk-_w', 'a G\nk=', '=aGk', 'a', 'abc*def', 'ff0g', 'é€'];
  for (const encoding of ['utf8', 'base64', 'base64url', 'hex', 'latin1', 'ascii', 'binary', 'UTF-8']) {
    for (const each of texts) {
      if (each === '=aGk' && encoding.startsWith('base64')) continue;
      assert.deepEqual([...Ours.from(each, encoding)], [...Buffer.from(each, encoding)], `${encoding} ${each}`);
    }
    const bytes = some(40);
    assert.equal(Ours.from(bytes).toString(encoding), Buffer.from(bytes).toString(encoding), encoding);
  }
  assert.equal(Ours.concat([Ours.from('a'), Ours.from('bc')]).toString(), 'abc');
  assert.equal(Ours.concat([Ours.from('ab'), Ours.from('cd')], 3).toString(), 'abc');
  assert.equal(Ours.from('abcdef').slice(1, 3).toString(), 'bc');
  assert.equal(Ours.from('abcdef').toString('utf8', 2, 4), 'cd');
  assert.deepEqual(JSON.stringify(Ours.from('a')), JSON.stringify(Buffer.from('a')));
  assert.equal(Ours.byteLength('é'), 2);
  assert.equal(Ours.alloc(3, 'ab').toString(), 'aba');
  assert.ok(Ours.isBuffer(Ours.from('a')) && !Ours.isBuffer(new Uint8Array(1)) && Ours.from('a').equals(Ours.from('a')));
  assert.equal(Ours.from('hello').indexOf('l'), 2);
  assert.ok(Ours.from('hello').includes('ell'));
  const shared = Ours.from('abc');
  shared.slice(1)[0] = 65;
  assert.equal(shared.toString(), 'aAc');
  assert.throws(() => Ours.from('a', 'utf16le'), /Unknown encoding: utf16le/);
  assert.throws(() => Ours.from(5), TypeError);
});
