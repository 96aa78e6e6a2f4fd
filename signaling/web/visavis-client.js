// The visavis client: watch a live face, and speak to it. No dependency, no build step.
//
//   import { VisavisClient } from './visavis-client.js';
//   const client = new VisavisClient({ session: 'default' });
//   client.attach(document.querySelector('video'));
//   client.addEventListener('state', ({ detail }) => console.log(detail.state));
//   client.connect();

import { addressOf } from './visavis-address.js';
import { listDevices, watchDevices } from './visavis-devices.js';
import { Display } from './visavis-display.js';
import { FAILURES, VisavisError, meaningOf } from './visavis-failures.js';
import { validIceServers } from './visavis-ice-servers.js';
import { Link } from './visavis-link.js';
import { Measurements } from './visavis-measurements.js';
import { Microphone } from './visavis-microphone.js';
import { withDefaults } from './visavis-options.js';
import { Pulse } from './visavis-pulse.js';
import { Recovery } from './visavis-recovery.js';
import { Signaling } from './visavis-signaling.js';
import { Outcome, Timers, backoffMs, placeMs } from './visavis-timers.js';
import { Upkeep, isServerThere } from './visavis-upkeep.js';

export { VisavisError };

/** An attempt that shows nothing by then is given up. */
const ATTEMPT_MS = 10_000;
/** How long the server has to say why a connection failed that it has ended: a certificate that it does not take. */
const REASON_MS = 300;
/** A connection that holds this long makes earlier failures forgotten. */
const STABLE_MS = 5_000;

/** A connection prepared and not used is given back after this time. */
const PREPARED_MS = 120_000;

/** In these there is a connection, or one is on its way. */
const UNDER_WAY = ['connecting', 'connected', 'reconnecting', 'waiting'];

/**
 * One viewer's connection, which looks after itself. Options, events and methods are described in
 * visavis-client.d.ts.
 */
export class VisavisClient extends EventTarget {
  #options;
  #address;
  #state = 'idle';
  /** The connection in use. Whatever waits looks after each wait whether it still is. */
  #link = null;
  #signaling = null;
  /** Made before it is needed. */
  #prepared = null;
  #iceServers;
  #attempt = 0;
  /** How often a place was asked for in vain. */
  #queued = 0;
  /** Whether there was a picture since connect(). */
  #watched = false;
  #live = null;
  #channelOpen = false;
  /** What connect() has promised. */
  #outcome = null;
  #timers = new Timers();
  #measurements;
  #display = null;
  #microphone;
  /** Watches for silence while connected. */
  #pulse = null;
  /** The search for a connection that was lost. */
  #recovery = null;
  #upkeep = new Upkeep();
  /** Ends what listens to the window and the devices. */
  #attending = null;

  /** Whether this browser can watch at all. */
  static isSupported() {
    return typeof globalThis.RTCPeerConnection === 'function' && typeof globalThis.WebSocket === 'function';
  }

  constructor(options = {}) {
    super();
    this.#options = withDefaults(options);
    const { iceServers, figuresEveryMs, pushToTalk, levelEveryMs } = this.#options;
    this.#address = addressOf(this.#options);
    this.#iceServers = this.#checked(iceServers ?? []);
    this.#measurements = new Measurements({
      everyMs: figuresEveryMs,
      onFigures: (figures) => this.#emit('figures', figures),
      onQuality: (quality) => this.#emit('quality', quality),
    });
    this.#microphone = new Microphone({
      pushToTalk,
      levelEveryMs,
      onTrack: (track) => this.#speak(track),
      onChange: () => this.#tellMicrophone(),
      onLevel: (level) => this.#emit('level', level),
    });
  }

  get state() {
    return this.#state;
  }

  get connection() {
    return this.#link?.pc ?? null;
  }

  get peerId() {
    return this.#link?.peerId ?? null;
  }

  get live() {
    return this.#live;
  }

  get microphone() {
    return this.#microphone.status;
  }

  get microphoneOn() {
    return this.#microphone.isOn;
  }

  get pushToTalk() {
    return this.#microphone.pushToTalk;
  }

  get talking() {
    return this.#microphone.isTalking;
  }

  get muted() {
    return this.#display?.muted ?? false;
  }

  get volume() {
    return this.#display?.volume ?? 1;
  }

  get quality() {
    return this.#measurements.quality;
  }

  attach(video) {
    this.#display?.clear();
    this.#display = new Display(video);
    if (this.#link?.stream.getTracks().length) this.#show(this.#link);
  }

  prepare() {
    if (this.#prepared || this.#link || !VisavisClient.isSupported()) return;
    this.#prepared = this.#makeLink();
    this.#timers.set('prepared', PREPARED_MS, () => this.#unprepare());
  }

  connect() {
    if (UNDER_WAY.includes(this.#state)) return this.#outcome.promise;
    this.#outcome = new Outcome();
    const { promise } = this.#outcome;
    [this.#attempt, this.#queued, this.#watched] = [0, 0, false];
    if (VisavisClient.isSupported()) {
      this.#attend();
      this.#setState('connecting');
      this.#open();
    } else {
      this.#fail('unsupported');
    }
    return promise;
  }

  close() {
    this.#unprepare();
    if (this.#state === 'idle' || this.#state === 'closed') return;
    this.#leave();
    this.#setState('closed');
    this.#outcome?.reject(new VisavisError('closed'));
  }

  setMuted(muted) {
    if (!this.#display) return;
    this.#display.setMuted(muted);
    this.#emit('muted', { muted, forced: false });
  }

  setVolume(volume) {
    this.#display?.setVolume(volume);
  }

  async setOutput(deviceId) {
    try {
      await this.#display?.setOutput(deviceId);
      return this.#display !== null;
    } catch (error) {
      this.#log(`the sound stays where it is: ${error.message}`);
      return false;
    }
  }

  getDevices() {
    return listDevices();
  }

  async setMicrophone(wish) {
    return this.#microphone.set(wish);
  }

  setPushToTalk(pushToTalk) {
    this.#microphone.setPushToTalk(pushToTalk);
  }

  async talk(held) {
    if (!this.#microphone.pushToTalk) return this.talking;
    this.#microphone.hold(held);
    if (held) await this.#microphone.set(true);
    return this.talking;
  }

  send(data) {
    try {
      return this.#link?.send(data) ?? false;
    } catch (error) {
      this.#log(`a message is not sent: ${error.message}`);
      return false;
    }
  }

  async getFigures() {
    const link = this.#link;
    return link ? this.#measurements.take(link) : null;
  }

  // --- one attempt -------------------------------------------------------------------------

  /** Starts the WebSocket and, while it opens, the offer: neither waits for the other. */
  #open() {
    if (!this.#begin()) return;
    const signaling = new Signaling(this.#address, {
      onMessage: (message) => this.#onMessage(signaling, message),
      onClosed: (reason) => this.#onSignalingClosed(signaling, reason),
      onBadAddress: (error) => {
        if (this.#signaling === signaling) this.#fail(error.code, error.message);
      },
    });
    this.#signaling = signaling;
  }

  /** Puts a connection to use, one that is made already if there is one. */
  #begin() {
    const link = this.#prepared ?? this.#makeLink();
    this.#prepared = null;
    if (!link) return false;
    this.#timers.cancel('prepared');
    this.#link = link;
    const current = (handler) => (argument) => {
      if (this.#link === link) handler(argument);
    };
    link.use({
      onSignal: current((message) => this.#signaling?.send(message)),
      onTrack: current(() => {
        this.#emit('stream', { stream: link.stream });
        this.#show(link);
      }),
      onState: current(() => this.#onLinkState(link)),
      onChannel: current((open) => this.#tellChannel(open)),
      onMessage: current((data) => this.#emit('message', { data })),
    });
    const { track } = this.#microphone;
    if (track) this.#speak(track);
    this.#timers.set('attempt', ATTEMPT_MS, () => this.#again('no-media', 'no picture in time'));
    return true;
  }

  /** Null where the browser makes none. */
  #makeLink() {
    const { videoCodec } = this.#options;
    try {
      return new Link({ iceServers: this.#iceServers, videoCodec, speaking: this.#microphone.isOn });
    } catch (error) {
      // Switched off by a policy, or as many connections as the browser has room for.
      this.#fail('unsupported', error.message);
      return null;
    }
  }

  async #onMessage(signaling, message) {
    const link = this.#link;
    if (this.#signaling !== signaling || !link) return;
    try {
      switch (message.type) {
        case 'config':
          await this.#greeted(link, message);
          break;
        case 'answer':
          link.peerId = message.peerId ?? link.peerId;
          await link.answered(message.data);
          break;
        case 'ice-candidate':
          await link.pc.addIceCandidate(message.data);
          break;
        case 'session':
          this.#tellLive(message.live === true);
          break;
        case 'utterance':
          this.#emit('utterance', { id: message.utterance, state: message.state, sentMs: message.sentMs ?? null });
          break;
        case 'error':
          this.#onError(message);
          break;
      }
    } catch (error) {
      if (this.#link === link) this.#again('no-media', error.message);
    }
  }

  async #greeted(link, { peerId, iceServers }) {
    link.peerId = peerId;
    let news;
    if (!this.#options.iceServers) {
      const servers = this.#checked(iceServers);
      if (JSON.stringify(servers) !== JSON.stringify(this.#iceServers)) news = servers;
      this.#iceServers = servers;
    }
    await link.start(news);
  }

  #checked(iceServers) {
    const { servers, refused } = validIceServers(iceServers);
    for (const reason of refused) this.#log(`an ICE server is not used: ${reason}`);
    return servers;
  }

  #show(link) {
    this.#display?.show(link.stream, {
      onFirst: () => {
        const elapsedMs = performance.now() - link.openedAt;
        this.#log(`first picture after ${Math.round(elapsedMs)} ms`);
        this.#emit('firstpicture', { elapsedMs });
      },
      onFrame: (metadata) => this.#measurements.noteFrame(metadata, link.video.receiver),
      onSilenced: () => this.#emit('muted', { muted: true, forced: true }),
    });
  }

  // --- staying connected -------------------------------------------------------------------

  #onLinkState(link) {
    this.#log(`media ${link.state}`);
    // Whoever searches sees for himself.
    if (this.#recovery) return;
    if (link.state === 'connected') {
      if (this.#state !== 'connected') this.#connected(link);
    } else if (link.state === 'disconnected' || link.state === 'failed') {
      if (this.#state === 'connected') this.#recover(link, 'the network is gone', false);
      else this.#timers.set('attempt', REASON_MS, () => this.#again('no-media', 'the media connection failed'));
    }
  }

  #connected(link) {
    this.#timers.cancel('attempt');
    this.#timers.set('stable', STABLE_MS, () => {
      this.#attempt = 0;
    });
    [this.#watched, this.#queued] = [true, 0];
    this.#setState('connected');
    this.#outcome.resolve();
    this.#measurements.start(link);
    this.#pulse?.stop();
    this.#pulse = new Pulse(
      link,
      () => isServerThere(this.#signaling, this.#measurements.roundTripMs),
      () => this.#recover(link, 'the server does not answer', true),
    );
    this.#keepSignaling(link);
  }

  /**
   * Looks for the same peer again: over a new WebSocket if the old one is deaf, and then another network path
   * for its media (an ICE restart), unless the old one heals by itself. If that does not help, everything is
   * made anew.
   */
  #recover(link, reason, deaf) {
    if (this.#recovery || !this.#signaling) return;
    this.#timers.cancel('stable');
    this.#measurements.pause();
    this.#pulse?.stop();
    this.#setState('reconnecting', 'lost', reason);
    const since = performance.now();
    const finish = (next) => () => {
      this.#recovery = null;
      next();
    };
    this.#recovery = new Recovery(link, this.#signaling, {
      deaf,
      roundTripMs: this.#measurements.roundTripMs,
      onLog: (text) => this.#log(text),
      onBack: finish(() => {
        this.#log(`back after ${Math.round(performance.now() - since)} ms`);
        this.#connected(link);
      }),
      onForgotten: finish(() => this.#renew()),
      onLost: finish(() => this.#again('lost', reason)),
    });
  }

  /** The server is there and knows nothing of us: a new connection over the WebSocket that it answered on. */
  #renew() {
    this.#log('the server no longer knows this connection');
    const [signaling, live] = [this.#signaling, this.#live];
    this.#signaling = null;
    this.#drop();
    // What it has said of the session since it is back.
    this.#live = live;
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      signaling.close();
      this.#fail('lost');
      return;
    }
    this.#signaling = signaling;
    if (this.#begin()) this.#onMessage(signaling, signaling.config);
    else signaling.close();
  }

  #keepSignaling(link) {
    const isWanted = () => this.#link === link && this.#state === 'connected';
    this.#upkeep.keep(this.#signaling, link, isWanted);
  }

  #onSignalingClosed(signaling, reason) {
    const link = this.#link;
    if (this.#signaling !== signaling || !link || this.#recovery) return;
    if (this.#state === 'connected') {
      this.#log('signaling closed; the picture goes on');
      this.#keepSignaling(link);
    } else {
      this.#again('unreachable', reason);
    }
  }

  #onError({ code, error, retryAfter = 0 }) {
    this.#log(`server: ${error} (${code})`);
    this.#emit('error', { code, message: error });
    const meaning = meaningOf(code, this.#watched);
    // Whoever has a picture keeps it, whatever else was too much.
    if (meaning === null || (meaning === 'later' && this.#state === 'connected')) return;
    if (meaning === 'full' && this.#options.waitForPlace) this.#queue(error, retryAfter);
    else if (meaning === 'later') this.#again('refused', error, Math.max(1, retryAfter) * 1000);
    else if (meaning !== 'again') this.#fail(meaning, meaning === 'ended' ? FAILURES.ended : error);
    else if (this.#recovery) this.#renew();
    // A session that was ended says so when it is asked for again; there is no need to wait for that.
    else this.#again('lost', error, code === 'stopped' ? 0 : undefined);
  }

  /** Drops this attempt and makes another one after a pause, as long as there is hope. */
  #again(code, reason, wait) {
    this.#drop();
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      this.#fail(code, reason);
      return;
    }
    const waitMs = wait ?? backoffMs(this.#attempt);
    this.#log(`${reason}; attempt ${this.#attempt} in ${Math.round(waitMs)} ms`);
    this.#setState('reconnecting', code, reason);
    this.#tryIn(waitMs);
  }

  /**
   * There is no place: asks again from time to time, as long as the visitor likes. The server says when one would be
   * free whose holder is gone.
   */
  #queue(reason, freeInSeconds) {
    this.#drop();
    this.#display?.clear();
    this.#attempt = 0;
    this.#queued += 1;
    if (this.#state !== 'waiting') this.#setState('waiting', 'full', reason);
    this.#tryIn(placeMs(this.#queued, freeInSeconds));
  }

  #tryIn(waitMs) {
    // The browser may use the pause to get ready.
    this.#prepared = this.#makeLink();
    if (this.#prepared) this.#timers.set('pause', waitMs, () => this.#open());
  }

  /** Listens to the window and the devices while there is something to stay connected to. */
  #attend() {
    this.#attending?.abort();
    this.#attending = new AbortController();
    const { signal } = this.#attending;
    globalThis.addEventListener?.('online', () => this.#onOnline(), { signal });
    watchDevices(async () => this.#emit('devices', await listDevices()), signal);
  }

  #onOnline() {
    this.#log('the browser is online');
    if (this.#timers.cancel('pause')) this.#open();
    else if (this.#state === 'connected') this.#pulse?.doubt();
  }

  #fail(code, reason = FAILURES[code]) {
    this.#leave();
    this.#setState('failed', code, reason);
    this.#outcome?.reject(new VisavisError(code, reason));
  }

  #leave() {
    this.#attending?.abort();
    this.#attending = null;
    this.#drop();
    this.#unprepare();
    const { on, state } = this.#microphone.status;
    this.#microphone.release();
    if (on || state === 'asking') this.#tellMicrophone();
    this.#display?.clear();
  }

  #drop() {
    this.#timers.cancelAll();
    this.#pulse?.stop();
    this.#pulse = null;
    const [link, signaling] = [this.#link, this.#signaling];
    this.#link = null;
    this.#signaling = null;
    this.#recovery?.stop();
    this.#recovery = null;
    this.#display?.rest();
    this.#measurements.reset();
    this.#live = null;
    signaling?.close();
    link?.close();
    this.#tellChannel(false);
  }

  #unprepare() {
    this.#timers.cancel('prepared');
    this.#prepared?.close();
    this.#prepared = null;
  }

  // --- microphone and messages -------------------------------------------------------------

  async #speak(track) {
    const link = this.#link;
    try {
      const negotiate = await link?.speak(track);
      if (!negotiate || this.#link !== link) return;
      if (this.#state === 'connected' && !this.#signaling?.isOpen) {
        this.#again('lost', 'the microphone needs signaling');
      } else {
        await link.renegotiate();
      }
    } catch (error) {
      this.#log(`the microphone is not sent: ${error.message}`);
    }
  }

  #tellMicrophone() {
    const { status } = this.#microphone;
    if (status.error) this.#log(`no microphone: ${status.error.message}`);
    this.#emit('microphone', status);
  }

  #tellChannel(open) {
    if (this.#channelOpen === open) return;
    this.#channelOpen = open;
    this.#emit('channel', { open });
  }

  #tellLive(live) {
    if (this.#live === live) return;
    this.#live = live;
    this.#emit('live', { live });
  }

  // --- small things ------------------------------------------------------------------------

  #setState(state, code = null, reason = '') {
    const { maxAttempts: attempts } = this.#options;
    this.#state = state;
    this.#log(reason ? `${state}: ${reason}` : state);
    this.#emit('state', { state, code, reason, attempt: this.#attempt, attempts });
  }

  #log(text) {
    this.#emit('log', { text });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
