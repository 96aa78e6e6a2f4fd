// The way back to a peer that was lost: signaling first, then a network path for its media.

import { pause } from './visavis-timers.js';

/** How long it is looked for. The server keeps a peer for about as long. */
const RECOVER_MS = 20_000;
/** Between two looks at whether the path has healed by itself. */
const LOOK_MS = 50;
/** A server that is there answers a ping within this time. */
const PONG_MS = 300;
/**
 * A WebSocket that does not open within this time is tried again: the kernel's own patience doubles with
 * each try, and would miss the moment at which the network is back.
 */
const RESUME_MS = 700;
/** After so many tries with less patience there is more of it: browsers slow down who fails too often. */
const HASTY_TRIES = 12;
const RESUME_LATER_MS = 2_000;
/** At least this long between two tries that fail at once. */
const BREATH_MS = 150;
/**
 * An ICE restart that finds no path within this time is made again, with twice the patience: sockets that were
 * opened while the system was changing networks may be good for nothing.
 */
const RESTART_MS = 500;
const RESTART_LIMIT_MS = 8_000;

/**
 * One search for a lost peer. Ends by calling one of its handlers, once, unless it is stopped before.
 *
 * @typedef {object} RecoveryHandlers
 * @property {() => void} onBack media, or what stands for it, comes again
 * @property {() => void} onForgotten the server is there and does not know the peer any more
 * @property {() => void} onLost there was nothing to be found
 * @property {(text: string) => void} onLog
 */
export class Recovery {
  #link;
  #signaling;
  #handlers;
  #since = performance.now();
  #look;
  /** How long the round trip was while there was one. */
  #roundTripMs;
  /** The WebSocket in use does not answer. */
  #deaf;
  #restartMs;

  /**
   * @param {import('./visavis-link.js').Link} link
   * @param {import('./visavis-signaling.js').Signaling} signaling
   * @param {{deaf: boolean, roundTripMs: number} & RecoveryHandlers} options
   */
  constructor(link, signaling, { deaf, roundTripMs, ...handlers }) {
    this.#link = link;
    this.#signaling = signaling;
    this.#deaf = deaf;
    this.#roundTripMs = roundTripMs;
    this.#restartMs = Math.max(RESTART_MS, 6 * roundTripMs);
    this.#handlers = handlers;
    this.#look = setInterval(() => {
      if (this.#hasHealed()) this.#end('onBack');
      else if (performance.now() - this.#since > RECOVER_MS) this.#end('onLost');
    }, LOOK_MS);
    this.#search().catch((error) => {
      this.#log(error.message);
      this.#end('onLost');
    });
  }

  stop() {
    clearInterval(this.#look);
    this.#handlers = null;
  }

  get #isOver() {
    return this.#handlers === null;
  }

  #end(outcome) {
    const handlers = this.#handlers;
    this.stop();
    handlers?.[outcome]();
  }

  #log(text) {
    this.#handlers?.onLog(text);
  }

  #hasHealed() {
    const silence = this.#link.silenceMs();
    const came = performance.now() - this.#since - silence > LOOK_MS;
    return came && this.#link.state === 'connected';
  }

  async #search() {
    for (let tries = 0; !this.#isOver; tries += 1) {
      const began = performance.now();
      const config = await this.#reach(tries);
      if (this.#isOver) return;
      if (!config) {
        const took = performance.now() - began;
        if (took < BREATH_MS) await pause(BREATH_MS - took + Math.random() * BREATH_MS);
      } else if (this.#signaling.peerId !== this.#link.peerId) {
        this.#end('onForgotten');
      } else if (await this.#restart()) {
        this.#end('onBack');
      }
    }
  }

  /** Sees to it that there is somebody to talk to. */
  async #reach(tries) {
    const patience = 3 * this.#roundTripMs;
    if (!this.#deaf) {
      if (await this.#signaling.isAlive(Math.max(PONG_MS, patience))) return true;
      this.#deaf = true;
    }
    const atLeast = tries < HASTY_TRIES ? RESUME_MS : RESUME_LATER_MS;
    // TCP, TLS and the WebSocket take a round trip each, and one more for good measure.
    const config = await this.#signaling.resume(Math.max(atLeast, 2 * patience));
    if (!config) return false;
    this.#deaf = false;
    this.#log('signaling is back');
    return true;
  }

  /** An ICE restart. True where something came over a path since then. */
  async #restart() {
    this.#log('looking for another path');
    const before = await this.#link.arrivals();
    if (this.#isOver) return false;
    await this.#link.restart();
    const until = performance.now() + this.#restartMs;
    this.#restartMs = Math.min(2 * this.#restartMs, RESTART_LIMIT_MS);
    while (!this.#isOver && performance.now() < until) {
      await pause(LOOK_MS);
      if (this.#isOver || this.#link.state !== 'connected') continue;
      for (const [path, arrived] of await this.#link.arrivals()) {
        if (arrived > (before.get(path) ?? 0)) return true;
      }
    }
    return false;
  }
}
