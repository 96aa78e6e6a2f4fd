// The visavis client: watch a live face, and speak to it. No dependency, no build step.
//
//   import { VisavisClient } from './visavis-client.js';
//   const client = new VisavisClient({ session: 'default' });
//   client.attach(document.querySelector('video'));
//   client.addEventListener('state', ({ detail }) => console.log(detail.state));
//   client.connect();

import { FigureTaker } from './visavis-figures.js';

/** An attempt that shows nothing by then is given up. */
const ATTEMPT_MS = 10_000;
/** Short gaps heal by themselves; an ICE restart at once would only disturb that. */
const HEAL_MS = 2_000;
/** A connection that holds this long makes earlier failures forgotten. */
const STABLE_MS = 5_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_LIMIT_MS = 8_000;

/** Errors that another attempt does not cure. */
const FINAL_ERRORS = new Set(['no-common-codec', 'bad-sdp', 'abuse', 'too-large']);
/** Errors that leave the connection as it is. */
const HARMLESS_ERRORS = new Set(['bad-candidate', 'bad-json', 'bad-message']);

/** The data channel's label. */
const CHANNEL = 'visavis';
/** Messages are refused while so many bytes wait to be sent. */
const MAX_WAITING_BYTES = 1024 * 1024;

const CAPTURE_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time';

const MICROPHONE = {
  audio: {
    channelCount: 1,
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
  },
};

/**
 * One viewer's connection, which looks after itself.
 *
 * Events (all CustomEvents):
 * - `state`: {state, reason, attempt, attempts}; the state is one of `idle`, `connecting`,
 *   `connected`, `reconnecting`, `failed`, `closed`.
 * - `stream`: {stream}, when there is something to show.
 * - `firstpicture`: {elapsedMs}, once per connection made, from its start to a frame on screen.
 * - `figures`: a Figures object (visavis-figures.js), once a second while connected.
 * - `microphone`: {on, error}.
 * - `channel`: {open}, when messages can be sent, and when the server has closed the channel.
 * - `message`: {data}, from the server: a string or an ArrayBuffer.
 * - `muted`: {muted, forced}; forced when the browser refused sound without a click.
 * - `error`: {code, message}, as the server said it.
 * - `log`: {text}.
 */
export class VisavisClient extends EventTarget {
  #options;
  #state = 'idle';
  #link = null;
  #iceServers;
  #attempt = 0;
  #timers = new Map();
  #figures = new FigureTaker();
  #video = null;
  #microphone = null;

  /**
   * @param {object} [options]
   * @param {string} [options.url] WebSocket address; by default `/ws` on the page's own host
   * @param {string} [options.session] the session to watch; by default the server's own
   * @param {string} [options.videoCodec] insist on this codec, such as `VP8`, if the browser has it
   * @param {RTCIceServer[]} [options.iceServers] used instead of what the server announces
   * @param {number} [options.maxAttempts] attempts in a row before giving up; 6
   * @param {number} [options.figuresEveryMs] 1000; 0 for none
   */
  constructor(options = {}) {
    super();
    this.#options = { maxAttempts: 6, figuresEveryMs: 1000, ...options };
    this.#iceServers = options.iceServers ?? [];
    globalThis.addEventListener?.('online', () => this.#hurry());
  }

  /** @returns {'idle'|'connecting'|'connected'|'reconnecting'|'failed'|'closed'} */
  get state() {
    return this.#state;
  }

  /** The RTCPeerConnection in use, or null. */
  get connection() {
    return this.#link?.pc ?? null;
  }

  /** The id the server gave this viewer, or null. */
  get peerId() {
    return this.#link?.peerId ?? null;
  }

  get microphoneOn() {
    return this.#microphone !== null;
  }

  get muted() {
    return this.#video?.muted ?? false;
  }

  /** Shows what arrives on a `<video>` element, which should have `playsinline`. */
  attach(video) {
    this.#video = video;
    if (this.#link?.stream.getTracks().length) this.#show(this.#link);
  }

  /** Connects. Returns at once; the rest is told by `state` events. */
  connect() {
    if (['connecting', 'connected', 'reconnecting'].includes(this.#state)) return;
    this.#attempt = 0;
    this.#setState('connecting');
    this.#open();
  }

  /** Says goodbye. The microphone is released; connect() may be called again. */
  close() {
    if (this.#state === 'idle' || this.#state === 'closed') return;
    this.#leave();
    this.#setState('closed');
  }

  /** Sound on or off. */
  setMuted(muted) {
    if (!this.#video) return;
    this.#video.muted = muted;
    if (!muted) this.#video.play().catch(() => {});
    this.#emit('muted', { muted, forced: false });
  }

  /**
   * Turns the microphone on or off. The first time on renegotiates; after that it is a matter of
   * replacing the track. Resolves to whether it is on now; never rejects.
   */
  async setMicrophone(on) {
    if (!on) {
      this.#releaseMicrophone();
      await this.#link?.audio.sender.replaceTrack(null).catch(() => {});
      this.#emit('microphone', { on: false });
      return false;
    }
    if (this.#microphone) return true;
    try {
      // Absent on pages that are neither HTTPS nor localhost.
      if (!navigator.mediaDevices) throw new Error('a microphone needs a page on HTTPS');
      const stream = await navigator.mediaDevices.getUserMedia(MICROPHONE);
      [this.#microphone] = stream.getAudioTracks();
    } catch (error) {
      this.#log(`no microphone: ${error.message}`);
      this.#emit('microphone', { on: false, error });
      return false;
    }
    this.#microphone.addEventListener('ended', () => this.setMicrophone(false));
    const link = this.#link;
    if (link) await this.#sendMicrophone(link);
    this.#emit('microphone', { on: true });
    return true;
  }

  /**
   * Sends the server a message, of 64 KiB at most. Messages arrive in the order they were sent.
   * @param {string|ArrayBuffer|ArrayBufferView} data not empty
   * @returns {boolean} false where it was not taken: there is no connection, or too much waits already
   */
  send(data) {
    const channel = this.#link?.channel;
    if (channel?.readyState !== 'open' || channel.bufferedAmount > MAX_WAITING_BYTES) return false;
    try {
      channel.send(data);
      return true;
    } catch (error) {
      this.#log(`a message is not sent: ${error.message}`);
      return false;
    }
  }

  // --- one attempt -------------------------------------------------------------------------

  /** Starts the WebSocket and, while it opens, the offer: neither waits for the other. */
  #open() {
    const link = {
      openedAt: performance.now(),
      stream: new MediaStream(),
      peerId: null,
      answered: false,
      nextOffer: null,
      restarted: false,
    };
    this.#link = link;
    this.#timer('attempt', ATTEMPT_MS, () => this.#again('no picture in time'));

    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: this.#iceServers });
    link.pc = pc;
    link.video = pc.addTransceiver('video', { direction: 'recvonly' });
    link.audio = pc.addTransceiver('audio', {
      direction: this.#microphone ? 'sendrecv' : 'recvonly',
    });
    if (this.#microphone) link.audio.sender.replaceTrack(this.#microphone).catch(() => {});
    preferCodec(link.video, this.#options.videoCodec);
    askForCaptureTime(link.video);
    const current = (handler) => (event) => {
      if (this.#link === link) handler(event);
    };
    pc.addEventListener('track', current((event) => this.#onTrack(link, event)));
    pc.addEventListener('icecandidate', current((event) => {
      const { candidate = '', sdpMid = null, sdpMLineIndex = null } = event.candidate ?? {};
      this.#send(link, { type: 'ice-candidate', data: { candidate, sdpMid, sdpMLineIndex } });
    }));
    pc.addEventListener('connectionstatechange', current(() => this.#onConnectionState(link)));
    link.channel = pc.createDataChannel(CHANNEL);
    link.channel.binaryType = 'arraybuffer';
    link.channel.addEventListener('open', current(() => this.#emit('channel', { open: true })));
    link.channel.addEventListener('close', current(() => this.#emit('channel', { open: false })));
    link.channel.addEventListener('message', current(({ data }) => this.#emit('message', { data })));
    // Gathering starts with setLocalDescription, which waits for the ICE servers in `config`.
    link.ready = pc.createOffer();
    link.ready.catch(() => {});

    link.ws = new WebSocket(this.#address());
    link.ws.addEventListener('message', current((event) => this.#onMessage(link, event.data)));
    link.ws.addEventListener('close', current((event) => this.#onSocketClosed(link, event)));
  }

  #address() {
    const url = new URL(this.#options.url ?? '/ws', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.hash = '';
    if (this.#options.session) url.searchParams.set('session', this.#options.session);
    return url.href;
  }

  #send(link, message) {
    if (link.ws.readyState === WebSocket.OPEN) link.ws.send(JSON.stringify(message));
  }

  async #onMessage(link, text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    try {
      switch (message.type) {
        case 'config':
          link.peerId = message.peerId;
          if (!this.#options.iceServers && message.iceServers?.length) {
            this.#iceServers = message.iceServers;
            link.pc.setConfiguration({ ...link.pc.getConfiguration(), iceServers: this.#iceServers });
          }
          await this.#offer(link, await link.ready);
          break;
        case 'answer':
          link.peerId = message.peerId ?? link.peerId;
          await link.pc.setRemoteDescription(message.data);
          link.answered = true;
          if (link.nextOffer) await this.#negotiate(link, link.nextOffer);
          // A path that healed while the restart was under way changes state no more.
          if (this.#state === 'reconnecting' && link.pc.connectionState === 'connected') {
            this.#onConnectionState(link);
          }
          break;
        case 'ice-candidate':
          await link.pc.addIceCandidate(message.data);
          break;
        case 'ping':
          this.#send(link, { type: 'pong' });
          break;
        case 'error':
          this.#onError(message);
          break;
      }
    } catch (error) {
      if (this.#link === link) this.#again(error.message);
    }
  }

  /** Offers anew, after the answer to the offer under way if there is one. */
  async #negotiate(link, options) {
    if (link.pc.signalingState !== 'stable' || !link.answered) {
      link.nextOffer = { ...link.nextOffer, ...options };
      return;
    }
    link.nextOffer = null;
    await this.#offer(link, await link.pc.createOffer(options));
  }

  async #offer(link, description) {
    await link.pc.setLocalDescription(description);
    const { type, sdp } = link.pc.localDescription;
    this.#send(link, { type: 'offer', data: { type, sdp } });
  }

  #onTrack(link, { track, receiver }) {
    // A talking face wants the newest moment, not the smoothest one.
    if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
    if ('playoutDelayHint' in receiver) receiver.playoutDelayHint = 0;
    link.stream.addTrack(track);
    this.#emit('stream', { stream: link.stream });
    if (this.#video) this.#show(link);
  }

  async #show(link) {
    const video = this.#video;
    if (video.srcObject === link.stream) return;
    video.srcObject = link.stream;
    this.#watchFrames(link, video);
    try {
      await video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError' || video.muted) return;
      video.muted = true;
      this.#emit('muted', { muted: true, forced: true });
      await video.play().catch(() => {});
    }
  }

  #watchFrames(link, video) {
    const first = () => {
      const elapsedMs = performance.now() - link.openedAt;
      this.#log(`first picture after ${Math.round(elapsedMs)} ms`);
      this.#emit('firstpicture', { elapsedMs });
    };
    if (!video.requestVideoFrameCallback) {
      video.addEventListener('loadeddata', first, { once: true });
      return;
    }
    let seen = false;
    const onFrame = (_, metadata) => {
      if (this.#link !== link) return;
      if (!seen) first();
      seen = true;
      this.#figures.noteFrame(metadata, link.video.receiver);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }

  // --- staying connected -------------------------------------------------------------------

  #onConnectionState(link) {
    const state = link.pc.connectionState;
    this.#log(`media ${state}`);
    if (state === 'connected') {
      for (const name of ['attempt', 'heal', 'restart']) this.#cancel(name);
      this.#timer('stable', STABLE_MS, () => {
        this.#attempt = 0;
        link.restarted = false;
      });
      this.#setState('connected');
      this.#measure();
    } else if (state === 'disconnected') {
      this.#timer('heal', HEAL_MS, () => this.#restart(link));
    } else if (state === 'failed') {
      this.#restart(link);
    }
  }

  #onSocketClosed(link, event) {
    // Media does not need the WebSocket. If it fails later, a fresh connection is made.
    if (link.pc.connectionState === 'connected') {
      this.#log('signaling closed; the picture goes on');
      return;
    }
    this.#again(event.reason || (link.peerId ? 'signaling closed' : 'the server cannot be reached'));
  }

  #onError({ code, error }) {
    this.#log(`server: ${error} (${code})`);
    this.#emit('error', { code, message: error });
    if (HARMLESS_ERRORS.has(code)) return;
    if (FINAL_ERRORS.has(code)) this.#fail(error);
    else this.#again(error);
  }

  /** Looks for another network path for the same connection; a fresh one is the second choice. */
  async #restart(link) {
    this.#cancel('heal');
    this.#cancel('stable');
    if (link.restarted || !link.answered || link.ws.readyState !== WebSocket.OPEN) {
      this.#again('the connection was lost');
      return;
    }
    link.restarted = true;
    this.#setState('reconnecting', 'looking for another path');
    this.#timer('restart', ATTEMPT_MS / 2, () => this.#again('no other path'));
    try {
      await this.#negotiate(link, { iceRestart: true });
    } catch (error) {
      if (this.#link === link) this.#again(error.message);
    }
  }

  /** Drops this attempt and makes another one after a pause, as long as there is hope. */
  #again(reason) {
    this.#drop();
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      this.#fail(reason);
      return;
    }
    const most = Math.min(BACKOFF_LIMIT_MS, BACKOFF_FIRST_MS * 2 ** (this.#attempt - 1));
    // Spread out, so that viewers lost together do not come back together.
    const pause = most * (0.5 + Math.random() / 2);
    this.#log(`${reason}; attempt ${this.#attempt} in ${Math.round(pause)} ms`);
    this.#setState('reconnecting', reason);
    this.#timer('backoff', pause, () => this.#open());
  }

  #hurry() {
    if (!this.#timers.has('backoff')) return;
    this.#cancel('backoff');
    this.#open();
  }

  #fail(reason) {
    this.#leave();
    this.#setState('failed', reason);
  }

  #leave() {
    this.#drop();
    this.#releaseMicrophone();
    if (this.#video) this.#video.srcObject = null;
  }

  #drop() {
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
    const link = this.#link;
    this.#link = null;
    this.#figures = new FigureTaker();
    link?.ws.close(1000);
    link?.pc.close();
  }

  // --- microphone and figures --------------------------------------------------------------

  async #sendMicrophone(link) {
    try {
      await link.audio.sender.replaceTrack(this.#microphone);
      if (link.audio.direction === 'sendrecv') return;
      link.audio.direction = 'sendrecv';
      if (link.answered && link.ws.readyState !== WebSocket.OPEN) {
        this.#again('the microphone needs signaling');
      } else {
        await this.#negotiate(link, {});
      }
    } catch (error) {
      this.#log(`the microphone is not sent: ${error.message}`);
    }
  }

  #releaseMicrophone() {
    this.#microphone?.stop();
    this.#microphone = null;
  }

  #measure() {
    const every = this.#options.figuresEveryMs;
    if (!every) return;
    this.#timer('figures', every, async () => {
      const link = this.#link;
      const figures = await this.getFigures();
      if (!figures || link !== this.#link) return;
      this.#emit('figures', figures);
      // Browsers take seconds to notice a dead server; silence on both ways is quicker.
      if (figures.bitrateKbps === 0 && link.ws.readyState === WebSocket.CLOSED) {
        this.#again('the server went silent');
      } else {
        this.#measure();
      }
    });
  }

  /**
   * Takes figures now. Rates are over the time since the last taking, which is the last `figures`
   * event or the last call.
   * @returns {Promise<?import('./visavis-figures.js').Figures>} null without a connection
   */
  async getFigures() {
    const link = this.#link;
    if (!link) return null;
    try {
      return await this.#figures.take(link.pc);
    } catch {
      return null;
    }
  }

  // --- small things ------------------------------------------------------------------------

  #setState(state, reason = '') {
    const { maxAttempts: attempts } = this.#options;
    this.#state = state;
    this.#log(reason ? `${state}: ${reason}` : state);
    this.#emit('state', { state, reason, attempt: this.#attempt, attempts });
  }

  #timer(name, ms, action) {
    this.#cancel(name);
    this.#timers.set(name, setTimeout(() => {
      this.#timers.delete(name);
      action();
    }, ms));
  }

  #cancel(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #log(text) {
    this.#emit('log', { text });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
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
