// Rates the connection: good, fair or poor, with reasons.

/** From which value on a statistic makes the connection fair, and from which poor. */
const LIMITS = {
  loss: { stat: 'lossPercent', fair: 2, poor: 8 },
  'round trip': { stat: 'rttMs', fair: 200, poor: 450 },
  latency: { stat: 'latencyMs', fair: 250, poor: 600 },
  jitter: { stat: 'jitterBufferMs', fair: 120, poor: 350 },
};

/** From which value on this device does not keep up: frames that it drops, and how long it decodes one. */
const DROPPED_PERCENT = 10;
const DECODE_MS = 33;
/** So much of the latency explains itself: what the network and the buffer are not is the server's. */
const UNEXPLAINED_MS = 150;

/** How many updates in a row must agree before the level changes. */
const WORSE_AFTER = 2;
const BETTER_AFTER = 4;

const LEVELS = ['good', 'fair', 'poor'];

/**
 * @typedef {'good'|'fair'|'poor'} QualityLevel
 * @typedef {object} Quality
 * @property {QualityLevel} level
 * @property {string[]} reasons why it is not good: `loss`, `round trip`, `latency`, `jitter`,
 *   `freezes`
 * @property {?('network'|'server'|'device')} cause whose fault that is, as far as it can be told; `device` is the visitor's
 *   own, which is too slow
 */

/** Rates successive statistics, with hysteresis, so that a single bad second does not change the level. */
export class QualityMonitor {
  #level = 0;
  #reasons = [];
  #cause = null;
  #freezes = 0;
  #candidate = 0;
  #updates = 0;

  /** @returns {Quality} */
  get quality() {
    return { level: LEVELS[this.#level], reasons: [...this.#reasons], cause: this.#cause };
  }

  /**
   * @param {import('./visavis-stats.js').Stats} stats
   * @returns {?Quality} the new quality, if it has changed
   */
  update(stats) {
    const { level, reasons, cause } = this.#rate(stats);
    if (level === this.#level) {
      this.#candidate = level;
      this.#updates = 0;
      if (reasons.length === 0 || (same(reasons, this.#reasons) && cause === this.#cause)) return null;
      this.#reasons = reasons;
      this.#cause = cause;
      return this.quality;
    }
    // Updates in the same direction count together; the smallest change among them is applied.
    const worse = level > this.#level;
    const sameDirection = this.#updates > 0 && worse === this.#candidate > this.#level;
    const smaller = worse ? Math.min : Math.max;
    this.#candidate = sameDirection ? smaller(this.#candidate, level) : level;
    this.#updates = sameDirection ? this.#updates + 1 : 1;
    if (this.#updates < (worse ? WORSE_AFTER : BETTER_AFTER)) return null;
    this.#level = this.#candidate;
    this.#updates = 0;
    // Halfway back to good, the last update may have been good already: what was wrong is the same.
    if (this.#level === 0 || level > 0) {
      this.#reasons = this.#level === 0 ? [] : reasons;
      this.#cause = this.#level === 0 ? null : cause;
    }
    return this.quality;
  }

  #rate(stats) {
    let level = 0;
    const reasons = [];
    for (const [reason, { stat, fair, poor }] of Object.entries(LIMITS)) {
      const value = stats[stat];
      if (value === null || value === undefined || value < fair) continue;
      reasons.push(reason);
      level = Math.max(level, value < poor ? 1 : 2);
    }
    const newFreezes = stats.freezes - this.#freezes;
    this.#freezes = stats.freezes;
    if (newFreezes > 0) {
      reasons.push('freezes');
      level = Math.max(level, newFreezes > 1 ? 2 : 1);
    }
    return { level, reasons, cause: level === 0 ? null : causeOf(stats, reasons) };
  }
}

/** A device that decodes too slowly has no better picture on any network. Frames are also dropped where packets are lost. */
function causeOf(stats, reasons) {
  if (stats.decodeMs >= DECODE_MS) return 'device';
  if (stats.lossPercent > 0) return 'network';
  if (stats.droppedPercent >= DROPPED_PERCENT) return 'device';
  if (['round trip', 'jitter'].some((reason) => reasons.includes(reason))) return 'network';
  const explained = (stats.rttMs ?? 0) / 2 + (stats.jitterBufferMs ?? 0);
  if (reasons.includes('latency')) return stats.latencyMs - explained > UNEXPLAINED_MS ? 'server' : 'network';
  // A freeze with nothing lost: what was to be shown did not come.
  return 'server';
}

function same(a, b) {
  return a.length === b.length && a.every((reason, index) => reason === b[index]);
}
