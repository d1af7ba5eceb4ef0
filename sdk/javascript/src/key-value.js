// Small state of the function's own, shared by its versions and instances. Needs the grant `key_value`.

import * as store from 'millrace:transform/key-value@0.1.0';

import { binary, bytesOf } from './bytes.js';
import { asked } from './host.js';

/** The value of a key as a Uint8Array, or undefined. Throws an Error with the host's reason, as all do here. */
export function get(key) {
  return asked(() => store.get(key)) ?? undefined;
}

/** Sets a key of 1 to 256 bytes to a text or bytes of at most 64 KiB. Written once the call has answered well. */
export function set(key, value) {
  asked(() => store.set(key, bytesOf(binary(value))));
}

/** Removes a key; it need not be there. */
export function remove(key) {
  asked(() => store.delete(key));
}

/** Keys that begin with `prefix`, in order, at most 1,000, behind `after`. */
export function keys(prefix = '', after = null) {
  return asked(() => store.keys(prefix, after));
}
