// Where the WebSocket of a session is.

import { VisavisError } from './visavis-failures.js';

/** What the server takes for a session's name. */
const SESSION = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * @param {{url?: string, session?: string, token?: string|(() => string|Promise<string>)}} options
 * @returns {() => Promise<string>} asked before each WebSocket, so that a token may be short-lived
 */
export function addressOf({ url, session, token }) {
  return async () => {
    const address = resolve(url);
    if (session) {
      if (!SESSION.test(session)) throw new VisavisError('bad-address', `“${session}” is no name of a session`);
      address.searchParams.set('session', session);
    }
    // What happens in the session is told to those who ask.
    address.searchParams.set('events', '1');
    if (token) {
      try {
        address.searchParams.set('token', typeof token === 'function' ? await token() : token);
      } catch (error) {
        throw new VisavisError('forbidden', error.message);
      }
    }
    return address.href;
  };
}

function resolve(url) {
  let address;
  try {
    address = new URL(url ?? '/ws', globalThis.location?.href);
  } catch {
    throw new VisavisError('bad-address', `${url} is no address`);
  }
  address.protocol = address.protocol.replace('http', 'ws');
  if (!/^wss?:$/.test(address.protocol)) {
    throw new VisavisError('bad-address', `${url} is no address of a WebSocket`);
  }
  // Browsers open no such WebSocket, and say nothing a visitor would understand.
  if (address.protocol === 'ws:' && globalThis.location?.protocol === 'https:' && !isLocal(address.hostname)) {
    throw new VisavisError('bad-address', 'a page on HTTPS needs a server on HTTPS');
  }
  address.hash = '';
  return address;
}

function isLocal(host) {
  return host === 'localhost' || host.endsWith('.localhost') || /^(127\.|\[::1\]$)/.test(host);
}
