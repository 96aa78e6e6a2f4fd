// Waiting.

const BACKOFF_FIRST_MS = 500;
const BACKOFF_LIMIT_MS = 8_000;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait before an attempt, counted from 1: spread out, so that viewers lost together do not come
 * back together. */
export function backoffMs(attempt) {
  const most = Math.min(BACKOFF_LIMIT_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1));
  return most * (0.5 + Math.random() / 2);
}

const PLACE_FIRST_MS = 1_500;
const PLACE_LIMIT_MS = 5_000;

/** How long to wait before a place is asked for once more; not much longer than until one may be free. */
export function placeMs(asked, freeInSeconds) {
  const often = Math.min(PLACE_LIMIT_MS, PLACE_FIRST_MS + 500 * (asked - 1)) * (0.75 + Math.random() / 2);
  return freeInSeconds > 0 ? Math.min(often, 1000 * freeInSeconds + 200 * Math.random()) : often;
}

/** A promise that somebody keeps later. Nobody has to listen to it. */
export class Outcome {
  promise = new Promise((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => {});
  }
}

/** Timers that go by names: one for each name at a time. */
export class Timers {
  #running = new Map();

  /** Calls `action` after so many ms, unless it is cancelled or set anew before. */
  set(name, ms, action) {
    this.cancel(name);
    this.#running.set(name, setTimeout(() => {
      this.#running.delete(name);
      action();
    }, ms));
  }

  /** Whether it was running. */
  cancel(name) {
    clearTimeout(this.#running.get(name));
    return this.#running.delete(name);
  }

  cancelAll() {
    for (const name of [...this.#running.keys()]) this.cancel(name);
  }
}
