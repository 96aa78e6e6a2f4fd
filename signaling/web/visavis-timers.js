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
