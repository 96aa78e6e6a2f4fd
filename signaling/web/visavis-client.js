// The visavis client library: receives the video and audio of a session, and sends the microphone. No dependencies, no
// build step.
//
//   import { VisavisClient } from './visavis-client.js';
//   const client = new VisavisClient({ session: 'default' });
//   client.attach(document.querySelector('video'));
//   client.addEventListener('state', ({ detail }) => console.log(detail.state));
//   client.connect();

import { listDevices, watchDevices } from './visavis-devices.js';
import { Display } from './visavis-display.js';
import { MESSAGES, VisavisError, actionFor } from './visavis-errors.js';
import { filterIceServers } from './visavis-ice-servers.js';
import { MediaConnection } from './visavis-media-connection.js';
import { Microphone } from './visavis-microphone.js';
import { withDefaults } from './visavis-options.js';
import { Recovery } from './visavis-recovery.js';
import { Signaling } from './visavis-signaling.js';
import { SignalingKeeper, isServerReachable } from './visavis-signaling-keeper.js';
import { StatsMonitor } from './visavis-stats-monitor.js';
import { Deferred, Timers, backoffDelayMs, queueDelayMs } from './visavis-timers.js';
import { signalingUrl } from './visavis-url.js';
import { Watchdog } from './visavis-watchdog.js';

export { VisavisError };

/** An attempt that has no media connection after this time is abandoned. */
const ATTEMPT_MS = 10_000;
/**
 * After a media connection has failed, how long to wait for the server's error before retrying: some errors, such as
 * a certificate that the server does not accept, make a retry pointless.
 */
const ERROR_GRACE_MS = 300;
/** Once connected for this long, the count of failed attempts starts again from 0. */
const STABLE_MS = 5_000;

/** A connection made by prepare() and not used is closed after this time. */
const PREPARED_MS = 120_000;

/** The states in which connect() has nothing to start. */
const ACTIVE_STATES = ['connecting', 'connected', 'reconnecting', 'waiting'];

/**
 * One viewer's connection, which reconnects by itself. visavis-client.d.ts documents options, events and methods.
 */
export class VisavisClient extends EventTarget {
  #options;
  #url;
  #state = 'idle';
  /** The connection in use. It may be replaced during an `await`, so check again after each. */
  #connection = null;
  #signaling = null;
  /** A connection made ahead of time, by prepare() or while waiting for the next attempt. */
  #prepared = null;
  #iceServers;
  #attempt = 0;
  /** How many attempts in a row found the server full. */
  #queueAttempts = 0;
  /** Whether media was connected at least once since connect(). */
  #wasConnected = false;
  #live = null;
  #channelOpen = false;
  /** Settles the promise of connect(). */
  #connectResult = null;
  #timers = new Timers();
  #stats;
  #display = null;
  #microphone;
  /** Detects that media has stopped, while connected. */
  #watchdog = null;
  /** The recovery under way, if the connection was lost. */
  #recovery = null;
  #signalingKeeper = new SignalingKeeper();
  /** Removes the listeners for `online` and device changes. */
  #listeners = null;

  /** Whether this browser has the APIs that the client needs. */
  static isSupported() {
    return typeof globalThis.RTCPeerConnection === 'function' && typeof globalThis.WebSocket === 'function';
  }

  constructor(options = {}) {
    super();
    this.#options = withDefaults(options);
    const { iceServers, statsIntervalMs, pushToTalk, levelIntervalMs } = this.#options;
    this.#url = signalingUrl(this.#options);
    this.#iceServers = this.#validated(iceServers ?? []);
    this.#stats = new StatsMonitor({
      intervalMs: statsIntervalMs,
      onStats: (stats) => this.#emit('stats', stats),
      onQuality: (quality) => this.#emit('quality', quality),
    });
    this.#microphone = new Microphone({
      pushToTalk,
      levelIntervalMs,
      onTrack: (track) => this.#sendMicrophone(track),
      onChange: () => this.#emitMicrophone(),
      onLevel: (level) => this.#emit('level', level),
    });
  }

  get state() {
    return this.#state;
  }

  get connection() {
    return this.#connection?.pc ?? null;
  }

  get peerId() {
    return this.#connection?.peerId ?? null;
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
    return this.#stats.quality;
  }

  attach(video) {
    this.#display?.clear();
    this.#display = new Display(video);
    if (this.#connection?.stream.getTracks().length) this.#show(this.#connection);
  }

  prepare() {
    if (this.#prepared || this.#connection || !VisavisClient.isSupported()) return;
    this.#prepared = this.#makeConnection();
    this.#timers.set('prepared', PREPARED_MS, () => this.#dropPrepared());
  }

  connect() {
    if (ACTIVE_STATES.includes(this.#state)) return this.#connectResult.promise;
    this.#connectResult = new Deferred();
    const { promise } = this.#connectResult;
    [this.#attempt, this.#queueAttempts, this.#wasConnected] = [0, 0, false];
    if (VisavisClient.isSupported()) {
      this.#addListeners();
      this.#setState('connecting');
      this.#open();
    } else {
      this.#fail('unsupported');
    }
    return promise;
  }

  close() {
    this.#dropPrepared();
    if (this.#state === 'idle' || this.#state === 'closed') return;
    this.#releaseAll();
    this.#setState('closed');
    this.#connectResult?.reject(new VisavisError('closed'));
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
      this.#log(`output device not changed: ${error.message}`);
      return false;
    }
  }

  getDevices() {
    return listDevices();
  }

  async setMicrophone(selection) {
    return this.#microphone.set(selection);
  }

  setPushToTalk(pushToTalk) {
    this.#microphone.setPushToTalk(pushToTalk);
  }

  async talk(talking) {
    if (!this.#microphone.pushToTalk) return this.talking;
    this.#microphone.setTalkKey(talking);
    if (talking) await this.#microphone.set(true);
    return this.talking;
  }

  send(data) {
    try {
      return this.#connection?.send(data) ?? false;
    } catch (error) {
      this.#log(`message not sent: ${error.message}`);
      return false;
    }
  }

  async getStats() {
    const connection = this.#connection;
    return connection ? this.#stats.read(connection) : null;
  }

  // --- one attempt -------------------------------------------------------------------------

  /** Opens the WebSocket, and creates the offer meanwhile. */
  #open() {
    if (!this.#startConnection()) return;
    const signaling = new Signaling(this.#url, {
      onMessage: (message) => this.#onMessage(signaling, message),
      onClosed: (reason) => this.#onSignalingClosed(signaling, reason),
      onUrlError: (error) => {
        if (this.#signaling === signaling) this.#fail(error.code, error.message);
      },
    });
    this.#signaling = signaling;
  }

  /** Takes the prepared connection, or makes one. False where the browser refuses. */
  #startConnection() {
    const connection = this.#prepared ?? this.#makeConnection();
    this.#prepared = null;
    if (!connection) return false;
    this.#timers.cancel('prepared');
    this.#connection = connection;
    const current = (handler) => (argument) => {
      if (this.#connection === connection) handler(argument);
    };
    connection.setHandlers({
      onSignalingMessage: current((message) => this.#signaling?.send(message)),
      onTrack: current(() => {
        this.#emit('stream', { stream: connection.stream });
        this.#show(connection);
      }),
      onState: current(() => this.#onConnectionState(connection)),
      onChannel: current((open) => this.#emitChannel(open)),
      onMessage: current((data) => this.#emit('message', { data })),
    });
    const { track } = this.#microphone;
    if (track) this.#sendMicrophone(track);
    this.#timers.set('attempt', ATTEMPT_MS, () => this.#retry('no-media', 'no media connection in time'));
    return true;
  }

  /** Null, and the state `failed`, where the browser refuses. */
  #makeConnection() {
    const { videoCodec } = this.#options;
    try {
      return new MediaConnection({ iceServers: this.#iceServers, videoCodec, sendAudio: this.#microphone.isOn });
    } catch (error) {
      // WebRTC is disabled by a policy, or the browser has reached its limit of connections.
      this.#fail('unsupported', error.message);
      return null;
    }
  }

  async #onMessage(signaling, message) {
    const connection = this.#connection;
    if (this.#signaling !== signaling || !connection) return;
    try {
      switch (message.type) {
        case 'config':
          await this.#onConfig(connection, message);
          break;
        case 'answer':
          connection.peerId = message.peerId ?? connection.peerId;
          await connection.acceptAnswer(message.data);
          break;
        case 'ice-candidate':
          await connection.pc.addIceCandidate(message.data);
          break;
        case 'session':
          this.#setLive(message.live === true);
          break;
        case 'utterance':
          this.#emit('utterance', { id: message.utterance, state: message.state, sentMs: message.sentMs ?? null });
          break;
        case 'error':
          this.#onError(message);
          break;
      }
    } catch (error) {
      if (this.#connection === connection) this.#retry('no-media', error.message);
    }
  }

  async #onConfig(connection, { peerId, iceServers }) {
    connection.peerId = peerId;
    let newServers;
    if (!this.#options.iceServers) {
      const servers = this.#validated(iceServers);
      if (JSON.stringify(servers) !== JSON.stringify(this.#iceServers)) newServers = servers;
      this.#iceServers = servers;
    }
    await connection.start(newServers);
  }

  #validated(iceServers) {
    const { servers, rejected } = filterIceServers(iceServers);
    for (const reason of rejected) this.#log(`ICE server ignored: ${reason}`);
    return servers;
  }

  #show(connection) {
    this.#display?.show(connection.stream, {
      onFirstFrame: () => {
        const elapsedMs = performance.now() - connection.openedAt;
        this.#log(`first frame after ${Math.round(elapsedMs)} ms`);
        this.#emit('firstframe', { elapsedMs });
      },
      onFrame: (metadata) => this.#stats.addFrame(metadata, connection.video.receiver),
      onMuted: () => this.#emit('muted', { muted: true, forced: true }),
    });
  }

  // --- staying connected -------------------------------------------------------------------

  #onConnectionState(connection) {
    this.#log(`media ${connection.state}`);
    // The recovery watches the connection state itself.
    if (this.#recovery) return;
    if (connection.state === 'connected') {
      if (this.#state !== 'connected') this.#onConnected(connection);
    } else if (connection.state === 'disconnected' || connection.state === 'failed') {
      if (this.#state === 'connected') this.#recover(connection, 'the media connection was interrupted', false);
      else this.#timers.set('attempt', ERROR_GRACE_MS, () => this.#retry('no-media', 'the media connection failed'));
    }
  }

  #onConnected(connection) {
    this.#timers.cancel('attempt');
    this.#timers.set('stable', STABLE_MS, () => {
      this.#attempt = 0;
    });
    [this.#wasConnected, this.#queueAttempts] = [true, 0];
    this.#setState('connected');
    this.#connectResult.resolve();
    this.#stats.start(connection);
    this.#watchdog?.stop();
    this.#watchdog = new Watchdog(
      connection,
      () => isServerReachable(this.#signaling, this.#stats.roundTripMs),
      () => this.#recover(connection, 'the server does not answer', true),
    );
    this.#restoreSignaling(connection);
  }

  /**
   * Tries to recover the same peer: resumes signaling over a new WebSocket if the old one is dead, then restarts ICE,
   * unless the path recovers by itself. If that fails, makes a new connection.
   */
  #recover(connection, reason, signalingDead) {
    if (this.#recovery || !this.#signaling) return;
    this.#timers.cancel('stable');
    this.#stats.pause();
    this.#watchdog?.stop();
    this.#setState('reconnecting', 'lost', reason);
    const since = performance.now();
    const finish = (next) => () => {
      this.#recovery = null;
      next();
    };
    this.#recovery = new Recovery(connection, this.#signaling, {
      signalingDead,
      roundTripMs: this.#stats.roundTripMs,
      onLog: (text) => this.#log(text),
      onRecovered: finish(() => {
        this.#log(`recovered after ${Math.round(performance.now() - since)} ms`);
        this.#onConnected(connection);
      }),
      onPeerGone: finish(() => this.#replaceConnection()),
      onLost: finish(() => this.#retry('lost', reason)),
    });
  }

  /** The server no longer has our peer: makes a new connection over the WebSocket that is open already. */
  #replaceConnection() {
    this.#log('the server no longer has this peer');
    const [signaling, live] = [this.#signaling, this.#live];
    this.#signaling = null;
    this.#drop();
    // Received over this WebSocket, so still true; #drop() has cleared it.
    this.#live = live;
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      signaling.close();
      this.#fail('lost');
      return;
    }
    this.#signaling = signaling;
    if (this.#startConnection()) this.#onMessage(signaling, signaling.config);
    else signaling.close();
  }

  #restoreSignaling(connection) {
    const isWanted = () => this.#connection === connection && this.#state === 'connected';
    this.#signalingKeeper.restore(this.#signaling, connection, isWanted);
  }

  #onSignalingClosed(signaling, reason) {
    const connection = this.#connection;
    if (this.#signaling !== signaling || !connection || this.#recovery) return;
    if (this.#state === 'connected') {
      this.#log('signaling closed; media continues');
      this.#restoreSignaling(connection);
    } else {
      this.#retry('unreachable', reason);
    }
  }

  #onError({ code, error, retryAfter = 0 }) {
    this.#log(`server: ${error} (${code})`);
    this.#emit('error', { code, message: error });
    const action = actionFor(code, this.#wasConnected);
    // A connection that works is kept, even if the server limits something else.
    if (action === null || (action === 'later' && this.#state === 'connected')) return;
    if (action === 'full' && this.#options.waitForPlace) this.#waitForPlace(error, retryAfter);
    else if (action === 'later') this.#retry('refused', error, Math.max(1, retryAfter) * 1000);
    else if (action !== 'retry') this.#fail(action, action === 'ended' ? MESSAGES.ended : error);
    else if (this.#recovery) this.#replaceConnection();
    // After `stopped` the retry at once gets `no-session` if the session was ended.
    else this.#retry('lost', error, code === 'stopped' ? 0 : undefined);
  }

  /** Drops this attempt and schedules the next one, or fails after the last. */
  #retry(code, reason, wait) {
    this.#drop();
    this.#attempt += 1;
    if (this.#attempt > this.#options.maxAttempts) {
      this.#fail(code, reason);
      return;
    }
    const waitMs = wait ?? backoffDelayMs(this.#attempt);
    this.#log(`${reason}; attempt ${this.#attempt} in ${Math.round(waitMs)} ms`);
    this.#setState('reconnecting', code, reason);
    this.#retryIn(waitMs);
  }

  /**
   * All places are taken: asks again until there is one, or until close(). `freeInSeconds` is the server's estimate of
   * when the place of a viewer that is gone becomes free; 0 where there is none.
   */
  #waitForPlace(reason, freeInSeconds) {
    this.#drop();
    this.#display?.clear();
    this.#attempt = 0;
    this.#queueAttempts += 1;
    if (this.#state !== 'waiting') this.#setState('waiting', 'full', reason);
    this.#retryIn(queueDelayMs(this.#queueAttempts, freeInSeconds));
  }

  #retryIn(waitMs) {
    // Made now, so that candidates are gathered during the wait.
    this.#prepared = this.#makeConnection();
    if (this.#prepared) this.#timers.set('retry', waitMs, () => this.#open());
  }

  /** Until close() or failure. */
  #addListeners() {
    this.#listeners?.abort();
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    globalThis.addEventListener?.('online', () => this.#onOnline(), { signal });
    watchDevices(async () => this.#emit('devices', await listDevices()), signal);
  }

  #onOnline() {
    this.#log('the browser is online again');
    if (this.#timers.cancel('retry')) this.#open();
    else if (this.#state === 'connected') this.#watchdog?.checkServer();
  }

  #fail(code, reason = MESSAGES[code]) {
    this.#releaseAll();
    this.#setState('failed', code, reason);
    this.#connectResult?.reject(new VisavisError(code, reason));
  }

  #releaseAll() {
    this.#listeners?.abort();
    this.#listeners = null;
    this.#drop();
    this.#dropPrepared();
    const { on, state } = this.#microphone.status;
    this.#microphone.release();
    if (on || state === 'asking') this.#emitMicrophone();
    this.#display?.clear();
  }

  #drop() {
    this.#timers.cancelAll();
    this.#watchdog?.stop();
    this.#watchdog = null;
    const [connection, signaling] = [this.#connection, this.#signaling];
    this.#connection = null;
    this.#signaling = null;
    this.#recovery?.stop();
    this.#recovery = null;
    this.#display?.unwatch();
    this.#stats.reset();
    this.#live = null;
    signaling?.close();
    connection?.close();
    this.#emitChannel(false);
  }

  #dropPrepared() {
    this.#timers.cancel('prepared');
    this.#prepared?.close();
    this.#prepared = null;
  }

  // --- microphone and messages -------------------------------------------------------------

  async #sendMicrophone(track) {
    const connection = this.#connection;
    try {
      const needsOffer = await connection?.setMicrophoneTrack(track);
      if (!needsOffer || this.#connection !== connection) return;
      if (this.#state === 'connected' && !this.#signaling?.isOpen) {
        this.#retry('lost', 'adding the microphone needs signaling');
      } else {
        await connection.renegotiate();
      }
    } catch (error) {
      this.#log(`microphone not sent: ${error.message}`);
    }
  }

  #emitMicrophone() {
    const { status } = this.#microphone;
    if (status.error) this.#log(`no microphone: ${status.error.message}`);
    this.#emit('microphone', status);
  }

  #emitChannel(open) {
    if (this.#channelOpen === open) return;
    this.#channelOpen = open;
    this.#emit('channel', { open });
  }

  #setLive(live) {
    if (this.#live === live) return;
    this.#live = live;
    this.#emit('live', { live });
  }

  // --- helpers -----------------------------------------------------------------------------

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
