// The client's options and their defaults.

const DEFAULTS = {
  maxAttempts: 6,
  waitForPlace: true,
  statsIntervalMs: 1000,
  levelIntervalMs: 0,
  pushToTalk: false,
};

/** Fills in the defaults. An option that is `undefined` counts as not given. */
export function withDefaults(options) {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(given) };
}
