'use strict';

const { failure, invalid } = require('./failure.js');

const PIXELS = { RGBA: 'RGBA', BGRA: 'BGRA', RGB: 'RGB', YUV: 'I420', I420: 'I420', NV12: 'NV12' };
const FILES = ['JPEG', 'PNG'];
const SOUNDS = ['PCM', 'OPUS', 'MP3'];
const CODECS = ['H264', 'VP8', 'VP9'];

/** MP3 and picture files that may wait for their turn to be decoded. */
const MOST_WAITING = 64;

/** The bytes of whatever holds some, not copied. */
function bytes(name, data) {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data);
  throw invalid(name, data, 'a Buffer, a typed array or an ArrayBuffer');
}

function object(name, value) {
  if (value === null || typeof value !== 'object') throw invalid(name, value, 'an object');
}

function whole(name, value) {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw invalid(name, value, 'a whole number');
  }
  return value;
}

function stamp(name, value) {
  const timestamp = value ?? Date.now();
  if (typeof timestamp !== 'number' || !(timestamp >= 0 && timestamp <= Number.MAX_SAFE_INTEGER)) {
    throw invalid(name, value, 'Unix milliseconds');
  }
  return timestamp;
}

function word(name, value, expected) {
  const upper = typeof value === 'string' ? value.toUpperCase() : '';
  if (!expected.includes(upper)) throw invalid(name, value, expected.join(', '));
  return upper;
}

/** A picture that can be pushed: `format` for pixels, `file` for what is decoded first. */
function checkedFrame(frame, defaults) {
  object('frame', frame);
  const names = [...Object.keys(PIXELS), ...FILES];
  const format = frame.format === undefined ? 'RGBA' : word('frame.format', frame.format, names);
  return {
    data: bytes('frame.data', frame.data),
    width: whole('frame.width', frame.width ?? defaults.width),
    height: whole('frame.height', frame.height ?? defaults.height),
    timestamp: stamp('frame.timestamp', frame.timestamp),
    format: PIXELS[format],
    file: FILES.includes(format) ? format : undefined,
  };
}

/** Sound that can be pushed. */
function checkedChunk(chunk, defaults) {
  object('chunk', chunk);
  return {
    data: bytes('chunk.data', chunk.data),
    sampleRate: whole('chunk.sampleRate', chunk.sampleRate ?? defaults.sampleRate),
    channels: whole('chunk.channels', chunk.channels ?? defaults.channels),
    timestamp: stamp('chunk.timestamp', chunk.timestamp),
    format: chunk.format === undefined ? 'PCM' : word('chunk.format', chunk.format, SOUNDS),
    float: chunk.data instanceof Float32Array,
  };
}

/** A picture that is encoded already. */
function checkedUnit(unit) {
  object('unit', unit);
  const { keyframe } = unit;
  if (keyframe !== undefined && typeof keyframe !== 'boolean') {
    throw invalid('unit.keyframe', keyframe, 'true, false, or nothing where it is not known');
  }
  return {
    data: bytes('unit.data', unit.data),
    codec: word('unit.codec', unit.codec, CODECS),
    timestamp: stamp('unit.timestamp', unit.timestamp),
    keyframe,
  };
}

/** What goes into a native session, checked. */
class Pushes {
  #session;
  #defaults;
  /** Decoding takes its time on another thread: what is to be decoded takes turns. */
  #pictures = new Turns();
  #sounds = new Turns();

  constructor(session, defaults) {
    this.#session = session;
    this.#defaults = defaults;
  }

  /** Pushes a picture; returns what became of it, or a promise of that. */
  video(frame) {
    const { data, width, height, timestamp, format, file } = checkedFrame(frame, this.#defaults);
    if (format) return this.#session.pushVideo(data, width, height, timestamp, format);
    return this.#pictures.take(() =>
      this.#session.pushPicture(data, width, height, timestamp, file),
    );
  }

  /** Sends a picture that is encoded already; returns what became of it. */
  encoded(unit) {
    const { data, codec, timestamp, keyframe } = checkedUnit(unit);
    return this.#session.pushEncoded(data, codec, timestamp, keyframe);
  }

  /** Pushes sound; returns what became of it, or a promise of that. */
  audio(chunk) {
    const { data, sampleRate, channels, timestamp, format, float } = checkedChunk(
      chunk,
      this.#defaults,
    );
    const push = {
      PCM: () => this.#session.pushAudio(data, sampleRate, channels, timestamp, float),
      OPUS: () => this.#session.pushOpus(data, timestamp),
      MP3: () => this.#session.pushMp3(data, timestamp),
    }[format];
    // What needs no decoding waits only for what does and was pushed before.
    return format === 'MP3' || this.#sounds.waiting > 0 ? this.#sounds.take(push) : push();
  }
}

/** Runs one after the other, a bounded number of which may wait. */
class Turns {
  waiting = 0;
  #last = Promise.resolve();

  take(run) {
    if (this.waiting >= MOST_WAITING) {
      throw failure('busy', `${MOST_WAITING} pushes wait to be decoded; await each of them`);
    }
    this.waiting += 1;
    const done = this.#last.then(run).then(settled);
    this.#last = done.then(
      () => this.#end(),
      () => this.#end(),
    );
    return done;
  }

  #end() {
    this.waiting -= 1;
  }
}

/** What a thread of the pool answers: the outcome, or an error to be thrown. */
function settled(answer) {
  if (typeof answer === 'string') return answer;
  if (answer.code) throw failure(answer.code, answer.message);
  return answer.outcome;
}

module.exports = { Pushes, bytes, checkedChunk, checkedFrame, settled };
