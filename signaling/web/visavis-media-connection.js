// One RTCPeerConnection: offers, answers, tracks, the data channel, and whether media arrives.

/** The data channel's label. */
const CHANNEL = 'visavis';
/** send() refuses messages while more than this is buffered. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** Longer gaps do not raise the mean interval: they are interruptions. */
const MAX_INTERVAL_MS = 100;

const CAPTURE_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time';

/**
 * @typedef {object} MediaConnectionHandlers
 * @property {(message: object) => void} onSignalingMessage an offer or a candidate for the server
 * @property {() => void} onTrack
 * @property {() => void} onState the connection's state changed
 * @property {(open: boolean) => void} onChannel
 * @property {(data: string|ArrayBuffer) => void} onMessage
 */
export class MediaConnection {
  openedAt = performance.now();
  stream = new MediaStream();
  /** The peer's id, once the server has sent it. */
  peerId = null;

  #handlers = null;
  #closed = new AbortController();
  #firstOffer;
  #started = false;
  /** An offer was sent and is not answered yet. */
  #offerPending = false;
  /** Another offer is needed after the answer. */
  #offerAgain = false;
  #lastTimestamp = 0;
  #lastChange = performance.now();
  #interval = 0;

  /**
   * Creates the connection and its offer; both take the browser some time. Nothing is sent before
   * {@link start}.
   * @param {{iceServers: RTCIceServer[], videoCodec?: string, sendAudio: boolean}} options
   */
  constructor({ iceServers, videoCodec, sendAudio }) {
    // With a candidate pool, gathering begins now, and not when the offer is sent.
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceCandidatePoolSize: 1, iceServers });
    this.pc = pc;
    this.video = pc.addTransceiver('video', { direction: 'recvonly' });
    this.audio = pc.addTransceiver('audio', { direction: sendAudio ? 'sendrecv' : 'recvonly' });
    restrictCodec(this.video, videoCodec);
    negotiateCaptureTime(this.video);
    this.channel = pc.createDataChannel(CHANNEL);
    this.channel.binaryType = 'arraybuffer';
    this.#makeFirstOffer();
    this.#listen();
  }

  #makeFirstOffer() {
    this.#firstOffer = this.pc.createOffer();
    this.#firstOffer.catch(() => {});
  }

  #listen() {
    const on = (target, type, handler) =>
      target.addEventListener(type, handler, { signal: this.#closed.signal });
    on(this.pc, 'track', ({ track, receiver }) => {
      // For a conversation low delay matters more than smoothness.
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
      if ('playoutDelayHint' in receiver) receiver.playoutDelayHint = 0;
      this.stream.addTrack(track);
      this.#handlers?.onTrack();
    });
    on(this.pc, 'icecandidate', ({ candidate }) => {
      const { candidate: text = '', sdpMid = null, sdpMLineIndex = null } = candidate ?? {};
      const data = { candidate: text, sdpMid, sdpMLineIndex };
      this.#handlers?.onSignalingMessage({ type: 'ice-candidate', data });
    });
    on(this.pc, 'connectionstatechange', () => this.#handlers?.onState());
    on(this.channel, 'open', () => this.#handlers?.onChannel(true));
    on(this.channel, 'close', () => this.#handlers?.onChannel(false));
    on(this.channel, 'message', ({ data }) => this.#handlers?.onMessage(data));
  }

  /** Puts the connection to use. @param {MediaConnectionHandlers} handlers */
  setHandlers(handlers) {
    this.openedAt = performance.now();
    this.#handlers = handlers;
  }

  get state() {
    return this.pc.connectionState;
  }

  get isClosed() {
    return this.#closed.signal.aborted;
  }

  /** Sends the first offer. */
  async start(iceServers) {
    if (iceServers) {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers });
    }
    this.#started = true;
    await this.#offer(await this.#firstOffer);
  }

  /** Sends another offer, after the answer to the pending one if there is one. */
  async renegotiate() {
    if (!this.#started) this.#makeFirstOffer();
    else if (this.#offerPending) this.#offerAgain = true;
    else await this.#offer(await this.pc.createOffer());
  }

  /** Restarts ICE. Does not wait for a pending answer, which may be lost. */
  async restartIce() {
    await this.#offer(await this.pc.createOffer({ iceRestart: true }));
  }

  async #offer(description) {
    this.#offerPending = true;
    this.#offerAgain = false;
    await this.#setLocal(description);
    if (this.isClosed) return;
    const { type, sdp } = this.pc.localDescription;
    this.#handlers?.onSignalingMessage({ type: 'offer', data: { type, sdp } });
  }

  async #setLocal(description) {
    try {
      await this.pc.setLocalDescription(withStereo(description));
    } catch {
      // This browser refuses a modified description.
      await this.pc.setLocalDescription(description);
    }
  }

  /** Applies the server's answer. */
  async acceptAnswer(description) {
    if (!this.#offerPending) return;
    await this.pc.setRemoteDescription(description);
    this.#offerPending = false;
    if (this.#offerAgain && !this.isClosed) await this.renegotiate();
  }

  /** @returns {Promise<boolean>} whether a new offer is needed before the track is sent */
  async setMicrophoneTrack(track) {
    await this.audio.sender.replaceTrack(track);
    if (!track || this.audio.direction === 'sendrecv') return false;
    this.audio.direction = 'sendrecv';
    return true;
  }

  /** @returns {boolean} whether the message was queued for sending */
  send(data) {
    if (this.channel.readyState !== 'open' || this.channel.bufferedAmount > MAX_BUFFERED_BYTES) return false;
    this.channel.send(data);
    return true;
  }

  /**
   * Checks whether media has arrived since the last call. Cheap, as it does not call getStats().
   * @returns {number} milliseconds since the last media; 0 before the first
   */
  silenceMs() {
    const now = performance.now();
    let newest = 0;
    for (const { receiver } of [this.video, this.audio]) {
      for (const { timestamp } of receiver.getSynchronizationSources?.() ?? []) {
        newest = Math.max(newest, timestamp);
      }
    }
    if (newest !== this.#lastTimestamp) {
      const interval = now - this.#lastChange;
      // Limited, as timers of a page in the background are throttled.
      this.#interval += (Math.min(interval, MAX_INTERVAL_MS) - this.#interval) / 8;
      this.#lastTimestamp = newest;
      this.#lastChange = now;
    }
    return this.#lastTimestamp === 0 ? 0 : now - this.#lastChange;
  }

  /** Mean interval between arrivals, in milliseconds, as seen by {@link silenceMs}. */
  get meanIntervalMs() {
    return this.#interval;
  }

  /** A count per candidate pair that grows with whatever arrives: media, or answers to connectivity checks. */
  async receivedByPath() {
    const received = new Map();
    for (const entry of (await this.pc.getStats()).values()) {
      if (entry.type !== 'candidate-pair') continue;
      received.set(entry.id, (entry.responsesReceived ?? 0) + (entry.bytesReceived ?? 0));
    }
    return received;
  }

  /** Closes the connection and releases its tracks. */
  close() {
    this.#handlers = null;
    this.#closed.abort();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    this.channel.close();
    this.pc.close();
  }
}

/** Browsers support the abs-capture-time header extension, but do not offer it by default. */
function negotiateCaptureTime(transceiver) {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
  const wanted = extensions.find(({ uri }) => uri === CAPTURE_TIME);
  if (!wanted) return;
  wanted.direction = 'sendrecv';
  try {
    transceiver.setHeaderExtensionsToNegotiate(extensions);
  } catch {
    // The latency is then computed from sender reports.
  }
}

/**
 * Adds `stereo=1` to the Opus parameters: without it Chromium plays stereo as mono (RFC 7587 §6.1). Firefox adds it
 * by itself.
 */
function withStereo({ type, sdp }) {
  const opus = [...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2\r?$/gim)];
  const add = (text, [, number]) =>
    text.replace(new RegExp(`^a=fmtp:${number} (?!(?:.*;)? *stereo=)[^\r\n]*`, 'gm'), '$&;stereo=1');
  return { type, sdp: opus.reduce(add, sdp) };
}

/** Offers one codec only, with retransmission and FEC; all codecs where the browser does not have it. */
function restrictCodec(transceiver, name) {
  if (!name || !transceiver.setCodecPreferences) return;
  const all = RTCRtpReceiver.getCapabilities?.('video')?.codecs ?? [];
  const wanted = `video/${name}`.toLowerCase();
  const repair = ['video/rtx', 'video/red', 'video/ulpfec', 'video/flexfec-03'];
  const matching = all.filter((codec) => codec.mimeType.toLowerCase() === wanted);
  if (matching.length === 0) return;
  const rest = all.filter((codec) => repair.includes(codec.mimeType.toLowerCase()));
  transceiver.setCodecPreferences([...matching, ...rest]);
}
