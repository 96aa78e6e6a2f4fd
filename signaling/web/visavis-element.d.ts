import type { VisavisClient } from './visavis-client.js';

/** `<visavis-player>`: importing this module defines it. */
export class VisavisPlayer extends HTMLElement {
  /** The client behind it; null while it is on no page. */
  readonly client: VisavisClient | null;
}

declare global {
  interface HTMLElementTagNameMap {
    'visavis-player': VisavisPlayer;
  }
}
