'use strict';

const { Emitter } = require('./emitter.js');
const { Pushes } = require('./media.js');

/** What is taken and on its way. */
const TAKEN = ['accepted', 'dropped-oldest'];

/** Where pictures and sound go in, and what visitors say comes out. */
class Bridge extends Emitter {
  #session;
  #pushes;
  #server;
  #started = false;
  #stopped = false;

  constructor(session, defaults, server) {
    super();
    this.#session = session;
    this.#pushes = new Pushes(session, defaults);
    this.#server = server;
    // Nothing is decoded before somebody wants to hear it.
    this.on('newListener', (event) => {
      if (event === 'incoming-audio') session.listen();
    });
  }

  async pushVideoFrame(frame) {
    const outcome = await this.#pushes.video(frame);
    if (TAKEN.includes(outcome)) this.#pushed('video-frame', frame);
    return outcome;
  }

  async pushAudioChunk(chunk) {
    const outcome = await this.#pushes.audio(chunk);
    if (TAKEN.includes(outcome)) this.#pushed('audio-chunk', chunk);
    return outcome;
  }

  getStatus() {
    return this.#session.status();
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    this.#session.start();
    Emitter.deliver(this, 'started');
  }

  async stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#session.stop();
    if (this.#started) Emitter.deliver(this, 'stopped');
  }

  #pushed(event, media) {
    Emitter.deliver(this, event, media);
    Emitter.deliver(this.#server, `media-${event}`, media);
  }
}

module.exports = { Bridge };
