// Delays, timers and deferred promises.

const MIN_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 8_000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Delay before an attempt, counted from 1; random, so that viewers that were lost together do not return together. */
export function backoffDelayMs(attempt) {
  const max = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (attempt - 1));
  return max * (0.5 + Math.random() / 2);
}

const MIN_QUEUE_MS = 1_500;
const MAX_QUEUE_MS = 5_000;

/** Delay before asking for a place again; little longer than `freeInSeconds`, where the server has sent it. */
export function queueDelayMs(attempt, freeInSeconds) {
  const delay = Math.min(MAX_QUEUE_MS, MIN_QUEUE_MS + 500 * (attempt - 1)) * (0.75 + Math.random() / 2);
  return freeInSeconds > 0 ? Math.min(delay, 1000 * freeInSeconds + 200 * Math.random()) : delay;
}

/** A promise with its resolve and reject. A rejection that nobody handles is not reported. */
export class Deferred {
  promise = new Promise((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => {});
  }
}

/** Named timers, one per name at a time. */
export class Timers {
  #running = new Map();

  /** Calls `action` after `ms`, unless the timer is cancelled or set again before. */
  set(name, ms, action) {
    this.cancel(name);
    this.#running.set(name, setTimeout(() => {
      this.#running.delete(name);
      action();
    }, ms));
  }

  /** @returns {boolean} whether it was running */
  cancel(name) {
    clearTimeout(this.#running.get(name));
    return this.#running.delete(name);
  }

  cancelAll() {
    for (const name of [...this.#running.keys()]) this.cancel(name);
  }
}
