import type { VisavisClient } from './visavis-client.js';

/** `<visavis-player>`. Importing this module defines the element. */
export class VisavisPlayer extends HTMLElement {
  /** The client; null while the element is not in a document. */
  readonly client: VisavisClient | null;
}

declare global {
  interface HTMLElementTagNameMap {
    'visavis-player': VisavisPlayer;
  }
}
