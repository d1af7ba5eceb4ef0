// Promises whose jobs the SDK runs itself: the world's functions answer at once, and the engine runs
// its own jobs only after they have. `await` in the project's source is made of these at its build.

const PENDING = 0;
const KEPT = 1;
const BROKEN = 2;
let jobs = [];
// The next job: a job may run others itself, through `settle`.
let head = 0;
let tasks = [];
const unhandled = new Set();

/** Runs `job` before anything that is not a job. */
export function enqueue(job) {
  jobs.push(job);
}

/** Runs `task` when no job is left; answers what takes it back. */
export function later(task) {
  tasks.push(task);
  return () => {
    tasks = tasks.filter((other) => other !== task);
  };
}

/** Whether a value is a promise, of whatever make. */
export function isThenable(value) {
  return value !== null && (typeof value === 'object' || typeof value === 'function') && typeof value.then === 'function';
}

class HostPromise {
  #state = PENDING;
  #value;
  #waiting = [];

  constructor(executor) {
    if (typeof executor !== 'function') throw new TypeError(`Promise resolver ${executor} is not a function`);
    const [resolve, reject] = this.#functions();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  #functions() {
    let called = false;
    const once = (settleWith) => (value) => {
      if (called) return;
      called = true;
      settleWith(value);
    };
    return [once((value) => this.#resolve(value)), once((error) => this.#settle(BROKEN, error))];
  }

  #resolve(value) {
    if (value === this) return this.#settle(BROKEN, new TypeError('Chaining cycle detected for promise'));
    try {
      if (!isThenable(value)) return this.#settle(KEPT, value);
      const { then } = value;
      enqueue(() => {
        const [resolve, reject] = this.#functions();
        try {
          then.call(value, resolve, reject);
        } catch (error) {
          reject(error);
        }
      });
    } catch (error) {
      this.#settle(BROKEN, error);
    }
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    if (state === BROKEN && this.#waiting.length === 0) unhandled.add(this);
    for (const wait of this.#waiting) enqueue(wait);
    this.#waiting = [];
  }

  then(kept, broken) {
    return new HostPromise((resolve, reject) => {
      const wait = () => {
        const handler = this.#state === KEPT ? kept : broken;
        if (typeof handler !== 'function') return (this.#state === KEPT ? resolve : reject)(this.#value);
        try {
          resolve(handler(this.#value));
        } catch (error) {
          reject(error);
        }
      };
      unhandled.delete(this);
      if (this.#state === PENDING) this.#waiting.push(wait);
      else enqueue(wait);
    });
  }

  catch(broken) {
    return this.then(undefined, broken);
  }

  finally(done) {
    return this.then(
      (value) => HostPromise.resolve(done()).then(() => value),
      (error) =>
        HostPromise.resolve(done()).then(() => {
          throw error;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return 'Promise';
  }

  /** State and value: for `settle`. */
  static look(promise) {
    return [promise.#state, promise.#value];
  }

  static resolve(value) {
    return value instanceof HostPromise ? value : new HostPromise((resolve) => resolve(value));
  }

  static reject(error) {
    return new HostPromise((_, reject) => reject(error));
  }

  static withResolvers() {
    const made = {};
    made.promise = new HostPromise((resolve, reject) => Object.assign(made, { resolve, reject }));
    return made;
  }

  static try(call, ...given) {
    return new HostPromise((resolve) => resolve(call(...given)));
  }

  static #each(promises, empty, kept, broken) {
    return new HostPromise((resolve, reject) => {
      const values = [];
      let left = 0;
      let begun = false;
      const end = () => begun && left === 0 && empty(values, resolve, reject);
      for (const promise of promises) {
        const index = left++;
        const put = (value) => {
          values[index] = value;
          left--;
          end();
        };
        HostPromise.resolve(promise).then(
          (value) => kept(value, put, resolve, reject),
          (error) => broken(error, put, resolve, reject),
        );
      }
      begun = true;
      end();
    });
  }

  static all(promises) {
    return HostPromise.#each(promises, (values, resolve) => resolve(values), (value, put) => put(value), (error, _, __, reject) => reject(error));
  }

  static allSettled(promises) {
    const kept = (value, put) => put({ status: 'fulfilled', value });
    const broken = (reason, put) => put({ status: 'rejected', reason });
    return HostPromise.#each(promises, (values, resolve) => resolve(values), kept, broken);
  }

  static any(promises) {
    const none = (errors, _, reject) => reject(new AggregateError(errors, 'All promises were rejected'));
    return HostPromise.#each(promises, none, (value, _, resolve) => resolve(value), (error, put) => put(error));
  }

  static race(promises) {
    return HostPromise.#each(promises, () => {}, (value, _, resolve) => resolve(value), (error, _, __, reject) => reject(error));
  }
}
Object.defineProperty(HostPromise, 'name', { value: 'Promise' });

export { HostPromise };

/** A promise that was rejected and that nobody listened to: ends a call. `cause` is what it was rejected with. */
export class UnhandledRejection extends Error {}

/** A promise that nothing will settle. */
export class NeverSettles extends Error {}

/** Runs jobs and tasks until `done()`, or until none is left. */
export function run(done = () => false) {
  while (!done()) {
    const ran = head < jobs.length;
    while (head < jobs.length) jobs[head++]();
    jobs = [];
    head = 0;
    const task = tasks.shift();
    if (task) task();
    else if (!ran) return;
  }
}

/** The value of a promise, once its jobs have run; another value as it is. Throws what it was rejected with. */
export function settle(value) {
  if (!isThenable(value)) return value;
  const promise = HostPromise.resolve(value);
  // Somebody listens.
  promise.then(undefined, () => {});
  run(() => HostPromise.look(promise)[0] !== PENDING);
  const [state, settled] = HostPromise.look(promise);
  if (state === BROKEN) throw settled;
  if (state === PENDING) throw new NeverSettles('the promise that the function returned is never settled: nothing is left to run');
  return settled;
}

/** Ends a call: what is left to run is forgotten; a rejection that nobody listened to is thrown. */
export function end() {
  const [first] = unhandled;
  unhandled.clear();
  jobs = [];
  head = 0;
  tasks = [];
  if (first) throw new UnhandledRejection('a promise was rejected and nobody listened', { cause: HostPromise.look(first)[1] });
}
