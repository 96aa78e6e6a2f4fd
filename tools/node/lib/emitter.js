'use strict';

const { EventEmitter } = require('node:events');

/** An EventEmitter whose listeners' errors are their own: they reach `uncaughtException`, and nobody else. */
class Emitter extends EventEmitter {
  #wanted;

  /** `wanted` is called with an event's name before somebody listens for it, however often. */
  constructor(wanted) {
    super();
    this.#wanted = wanted;
  }

  // What `once` and `prependOnceListener` call.
  on(event, listener) {
    this.#wanted(event);
    return super.on(event, listener);
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    this.#wanted(event);
    return super.prependListener(event, listener);
  }

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
