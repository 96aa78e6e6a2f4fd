// How good the connection is, in one word and with its reasons.

/** From which value on a figure is fair, and from which poor. */
const LIMITS = {
  loss: { figure: 'lossPercent', fair: 2, poor: 8 },
  'round trip': { figure: 'rttMs', fair: 200, poor: 450 },
  latency: { figure: 'latencyMs', fair: 250, poor: 600 },
  jitter: { figure: 'jitterBufferMs', fair: 120, poor: 350 },
};

/** Readings in a row that say the same before the verdict becomes worse, or better. */
const WORSE_AFTER = 2;
const BETTER_AFTER = 4;

const LEVELS = ['good', 'fair', 'poor'];

/**
 * @typedef {'good'|'fair'|'poor'} QualityLevel
 * @typedef {object} Quality
 * @property {QualityLevel} level
 * @property {string[]} reasons what makes it less than good: `loss`, `round trip`, `latency`, `jitter`,
 *   `freezes`
 */

/** Judges successive figures; slow to change its mind, so that nobody is bothered by a single second. */
export class QualityJudge {
  #level = 0;
  #reasons = [];
  #freezes = 0;
  #candidate = 0;
  #readings = 0;

  /** @returns {Quality} */
  get verdict() {
    return { level: LEVELS[this.#level], reasons: [...this.#reasons] };
  }

  /**
   * @param {import('./visavis-figures.js').Figures} figures
   * @returns {?Quality} the verdict, where it has changed
   */
  judge(figures) {
    const { level, reasons } = this.#read(figures);
    if (level === this.#level) {
      this.#candidate = level;
      this.#readings = 0;
      if (reasons.length === 0 || same(reasons, this.#reasons)) return null;
      this.#reasons = reasons;
      return this.verdict;
    }
    // Readings on the way to the same side count together; the mildest of them is believed.
    const worse = level > this.#level;
    const together = this.#readings > 0 && worse === this.#candidate > this.#level;
    this.#candidate = !together ? level : worse ? Math.min(this.#candidate, level) : Math.max(this.#candidate, level);
    this.#readings = together ? this.#readings + 1 : 1;
    if (this.#readings < (worse ? WORSE_AFTER : BETTER_AFTER)) return null;
    this.#level = this.#candidate;
    this.#readings = 0;
    this.#reasons = this.#level === 0 ? [] : reasons;
    return this.verdict;
  }

  #read(figures) {
    let level = 0;
    const reasons = [];
    for (const [reason, { figure, fair, poor }] of Object.entries(LIMITS)) {
      const value = figures[figure];
      if (value === null || value === undefined || value < fair) continue;
      reasons.push(reason);
      level = Math.max(level, value < poor ? 1 : 2);
    }
    const frozen = figures.freezes - this.#freezes;
    this.#freezes = figures.freezes;
    if (frozen > 0) {
      reasons.push('freezes');
      level = Math.max(level, frozen > 1 ? 2 : 1);
    }
    return { level, reasons };
  }
}

function same(some, others) {
  return some.length === others.length && some.every((one, at) => one === others[at]);
}
