// Rates the connection: good, fair or poor, with reasons.

/** From which value on a statistic makes the connection fair, and from which poor. */
const LIMITS = {
  loss: { stat: 'lossPercent', fair: 2, poor: 8 },
  'round trip': { stat: 'rttMs', fair: 200, poor: 450 },
  latency: { stat: 'latencyMs', fair: 250, poor: 600 },
  jitter: { stat: 'jitterBufferMs', fair: 120, poor: 350 },
};

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
 */

/** Rates successive statistics, with hysteresis, so that a single bad second does not change the level. */
export class QualityMonitor {
  #level = 0;
  #reasons = [];
  #freezes = 0;
  #candidate = 0;
  #updates = 0;

  /** @returns {Quality} */
  get quality() {
    return { level: LEVELS[this.#level], reasons: [...this.#reasons] };
  }

  /**
   * @param {import('./visavis-stats.js').Stats} stats
   * @returns {?Quality} the new quality, if it has changed
   */
  update(stats) {
    const { level, reasons } = this.#rate(stats);
    if (level === this.#level) {
      this.#candidate = level;
      this.#updates = 0;
      if (reasons.length === 0 || same(reasons, this.#reasons)) return null;
      this.#reasons = reasons;
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
    this.#reasons = this.#level === 0 ? [] : reasons;
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
    return { level, reasons };
  }
}

function same(a, b) {
  return a.length === b.length && a.every((reason, index) => reason === b[index]);
}
