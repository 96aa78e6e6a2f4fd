'use strict';

const native = require('./native.js');
const { Bridge } = require('./bridge.js');
const { settings } = require('./config.js');
const { Emitter } = require('./emitter.js');
const { failure } = require('./failure.js');

/** Longest interval that Node's timers have. */
const FOREVER_MS = 0x7fff_ffff;

/** What passes between visitors and the server. */
const OBSERVED = ['offer', 'answer', 'ice-candidate'];

/** An engine, its signaling server, and the session that visitors see who name none. */
class System {
  bridge;
  server;
  #native;
  #stopped;
  /** A server keeps its process running. */
  #alive = setInterval(() => {}, FOREVER_MS);

  constructor(config) {
    try {
      const { system, session, pushed } = settings(config);
      this.#native = new native.NativeSystem(system, () => this.#read());
      this.server = new Server(this.#native);
      const face = this.#native.createSession(session);
      this.bridge = new Bridge(face, pushed, this.server);
    } catch (error) {
      clearInterval(this.#alive);
      this.#native?.stop();
      throw error;
    }
  }

  getStatus() {
    return this.bridge.getStatus();
  }

  async start() {
    if (this.#stopped) throw failure('stopped', 'this system was stopped; create another');
    this.bridge.start();
  }

  /** The bridge first, then the server. A second call waits for the first. */
  stop() {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Whether the process stays while this runs, as with other servers of Node's. */
  ref() {
    this.#alive.ref();
    return this;
  }

  unref() {
    this.#alive.unref();
    return this;
  }

  async #stop() {
    try {
      await this.bridge.stop();
      await this.#native.stop();
      // Those who were here have left.
      while (this.#read() > 0);
    } finally {
      clearInterval(this.#alive);
    }
  }

  /** Gives out what has come; returns how much. */
  #read() {
    // A system that could not be opened has ended already.
    const items = this.#native?.read() ?? [];
    for (const item of items) this.#give(item);
    return items.length;
  }

  #give({ kind, session, peer, detail, data, sampleRate, timestamp }) {
    switch (kind) {
      case 'peer-connected':
        return Emitter.deliver(this.server, kind, { id: peer, session, videoCodec: detail });
      case 'peer-disconnected':
        return Emitter.deliver(this.server, kind, { peerId: peer, session, reason: detail });
      case 'offer':
      case 'answer':
        return Emitter.deliver(this.server, kind, { peerId: peer, [kind]: { type: kind, sdp: detail } });
      case 'ice-candidate':
        return Emitter.deliver(this.server, kind, { peerId: peer, candidate: { candidate: detail } });
      case 'fault':
        // As every EventEmitter's: without a listener it ends the process, which serves nobody any more.
        return Emitter.deliver(this.server, 'error', failure('fault', detail));
      case 'incoming-audio': {
        const chunk = { data, sampleRate, channels: 1, timestamp, format: 'PCM', peerId: peer };
        return Emitter.deliver(this.bridge, kind, chunk);
      }
    }
  }
}

/** What visitors do. */
class Server extends Emitter {
  #native;

  constructor(system) {
    super();
    this.#native = system;
    this.on('newListener', (event) => {
      if (OBSERVED.includes(event)) system.observe();
    });
  }

  /** Where the page is. */
  get url() {
    return this.#native.url;
  }

  /** The TCP port that is listened on. */
  get port() {
    return this.#native.port;
  }

  /** The UDP port for media. */
  get mediaPort() {
    return this.#native.mediaPort;
  }
}

module.exports = { System };
