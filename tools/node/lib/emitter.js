'use strict';

const { EventEmitter } = require('node:events');

/** An EventEmitter whose listeners' errors are their own: they reach `uncaughtException`, and nobody else. */
class Emitter extends EventEmitter {
  /** Emits an event from outside of any call of the application's. */
  static deliver(emitter, event, ...values) {
    try {
      emitter.emit(event, ...values);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

module.exports = { Emitter };
