// The visitor's microphone: on, off, or push-to-talk.

import { LevelMeter } from './visavis-level.js';

const CONSTRAINTS = {
  channelCount: 1,
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

/** Error codes by the name of the DOMException. */
const ERROR_CODES = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'in-use',
  AbortError: 'in-use',
};

/**
 * @typedef {boolean | {deviceId?: string, track?: MediaStreamTrack}} MicrophoneSelection on or off; a device; or
 *   a track of the caller's, which is never stopped here
 *
 * @typedef {object} MicrophoneHandlers
 * @property {(track: ?MediaStreamTrack) => Promise<void>} onTrack send this track, or none
 * @property {() => void} onChange {@link Microphone.status} has changed
 * @property {(level: {level: number, dbfs: number}) => void} onLevel
 */

/** Owns the track, except one of the caller's. */
export class Microphone {
  #handlers;
  #levelIntervalMs;
  #track = null;
  #ownsTrack = false;
  #meter = null;
  /** Removes the listeners from the track. */
  #listeners = null;
  /** The request under way. It may be replaced during an `await`, so check again after each. */
  #request = null;
  #code = null;
  #error;
  #pushToTalk;
  #talkKeyHeld = false;

  /** @param {{pushToTalk: boolean, levelIntervalMs: number} & MicrophoneHandlers} options */
  constructor({ pushToTalk, levelIntervalMs, ...handlers }) {
    this.#pushToTalk = pushToTalk;
    this.#levelIntervalMs = levelIntervalMs;
    this.#handlers = handlers;
  }

  /** Null while the microphone is off. */
  get track() {
    return this.#track;
  }

  get isOn() {
    return this.#track !== null;
  }

  get pushToTalk() {
    return this.#pushToTalk;
  }

  /** Whether audio of the microphone is being sent. */
  get isTalking() {
    return (this.#track?.enabled && !this.#track.muted) ?? false;
  }

  /** The `detail` of the `microphone` event. */
  get status() {
    const [track, asking] = [this.#track, this.#request !== null];
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
    this.#updateEnabled();
    this.#handlers.onChange();
  }

  /** Whether the talk key is held; has an effect with push-to-talk only. */
  setTalkKey(held) {
    this.#talkKeyHeld = held;
    this.#updateEnabled();
    if (this.#track) this.#handlers.onChange();
  }

  /**
   * Turns it on or off, or changes the device. Resolves to whether it is on; never rejects.
   * @param {MicrophoneSelection} selection
   */
  async set(selection) {
    if (!selection) {
      const wasOn = this.isOn || this.#request !== null;
      this.release();
      if (wasOn) this.#handlers.onChange();
      await this.#handlers.onTrack(null);
      return false;
    }
    const { deviceId, track } = selection === true ? {} : selection;
    if (this.isOn && (selection === true || (deviceId && deviceId === this.status.deviceId))) return true;
    // Calls during a request share it, so that the visitor is asked for permission once.
    if (this.#request && selection === true) return this.#request.result;
    const request = {};
    this.#request = request;
    this.#handlers.onChange();
    request.result = this.#acquire(request, track, deviceId);
    return request.result;
  }

  async #acquire(request, given, deviceId) {
    let [track, code, error] = [null, null, undefined];
    try {
      track = given ?? (await getTrack(deviceId));
      if (track.readyState === 'ended') throw new Error('the track has ended');
    } catch (exception) {
      const known = exception.code === 'insecure' ? 'insecure' : ERROR_CODES[exception.name];
      [track, code, error] = [null, known ?? 'failed', exception];
    }
    if (this.#request !== request) {
      if (!given) track?.stop();
      return this.isOn;
    }
    this.#request = null;
    [this.#code, this.#error] = [code, error];
    if (track) {
      this.#drop();
      this.#use(track, !given);
      await this.#handlers.onTrack(track);
    }
    this.#handlers.onChange();
    return this.isOn;
  }

  #use(track, owned) {
    this.#track = track;
    this.#ownsTrack = owned;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    track.addEventListener('ended', () => this.#onEnded(), { signal });
    // By a switch on the headset, or by the operating system.
    for (const type of ['mute', 'unmute']) track.addEventListener(type, () => this.#handlers.onChange(), { signal });
    this.#updateEnabled();
    if (this.#levelIntervalMs) this.#meter = new LevelMeter(track, this.#levelIntervalMs, this.#handlers.onLevel);
  }

  /** The device was unplugged, or the browser or system revoked it. */
  #onEnded() {
    this.release();
    this.#code = 'ended';
    this.#handlers.onChange();
    this.#handlers.onTrack(null);
  }

  /** Stops the track, so that the browser shows that the microphone is off. */
  release() {
    this.#request = null;
    this.#talkKeyHeld = false;
    [this.#code, this.#error] = [null, undefined];
    this.#drop();
  }

  #drop() {
    const track = this.#track;
    this.#track = null;
    this.#listeners?.abort();
    this.#listeners = null;
    this.#meter?.stop();
    this.#meter = null;
    if (this.#ownsTrack) track?.stop();
  }

  #updateEnabled() {
    if (this.#track) this.#track.enabled = !this.#pushToTalk || this.#talkKeyHeld;
  }
}

async function getTrack(deviceId) {
  if (!navigator.mediaDevices) {
    throw Object.assign(new Error('microphones are available on HTTPS pages only'), { code: 'insecure' });
  }
  const audio = deviceId ? { ...CONSTRAINTS, deviceId: { exact: deviceId } } : CONSTRAINTS;
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  return stream.getAudioTracks()[0];
}
