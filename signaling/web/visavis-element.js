// <visavis-player>: a face on any page, with a button to start it and a line that says how it is.
//
//   <script type="module" src="/visavis-element.js"></script>
//   <visavis-player session="anna"></visavis-player>
//
// Attributes: url, session, codec as the client's options; `autostart` connects at once, muted; `label` is the text
// of the button. The client is at `element.client`; its events are dispatched on the element too.

import { VisavisClient } from './visavis-client.js';

const EVENTS = ['state', 'live', 'utterance', 'firstpicture', 'quality', 'microphone', 'channel', 'message', 'muted'];

const WORDS = {
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

/** As a sheet, which a page's content policy lets be; as an element where a browser knows no such sheets. */
function applyStyle(root) {
  if (!root.adoptedStyleSheets) {
    root.append(Object.assign(document.createElement('style'), { textContent: STYLE }));
    return;
  }
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
}

/** Where there is no document, as when a page is made on a server, the class can be named but not used. */
const Base = globalThis.HTMLElement ?? class {};

export class VisavisPlayer extends Base {
  #client = null;
  #video;
  #button;
  #line;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    applyStyle(root);
    this.#video = Object.assign(document.createElement('video'), { playsInline: true, autoplay: true });
    this.#button = Object.assign(document.createElement('button'), { type: 'button' });
    this.#line = Object.assign(document.createElement('p'), { hidden: true });
    this.#line.setAttribute('role', 'status');
    this.#button.addEventListener('pointerenter', () => this.#client?.prepare());
    this.#button.addEventListener('click', () => this.#client?.connect());
    root.append(this.#video, this.#button, this.#line);
  }

  /** The VisavisClient behind it; null while it is on no page. */
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
    this.#video.setAttribute('aria-label', attribute('title') ?? 'The live picture');
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
    const words = state === 'failed' && reason ? reason : WORDS[state];
    this.#line.hidden = !words;
    this.#line.textContent = words ?? '';
  }
}

globalThis.customElements?.define('visavis-player', VisavisPlayer);
