// Why there is no connection: a stable code for programs, and a sentence for people.

/** All codes, each with its default message. */
export const MESSAGES = {
  unsupported: 'this browser does not support WebRTC, or it is turned off',
  'bad-address': 'the address cannot be used',
  'unknown-session': 'there is no such session',
  ended: 'the session has ended',
  full: 'all places are taken',
  forbidden: 'the server denied access',
  unreachable: 'the server cannot be reached',
  'no-media': 'no network path for media',
  'no-common-codec': 'this browser supports none of the codecs of the session',
  'rsa-certificate': 'the server does not accept RSA certificates, and this viewer has one',
  lost: 'the connection was lost',
  refused: 'the server refused the connection',
  closed: 'the connection was closed',
};

/** What connect() rejects with. */
export class VisavisError extends Error {
  name = 'VisavisError';

  /**
   * @param {keyof typeof MESSAGES} code
   * @param {string} [message]
   */
  constructor(code, message = MESSAGES[code]) {
    super(message);
    this.code = code;
  }
}

/** Server errors that do not affect the connection. */
const IGNORED = new Set(['bad-candidate', 'bad-json', 'bad-message', 'busy']);
/** Server errors that another attempt cannot fix. */
const FINAL = {
  'no-common-codec': 'no-common-codec',
  'rsa-certificate': 'rsa-certificate',
  'bad-session': 'bad-address',
  'not-found': 'bad-address',
  forbidden: 'forbidden',
  unauthorized: 'forbidden',
  'not-allowed': 'forbidden',
  'cross-origin': 'forbidden',
  'bad-sdp': 'refused',
  'too-large': 'refused',
  abuse: 'refused',
};

/**
 * What to do about an error of the server.
 * @param {string} code the server's error code
 * @param {boolean} wasConnected whether media of this session was connected before
 * @returns {?string} `full`: wait for a place; `retry`: try again; `later`: try again after a while; null: ignore it;
 *   otherwise fail with this code of {@link MESSAGES}
 */
export function actionFor(code, wasConnected) {
  if (IGNORED.has(code)) return null;
  if (code === 'full' || code === 'session-full') return 'full';
  if (code === 'rate-limited') return 'later';
  if (code === 'no-session') return wasConnected ? 'ended' : 'unknown-session';
  return FINAL[code] ?? 'retry';
}

/** Timeout of the request that asks why a WebSocket was refused. */
const FETCH_TIMEOUT_MS = 3_000;

/**
 * Finds out why a WebSocket was refused. Browsers do not report it, but a GET of the same URL returns the error, if
 * CORS lets the page read it.
 * @param {string} url of the WebSocket
 * @returns {Promise<?{code: string, error: string}>}
 */
export async function fetchRefusal(url) {
  try {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    const response = await fetch(url.replace(/^ws/, 'http'), { cache: 'no-store', signal });
    // 426 Upgrade Required: a WebSocket would be accepted.
    if (response.ok || response.status === 426) return null;
    const problem = await response.json().catch(() => ({}));
    const { status } = response;
    const code = { 401: 'unauthorized', 403: 'forbidden', 404: 'not-found' }[status] ?? 'unreachable';
    return { code: problem.code ?? code, error: problem.error ?? `the server answered with status ${status}` };
  } catch {
    return null;
  }
}
