// Shows the state of the connection, as text and as attributes for the style sheet.

import { find, root, setText, video } from './player-dom.js';

const TEXTS = {
  idle: 'Ready when you are',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  waiting: 'Waiting for a place',
  closed: 'You have left',
};

/** Title of a failure, and what the visitor can do. */
const FAILURES = {
  unsupported: ['This browser does not support WebRTC', 'Try another browser, or turn WebRTC on in this one.'],
  'bad-address': ['There is nothing at this address', 'Check the link.'],
  'unknown-session': ['No such session', 'Check the link. The session may not have started yet.'],
  ended: ['The session has ended', ''],
  full: ['All places are taken', 'Try again later.'],
  forbidden: ['Access denied', ''],
  unreachable: ['The server cannot be reached', 'Check your network and try again.'],
  'no-media': ['No media connection', 'A firewall may be blocking it.'],
  'no-common-codec': ['This browser cannot play this session', 'Try another browser.'],
  'rsa-certificate': ['This browser cannot play this session', 'Try another or a newer browser.'],
};

const START_LABELS = { failed: 'Try again', closed: 'Come back' };

/** What is said of a connection that is not good, by whose fault it is. */
const QUALITIES = {
  network: (level) => `${level} connection`,
  server: () => 'slow server',
  device: () => 'slow device',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function setUpState(client) {
  let current = { state: 'idle' };
  let wasConnected = false;
  let { level, cause } = client.quality;

  const title = () => {
    const { state, code, attempt, attempts } = current;
    if (state === 'failed') return FAILURES[code]?.[0] ?? 'Could not connect';
    if (state === 'reconnecting' && attempt) {
      return `${wasConnected ? 'Reconnecting' : 'Trying again'}, ${attempt} of ${attempts}`;
    }
    if (state !== 'connected') return TEXTS[state];
    const what = { true: 'Live', false: 'Idle', null: 'Connected' }[client.live];
    return level === 'good' ? what : `${what}, ${QUALITIES[cause](level)}`;
  };

  const explanation = () => {
    const { state, code, reason } = current;
    if (!['reconnecting', 'waiting', 'failed'].includes(state) || !reason) return '';
    const help = state === 'waiting' ? 'You get in when one is free.' : state === 'failed' ? FAILURES[code]?.[1] : '';
    return [sentence(reason), help].filter(Boolean).join(' ');
  };

  const render = () => {
    root.dataset.state = current.state;
    root.dataset.live = String(client.live);
    root.dataset.quality = level;
    setText(find('state'), title());
    const reason = explanation();
    find('reason').hidden = !reason;
    setText(find('reason'), reason);
    setText(find('start-label'), START_LABELS[current.state] ?? 'Start');
  };

  client.addEventListener('state', ({ detail }) => {
    const before = current.state;
    current = detail;
    level = 'good';
    find('state').title = '';
    if (detail.state === 'connecting') wasConnected = false;
    if (detail.state === 'connected') wasConnected = true;
    // Without a connection the video is black: show the page's idle picture instead.
    if (!client.connection) delete root.dataset.picture;
    render();
    // The element that had the focus is hidden now.
    const over = detail.state === 'failed' || detail.state === 'closed';
    if (over && before !== 'idle') find('start').focus({ preventScroll: true });
  });
  client.addEventListener('live', render);
  client.addEventListener('quality', ({ detail: quality }) => {
    ({ level, cause } = quality);
    find('state').title = quality.reasons.length ? `Reason: ${quality.reasons.join(', ')}` : '';
    render();
  });
  client.addEventListener('firstframe', ({ detail }) => {
    root.dataset.picture = 'live';
    root.dataset.firstPictureMs = String(Math.round(detail.elapsedMs));
  });
  video.addEventListener('resize', () => {
    const { videoWidth, videoHeight } = video;
    if (videoWidth && videoHeight) find('stage').style.setProperty('--ratio', String(videoWidth / videoHeight));
  });
}

function sentence(text) {
  const end = /[.!?…]$/.test(text) ? '' : '.';
  return `${text[0].toUpperCase()}${text.slice(1)}${end}`;
}
