// The <video> element, and what is seen on it.

/** Shows one stream at a time on one element. */
export class Display {
  #video;
  /** Ends the watch over what is displayed. */
  #unwatch = null;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = video;
  }

  get muted() {
    return this.#video.muted;
  }

  setMuted(muted) {
    this.#video.muted = muted;
    if (!muted) this.#video.play().catch(() => {});
  }

  get volume() {
    return this.#video.volume;
  }

  setVolume(volume) {
    this.#video.volume = Math.min(1, Math.max(0, volume));
  }

  /** Plays the sound on another device. Rejects where the browser cannot, or does not know it. */
  async setOutput(deviceId) {
    if (!this.#video.setSinkId) throw new Error('this browser plays sound on the default device alone');
    await this.#video.setSinkId(deviceId);
  }

  /**
   * Plays a stream, without sound where the browser wants a click before sound.
   * @param {MediaStream} stream
   * @param {{onFirst: () => void, onFrame: (metadata: VideoFrameCallbackMetadata) => void,
   *   onSilenced: () => void}} handlers
   */
  async show(stream, handlers) {
    const video = this.#video;
    if (video.srcObject === stream) return;
    this.#unwatch?.();
    video.srcObject = stream;
    this.#watch(handlers);
    try {
      await video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError' || video.muted || video.srcObject !== stream) return;
      video.muted = true;
      handlers.onSilenced();
      await video.play().catch(() => {});
    }
  }

  #watch({ onFirst, onFrame }) {
    const video = this.#video;
    if (!video.requestVideoFrameCallback) {
      video.addEventListener('loadeddata', onFirst, { once: true });
      this.#unwatch = () => video.removeEventListener('loadeddata', onFirst);
      return;
    }
    let first = true;
    let request;
    const next = () => {
      request = video.requestVideoFrameCallback((_, metadata) => {
        if (first) onFirst();
        first = false;
        onFrame(metadata);
        next();
      });
    };
    next();
    this.#unwatch = () => video.cancelVideoFrameCallback(request);
  }

  /** Stops watching; the last frame stays until another stream is shown. */
  rest() {
    this.#unwatch?.();
    this.#unwatch = null;
  }

  /** Shows nothing. */
  clear() {
    this.rest();
    this.#video.srcObject = null;
  }
}
