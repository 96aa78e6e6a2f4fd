// Recovers a lost connection to the same peer: signaling first, then ICE.

import { sleep } from './visavis-timers.js';

/** After this time recovery is abandoned. The server keeps a peer for about as long. */
const RECOVERY_TIMEOUT_MS = 20_000;
/** How often to check whether media arrives again. */
const POLL_MS = 50;
/** A reachable server answers a ping within this time. */
const PONG_TIMEOUT_MS = 300;
/**
 * A WebSocket that does not open within this time is replaced by a new one: the kernel doubles its SYN timeout with
 * each retransmission, and would notice late that the network is back.
 */
const RESUME_TIMEOUT_MS = 700;
/** After this many attempts the timeout is longer: browsers delay WebSockets of a page whose attempts fail often. */
const SHORT_RESUME_ATTEMPTS = 12;
const LONG_RESUME_TIMEOUT_MS = 2_000;
/** Least time between two attempts that fail at once. */
const MIN_ATTEMPT_INTERVAL_MS = 150;
/**
 * An ICE restart that finds no path within this time is repeated, with twice the timeout: sockets that were opened
 * while the system was changing networks may not work.
 */
const RESTART_TIMEOUT_MS = 500;
const MAX_RESTART_TIMEOUT_MS = 8_000;

/**
 * One recovery. Ends by calling one of onRecovered, onPeerGone and onLost, once, unless stop() is called first.
 *
 * @typedef {object} RecoveryHandlers
 * @property {() => void} onRecovered media or answers to connectivity checks arrive again
 * @property {() => void} onPeerGone the server is reachable and no longer has the peer
 * @property {() => void} onLost the timeout has passed
 * @property {(text: string) => void} onLog
 */
export class Recovery {
  #connection;
  #signaling;
  #handlers;
  #startedAt = performance.now();
  #poll;
  /** The last round-trip time measured while connected; 0 where none was. */
  #roundTripMs;
  /** The WebSocket in use does not answer. */
  #signalingDead;
  #restartTimeoutMs;

  /**
   * @param {import('./visavis-media-connection.js').MediaConnection} connection
   * @param {import('./visavis-signaling.js').Signaling} signaling
   * @param {{signalingDead: boolean, roundTripMs: number} & RecoveryHandlers} options
   */
  constructor(connection, signaling, { signalingDead, roundTripMs, ...handlers }) {
    this.#connection = connection;
    this.#signaling = signaling;
    this.#signalingDead = signalingDead;
    this.#roundTripMs = roundTripMs;
    this.#restartTimeoutMs = Math.max(RESTART_TIMEOUT_MS, 6 * roundTripMs);
    this.#handlers = handlers;
    this.#poll = setInterval(() => {
      if (this.#isMediaBack()) this.#end('onRecovered');
      else if (performance.now() - this.#startedAt > RECOVERY_TIMEOUT_MS) this.#end('onLost');
    }, POLL_MS);
    this.#run().catch((error) => {
      this.#log(error.message);
      this.#end('onLost');
    });
  }

  stop() {
    clearInterval(this.#poll);
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

  #isMediaBack() {
    const silence = this.#connection.silenceMs();
    const arrivedSince = performance.now() - this.#startedAt - silence > POLL_MS;
    return arrivedSince && this.#connection.state === 'connected';
  }

  async #run() {
    for (let attempt = 0; !this.#isOver; attempt += 1) {
      const startedAt = performance.now();
      const reachable = await this.#ensureSignaling(attempt);
      if (this.#isOver) return;
      if (!reachable) {
        const elapsed = performance.now() - startedAt;
        const rest = MIN_ATTEMPT_INTERVAL_MS - elapsed;
        if (rest > 0) await sleep(rest + Math.random() * MIN_ATTEMPT_INTERVAL_MS);
      } else if (this.#signaling.peerId !== this.#connection.peerId) {
        this.#end('onPeerGone');
      } else if (await this.#restartIce()) {
        this.#end('onRecovered');
      }
    }
  }

  /** True once the server answers, over the WebSocket in use or a new one. */
  async #ensureSignaling(attempt) {
    const minTimeout = 3 * this.#roundTripMs;
    if (!this.#signalingDead) {
      if (await this.#signaling.isAlive(Math.max(PONG_TIMEOUT_MS, minTimeout))) return true;
      this.#signalingDead = true;
    }
    const timeout = attempt < SHORT_RESUME_ATTEMPTS ? RESUME_TIMEOUT_MS : LONG_RESUME_TIMEOUT_MS;
    // TCP, TLS and the WebSocket handshake take some round trips; six leave a margin.
    const config = await this.#signaling.resume(Math.max(timeout, 2 * minTimeout));
    if (!config) return false;
    this.#signalingDead = false;
    this.#log('signaling is back');
    return true;
  }

  /** Restarts ICE. True once something has arrived over a path since then. */
  async #restartIce() {
    this.#log('restarting ICE');
    const before = await this.#connection.receivedByPath();
    if (this.#isOver) return false;
    await this.#connection.restartIce();
    const until = performance.now() + this.#restartTimeoutMs;
    this.#restartTimeoutMs = Math.min(2 * this.#restartTimeoutMs, MAX_RESTART_TIMEOUT_MS);
    while (!this.#isOver && performance.now() < until) {
      await sleep(POLL_MS);
      if (this.#isOver || this.#connection.state !== 'connected') continue;
      for (const [path, received] of await this.#connection.receivedByPath()) {
        if (received > (before.get(path) ?? 0)) return true;
      }
    }
    return false;
  }
}
