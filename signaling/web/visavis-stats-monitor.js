// Reads statistics and rates the quality at an interval while connected.

import { StatsReader } from './visavis-stats.js';
import { QualityMonitor } from './visavis-quality.js';

/**
 * @typedef {object} MeasurementHandlers
 * @property {(stats: import('./visavis-stats.js').Stats) => void} onStats
 * @property {(quality: import('./visavis-quality.js').Quality) => void} onQuality the quality has changed
 */

/** Monitors one connection at a time. */
export class StatsMonitor {
  /** The last one measured; 0 before the first. */
  roundTripMs = 0;

  #intervalMs;
  #handlers;
  #reader = new StatsReader();
  #qualityMonitor = new QualityMonitor();
  #connection = null;
  #timer;

  /** @param {{intervalMs: number} & MeasurementHandlers} options `intervalMs` 0: only when read() is called */
  constructor({ intervalMs, ...handlers }) {
    this.#intervalMs = intervalMs;
    this.#handlers = handlers;
  }

  /** @returns {import('./visavis-quality.js').Quality} */
  get quality() {
    return this.#qualityMonitor.quality;
  }

  start(connection) {
    this.pause();
    this.#connection = connection;
    if (this.#intervalMs) this.#timer = setInterval(() => this.#measure(connection), this.#intervalMs);
  }

  /** Called while the connection is being recovered. */
  pause() {
    clearInterval(this.#timer);
    this.#connection = null;
  }

  /** Forgets the last connection. */
  reset() {
    this.pause();
    this.#reader = new StatsReader();
    this.#qualityMonitor = new QualityMonitor();
  }

  addFrame(metadata, receiver) {
    this.#reader.addFrame(metadata, receiver);
  }

  /** @returns {Promise<?import('./visavis-stats.js').Stats>} null where the browser returns none */
  async read(connection) {
    try {
      return await this.#reader.read(connection.pc);
    } catch {
      return null;
    }
  }

  async #measure(connection) {
    const stats = await this.read(connection);
    if (!stats || this.#connection !== connection) return;
    this.roundTripMs = stats.rttMs ?? 0;
    this.#handlers.onStats(stats);
    const quality = this.#qualityMonitor.update(stats);
    if (quality) this.#handlers.onQuality(quality);
  }
}
