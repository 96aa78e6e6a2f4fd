// What the connection does, in words and in the picture's surroundings.

import { find, root, video, write } from './player-page.js';

const WORDS = {
  idle: 'Ready when you are',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  waiting: 'Waiting for a place',
  closed: 'You have left',
};

/** What a failure is called, and what helps. */
const FAILED = {
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

/** @param {import('./visavis-client.js').VisavisClient} client */
export function showState(client) {
  let told = { state: 'idle' };
  let watched = false;
  let level = 'good';

  const inWords = () => {
    const { state, code, attempt, attempts } = told;
    if (state === 'failed') return FAILED[code]?.[0] ?? 'Could not connect';
    if (state === 'reconnecting' && attempt) {
      return `${watched ? 'Reconnecting' : 'Trying again'}, ${attempt} of ${attempts}`;
    }
    if (state !== 'connected') return WORDS[state];
    const what = { true: 'Live', false: 'Idle', null: 'Connected' }[client.live];
    return level === 'good' ? what : `${what}, ${level} connection`;
  };

  const why = () => {
    const { state, code, reason } = told;
    if (!['reconnecting', 'waiting', 'failed'].includes(state) || !reason) return '';
    const help = state === 'waiting' ? 'You get in when one is free.' : state === 'failed' ? FAILED[code]?.[1] : '';
    return [sentence(reason), help].filter(Boolean).join(' ');
  };

  const show = () => {
    root.dataset.state = told.state;
    root.dataset.live = String(client.live);
    root.dataset.quality = level;
    write(find('state'), inWords());
    const reason = why();
    find('reason').hidden = !reason;
    write(find('reason'), reason);
    write(find('start-label'), START_LABELS[told.state] ?? 'Start');
  };

  client.addEventListener('state', ({ detail }) => {
    const before = told.state;
    told = detail;
    level = 'good';
    find('state').title = '';
    if (detail.state === 'connecting') watched = false;
    if (detail.state === 'connected') watched = true;
    // Without a connection the video is black; the idle picture is kinder.
    if (!client.connection) delete root.dataset.picture;
    show();
    // What had the focus is no longer there.
    const over = detail.state === 'failed' || detail.state === 'closed';
    if (over && before !== 'idle') find('start').focus({ preventScroll: true });
  });
  client.addEventListener('live', show);
  client.addEventListener('quality', ({ detail: quality }) => {
    ({ level } = quality);
    find('state').title = quality.reasons.length ? `Because of ${quality.reasons.join(', ')}` : '';
    show();
  });
  client.addEventListener('firstpicture', ({ detail }) => {
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
