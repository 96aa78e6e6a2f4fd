'use strict';

const { System } = require('./lib/system.js');

/** Starts an engine and its signaling server; see index.d.ts. */
async function createStreamingSystem(config) {
  return new System(config);
}

module.exports = { createStreamingSystem };
