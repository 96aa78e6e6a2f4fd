// The visitor's microphone: on, off, or only while a key is held.

import { LevelMeter } from './visavis-level.js';

const CONSTRAINTS = {
  channelCount: 1,
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

/** Why it is off though it was asked for. */
const FAULTS = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'in-use',
  AbortError: 'in-use',
};

/**
 * @typedef {boolean | {deviceId?: string, track?: MediaStreamTrack}} MicrophoneWish on or off; on with a device; on
 *   with a track of one's own, which is never stopped here
 *
 * @typedef {object} MicrophoneHandlers
 * @property {(track: ?MediaStreamTrack) => Promise<void>} onTrack another track is to be sent, or none
 * @property {() => void} onChange something of {@link Microphone.status} is different
 * @property {(level: {level: number, dbfs: number}) => void} onLevel
 */

/** Owns the track. */
export class Microphone {
  #handlers;
  #levelEveryMs;
  #track = null;
  #ownsTrack = false;
  #meter = null;
  /** Ends what listens to the track. */
  #watch = null;
  /** What is asked for now, and its outcome; whatever waits looks after its wait whether it still is. */
  #asking = null;
  #code = null;
  #error;
  #pushToTalk;
  #held = false;

  /** @param {{pushToTalk: boolean, levelEveryMs: number} & MicrophoneHandlers} options */
  constructor({ pushToTalk, levelEveryMs, ...handlers }) {
    this.#pushToTalk = pushToTalk;
    this.#levelEveryMs = levelEveryMs;
    this.#handlers = handlers;
  }

  /** The track, or null while it is off. */
  get track() {
    return this.#track;
  }

  get isOn() {
    return this.#track !== null;
  }

  get pushToTalk() {
    return this.#pushToTalk;
  }

  /** Whether what is said is sent. */
  get isTalking() {
    return (this.#track?.enabled && !this.#track.muted) ?? false;
  }

  /** What there is to know about it. */
  get status() {
    const [track, asking] = [this.#track, this.#asking !== null];
    const on = track ? (track.muted ? 'muted' : 'on') : 'off';
    return {
      on: this.isOn,
      talking: this.isTalking,
      pushToTalk: this.#pushToTalk,
      state: asking ? 'asking' : on,
      code: this.#code,
      deviceId: track?.getSettings().deviceId ?? null,
      label: track?.label ?? '',
      error: this.#error,
    };
  }

  setPushToTalk(pushToTalk) {
    this.#pushToTalk = pushToTalk;
    this.#apply();
    this.#handlers.onChange();
  }

  /** Whether the key is held; counts with push-to-talk alone. */
  hold(held) {
    this.#held = held;
    this.#apply();
    if (this.#track) this.#handlers.onChange();
  }

  /**
   * Turns it on or off, or takes another one. Resolves to whether it is on; never rejects.
   * @param {MicrophoneWish} wish
   */
  async set(wish) {
    if (!wish) {
      const wasOn = this.isOn || this.#asking !== null;
      this.release();
      if (wasOn) this.#handlers.onChange();
      await this.#handlers.onTrack(null);
      return false;
    }
    const { deviceId, track } = wish === true ? {} : wish;
    if (this.isOn && (wish === true || (deviceId && deviceId === this.status.deviceId))) return true;
    // However many ask for any, the visitor is asked once.
    if (this.#asking && wish === true) return this.#asking.outcome;
    const asking = {};
    this.#asking = asking;
    this.#handlers.onChange();
    asking.outcome = this.#take(asking, track, deviceId);
    return asking.outcome;
  }

  async #take(asking, given, deviceId) {
    let [track, code, error] = [null, null, undefined];
    try {
      track = given ?? (await ask(deviceId));
      if (track.readyState === 'ended') throw new Error('this track has ended');
    } catch (fault) {
      [track, code, error] = [null, fault.code === 'insecure' ? 'insecure' : FAULTS[fault.name] ?? 'failed', fault];
    }
    if (this.#asking !== asking) {
      if (!given) track?.stop();
      return this.isOn;
    }
    this.#asking = null;
    [this.#code, this.#error] = [code, error];
    if (track) {
      this.#drop();
      this.#keep(track, !given);
      await this.#handlers.onTrack(track);
    }
    this.#handlers.onChange();
    return this.isOn;
  }

  #keep(track, own) {
    this.#track = track;
    this.#ownsTrack = own;
    this.#watch = new AbortController();
    const { signal } = this.#watch;
    track.addEventListener('ended', () => this.#onEnded(), { signal });
    // A switch on the headset, or the system's own.
    for (const type of ['mute', 'unmute']) track.addEventListener(type, () => this.#handlers.onChange(), { signal });
    this.#apply();
    if (this.#levelEveryMs) this.#meter = new LevelMeter(track, this.#levelEveryMs, this.#handlers.onLevel);
  }

  /** The browser or the system took it away. */
  #onEnded() {
    this.release();
    this.#code = 'ended';
    this.#handlers.onChange();
    this.#handlers.onTrack(null);
  }

  /** Gives it back: the browser shows that it is off. */
  release() {
    this.#asking = null;
    this.#held = false;
    [this.#code, this.#error] = [null, undefined];
    this.#drop();
  }

  #drop() {
    const track = this.#track;
    this.#track = null;
    this.#watch?.abort();
    this.#watch = null;
    this.#meter?.stop();
    this.#meter = null;
    if (this.#ownsTrack) track?.stop();
  }

  #apply() {
    if (this.#track) this.#track.enabled = !this.#pushToTalk || this.#held;
  }
}

async function ask(deviceId) {
  if (!navigator.mediaDevices) {
    throw Object.assign(new Error('a microphone needs a page on HTTPS'), { code: 'insecure' });
  }
  const audio = deviceId ? { ...CONSTRAINTS, deviceId: { exact: deviceId } } : CONSTRAINTS;
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  return stream.getAudioTracks()[0];
}
