// One RTCPeerConnection, from its making to its end, and what can be told of its health.

/** The data channel's label. */
const CHANNEL = 'visavis';
/** Messages are refused while so many bytes wait to be sent. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** Media that comes less often than this is not usual. */
const MOST_USUAL_MS = 100;

const CAPTURE_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time';

/**
 * @typedef {object} LinkHandlers
 * @property {(message: object) => void} onSignal an offer or a candidate for the server
 * @property {() => void} onTrack
 * @property {() => void} onState the connection's state changed
 * @property {(open: boolean) => void} onChannel
 * @property {(data: string|ArrayBuffer) => void} onMessage
 */
export class Link {
  openedAt = performance.now();
  stream = new MediaStream();
  /** The peer's id, once the server has said it. */
  peerId = null;

  #handlers = null;
  #over = new AbortController();
  #firstOffer;
  #started = false;
  /** An offer is out and not answered. */
  #asked = false;
  /** Another offer is due after the answer. */
  #again = false;
  #lastSeen = 0;
  #lastChange = performance.now();
  #interval = 0;

  /**
   * Makes the connection and its offer, which takes the browser a while; nothing is sent before
   * {@link start}.
   * @param {{iceServers: RTCIceServer[], videoCodec?: string, speaking: boolean}} options
   */
  constructor({ iceServers, videoCodec, speaking }) {
    // A pool of one has the candidates gathered while the server is being asked.
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceCandidatePoolSize: 1, iceServers });
    this.pc = pc;
    this.video = pc.addTransceiver('video', { direction: 'recvonly' });
    this.audio = pc.addTransceiver('audio', { direction: speaking ? 'sendrecv' : 'recvonly' });
    preferCodec(this.video, videoCodec);
    askForCaptureTime(this.video);
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
      target.addEventListener(type, handler, { signal: this.#over.signal });
    on(this.pc, 'track', ({ track, receiver }) => {
      // A talking face wants the newest moment, not the smoothest one.
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
      if ('playoutDelayHint' in receiver) receiver.playoutDelayHint = 0;
      this.stream.addTrack(track);
      this.#handlers?.onTrack();
    });
    on(this.pc, 'icecandidate', ({ candidate }) => {
      const { candidate: text = '', sdpMid = null, sdpMLineIndex = null } = candidate ?? {};
      const data = { candidate: text, sdpMid, sdpMLineIndex };
      this.#handlers?.onSignal({ type: 'ice-candidate', data });
    });
    on(this.pc, 'connectionstatechange', () => this.#handlers?.onState());
    on(this.channel, 'open', () => this.#handlers?.onChannel(true));
    on(this.channel, 'close', () => this.#handlers?.onChannel(false));
    on(this.channel, 'message', ({ data }) => this.#handlers?.onMessage(data));
  }

  /** From now on somebody listens. @param {LinkHandlers} handlers */
  use(handlers) {
    this.openedAt = performance.now();
    this.#handlers = handlers;
  }

  get state() {
    return this.pc.connectionState;
  }

  get isOver() {
    return this.#over.signal.aborted;
  }

  /** Offers for the first time. */
  async start(iceServers) {
    if (iceServers) {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers });
    }
    this.#started = true;
    await this.#offer(await this.#firstOffer);
  }

  /** Offers anew, after the answer to the offer under way if there is one. */
  async renegotiate() {
    if (!this.#started) this.#makeFirstOffer();
    else if (this.#asked) this.#again = true;
    else await this.#offer(await this.pc.createOffer());
  }

  /** Looks for another network path. An answer that was under way is not waited for: it may be lost. */
  async restart() {
    await this.#offer(await this.pc.createOffer({ iceRestart: true }));
  }

  async #offer(description) {
    this.#asked = true;
    this.#again = false;
    await this.#describe(description);
    if (this.isOver) return;
    const { type, sdp } = this.pc.localDescription;
    this.#handlers?.onSignal({ type: 'offer', data: { type, sdp } });
  }

  async #describe(description) {
    try {
      await this.pc.setLocalDescription(askForTwoChannels(description));
    } catch {
      // A browser that takes its own words only.
      await this.pc.setLocalDescription(description);
    }
  }

  /** Takes the server's answer. */
  async answered(description) {
    if (!this.#asked) return;
    await this.pc.setRemoteDescription(description);
    this.#asked = false;
    if (this.#again && !this.isOver) await this.renegotiate();
  }

  async speak(track) {
    await this.audio.sender.replaceTrack(track);
    if (!track || this.audio.direction === 'sendrecv') return false;
    this.audio.direction = 'sendrecv';
    return true;
  }

  /** @returns {boolean} whether the message was taken */
  send(data) {
    if (this.channel.readyState !== 'open' || this.channel.bufferedAmount > MAX_WAITING_BYTES) return false;
    this.channel.send(data);
    return true;
  }

  /**
   * Looks whether media came since the last look. Cheap: no statistics are gathered.
   * @returns {number} milliseconds since something came
   */
  silenceMs() {
    const now = performance.now();
    let seen = 0;
    for (const { receiver } of [this.video, this.audio]) {
      for (const { timestamp } of receiver.getSynchronizationSources?.() ?? []) {
        seen = Math.max(seen, timestamp);
      }
    }
    if (seen !== this.#lastSeen) {
      const interval = now - this.#lastChange;
      // A page that was not let run sees long intervals too.
      this.#interval += (Math.min(interval, MOST_USUAL_MS) - this.#interval) / 8;
      this.#lastSeen = seen;
      this.#lastChange = now;
    }
    return this.#lastSeen === 0 ? 0 : now - this.#lastChange;
  }

  /** How far apart media usually comes, in milliseconds, as far as it was looked. */
  get usualIntervalMs() {
    return this.#interval;
  }

  /** What has come over each path so far: connectivity checks too, so that it grows without media. */
  async arrivals() {
    const arrivals = new Map();
    for (const entry of (await this.pc.getStats()).values()) {
      if (entry.type !== 'candidate-pair') continue;
      arrivals.set(entry.id, (entry.responsesReceived ?? 0) + (entry.bytesReceived ?? 0));
    }
    return arrivals;
  }

  /** Gives everything back. */
  close() {
    this.#handlers = null;
    this.#over.abort();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    this.channel.close();
    this.pc.close();
  }
}

/** Browsers know the header extension that dates each frame, and leave it out unless asked. */
function askForCaptureTime(transceiver) {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
  const wanted = extensions.find(({ uri }) => uri === CAPTURE_TIME);
  if (!wanted) return;
  wanted.direction = 'sendrecv';
  try {
    transceiver.setHeaderExtensionsToNegotiate(extensions);
  } catch {
    // The latency figure then rests on sender reports.
  }
}

/**
 * Sound of two channels is played as one unless the browser's own description asks for two (RFC 7587 §6.1), as
 * Firefox's does by itself.
 */
function askForTwoChannels({ type, sdp }) {
  const opus = [...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2\r?$/gim)];
  const ask = (text, [, number]) =>
    text.replace(new RegExp(`^a=fmtp:${number} (?!(?:.*;)? *stereo=)[^\r\n]*`, 'gm'), '$&;stereo=1');
  return { type, sdp: opus.reduce(ask, sdp) };
}

/** Offers one codec only, with its helpers; all of them where the browser does not have it. */
function preferCodec(transceiver, name) {
  if (!name || !transceiver.setCodecPreferences) return;
  const all = RTCRtpReceiver.getCapabilities?.('video')?.codecs ?? [];
  const wanted = `video/${name}`.toLowerCase();
  const helpers = ['video/rtx', 'video/red', 'video/ulpfec', 'video/flexfec-03'];
  const own = all.filter((codec) => codec.mimeType.toLowerCase() === wanted);
  if (own.length === 0) return;
  const rest = all.filter((codec) => helpers.includes(codec.mimeType.toLowerCase()));
  transceiver.setCodecPreferences([...own, ...rest]);
}
