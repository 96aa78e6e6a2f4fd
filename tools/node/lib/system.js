'use strict';

const native = require('./native.js');
const { sessionSettings, settings } = require('./config.js');
const { Emitter } = require('./emitter.js');
const { failure, invalid } = require('./failure.js');
const { Session } = require('./session.js');

/** Longest interval that Node's timers have. */
const FOREVER_MS = 0x7fff_ffff;

/** What passes between visitors and the server. */
const OBSERVED = ['offer', 'answer', 'ice-candidate'];

/** An engine, its signaling server, and the session that visitors see who name none. */
class System {
  bridge;
  server;
  #native;
  #pushed;
  #sessions = new Map();
  #stopped;
  /** A server keeps its process running. */
  #alive = setInterval(() => {}, FOREVER_MS);

  constructor(config) {
    try {
      const { system, session, pushed } = settings(config);
      this.#native = new native.NativeSystem(system, () => this.#read());
      this.server = new Server(this.#native);
      this.#pushed = pushed;
      const passOn = (event, media) => Emitter.deliver(this.server, `media-${event}`, media);
      this.bridge = this.#open(session, passOn);
    } catch (error) {
      clearInterval(this.#alive);
      this.#native?.stop().then(() => this.#native.release());
      throw error;
    }
  }

  getStatus() {
    return this.bridge.getStatus();
  }

  async start() {
    this.#check();
    await this.bridge.start();
  }

  async createSession(options) {
    this.#check();
    const settings = sessionSettings('session', options);
    if (!options?.id) throw invalid('session.id', options?.id, 'a name such as anna');
    return this.#open(settings);
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

  #check() {
    if (this.#stopped) throw failure('stopped', 'this system was stopped; create another');
  }

  #open(settings, passOn) {
    const native = this.#native.createSession(settings);
    const settle = () => {
      while (this.#read() > 0);
      this.#sessions.delete(settings.id);
    };
    const session = new Session(settings.id, native, this.#pushed, { passOn, settle });
    this.#sessions.set(settings.id, session);
    return session;
  }

  async #stop() {
    try {
      await Promise.all([...this.#sessions.values()].map((session) => session.stop()));
      await this.#native.stop();
      // Those who were here have left.
      while (this.#read() > 0);
      this.#native.release();
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

  #give(item) {
    const { kind, session, peer, detail } = item;
    switch (kind) {
      case 'peer-connected':
        return Emitter.deliver(this.server, kind, { id: peer, session, videoCodec: detail });
      case 'peer-disconnected':
        return Emitter.deliver(this.server, kind, { peerId: peer, session, reason: detail });
      case 'offer':
      case 'answer':
        return Emitter.deliver(this.server, kind, {
          peerId: peer,
          [kind]: { type: kind, sdp: detail },
        });
      case 'ice-candidate':
        return Emitter.deliver(this.server, kind, {
          peerId: peer,
          candidate: { candidate: detail },
        });
      case 'fault':
        // As every EventEmitter's: without a listener it ends the process, which serves nobody any more.
        return Emitter.deliver(this.server, 'error', failure('fault', detail));
      default:
        return this.#sessions.get(session)?.give(item);
    }
  }
}

/** What visitors do. */
class Server extends Emitter {
  #native;

  constructor(system) {
    super((event) => {
      if (OBSERVED.includes(event)) system.observe();
    });
    this.#native = system;
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

  /** Events that were dropped because Node was too busy to read them. */
  get droppedEvents() {
    return this.#native.droppedEvents;
  }

  async answer(offer, { session = 'default', peerId } = {}) {
    const sdp = typeof offer === 'string' ? offer : offer?.sdp;
    if (typeof sdp !== 'string') throw invalid('offer', offer, 'SDP, or { type, sdp }');
    const { peer, sdp: answer, code, message } = await this.#native.answer(session, peerId, sdp);
    if (code) throw failure(code, message);
    return { peerId: peer, answer: { type: 'answer', sdp: answer } };
  }

  addCandidate(peerId, candidate) {
    const text = typeof candidate === 'string' ? candidate : (candidate?.candidate ?? '');
    this.#native.addCandidate(peerId, text);
  }

  disconnect(peerId) {
    this.#native.disconnect(peerId);
  }
}

module.exports = { System };
