// Opens the player page in a real Chromium, and helpers for tests of it.

import { chromium } from 'playwright-core';

/** URL of the server under test. */
export const serverUrl = process.env.VISAVIS_URL;

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream=device-count=2',
  '--mute-audio',
];

const TIMEOUT_MS = 60_000;

const launched = chromium.launch({
  executablePath: process.env.VISAVIS_CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
});

export async function closeBrowser() {
  await (await launched).close();
}

/**
 * Opens the player page in a new browser context.
 * @param {string} [path] query, or path with query
 * @param {{before?: Function|string, context?: object}} [options] `before` runs before the page's own scripts
 */
export async function openPlayer(path = '', options) {
  const page = await openUrl(path, options);
  await until(page, 'window.visavis');
  return page;
}

/** Opens a path of the server in a new browser context. */
export async function openUrl(path, { before, context } = {}) {
  const browser = await launched;
  const visitor = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...context });
  const page = await visitor.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  if (before) await page.addInitScript(before);
  await page.goto(new URL(path, serverUrl).href);
  return page;
}

export const closePage = (page) => page.context().close();

/**
 * Waits until an expression is true in the page. (Playwright's waitForFunction() uses eval, which the page's
 * Content-Security-Policy forbids.)
 */
export async function until(page, expression, argument) {
  const end = Date.now() + TIMEOUT_MS;
  while (!(await page.evaluate(expression, argument))) {
    if (Date.now() > end) throw new Error(`not true within ${TIMEOUT_MS} ms: ${expression}`);
    await page.waitForTimeout(40);
  }
}

/** Waits for the first video frame. */
export const untilLive = (page) => until(page, "document.documentElement.dataset.picture === 'live'");

/** Waits until the status line contains a text. */
export const untilState = (page, text) =>
  until(page, (wanted) => document.getElementById('state').textContent.includes(wanted), text);

/** Waits until the element with this id has the focus. */
export const untilFocused = (page, id) => until(page, (wanted) => document.activeElement.id === wanted, id);

/** As if the application had sent this message over the data channel. */
export const receiveMessage = (page, message) =>
  page.evaluate((detail) => {
    const data = typeof detail === 'string' ? detail : JSON.stringify(detail);
    window.visavis.client.dispatchEvent(new CustomEvent('message', { detail: { data } }));
  }, message);

/** Replaces WebSocket by one whose server sends `config`, then the error `full`. */
export function serverIsFull() {
  window.WebSocket = class extends EventTarget {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      super();
      setTimeout(() => this.#receive({ type: 'config', peerId: '1', iceServers: [] }), 10);
      setTimeout(() => this.#receive({ type: 'error', code: 'full', error: 'all 3 places are taken' }), 20);
    }
    #receive(message) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }
    send() {}
    close() {}
  };
}

export function withoutWebRtc() {
  delete window.RTCPeerConnection;
}

/** Denies the microphone until `window.allowed` is true. */
export function microphoneDenied() {
  const { mediaDevices } = navigator;
  const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (constraints) => {
    if (window.allowed) return getUserMedia(constraints);
    throw new DOMException('Permission denied', 'NotAllowedError');
  };
}

/** The visitor does not answer the permission prompt. */
export function permissionPending() {
  navigator.mediaDevices.getUserMedia = () => new Promise(() => {});
}
