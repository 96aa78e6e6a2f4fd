// The player page: what the client library tells, made visible.
//
// Query: ?session=ID   the session to watch
//        ?autostart=1  connect at once, muted
//        ?codec=VP8    insist on a codec (H264, VP8, VP9 or AV1)

import { VisavisClient } from './visavis-client.js';

const LOG_LINES = 200;
const GLOW_EVERY_MS = 250;

const query = new URLSearchParams(location.search);
const find = (id) => document.getElementById(id);
const video = find('video');
const client = new VisavisClient({
  session: query.get('session') || undefined,
  videoCodec: query.get('codec') || undefined,
});
client.attach(video);

// For automation: everything the page knows is behind these two.
window.visavis = { client, video };

// --- state -----------------------------------------------------------------------------------

const WORDS = {
  idle: () => 'Ready when you are',
  connecting: () => 'Connecting…',
  connected: () => 'Live',
  reconnecting: ({ attempt, attempts }) =>
    attempt ? `Reconnecting… ${attempt} of ${attempts}` : 'Reconnecting…',
  failed: ({ reason }) => (reason ? `Could not connect: ${reason}` : 'Could not connect'),
  closed: () => 'You have left',
};
const START_LABELS = { failed: 'Try again', closed: 'Come back' };

client.addEventListener('state', ({ detail }) => {
  const { state } = detail;
  document.documentElement.dataset.state = state;
  find('state').textContent = WORDS[state](detail);
  find('start-label').textContent = START_LABELS[state] ?? 'Start';
  // Without a connection the video is black; the idle picture is kinder.
  if (!client.connection) {
    delete document.documentElement.dataset.picture;
    showFigures(null);
  }
  if (state === 'failed' || state === 'closed') {
    find('unmute').hidden = true;
    showMicrophone(false);
    find('start').focus({ preventScroll: true });
  }
});

client.addEventListener('firstpicture', ({ detail }) => {
  document.documentElement.dataset.picture = 'live';
  document.documentElement.dataset.firstPictureMs = String(Math.round(detail.elapsedMs));
});

video.addEventListener('resize', () => {
  const { videoWidth, videoHeight } = video;
  if (videoWidth && videoHeight) {
    find('stage').style.setProperty('--ratio', String(videoWidth / videoHeight));
  }
});

// --- controls --------------------------------------------------------------------------------

const mute = find('mute');
const microphone = find('microphone');

find('start').addEventListener('click', () => {
  client.connect();
  mute.focus({ preventScroll: true });
});
find('leave').addEventListener('click', () => client.close());
find('unmute').addEventListener('click', () => client.setMuted(false));
mute.addEventListener('click', () => client.setMuted(!client.muted));
microphone.addEventListener('click', toggleMicrophone);

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (client.state !== 'connected') return;
  if (event.key === 'm') client.setMuted(!client.muted);
  if (event.key === 'v') toggleMicrophone();
});

async function toggleMicrophone() {
  microphone.disabled = true;
  await client.setMicrophone(!client.microphoneOn);
  microphone.disabled = false;
}

function showMicrophone(on) {
  microphone.setAttribute('aria-pressed', String(on));
}

client.addEventListener('microphone', ({ detail }) => {
  showMicrophone(detail.on);
  if (detail.error) {
    find('state').textContent = 'Live, without your microphone';
    microphone.title = `No microphone: ${detail.error.message}`;
  } else {
    microphone.title = 'Microphone (V)';
  }
});

client.addEventListener('muted', ({ detail }) => {
  mute.setAttribute('aria-pressed', String(detail.muted));
  find('unmute').hidden = !(detail.muted && detail.forced);
});

// --- figures and log -------------------------------------------------------------------------

const number = (value, digits, unit) => (value === null ? '–' : `${value.toFixed(digits)}${unit}`);
const FIGURES = {
  latency: (f) => number(f.latencyMs, 0, ' ms'),
  fps: (f) => number(f.fps, 0, ' fps'),
  bitrate: (f) =>
    f.bitrateKbps >= 1000 ? number(f.bitrateKbps / 1000, 1, ' Mb/s') : number(f.bitrateKbps, 0, ' kb/s'),
  loss: (f) => number(f.lossPercent, 1, ' %'),
  rtt: (f) => number(f.rttMs, f.rttMs < 10 ? 1 : 0, ' ms'),
  buffer: (f) => number(f.jitterBufferMs, 0, ' ms'),
  freezes: (f) => String(f.freezes),
  picture: (f) => (f.codec && f.width ? `${f.codec} ${f.width}×${f.height}` : '–'),
};
const cells = [...document.querySelectorAll('[data-figure]')];

function showFigures(figures) {
  for (const cell of cells) {
    cell.textContent = figures ? FIGURES[cell.dataset.figure](figures) : '–';
  }
}

client.addEventListener('figures', ({ detail }) => showFigures(detail));

client.addEventListener('log', ({ detail }) => {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  line.append(time, ` ${detail.text}`);
  const log = find('log');
  log.append(line);
  while (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
});

// --- the light the picture throws on its surroundings ----------------------------------------

const glow = find('glow').getContext('2d', { alpha: false });
const still = window.matchMedia('(prefers-reduced-motion: reduce)');

setInterval(() => {
  // Sixteen pixels square, four times a second: the blur is the compositor's work.
  if (document.hidden || still.matches || video.readyState < 2 || client.state !== 'connected') return;
  glow.drawImage(video, 0, 0, 16, 16);
}, GLOW_EVERY_MS);

if (query.get('autostart') === '1') {
  client.setMuted(true);
  client.connect();
}
