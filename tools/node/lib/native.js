'use strict';

/** The native half, built by `npm run build` or packed beside this. */
function load() {
  try {
    return require('../visavis.node');
  } catch (cause) {
    const machine = `${process.platform}-${process.arch}`;
    const message =
      cause.code === 'MODULE_NOT_FOUND'
        ? `visavis.node is missing; expected a package for ${machine}, or \`npm run build\``
        : `cannot load visavis.node on ${machine}: ${cause.message}`;
    throw Object.assign(new Error(message, { cause }), { code: 'not-built' });
  }
}

module.exports = load();
