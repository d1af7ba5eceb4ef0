// Requests to hosts that the grant `http` names.

import * as http from 'millrace:transform/http@0.1.0';

import { binary, binaryOf, bytesOf, textOf, utf8Of } from './bytes.js';
import { asked } from './host.js';

/** An answer: `status`, `headers` (names in lower case), `body`. */
export class Response {
  constructor({ status, headers, body }) {
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = new Map();
    for (const [name, value] of headers) {
      const text = textOf(binaryOf(value));
      this.headers.set(name, this.headers.has(name) ? `${this.headers.get(name)}, ${text}` : text);
    }
    this.body = body;
  }

  /** The body as text. */
  text() {
    return textOf(binaryOf(this.body));
  }

  /** The body's JSON value. */
  json() {
    return JSON.parse(this.text());
  }
}

/** Sends a request and waits for the answer: `send(url, { method, headers, body, timeoutMs })`. Throws an
 * Error with the host's reason. Redirects are answers. */
export function send(url, { method = 'GET', headers = {}, body = '', timeoutMs = null } = {}) {
  const pairs = Object.entries(headers).map(([name, value]) => [name, bytesOf(utf8Of(String(value)))]);
  const request = { method, url: String(url), headers: pairs, body: bytesOf(binary(body)), timeoutMs };
  return new Response(asked(() => http.send(request)));
}

/** The same as a promise, for `await`. */
export function fetch(url, options) {
  return Promise.try(send, url, options);
}
