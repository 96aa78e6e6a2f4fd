// <visavis-player>: a live face on any page, with a start button and a status line.
//
//   <script type="module" src="/visavis-element.js"></script>
//   <visavis-player session="anna"></visavis-player>
//
// Attributes: `url`, `session` and `codec` (the client's `videoCodec`); `autostart` connects at once, muted; `label` is
// the text of the button, `title` the name for screen readers. `element.client` is the client; the element dispatches
// its events too.

import { VisavisClient } from './visavis-client.js';

const EVENTS = ['state', 'live', 'utterance', 'firstframe', 'quality', 'microphone', 'channel', 'message', 'muted'];

const STATUS_TEXTS = {
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  waiting: 'Waiting for a place…',
  failed: 'No connection',
};

const STYLE = `
:host { display: inline-block; position: relative; overflow: hidden; width: 20rem; aspect-ratio: 1;
  border-radius: 1rem; background: #13141a; color: #f2f1ee; font: 600 1rem/1.4 system-ui, sans-serif; }
:host([hidden]) { display: none; }
video { width: 100%; height: 100%; object-fit: cover; display: block; }
button { position: absolute; inset: 0; margin: auto; width: max-content; height: max-content; padding: 0.8em 1.6em;
  border: 0; border-radius: 999px; background: #f2f1ee; color: #0b0c10; font: inherit; cursor: pointer; }
button:focus-visible { outline: 3px solid #9db4ff; outline-offset: 3px; }
p { position: absolute; inset: auto 0 0; margin: 0; padding: 0.5em 1em; text-align: center; font-weight: 400;
  background: rgb(11 12 16 / 0.8); overflow-wrap: anywhere; }
[hidden] { display: none; }
`;

/** Adopted style sheets pass a Content-Security-Policy that forbids inline styles; older browsers lack them. */
function applyStyle(root) {
  if (!root.adoptedStyleSheets) {
    root.append(Object.assign(document.createElement('style'), { textContent: STYLE }));
    return;
  }
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
}

/** Without a DOM (server-side rendering) the module can be imported, but the class cannot be used. */
const Base = globalThis.HTMLElement ?? class {};

export class VisavisPlayer extends Base {
  #client = null;
  #video;
  #button;
  #status;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    applyStyle(root);
    this.#video = Object.assign(document.createElement('video'), { playsInline: true, autoplay: true });
    this.#button = Object.assign(document.createElement('button'), { type: 'button' });
    this.#status = Object.assign(document.createElement('p'), { hidden: true });
    this.#status.setAttribute('role', 'status');
    this.#button.addEventListener('pointerenter', () => this.#client?.prepare());
    this.#button.addEventListener('click', () => this.#client?.connect());
    root.append(this.#video, this.#button, this.#status);
  }

  /** The VisavisClient; null while the element is not in a document. */
  get client() {
    return this.#client;
  }

  connectedCallback() {
    const attribute = (name) => this.getAttribute(name) ?? undefined;
    const client = new VisavisClient({
      url: attribute('url'),
      session: attribute('session'),
      videoCodec: attribute('codec'),
    });
    this.#client = client;
    this.#video.setAttribute('aria-label', attribute('title') ?? 'Live video');
    this.#button.textContent = attribute('label') ?? 'Start';
    this.#button.hidden = false;
    client.attach(this.#video);
    client.addEventListener('state', ({ detail }) => this.#show(detail));
    for (const type of EVENTS) {
      client.addEventListener(type, ({ detail }) => this.dispatchEvent(new CustomEvent(type, { detail })));
    }
    if (!this.hasAttribute('autostart')) return;
    client.setMuted(true);
    client.connect();
  }

  disconnectedCallback() {
    this.#client?.close();
    this.#client = null;
  }

  #show({ state, reason }) {
    this.#button.hidden = !['idle', 'failed', 'closed'].includes(state);
    const text = state === 'failed' && reason ? reason : STATUS_TEXTS[state];
    this.#status.hidden = !text;
    this.#status.textContent = text ?? '';
  }
}

globalThis.customElements?.define('visavis-player', VisavisPlayer);
