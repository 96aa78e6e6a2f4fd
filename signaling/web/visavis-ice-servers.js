// Validates ICE servers before they reach RTCPeerConnection, which throws if a single entry is invalid.

/** Browsers warn about more, and each makes gathering slower. */
const MAX_SERVERS = 8;

const STUN = /^stuns?:[^\s/?#]+$/i;
const TURN = /^turns?:[^\s/?#]+(\?transport=(udp|tcp))?$/i;

/**
 * Keeps the valid entries.
 * @param {unknown} servers
 * @returns {{servers: RTCIceServer[], rejected: string[]}} `rejected`: why the others are not used
 */
export function filterIceServers(servers) {
  const valid = [];
  const rejected = [];
  for (const entry of Array.isArray(servers) ? servers : []) {
    const problem = problemWith(entry);
    if (problem) rejected.push(problem);
    else if (valid.length === MAX_SERVERS) rejected.push(`more than ${MAX_SERVERS} servers`);
    else valid.push(entry);
  }
  if (servers !== undefined && servers !== null && !Array.isArray(servers)) {
    rejected.push('iceServers is not an array');
  }
  return { servers: valid, rejected };
}

function problemWith(entry) {
  if (!entry || typeof entry !== 'object') return 'an entry is not an object';
  const urls = typeof entry.urls === 'string' ? [entry.urls] : entry.urls;
  if (!Array.isArray(urls) || urls.length === 0) return 'an entry has no urls';
  for (const url of urls) {
    if (typeof url !== 'string') return 'a URL is not a string';
    if (STUN.test(url)) continue;
    if (!TURN.test(url)) return `invalid URL "${url}"; expected stun:, stuns:, turn: or turns:`;
    if (typeof entry.username !== 'string' || typeof entry.credential !== 'string') {
      return `${url} has no username and credential`;
    }
  }
  return null;
}
