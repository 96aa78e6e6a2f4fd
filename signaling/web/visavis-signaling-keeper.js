// Reopens a lost WebSocket while media continues. Media does not need it, but turning on the microphone does, and the
// next recovery is faster with it.

import { backoffDelayMs, sleep } from './visavis-timers.js';

/** A reachable server answers a ping within this time, or three round trips where that is more. */
const PONG_TIMEOUT_MS = 250;
/** Used while media continues, so that nothing is urgent. */
const RELAXED_TIMEOUT_MS = 2_000;

/** Whether the server answers a ping; true where it does not support ping. */
export async function isServerReachable(signaling, roundTripMs) {
  return !signaling?.isResumable || signaling.isAlive(Math.max(PONG_TIMEOUT_MS, 3 * roundTripMs));
}

/** Restores signaling, for one connection at a time. */
export class SignalingKeeper {
  #isBusy = false;

  /** Retries until the server answers, or `isWanted()` is false. */
  async restore(signaling, connection, isWanted) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const canRestore = () => isWanted() && signaling.isResumable;
    for (let attempt = 1; canRestore(); attempt += 1) {
      if (await signaling.isAlive(RELAXED_TIMEOUT_MS)) break;
      await sleep(backoffDelayMs(attempt));
      if (!canRestore() || !(await signaling.resume(RELAXED_TIMEOUT_MS)) || !canRestore()) continue;
      if (signaling.peerId !== connection.peerId) {
        // The server no longer has our peer, so this WebSocket is of no use to the media that still flows.
        signaling.detach();
        break;
      }
    }
    this.#isBusy = false;
  }
}
