// Why there is no connection: a stable word for programs, and a sentence for people.

/** The words, and what they mean where nobody has more to say. */
export const FAILURES = {
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
  closed: 'left',
};

/** What connect() rejects with. */
export class VisavisError extends Error {
  name = 'VisavisError';

  /**
   * @param {keyof typeof FAILURES} code
   * @param {string} [message]
   */
  constructor(code, message = FAILURES[code]) {
    super(message);
    this.code = code;
  }
}

/** Errors of the server that leave the connection as it is. */
const HARMLESS = new Set(['bad-candidate', 'bad-json', 'bad-message', 'busy']);
/** Errors that another attempt does not cure. */
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
 * What an error of the server means for the connection.
 * @param {string} code as the server said it
 * @param {boolean} watched whether this session was watched before
 * @returns {?string} a word of {@link FAILURES} where it is over, `full` where there is no place yet, `again`
 *   where another attempt may help, `later` where it may after a while; null where it does not matter
 */
export function meaningOf(code, watched) {
  if (HARMLESS.has(code)) return null;
  if (code === 'full' || code === 'session-full') return 'full';
  if (code === 'rate-limited') return 'later';
  if (code === 'no-session') return watched ? 'ended' : 'unknown-session';
  return FINAL[code] ?? 'again';
}

/** How long the server has to say why it takes no WebSocket. */
const ASK_MS = 3_000;

/**
 * Browsers do not tell why a WebSocket was refused; a plain request to the same address does, where the page may
 * read its answer.
 * @param {string} address of the WebSocket
 * @returns {Promise<?{code: string, error: string}>}
 */
export async function reasonOfRefusal(address) {
  try {
    const url = address.replace(/^ws/, 'http');
    const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(ASK_MS) });
    // "Upgrade required": it is there, and lets us in.
    if (response.ok || response.status === 426) return null;
    const said = await response.json().catch(() => ({}));
    const code = { 401: 'unauthorized', 403: 'forbidden', 404: 'not-found' }[response.status];
    return { code: said.code ?? code ?? 'unreachable', error: said.error ?? `the server answered ${response.status}` };
  } catch {
    return null;
  }
}
