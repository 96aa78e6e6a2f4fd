// The player page: what the client library tells, made visible.
//
// Query: ?session=ID   the session to watch; on /webrtc/player/ID it is the one in the address
//        ?autostart=1  connect at once, muted
//        ?codec=VP8    insist on a codec (H264, VP8, VP9 or AV1)

import { Graph } from './player-graphs.js';
import { VisavisClient } from './visavis-client.js';

const LOG_LINES = 200;
const GLOW_EVERY_MS = 250;
/** Pixels across. */
const GLOW_SAMPLE = 6;

const query = new URLSearchParams(location.search);
const find = (id) => document.getElementById(id);
const root = document.documentElement;
const video = find('video');
const client = new VisavisClient({
  session: query.get('session') || sessionInPath() || undefined,
  videoCodec: query.get('codec') || undefined,
});
client.attach(video);

// For automation: everything the page knows is behind these two.
window.visavis = { client, video };

function sessionInPath() {
  const found = /^\/webrtc\/player\/([^/]+)\/?$/.exec(location.pathname);
  try {
    return found && decodeURIComponent(found[1]);
  } catch {
    return null;
  }
}

// --- state -----------------------------------------------------------------------------------

const WORDS = {
  idle: () => 'Ready when you are',
  connecting: () => 'Connecting…',
  connected: () => 'Live',
  reconnecting: ({ attempt, attempts }) =>
    attempt ? `Reconnecting… ${attempt} of ${attempts}` : 'Reconnecting…',
  failed: () => 'Could not connect',
  closed: () => 'You have left',
};
const START_LABELS = { failed: 'Try again', closed: 'Come back' };

function say(text) {
  if (find('state').textContent !== text) find('state').textContent = text;
}

client.addEventListener('state', ({ detail }) => {
  const { state, reason } = detail;
  const before = root.dataset.state;
  root.dataset.state = state;
  delete root.dataset.quality;
  find('state').title = '';
  say(WORDS[state](detail));
  find('start-label').textContent = START_LABELS[state] ?? 'Start';
  find('reason').hidden = state !== 'failed' || !reason;
  find('reason').textContent = reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : '';
  // Without a connection the video is black; the idle picture is kinder.
  if (!client.connection) {
    delete root.dataset.picture;
    showFigures(null);
  }
  if (state === 'failed' || state === 'closed') {
    find('unmute').hidden = true;
    showMicrophone();
    if (before !== 'idle') find('start').focus({ preventScroll: true });
  }
});

client.addEventListener('firstpicture', ({ detail }) => {
  root.dataset.picture = 'live';
  root.dataset.firstPictureMs = String(Math.round(detail.elapsedMs));
});

client.addEventListener('quality', ({ detail: { level, reasons } }) => {
  root.dataset.quality = level;
  say(level === 'good' ? 'Live' : `Live, ${level} connection`);
  find('state').title = reasons.length ? `Because of ${reasons.join(', ')}` : '';
});

video.addEventListener('resize', () => {
  const { videoWidth, videoHeight } = video;
  if (videoWidth && videoHeight) {
    find('stage').style.setProperty('--ratio', String(videoWidth / videoHeight));
  }
});

// --- controls --------------------------------------------------------------------------------

const [start, mute, microphone, talk] = ['start', 'mute', 'microphone', 'talk'].map(find);

// Whoever comes near the button will press it: the browser may get ready.
for (const type of ['pointerenter', 'focus', 'touchstart']) {
  start.addEventListener(type, () => client.prepare(), { passive: true });
}
start.addEventListener('click', () => {
  client.connect();
  mute.focus({ preventScroll: true });
});
find('leave').addEventListener('click', () => client.close());
find('unmute').addEventListener('click', () => {
  client.setMuted(false);
  mute.focus({ preventScroll: true });
});
mute.addEventListener('click', () => client.setMuted(!client.muted));
microphone.addEventListener('click', toggleMicrophone);

async function toggleMicrophone() {
  // A microphone that waits for a key counts as off.
  const open = client.microphoneOn && !client.pushToTalk;
  microphone.disabled = true;
  client.setPushToTalk(false);
  await client.setMicrophone(!open);
  microphone.disabled = false;
}

function hold(held) {
  // Whoever is heard all the time has no use for it.
  if (client.microphoneOn && !client.pushToTalk) return;
  if (held) client.setPushToTalk(true);
  talk.classList.toggle('held', held);
  client.talk(held);
}

talk.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return;
  talk.setPointerCapture(event.pointerId);
  hold(true);
});
for (const type of ['pointerup', 'pointercancel', 'lostpointercapture', 'blur']) {
  talk.addEventListener(type, () => hold(false));
}
// A long touch would open a menu.
talk.addEventListener('contextmenu', (event) => event.preventDefault());

/** Space presses what has the focus; elsewhere, and on the talk button, it is held to talk. */
function isTalkKey({ key, target }) {
  if (key === 't' || key === 'T') return true;
  if (key !== ' ') return false;
  return target === talk || !target.closest?.('button, summary, a, input, textarea, [tabindex]');
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || client.state !== 'connected') return;
  if (isTalkKey(event)) {
    event.preventDefault();
    if (!event.repeat) hold(true);
  } else if (!event.repeat && event.key === 'm') {
    client.setMuted(!client.muted);
  } else if (!event.repeat && event.key === 'v') {
    toggleMicrophone();
  }
});
document.addEventListener('keyup', (event) => {
  if (!isTalkKey(event)) return;
  if (event.target === talk) event.preventDefault();
  hold(false);
});
// A key let go in another window is never heard of here.
window.addEventListener('blur', () => hold(false));

function showMicrophone() {
  const { microphoneOn, pushToTalk, talking } = client;
  microphone.setAttribute('aria-pressed', String(microphoneOn && !pushToTalk));
  talk.setAttribute('aria-pressed', String(talking && pushToTalk));
  talk.disabled = microphoneOn && !pushToTalk;
  find('talk-label').textContent = talking && pushToTalk ? 'Talking' : 'Hold to talk';
  root.toggleAttribute('data-talking', talking);
}

client.addEventListener('microphone', ({ detail: { error } }) => {
  showMicrophone();
  microphone.title = error ? `No microphone: ${error.message}` : 'Microphone (V)';
  if (error) say('Live, without your microphone');
});

client.addEventListener('muted', ({ detail }) => {
  mute.setAttribute('aria-pressed', String(detail.muted));
  find('unmute').hidden = !(detail.muted && detail.forced);
});

// --- figures and log -------------------------------------------------------------------------

const number = (value, digits, unit) =>
  value === null || value === undefined ? '–' : `${value.toFixed(digits)} ${unit}`;
const bitrate = (value) =>
  value >= 1000 ? number(value / 1000, 1, 'Mb/s') : number(value, 0, 'kb/s');

const GRAPHS = {
  latency: { of: (f) => f.latencyMs, least: 50, inWords: (v) => number(v, 0, 'ms') },
  fps: { of: (f) => f.fps, least: 30, inWords: (v) => number(v, 0, 'fps') },
  bitrate: { of: (f) => f.bitrateKbps, least: 500, inWords: bitrate },
  loss: { of: (f) => f.lossPercent, least: 2, inWords: (v) => number(v, 1, '%') },
};
const FIGURES = {
  rtt: (f) => number(f.rttMs, f.rttMs < 10 ? 1 : 0, 'ms'),
  buffer: (f) => number(f.jitterBufferMs, 0, 'ms'),
  freezes: (f) => String(f.freezes),
  size: (f) => (f.width ? `${f.width} × ${f.height}` : '–'),
  codecs: (f) => [f.codec, f.audioCodec].filter(Boolean).join(', ') || '–',
};

const graphs = [...document.querySelectorAll('[data-graph]')].map((section) => {
  const kind = GRAPHS[section.dataset.graph];
  const graph = new Graph(section.querySelector('svg'), kind);
  return { ...kind, graph, value: section.querySelector('[data-value]') };
});
const cells = [...document.querySelectorAll('[data-figure]')];

function showFigures(figures) {
  for (const { of, inWords, value } of graphs) {
    value.textContent = figures ? inWords(of(figures)) : '–';
  }
  for (const cell of cells) {
    cell.textContent = figures ? FIGURES[cell.dataset.figure](figures) : '–';
  }
}

client.addEventListener('figures', ({ detail }) => {
  showFigures(detail);
  for (const { of, graph } of graphs) graph.push(of(detail));
});
// Lost seconds are seconds too: the graphs go on, with a gap.
setInterval(() => {
  if (client.state !== 'reconnecting') return;
  for (const { graph } of graphs) graph.push(null);
}, 1000);

client.addEventListener('log', ({ detail }) => {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  line.append(time, ` ${detail.text}`);
  const log = find('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
  // Whoever reads further up is left there.
  if (atEnd) log.scrollTop = log.scrollHeight;
});

// --- the light the picture throws on its surroundings ----------------------------------------

const glow = find('glow').getContext('2d');
const sample = document.createElement('canvas').getContext('2d', { alpha: false });
sample.canvas.width = sample.canvas.height = GLOW_SAMPLE;
const still = window.matchMedia('(prefers-reduced-motion: reduce)');

setInterval(() => {
  if (document.hidden || still.matches || video.readyState < 2 || client.state !== 'connected') return;
  sample.drawImage(video, 0, 0, GLOW_SAMPLE, GLOW_SAMPLE);
  // A few pixels stretched are a blur, and a picture drawn smaller and smaller over itself has soft edges.
  const { width } = glow.canvas;
  glow.clearRect(0, 0, width, width);
  for (let inset = 0; inset < width / 8; inset += 1) {
    glow.globalAlpha = 0.02 + 0.03 * inset;
    glow.drawImage(sample.canvas, inset, inset, width - 2 * inset, width - 2 * inset);
  }
}, GLOW_EVERY_MS);

if (query.get('autostart') === '1') {
  client.setMuted(true);
  client.connect();
}
