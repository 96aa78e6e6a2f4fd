'use strict';

const { Emitter } = require('./emitter.js');
const { invalid } = require('./failure.js');
const { Pushes, bytes, settled } = require('./media.js');
const { Utterance } = require('./utterance.js');

/** What is taken and on its way. */
const TAKEN = ['accepted', 'dropped-oldest'];

const NOTHING = new Uint8Array(0);

/** One face: where pictures and sound go in, and what its visitors say comes out. */
class Session extends Emitter {
  #id;
  #session;
  #defaults;
  #pushes;
  #passOn;
  #settle;
  #started = false;
  #stopped;
  /** The status at the stop, and what was pushed since. */
  #last;
  /** Utterances that are not over, by their numbers. */
  #utterances = new Map();

  /** `passOn` is called with what was taken, `settle` once nothing more can come. */
  constructor(id, session, defaults, { passOn = () => {}, settle }) {
    // Nothing is decoded, and nothing kept, before somebody wants it.
    super((event) => {
      if (['incoming-audio', 'speech-started', 'speech-ended'].includes(event)) session.listen();
      if (event === 'message') session.listenToMessages();
      if (event === 'microphone-level') {
        session.listen();
        session.meter();
      }
    });
    this.#id = id;
    this.#session = session;
    this.#defaults = defaults;
    this.#pushes = new Pushes(session, defaults);
    this.#passOn = passOn;
    this.#settle = settle;
  }

  get id() {
    return this.#id;
  }

  async pushVideoFrame(frame) {
    if (this.#last) return this.#ignore('videoFrames');
    const outcome = await this.#pushes.video(frame);
    if (TAKEN.includes(outcome)) this.#pushed('video-frame', frame);
    return outcome;
  }

  async pushEncodedVideo(unit) {
    if (this.#last) return this.#ignore('videoFrames');
    return this.#pushes.encoded(unit);
  }

  async pushAudioChunk(chunk) {
    if (this.#last) return this.#ignore('audioChunks');
    const outcome = await this.#pushes.audio(chunk);
    if (TAKEN.includes(outcome)) this.#pushed('audio-chunk', chunk);
    return outcome;
  }

  getStatus() {
    return this.#last ? structuredClone(this.#last) : complete(this.#session.status());
  }

  async start() {
    if (this.#started) return;
    this.#started = true;
    this.#session.start();
    Emitter.deliver(this, 'started');
  }

  /** A second call waits for the first. */
  stop() {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  beginUtterance({ zero = 0 } = {}) {
    const native = this.#session.beginUtterance(zero);
    const utterance = new Utterance(native, this.#defaults, zero);
    this.#utterances.set(utterance.id, utterance);
    return utterance;
  }

  interrupt() {
    return this.#session.interrupt();
  }

  async setIdle(file) {
    if (file === null) this.#session.keepLastPicture();
    else if (typeof file === 'string') settled(await this.#session.setIdleFile(file));
    else settled(await this.#session.setIdle(bytes('file', file)));
  }

  send(peerId, message, { label } = {}) {
    return this.#session.send(peerId, ...content(message), label);
  }

  broadcast(message, { label } = {}) {
    return this.#session.broadcast(...content(message), label);
  }

  /** Emits what has come from the engine. */
  give(item) {
    const { kind, peer, detail, data, sampleRate, timestamp, label } = item;
    const { utterance, sent, stalled, level, picture, bitrate } = item;
    const tell = (about) => Emitter.deliver(this, kind, about);
    switch (kind) {
      case 'incoming-audio':
        return tell({ data, sampleRate, channels: 1, timestamp, format: 'PCM', peerId: peer });
      case 'message':
        return tell({ peerId: peer, label, message: data ?? detail });
      case 'picture-changed':
        return tell({ peerId: peer, ...picture, bitrate: picture.bitrate ?? null });
      case 'live-started':
        return tell();
      case 'live-ended':
        return tell({ stalled });
      case 'keyframe-requested':
        return tell({ codec: detail });
      case 'bitrate-wanted':
        return tell({ codec: detail, bitrate });
      case 'microphone-level':
        return tell({ peerId: peer, level });
      case 'speech-started':
      case 'speech-ended':
        return tell({ peerId: peer, timestamp });
      case 'data-channel-opened':
      case 'data-channel-closed':
        return tell({ peerId: peer, label });
      case 'utterance-started':
        this.#utterances.get(utterance)?.began();
        return tell({ utterance });
      case 'utterance-ended':
      case 'interrupted':
        this.#over(utterance, { sent, interrupted: kind === 'interrupted' });
        return tell({ utterance, sent });
    }
  }

  #over(id, how) {
    this.#utterances.get(id)?.over(how);
    this.#utterances.delete(id);
  }

  async #stop() {
    await this.#session.stop();
    this.#settle();
    this.#last = complete(this.#session.status());
    this.#session.release();
    // Whatever still waits for its end has had it.
    for (const [id, utterance] of this.#utterances) {
      const { sent, interrupted } = utterance.progress();
      this.#over(id, { sent, interrupted });
    }
    if (this.#started) Emitter.deliver(this, 'stopped');
  }

  /** What is pushed after the stop is counted, and no more. */
  #ignore(counter) {
    this.#last.metrics[counter] += 1;
    return 'stopped';
  }

  #pushed(event, media) {
    Emitter.deliver(this, event, media);
    this.#passOn(event, media);
  }
}

/** A status, with null for what the native half leaves out. */
function complete(status) {
  const rungs = status.rungs.map((rung) => ({ ...rung, bitrate: rung.bitrate ?? null }));
  return { ...status, rungs, networks: status.networks ?? null };
}

/** A text, or bytes, as the native half takes them. */
function content(message) {
  if (typeof message === 'string') return [message, NOTHING];
  if (message === undefined || message === null)
    throw invalid('message', message, 'a string or bytes');
  return [undefined, bytes('message', message)];
}

module.exports = { Session };
