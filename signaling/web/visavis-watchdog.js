// Detects that media has stopped and the server is unreachable.

/** How often to check. */
const POLL_MS = 50;
/** Media counts as stopped after this time, or three mean intervals where that is more. */
const SILENCE_MS = 200;
const SILENCE_INTERVALS = 3;

/** Watches a connection: browsers take seconds to notice that a network is gone. */
export class Watchdog {
  #connection;
  #isReachable;
  #onDead;
  #interval;
  /** Media has stopped and the server was pinged; it is not pinged again before media has returned. */
  #suspicious = false;

  /**
   * @param {import('./visavis-media-connection.js').MediaConnection} connection
   * @param {() => Promise<boolean>} isReachable whether the server answers a ping; true where it does not support it
   * @param {() => void} onDead media has stopped and the server does not answer
   */
  constructor(connection, isReachable, onDead) {
    this.#connection = connection;
    this.#isReachable = isReachable;
    this.#onDead = onDead;
    this.#interval = setInterval(() => this.#check(), POLL_MS);
  }

  stop() {
    clearInterval(this.#interval);
    this.#interval = null;
  }

  /** A server that answers simply has nothing to send. */
  async checkServer() {
    this.#suspicious = true;
    const reachable = await this.#isReachable();
    if (!reachable && this.#suspicious && this.#interval !== null) this.#onDead();
  }

  #check() {
    const silence = this.#connection.silenceMs();
    const limit = Math.max(SILENCE_MS, SILENCE_INTERVALS * this.#connection.meanIntervalMs);
    if (silence < limit) this.#suspicious = false;
    else if (!this.#suspicious && !document.hidden) this.checkServer();
  }
}
