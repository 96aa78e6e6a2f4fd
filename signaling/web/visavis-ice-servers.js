// What the server says of STUN and TURN servers, looked at before the browser sees it: one entry that the
// browser does not take would make it refuse the whole connection.

/** Browsers complain of more, and gathering takes longer with each. */
const MOST = 8;

const STUN = /^stuns?:[^\s/?#]+$/i;
const TURN = /^turns?:[^\s/?#]+(\?transport=(udp|tcp))?$/i;

/**
 * Picks what can be used.
 * @param {unknown} servers
 * @returns {{servers: RTCIceServer[], refused: string[]}} `refused` says why the others cannot be
 */
export function validIceServers(servers) {
  const good = [];
  const refused = [];
  for (const entry of Array.isArray(servers) ? servers : []) {
    const fault = faultOf(entry);
    if (fault) refused.push(fault);
    else if (good.length === MOST) refused.push(`more than ${MOST} servers`);
    else good.push(entry);
  }
  if (servers !== undefined && servers !== null && !Array.isArray(servers)) {
    refused.push('iceServers is no list');
  }
  return { servers: good, refused };
}

function faultOf(entry) {
  if (!entry || typeof entry !== 'object') return 'an entry that is no object';
  const urls = typeof entry.urls === 'string' ? [entry.urls] : entry.urls;
  if (!Array.isArray(urls) || urls.length === 0) return 'an entry without urls';
  for (const url of urls) {
    if (typeof url !== 'string') return 'a URL that is no text';
    if (STUN.test(url)) continue;
    if (!TURN.test(url)) return `${url} is no STUN or TURN server`;
    if (typeof entry.username !== 'string' || typeof entry.credential !== 'string') {
      return `${url} without username and credential`;
    }
  }
  return null;
}
