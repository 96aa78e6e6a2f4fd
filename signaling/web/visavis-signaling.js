// One conversation with the server, which may outlive its WebSocket.

import { VisavisError, reasonOfRefusal } from './visavis-failures.js';

/** The close code that says goodbye: the server ends the peer with it. */
const GOODBYE = 1000;
/** The close code of a socket that another one takes the place of: the peer stays. */
const REPLACED = 4000;

/**
 * Handlers are called for the socket in use alone; what an older one still has to say is nobody's concern.
 *
 * @typedef {object} SignalingHandlers
 * @property {(message: object) => void} onMessage everything but pings and pongs
 * @property {(reason: string) => void} onClosed the socket in use is gone, or never opened
 * @property {(error: VisavisError) => void} onBadAddress there is nothing to open
 */
export class Signaling {
  #address;
  #handlers;
  #socket = null;
  /** A socket that is to take the place of the one in use. */
  #successor = null;
  #token = null;
  #peerId = null;
  #config = null;
  #waiting = [];
  #over = false;

  /**
   * @param {() => string|Promise<string>} address of the WebSocket, asked for each time one is opened
   * @param {SignalingHandlers} handlers
   */
  constructor(address, handlers) {
    this.#address = address;
    this.#handlers = handlers;
    this.#open();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** The peer that the socket speaks for, once it is known. */
  get peerId() {
    return this.#peerId;
  }

  /** What the server last said of itself. */
  get config() {
    return this.#config;
  }

  /** Whether the peer could be spoken for by another socket. */
  get isResumable() {
    return this.#token !== null;
  }

  /** @returns {boolean} whether it was handed to an open socket */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Whether the server answers within so many milliseconds. */
  async isAlive(withinMs) {
    // A server that hands out no token knows no ping either.
    if (!this.isResumable || !this.send({ type: 'ping' })) return false;
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(false), withinMs);
      this.#waiting.push(() => {
        clearTimeout(late);
        resolve(true);
      });
    });
  }

  /**
   * Opens another socket for the same peer and, once the server greets it, uses that one. The old one may
   * hang for minutes in a network that is gone, and a new one is the quickest way to learn that it is back.
   * @param {number} withinMs
   * @returns {Promise<?object>} the server's `config`; null where there was none in time
   */
  async resume(withinMs) {
    this.#successor?.close(REPLACED);
    let socket;
    try {
      const url = new URL(await this.#address());
      if (this.#over) return null;
      if (this.#token) url.searchParams.set('resume', this.#token);
      socket = new WebSocket(url);
    } catch {
      return null;
    }
    this.#successor = socket;
    return new Promise((resolve) => {
      const settle = (config) => {
        clearTimeout(late);
        socket.onmessage = null;
        socket.onclose = null;
        if (this.#successor === socket) this.#successor = null;
        else config = null;
        if (config) {
          this.#retire(REPLACED);
          this.#use(socket);
          this.#greeted(config);
        } else {
          socket.close(REPLACED);
        }
        resolve(config);
      };
      const late = setTimeout(() => settle(null), withinMs);
      socket.onmessage = ({ data }) => {
        const message = parse(data);
        if (message?.type === 'config') settle(message);
      };
      socket.onclose = () => settle(null);
    });
  }

  /** Says goodbye, which ends the peer. */
  close() {
    this.#end(GOODBYE);
  }

  /** Lets go of the socket; what becomes of the peer is the server's concern. */
  drop() {
    this.#end(REPLACED);
  }

  #end(code) {
    this.#over = true;
    this.#successor?.close(REPLACED);
    this.#successor = null;
    this.#token = null;
    this.#retire(code);
  }

  async #open() {
    try {
      const address = await this.#address();
      if (!this.#over) this.#use(new WebSocket(address));
    } catch (error) {
      if (this.#over) return;
      const known = error instanceof VisavisError;
      this.#handlers.onBadAddress(known ? error : new VisavisError('bad-address', error.message));
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
      const refusal = await reasonOfRefusal(socket.url);
      if (this.#over) return;
      if (refusal) this.#handlers.onMessage({ type: 'error', ...refusal });
      else this.#handlers.onClosed('the server cannot be reached');
    };
  }

  #retire(code) {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(code);
  }

  #greeted(config) {
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
      for (const answered of this.#waiting.splice(0)) answered();
    } else {
      if (message.type === 'config') this.#greeted(message);
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
