// Whether media comes, and where it does not, whether the server is there.

/** How often is looked. */
const BEAT_MS = 50;
/** Silence of so much, and of several times what is usual, is suspicious. */
const SILENCE_MS = 200;
const SILENCE_INTERVALS = 3;

/** Watches a connection for silence: browsers take seconds to notice that a network is gone. */
export class Pulse {
  #link;
  #ask;
  #onDead;
  #interval;
  /** Silence was noticed, and the server asked: until media comes again one question is enough. */
  #doubting = false;

  /**
   * @param {import('./visavis-link.js').Link} link whose media is to come
   * @param {() => Promise<boolean>} ask whether the server answers; true where it cannot be asked
   * @param {() => void} onDead when nothing comes and nobody answers
   */
  constructor(link, ask, onDead) {
    this.#link = link;
    this.#ask = ask;
    this.#onDead = onDead;
    this.#interval = setInterval(() => this.#beat(), BEAT_MS);
  }

  stop() {
    clearInterval(this.#interval);
    this.#interval = null;
  }

  /** A silent server that answers has nothing to show; one that does not answer is out of reach. */
  async doubt() {
    this.#doubting = true;
    const alive = await this.#ask();
    if (!alive && this.#doubting && this.#interval !== null) this.#onDead();
  }

  #beat() {
    const silence = this.#link.silenceMs();
    const tolerated = Math.max(SILENCE_MS, SILENCE_INTERVALS * this.#link.usualIntervalMs);
    if (silence < tolerated) this.#doubting = false;
    else if (!this.#doubting && !document.hidden) this.doubt();
  }
}
