// The visitor's microphone: on, off, or only while a key is held.

const CONSTRAINTS = {
  audio: {
    channelCount: 1,
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
  },
};

/** Owns the track. What becomes of it is told to `onEnded`. */
export class Microphone {
  #track = null;
  #asking = null;
  #pushToTalk;
  #held = false;
  #onEnded;

  /**
   * @param {boolean} pushToTalk
   * @param {() => void} onEnded the browser or the system took the microphone away
   */
  constructor(pushToTalk, onEnded) {
    this.#pushToTalk = pushToTalk;
    this.#onEnded = onEnded;
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
    return this.#track?.enabled ?? false;
  }

  setPushToTalk(pushToTalk) {
    this.#pushToTalk = pushToTalk;
    this.#apply();
  }

  /** Whether the key is held; counts with push-to-talk alone. */
  hold(held) {
    this.#held = held;
    this.#apply();
  }

  /** Asks for the microphone, once, however many ask. Rejects where there is none to be had. */
  acquire() {
    if (this.#track) return Promise.resolve(this.#track);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask() {
    // Absent on pages that are neither HTTPS nor localhost.
    if (!navigator.mediaDevices) throw new Error('a microphone needs a page on HTTPS');
    const stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
    const [track] = stream.getAudioTracks();
    track.onended = () => {
      if (this.#track !== track) return;
      this.release();
      this.#onEnded();
    };
    this.#track = track;
    this.#apply();
    return track;
  }

  /** Gives it back: the browser shows that it is off. */
  release() {
    const track = this.#track;
    this.#track = null;
    this.#held = false;
    if (!track) return;
    track.onended = null;
    track.stop();
  }

  #apply() {
    if (this.#track) this.#track.enabled = !this.#pushToTalk || this.#held;
  }
}
