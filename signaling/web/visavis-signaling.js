// Signaling with the server, which may continue over another WebSocket.

import { VisavisError, fetchRefusal } from './visavis-errors.js';

/** Close code with which the server ends the peer. */
const NORMAL_CLOSURE = 1000;
/** Close code of a socket that another one has replaced: the server keeps the peer. */
const REPLACED = 4000;

/**
 * Handlers are called for the socket in use only. Messages of a replaced socket are ignored.
 *
 * @typedef {object} SignalingHandlers
 * @property {(message: object) => void} onMessage any message but ping and pong
 * @property {(reason: string) => void} onClosed the socket in use was closed, or did not open
 * @property {(error: VisavisError) => void} onUrlError the URL is invalid, or could not be obtained
 */
export class Signaling {
  #url;
  #handlers;
  #socket = null;
  /** A socket that resume() is opening. */
  #successor = null;
  #token = null;
  #peerId = null;
  #config = null;
  #pongWaiters = [];
  #closed = false;

  /**
   * @param {() => string|Promise<string>} url of the WebSocket, called each time one is opened
   * @param {SignalingHandlers} handlers
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    this.#open();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** The peer that this signaling belongs to, once known. */
  get peerId() {
    return this.#peerId;
  }

  /** The last `config` message. */
  get config() {
    return this.#config;
  }

  /** Whether another socket can take over the peer. */
  get isResumable() {
    return this.#token !== null;
  }

  /** @returns {boolean} false where no socket is open */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Whether the server answers a ping in time. */
  async isAlive(timeoutMs) {
    // A server that sends no resume token does not support ping either.
    if (!this.isResumable || !this.send({ type: 'ping' })) return false;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#pongWaiters.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /**
   * Opens another socket for the same peer and uses it once the server has sent `config` over it. The old socket may
   * hang for minutes after the network was lost; a new one is the quickest way to detect that it is back.
   * @param {number} timeoutMs
   * @returns {Promise<?object>} the server's `config`; null after the timeout
   */
  async resume(timeoutMs) {
    this.#successor?.close(REPLACED);
    let socket;
    try {
      const url = new URL(await this.#url());
      if (this.#closed) return null;
      if (this.#token) url.searchParams.set('resume', this.#token);
      socket = new WebSocket(url);
    } catch {
      return null;
    }
    this.#successor = socket;
    return new Promise((resolve) => {
      const settle = (config) => {
        clearTimeout(timer);
        socket.onmessage = null;
        socket.onclose = null;
        if (this.#successor === socket) this.#successor = null;
        else config = null;
        if (config) {
          this.#closeSocket(REPLACED);
          this.#use(socket);
          this.#onConfig(config);
        } else {
          socket.close(REPLACED);
        }
        resolve(config);
      };
      const timer = setTimeout(() => settle(null), timeoutMs);
      socket.onmessage = ({ data }) => {
        const message = parse(data);
        if (message?.type === 'config') settle(message);
      };
      socket.onclose = () => settle(null);
    });
  }

  /** Closes the socket; the server ends the peer. */
  close() {
    this.#end(NORMAL_CLOSURE);
  }

  /** Closes the socket and leaves the peer to the server. */
  detach() {
    this.#end(REPLACED);
  }

  #end(code) {
    this.#closed = true;
    this.#successor?.close(REPLACED);
    this.#successor = null;
    this.#token = null;
    this.#closeSocket(code);
  }

  async #open() {
    try {
      const url = await this.#url();
      if (!this.#closed) this.#use(new WebSocket(url));
    } catch (error) {
      if (this.#closed) return;
      const isOurs = error instanceof VisavisError;
      this.#handlers.onUrlError(isOurs ? error : new VisavisError('bad-address', error.message));
    }
  }

  #use(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#onMessage(data);
    socket.onclose = async ({ reason }) => {
      this.#socket = null;
      if (this.#config || reason) {
        this.#handlers.onClosed(reason || 'signaling closed');
        return;
      }
      const refusal = await fetchRefusal(socket.url);
      if (this.#closed) return;
      if (refusal) this.#handlers.onMessage({ type: 'error', ...refusal });
      else this.#handlers.onClosed('the server cannot be reached');
    };
  }

  #closeSocket(code) {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(code);
  }

  #onConfig(config) {
    this.#config = config;
    this.#peerId = config.peerId ?? null;
    this.#token = config.resume ?? null;
  }

  #onMessage(data) {
    const message = parse(data);
    if (!message) return;
    if (message.type === 'ping') {
      this.send({ type: 'pong' });
    } else if (message.type === 'pong') {
      for (const resolve of this.#pongWaiters.splice(0)) resolve();
    } else {
      if (message.type === 'config') this.#onConfig(message);
      else if (message.type === 'answer') this.#peerId = message.peerId ?? this.#peerId;
      this.#handlers.onMessage(message);
    }
  }
}

function parse(data) {
  try {
    const message = JSON.parse(data);
    return message && typeof message === 'object' ? message : null;
  } catch {
    return null;
  }
}
