// Shows a stream on a <video> element and reports its frames.

/** Shows one stream at a time on one element. */
export class Display {
  #video;
  /** Removes the frame callback. */
  #stopWatching = null;

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

  /** Rejects where the browser does not support this, or has no such device. */
  async setOutput(deviceId) {
    if (!this.#video.setSinkId) throw new Error('this browser cannot choose the audio output');
    await this.#video.setSinkId(deviceId);
  }

  /**
   * Plays a stream; muted where the browser requires a user gesture for sound (autoplay policy).
   * @param {MediaStream} stream
   * @param {{onFirstFrame: () => void, onFrame: (metadata: VideoFrameCallbackMetadata) => void,
   *   onMuted: () => void}} handlers
   */
  async show(stream, handlers) {
    const video = this.#video;
    if (video.srcObject === stream) return;
    this.#stopWatching?.();
    video.srcObject = stream;
    this.#watch(handlers);
    try {
      await video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError' || video.muted || video.srcObject !== stream) return;
      video.muted = true;
      handlers.onMuted();
      await video.play().catch(() => {});
    }
  }

  #watch({ onFirstFrame, onFrame }) {
    const video = this.#video;
    if (!video.requestVideoFrameCallback) {
      video.addEventListener('loadeddata', onFirstFrame, { once: true });
      this.#stopWatching = () => video.removeEventListener('loadeddata', onFirstFrame);
      return;
    }
    let first = true;
    let request;
    const next = () => {
      request = video.requestVideoFrameCallback((_, metadata) => {
        if (first) onFirstFrame();
        first = false;
        onFrame(metadata);
        next();
      });
    };
    next();
    this.#stopWatching = () => video.cancelVideoFrameCallback(request);
  }

  /** Stops reporting frames. The last frame stays on screen. */
  unwatch() {
    this.#stopWatching?.();
    this.#stopWatching = null;
  }

  /** Removes the stream from the element. */
  clear() {
    this.unwatch();
    this.#video.srcObject = null;
  }
}
