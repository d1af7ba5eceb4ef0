// The component's own module: the world's exports over the project's function. The project's source
// runs when an instance starts, as a Lambda's module does, not while the component is built.

import * as clock from 'millrace:transform/clock@0.1.0';
import * as invocation from 'millrace:transform/invocation@0.1.0';
import * as log from 'millrace:transform/log@0.1.0';
import * as random from 'millrace:transform/random@0.1.0';
import * as settings from 'millrace:transform/settings@0.1.0';

import { Batch } from './batch.js';
import { decodeUtf8, encodeUtf8 } from './bytes.js';
import * as globals from './globals.js';
import * as host from './host.js';
import * as lambda from './lambda.js';
import { end } from './promise.js';
import { where } from './where.js';

globals.install();

let project;
let broken;

/** Loads the project once; what it threw is every call's failure. */
function start(load) {
  if (project === undefined && broken === undefined) {
    host.attach({ clock, invocation, log, random, settings });
    try {
      project = load();
    } catch (error) {
      broken = lambda.failureOf(error, where);
    }
  }
  if (broken) throw broken;
  return project;
}

/** What `call` answers; a failure becomes the world's error in the words of `words`. */
function answer(call, words) {
  try {
    const answered = call();
    end();
    return answered;
  } catch (error) {
    try {
      end();
    } catch {
      // The first error is the call's.
    }
    const failure = lambda.failureOf(error, where);
    if (failure.body.trace.length) host.log('error', failure.body.trace.join('\n'));
    throw words(failure);
  } finally {
    globals.end();
  }
}

/** The export `transform`. */
export function transformer(load, file) {
  return (columns) =>
    answer(
      () => {
        const { transform } = start(load);
        if (typeof transform !== 'function') {
          throw new lambda.Failure('Runtime.HandlerNotFound', `${file}: transform is not exported; export const transform = perRecord(…)`);
        }
        return transform(new Batch(columns)).columns();
      },
      ({ body }) => `${body.errorType}: ${body.errorMessage}`,
    );
}

/** The export `handle`. */
export function handler(load, file) {
  globals.handles(file);
  return (event) =>
    answer(
      () => {
        const handle = lambda.find(start(load), file);
        return encodeUtf8(lambda.invoke(handle, decodeUtf8(event), host.current()));
      },
      (failure) => failure.json(),
    );
}
