// A real Chromium, and the player page in it.

import { chromium } from 'playwright-core';

/** Where the server is. */
export const server = process.env.VISAVIS_URL;

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

const PATIENCE = 30_000;

const started = chromium.launch({
  executablePath: process.env.VISAVIS_CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
});

export async function quit() {
  await (await started).close();
}

/**
 * Opens the page for a new visitor.
 * @param {string} [path] query or path
 * @param {{before?: Function|string, context?: object}} [options] `before` runs before the page's own scripts
 */
export async function visit(path = '', options) {
  const page = await open(path, options);
  await until(page, 'window.visavis');
  return page;
}

/** Opens whatever is at an address. */
export async function open(path, { before, context } = {}) {
  const browser = await started;
  const visitor = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...context });
  const page = await visitor.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(error.message));
  if (before) await page.addInitScript(before);
  await page.goto(new URL(path, server).href);
  return page;
}

export const leave = (page) => page.context().close();

/**
 * Waits until something is true in the page. (Playwright's own way evaluates texts in the page, which the page's content
 * policy does not allow.)
 */
export async function until(page, expression, argument) {
  const end = Date.now() + PATIENCE;
  while (!(await page.evaluate(expression, argument))) {
    if (Date.now() > end) throw new Error(`not true within ${PATIENCE} ms: ${expression}`);
    await page.waitForTimeout(40);
  }
}

/** Until there is a picture. */
export const seen = (page) => until(page, "document.documentElement.dataset.picture === 'live'");

/** Until the page's line says so. */
export const says = (page, text) =>
  until(page, (wanted) => document.getElementById('state').textContent.includes(wanted), text);

/** What an application would send over the data channel. */
export const tell = (page, message) =>
  page.evaluate((detail) => {
    const data = typeof detail === 'string' ? detail : JSON.stringify(detail);
    window.visavis.client.dispatchEvent(new CustomEvent('message', { detail: { data } }));
  }, message);

/** A server that greets, and then says that all places are taken. */
export function everybodyElse() {
  window.WebSocket = class extends EventTarget {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      super();
      setTimeout(() => this.#say({ type: 'config', peerId: '1', iceServers: [] }), 10);
      setTimeout(() => this.#say({ type: 'error', code: 'full', error: 'all 3 places are taken' }), 20);
    }
    #say(message) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }
    send() {}
    close() {}
  };
}

export function noWebRtc() {
  delete window.RTCPeerConnection;
}

/** The visitor says no to the microphone, until `window.allowed`. */
export function refusal() {
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (constraints) => {
    if (window.allowed) return ask(constraints);
    throw new DOMException('Permission denied', 'NotAllowedError');
  };
}

/** The visitor does not answer. */
export function silence() {
  navigator.mediaDevices.getUserMedia = () => new Promise(() => {});
}
