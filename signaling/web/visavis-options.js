// What a client can be told, and what it does where nothing is said.

const DEFAULTS = {
  maxAttempts: 6,
  waitForPlace: true,
  figuresEveryMs: 1000,
  levelEveryMs: 0,
  pushToTalk: false,
};

/** Options with their defaults; one that is given as `undefined` is not given. */
export function withDefaults(options) {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}
