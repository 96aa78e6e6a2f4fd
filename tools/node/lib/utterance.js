'use strict';

const { EventEmitter, once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { failure } = require('./failure.js');
const { checkedFrame, checkedChunk, settled } = require('./media.js');

/** How long is waited before room is looked for again. */
const LOOK_MS = 20;

/** What is said, pushed as fast as it is made and played at its own pace. */
class Utterance {
  #native;
  #defaults;
  #began = new EventEmitter();
  #hasBegun = false;
  #over;
  #finished;
  /** Where sound that says no time of its own goes: after the sound before it. */
  #end;
  /** Pushes take turns: what waits for room holds up what comes after it. */
  #turn = Promise.resolve();

  constructor(native, defaults, zero) {
    this.#native = native;
    this.#defaults = defaults;
    this.#end = zero;
    this.#finished = new Promise((resolve) => {
      this.#over = resolve;
    });
  }

  get id() {
    return this.#native.id;
  }

  async pushVideoFrame(frame) {
    const checked = checkedFrame(frame, this.#defaults);
    const { data, width, height, timestamp, format, file } = checked;
    if (format) {
      return this.#push(() => this.#native.pushVideo(data, width, height, timestamp, format));
    }
    const decoded = () => this.#native.pushPicture(data, width, height, timestamp, file);
    return this.#push(async () => settled(await decoded()));
  }

  async pushAudioChunk(chunk) {
    const at = chunk?.timestamp ?? this.#end;
    const { data, sampleRate, channels, format, float } = checkedChunk(
      { ...chunk, timestamp: at },
      this.#defaults,
    );
    if (format === 'OPUS') throw failure('invalid-value', 'an utterance takes PCM or MP3');
    if (format === 'MP3') return this.#push(() => this.#native.pushMp3(data, at));
    this.#end = at + (1_000 * data.length) / ((float ? 4 : 2) * channels * sampleRate);
    return this.#push(() => this.#native.pushAudio(data, sampleRate, channels, at, float));
  }

  end() {
    // After what still waits for room.
    this.#turn = this.#turn.then(() => this.#native.end());
    return this.#turn;
  }

  interrupt() {
    return this.#native.interrupt();
  }

  progress() {
    return this.#native.progress();
  }

  async started() {
    if (!this.#hasBegun) await once(this.#began, 'began');
  }

  finished() {
    return this.#finished;
  }

  /** It begins to be played. */
  began() {
    this.#hasBegun = true;
    this.#began.emit('began');
  }

  /** Nothing more of it will be played. */
  over(how) {
    this.began();
    this.#over(how);
  }

  /** Pushes as soon as there is room. */
  #push(push) {
    const pushed = this.#turn.then(async () => {
      let outcome = await push();
      while (outcome === 'full') {
        await sleep(LOOK_MS);
        outcome = await push();
      }
      return outcome;
    });
    this.#turn = pushed.catch(() => {});
    return pushed;
  }
}

module.exports = { Utterance };
