// Figures and a verdict, taken again and again while a connection is up.

import { FigureTaker } from './visavis-figures.js';
import { QualityJudge } from './visavis-quality.js';

/**
 * @typedef {object} MeasurementHandlers
 * @property {(figures: import('./visavis-figures.js').Figures) => void} onFigures
 * @property {(quality: import('./visavis-quality.js').Quality) => void} onQuality the verdict has changed
 */

/** Measures one connection at a time. */
export class Measurements {
  /** As it was last seen. */
  roundTripMs = 0;

  #everyMs;
  #handlers;
  #taker = new FigureTaker();
  #judge = new QualityJudge();
  #link = null;
  #timer;

  /** @param {{everyMs: number} & MeasurementHandlers} options `everyMs` 0: only when asked */
  constructor({ everyMs, ...handlers }) {
    this.#everyMs = everyMs;
    this.#handlers = handlers;
  }

  /** @returns {import('./visavis-quality.js').Quality} */
  get quality() {
    return this.#judge.verdict;
  }

  start(link) {
    this.pause();
    this.#link = link;
    if (this.#everyMs) this.#timer = setInterval(() => this.#measure(link), this.#everyMs);
  }

  /** Nothing is measured while a connection is looked for. */
  pause() {
    clearInterval(this.#timer);
    this.#link = null;
  }

  /** The next connection has nothing to do with the last. */
  reset() {
    this.pause();
    this.#taker = new FigureTaker();
    this.#judge = new QualityJudge();
  }

  noteFrame(metadata, receiver) {
    this.#taker.noteFrame(metadata, receiver);
  }

  /** @returns {Promise<?import('./visavis-figures.js').Figures>} null where there are none */
  async take(link) {
    try {
      return await this.#taker.take(link.pc);
    } catch {
      return null;
    }
  }

  async #measure(link) {
    const figures = await this.take(link);
    if (!figures || this.#link !== link) return;
    this.roundTripMs = figures.rttMs ?? 0;
    this.#handlers.onFigures(figures);
    const quality = this.#judge.judge(figures);
    if (quality) this.#handlers.onQuality(quality);
  }
}
