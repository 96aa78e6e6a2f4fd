// Signaling while the picture runs. Media does not need it; a microphone that is switched on later does, and the next
// restart is quicker with it.

import { backoffMs, pause } from './visavis-timers.js';

/** A server that is there answers a ping within this time, and within three round trips. */
const PONG_MS = 250;
/** With no picture at stake there is more time for it. */
const CALM_PONG_MS = 2_000;

/** Whether the server answers; where there is no way to ask it, nothing is made of that. */
export async function isServerThere(signaling, roundTripMs) {
  return !signaling?.isResumable || signaling.isAlive(Math.max(PONG_MS, 3 * roundTripMs));
}

/** Sees to it that there is signaling, for one connection at a time. */
export class Upkeep {
  #isBusy = false;

  /** Until it answers, or is no longer wanted for the link. */
  async keep(signaling, link, isWanted) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const wanted = () => isWanted() && signaling.isResumable;
    for (let attempt = 1; wanted(); attempt += 1) {
      if (await signaling.isAlive(CALM_PONG_MS)) break;
      await pause(backoffMs(attempt));
      if (!wanted() || !(await signaling.resume(CALM_PONG_MS)) || !wanted()) continue;
      if (signaling.peerId !== link.peerId) {
        // A server that has forgotten us while our media goes on: nobody can speak for it any more.
        signaling.drop();
        break;
      }
    }
    this.#isBusy = false;
  }
}
