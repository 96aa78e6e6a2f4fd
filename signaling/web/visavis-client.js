// The visavis client: watch a live face, and speak to it. No dependency, no build step.
//
//   import { VisavisClient } from './visavis-client.js';
//   const client = new VisavisClient({ session: 'default' });
//   client.attach(document.querySelector('video'));
//   client.addEventListener('state', ({ detail }) => console.log(detail.state));
//   client.connect();

import { Display } from './visavis-display.js';
import { FigureTaker } from './visavis-figures.js';
import { validIceServers } from './visavis-ice-servers.js';
import { Link } from './visavis-link.js';
import { Microphone } from './visavis-microphone.js';
import { Pulse } from './visavis-pulse.js';
import { QualityJudge } from './visavis-quality.js';
import { Recovery } from './visavis-recovery.js';
import { Signaling } from './visavis-signaling.js';
import { Timers, backoffMs, pause } from './visavis-timers.js';

/** An attempt that shows nothing by then is given up. */
const ATTEMPT_MS = 10_000;
/** A connection that holds this long makes earlier failures forgotten. */
const STABLE_MS = 5_000;

/** A server that is there answers a ping within this time, and within three round trips. */
const PONG_MS = 250;
/** With no picture at stake there is more time for it. */
const CALM_PONG_MS = 2_000;

/** A connection prepared and not used is given back after this time. */
const PREPARED_MS = 120_000;

/** Errors that another attempt does not cure. */
const FINAL_ERRORS = new Set(['no-common-codec', 'bad-sdp', 'abuse', 'too-large']);
/** Errors that leave the connection as it is. */
const HARMLESS_ERRORS = new Set(['bad-candidate', 'bad-json', 'bad-message', 'busy']);

/**
 * One viewer's connection, which looks after itself.
 *
 * Events (all CustomEvents):
 * - `state`: {state, reason, attempt, attempts}; the state is one of `idle`, `connecting`,
 *   `connected`, `reconnecting`, `failed`, `closed`.
 * - `stream`: {stream}, when there is something to show.
 * - `firstpicture`: {elapsedMs}, once per connection made, from its start to a frame on screen.
 * - `figures`: a Figures object (visavis-figures.js), once a second while connected.
 * - `quality`: {level, reasons}, when it changes: `good`, `fair` or `poor` (visavis-quality.js).
 * - `microphone`: {on, talking, pushToTalk, error}.
 * - `channel`: {open}, when messages can be sent, and when the server has closed the channel.
 * - `message`: {data}, from the server: a string or an ArrayBuffer.
 * - `muted`: {muted, forced}; forced when the browser refused sound without a click.
 * - `error`: {code, message}, as the server said it.
 * - `log`: {text}.
 */
export class VisavisClient extends EventTarget {
  #options;
  #state = 'idle';
  /** The connection in use. Whatever waits looks after each wait whether it still is. */
  #link = null;
  #signaling = null;
  /** Made before it is needed. */
  #prepared = null;
  #iceServers;
  #attempt = 0;
  #timers = new Timers();
  #figures = new FigureTaker();
  #judge = new QualityJudge();
  #roundTripMs = 0;
  #display = null;
  #microphone;
  #microphoneWanted = false;
  /** Watches for silence while connected. */
  #pulse = null;
  /** The search for a connection that was lost. */
  #recovery = null;
  #keepingSignaling = false;
  /** Ends what listens to the window. */
  #attending = null;

  /**
   * @param {object} [options]
   * @param {string} [options.url] WebSocket address; by default `/ws` on the page's own host
   * @param {string} [options.session] the session to watch; by default the server's own
   * @param {string} [options.videoCodec] insist on this codec, such as `VP8`, if the browser has it
   * @param {RTCIceServer[]} [options.iceServers] used instead of what the server announces
   * @param {number} [options.maxAttempts] attempts in a row before giving up; 6
   * @param {number} [options.figuresEveryMs] 1000; 0 for none
   * @param {boolean} [options.pushToTalk] the microphone is heard only while talk(true); false
   */
  constructor(options = {}) {
    super();
    this.#options = { maxAttempts: 6, figuresEveryMs: 1000, ...options };
    this.#iceServers = this.#checked(options.iceServers ?? []);
    this.#microphone = new Microphone(options.pushToTalk ?? false, () => this.setMicrophone(false));
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
    return this.#microphone.isOn;
  }

  get pushToTalk() {
    return this.#microphone.pushToTalk;
  }

  /** Whether what is said is sent right now. */
  get talking() {
    return this.#microphone.isTalking;
  }

  get muted() {
    return this.#display?.muted ?? false;
  }

  /** @returns {import('./visavis-quality.js').Quality} */
  get quality() {
    return this.#judge.verdict;
  }

  /** Shows what arrives on a `<video>` element, which should have `playsinline`. */
  attach(video) {
    this.#display?.clear();
    this.#display = new Display(video);
    if (this.#link?.stream.getTracks().length) this.#show(this.#link);
  }

  /**
   * Has the browser make connection, offer and candidates before they are needed, for a page that expects
   * connect() soon. Nothing is sent to the server yet. What is not used within two minutes is given back.
   */
  prepare() {
    if (this.#prepared || this.#link) return;
    this.#prepared = this.#makeLink();
    this.#timers.set('prepared', PREPARED_MS, () => this.#unprepare());
  }

  /** Connects. Returns at once; the rest is told by `state` events. */
  connect() {
    if (['connecting', 'connected', 'reconnecting'].includes(this.#state)) return;
    this.#attempt = 0;
    this.#attend();
    this.#setState('connecting');
    this.#open();
  }

  /** Says goodbye and gives everything back, the microphone too; connect() may be called again. */
  close() {
    this.#unprepare();
    if (this.#state === 'idle' || this.#state === 'closed') return;
    this.#leave();
    this.#setState('closed');
  }

  /** Sound on or off. */
  setMuted(muted) {
    if (!this.#display) return;
    this.#display.setMuted(muted);
    this.#emit('muted', { muted, forced: false });
  }

  /**
   * Turns the microphone on or off. The first time on renegotiates; after that it is a matter of
   * replacing the track. Resolves to whether it is on now; never rejects.
   */
  async setMicrophone(on) {
    this.#microphoneWanted = on;
    if (!on) {
      this.#microphone.release();
      await this.#link?.speak(null).catch(() => {});
      this.#tellMicrophone();
      return false;
    }
    if (this.#microphone.isOn) return true;
    try {
      await this.#microphone.acquire();
    } catch (error) {
      this.#log(`no microphone: ${error.message}`);
      this.#tellMicrophone(error);
      return false;
    }
    if (!this.#microphoneWanted) {
      this.#microphone.release();
      return false;
    }
    if (this.#link) await this.#speak(this.#link);
    this.#tellMicrophone();
    return this.#microphone.isOn;
  }

  /** With push-to-talk the microphone, once on, is heard only while talk(true). */
  setPushToTalk(pushToTalk) {
    this.#microphone.setPushToTalk(pushToTalk);
    this.#tellMicrophone();
  }

  /**
   * Push-to-talk: call with true while the visitor holds the key, with false when it is let go. The first
   * time turns the microphone on. Resolves to whether the visitor is heard now; never rejects.
   */
  async talk(held) {
    if (!this.#microphone.pushToTalk) return this.talking;
    this.#microphone.hold(held);
    if (this.#microphone.isOn) this.#tellMicrophone();
    else if (held) await this.setMicrophone(true);
    return this.talking;
  }

  /**
   * Sends the server a message, of 64 KiB at most. Messages arrive in the order they were sent.
   * @param {string|ArrayBuffer|ArrayBufferView} data not empty
   * @returns {boolean} false where it was not taken: there is no connection, or too much waits already
   */
  send(data) {
    try {
      return this.#link?.send(data) ?? false;
    } catch (error) {
      this.#log(`a message is not sent: ${error.message}`);
      return false;
    }
  }

  /**
   * Takes figures now. Rates are over the time since they were last taken, for a `figures` event or here.
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

  // --- one attempt -------------------------------------------------------------------------

  /** Starts the WebSocket and, while it opens, the offer: neither waits for the other. */
  #open() {
    this.#begin();
    const signaling = new Signaling(this.#address(), {
      onMessage: (message) => this.#onMessage(signaling, message),
      onClosed: (reason) => this.#onSignalingClosed(signaling, reason),
    });
    this.#signaling = signaling;
  }

  /** Puts a connection to use, one that is made already if there is one. */
  #begin() {
    const link = this.#prepared ?? this.#makeLink();
    this.#prepared = null;
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
      onChannel: current((open) => this.#emit('channel', { open })),
      onMessage: current((data) => this.#emit('message', { data })),
    });
    const { track } = this.#microphone;
    if (track) this.#speak(link);
    this.#timers.set('attempt', ATTEMPT_MS, () => this.#again('no picture in time'));
    return link;
  }

  #makeLink() {
    const { videoCodec } = this.#options;
    return new Link({ iceServers: this.#iceServers, videoCodec, speaking: this.#microphone.isOn });
  }

  #address() {
    const url = new URL(this.#options.url ?? '/ws', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.hash = '';
    if (this.#options.session) url.searchParams.set('session', this.#options.session);
    return url.href;
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
        case 'error':
          this.#onError(message);
          break;
      }
    } catch (error) {
      if (this.#link === link) this.#again(error.message);
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
      onFrame: (metadata) => this.#figures.noteFrame(metadata, link.video.receiver),
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
      else this.#again('the media connection failed');
    }
  }

  #connected(link) {
    this.#timers.cancel('attempt');
    this.#timers.set('stable', STABLE_MS, () => {
      this.#attempt = 0;
    });
    this.#setState('connected');
    this.#measure();
    this.#pulse?.stop();
    this.#pulse = new Pulse(
      link,
      () => this.#isServerThere(),
      () => this.#recover(link, 'the server does not answer', true),
    );
    this.#keepSignaling(link);
  }

  /** Whether the server answers; where there is no way to ask it, nothing is made of that. */
  async #isServerThere() {
    const signaling = this.#signaling;
    return !signaling?.isResumable || signaling.isAlive(Math.max(PONG_MS, 3 * this.#roundTripMs));
  }

  /**
   * Looks for the same peer again: over a new WebSocket if the old one is deaf, and then another network path
   * for its media (an ICE restart), unless the old one heals by itself. If that does not help, everything is
   * made anew.
   */
  #recover(link, reason, deaf) {
    if (this.#recovery || !this.#signaling) return;
    for (const name of ['stable', 'figures']) this.#timers.cancel(name);
    this.#pulse?.stop();
    this.#setState('reconnecting', reason);
    const since = performance.now();
    const finish = (next) => () => {
      this.#recovery = null;
      next();
    };
    this.#recovery = new Recovery(link, this.#signaling, {
      deaf,
      roundTripMs: this.#roundTripMs,
      onLog: (text) => this.#log(text),
      onBack: finish(() => {
        this.#log(`back after ${Math.round(performance.now() - since)} ms`);
        this.#connected(link);
      }),
      onForgotten: finish(() => this.#renew()),
      onLost: finish(() => this.#again(reason)),
    });
  }

  /** The server is there and knows nothing of us: a new connection over the WebSocket that it answered on. */
  #renew() {
    this.#log('the server no longer knows this connection');
    const signaling = this.#signaling;
    this.#signaling = null;
    this.#drop();
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      signaling.close();
      this.#fail('the connection was lost');
      return;
    }
    this.#signaling = signaling;
    this.#begin();
    this.#onMessage(signaling, signaling.config);
  }

  /**
   * Sees to it that there is signaling. Media does not need it; a microphone that is switched on later does,
   * and the next restart is quicker with it.
   */
  async #keepSignaling(link) {
    if (this.#keepingSignaling) return;
    this.#keepingSignaling = true;
    const signaling = this.#signaling;
    const wanted = () => this.#link === link && this.#state === 'connected' && signaling.isResumable;
    for (let attempt = 1; wanted(); attempt += 1) {
      if (await signaling.isAlive(CALM_PONG_MS)) break;
      await pause(backoffMs(attempt));
      if (!wanted() || !(await signaling.resume(CALM_PONG_MS)) || !wanted()) continue;
      if (signaling.peerId !== link.peerId) {
        // A server that has forgotten us while our media goes on: nobody can speak for it any more.
        signaling.drop();
        break;
      }
    }
    this.#keepingSignaling = false;
  }

  #onSignalingClosed(signaling, reason) {
    const link = this.#link;
    if (this.#signaling !== signaling || !link || this.#recovery) return;
    if (this.#state === 'connected') {
      this.#log('signaling closed; the picture goes on');
      this.#keepSignaling(link);
    } else {
      this.#again(reason);
    }
  }

  #onError({ code, error }) {
    this.#log(`server: ${error} (${code})`);
    this.#emit('error', { code, message: error });
    if (HARMLESS_ERRORS.has(code)) return;
    if (FINAL_ERRORS.has(code)) this.#fail(error);
    else if (this.#recovery) this.#renew();
    else this.#again(error);
  }

  /** Drops this attempt and makes another one after a pause, as long as there is hope. */
  #again(reason) {
    this.#drop();
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      this.#fail(reason);
      return;
    }
    const wait = backoffMs(this.#attempt);
    this.#log(`${reason}; attempt ${this.#attempt} in ${Math.round(wait)} ms`);
    this.#setState('reconnecting', reason);
    // The browser may use the pause to get ready.
    this.#prepared = this.#makeLink();
    this.#timers.set('backoff', wait, () => this.#open());
  }

  /** Listens to the window while there is something to stay connected to. */
  #attend() {
    this.#attending?.abort();
    this.#attending = new AbortController();
    const { signal } = this.#attending;
    globalThis.addEventListener?.('online', () => this.#onOnline(), { signal });
  }

  #onOnline() {
    this.#log('the browser is online');
    if (this.#timers.cancel('backoff')) this.#open();
    else if (this.#state === 'connected') this.#pulse?.doubt();
  }

  #fail(reason) {
    this.#leave();
    this.#setState('failed', reason);
  }

  #leave() {
    this.#attending?.abort();
    this.#attending = null;
    this.#drop();
    this.#unprepare();
    this.#microphoneWanted = false;
    this.#microphone.release();
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
    this.#figures = new FigureTaker();
    this.#judge = new QualityJudge();
    signaling?.close();
    link?.close();
  }

  #unprepare() {
    this.#timers.cancel('prepared');
    this.#prepared?.close();
    this.#prepared = null;
  }

  // --- microphone and figures --------------------------------------------------------------

  async #speak(link) {
    try {
      const negotiate = await link.speak(this.#microphone.track);
      if (!negotiate || this.#link !== link) return;
      if (this.#state === 'connected' && !this.#signaling?.isOpen) {
        this.#again('the microphone needs signaling');
      } else {
        await link.renegotiate();
      }
    } catch (error) {
      this.#log(`the microphone is not sent: ${error.message}`);
    }
  }

  #tellMicrophone(error) {
    const { isOn: on, isTalking: talking, pushToTalk } = this.#microphone;
    this.#emit('microphone', { on, talking, pushToTalk, error });
  }

  #measure() {
    const every = this.#options.figuresEveryMs;
    if (!every) return;
    this.#timers.set('figures', every, async () => {
      const link = this.#link;
      const figures = await this.getFigures();
      if (!link || link !== this.#link) return;
      if (figures) {
        this.#roundTripMs = figures.rttMs ?? 0;
        this.#emit('figures', figures);
        const quality = this.#judge.judge(figures);
        if (quality) this.#emit('quality', quality);
      }
      if (this.#state === 'connected') this.#measure();
    });
  }

  // --- small things ------------------------------------------------------------------------

  #setState(state, reason = '') {
    const { maxAttempts: attempts } = this.#options;
    this.#state = state;
    this.#log(reason ? `${state}: ${reason}` : state);
    this.#emit('state', { state, reason, attempt: this.#attempt, attempts });
  }

  #log(text) {
    this.#emit('log', { text });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
