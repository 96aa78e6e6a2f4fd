'use strict';

/** An error with a code that does not change. */
function failure(code, message) {
  return Object.assign(new Error(message), { code });
}

/** A value of the wrong kind. */
function invalid(name, value, expected) {
  const shown = typeof value === 'string' ? JSON.stringify(value) : describe(value);
  const error = new TypeError(`invalid ${name} ${shown}; expected ${expected}`);
  return Object.assign(error, { code: 'invalid-value' });
}

function describe(value) {
  if (value === null || typeof value !== 'object') return String(value);
  return `of type ${value.constructor?.name ?? 'Object'}`;
}

module.exports = { failure, invalid };
