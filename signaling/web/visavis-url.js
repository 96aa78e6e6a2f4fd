// The URL of a session's WebSocket.

import { VisavisError } from './visavis-errors.js';

/** Session ids that the server accepts. */
const SESSION_ID = /^[A-Za-z0-9._-]{1,64}$/;
const EXPECTED = 'expected up to 64 letters, digits, dots, hyphens and underscores';

/**
 * @param {{url?: string, session?: string, token?: string|(() => string|Promise<string>)}} options
 * @returns {() => Promise<string>} called before each WebSocket is opened, so that tokens may be short-lived
 */
export function signalingUrl({ url, session, token }) {
  return async () => {
    const target = resolve(url);
    if (session) {
      if (!SESSION_ID.test(session)) {
        throw new VisavisError('bad-address', `invalid session id "${session}"; ${EXPECTED}`);
      }
      target.searchParams.set('session', session);
    }
    // Subscribes to the messages `session` and `utterance`.
    target.searchParams.set('events', '1');
    if (token) {
      try {
        target.searchParams.set('token', typeof token === 'function' ? await token() : token);
      } catch (error) {
        throw new VisavisError('forbidden', error.message);
      }
    }
    return target.href;
  };
}

function resolve(url) {
  let target;
  try {
    target = new URL(url ?? '/ws', globalThis.location?.href);
  } catch {
    throw new VisavisError('bad-address', `invalid URL "${url}"`);
  }
  target.protocol = target.protocol.replace('http', 'ws');
  if (!/^wss?:$/.test(target.protocol)) {
    throw new VisavisError('bad-address', `invalid URL "${url}"; expected ws:, wss:, http: or https:`);
  }
  // Browsers block this as mixed content, with an error that visitors do not understand.
  if (target.protocol === 'ws:' && globalThis.location?.protocol === 'https:' && !isLocal(target.hostname)) {
    throw new VisavisError('bad-address', 'a page on HTTPS needs a server on HTTPS');
  }
  target.hash = '';
  return target;
}

function isLocal(host) {
  return host === 'localhost' || host.endsWith('.localhost') || /^(127\.|\[::1\]$)/.test(host);
}
