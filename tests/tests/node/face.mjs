// A face from Node: a bar that moves and a tone go out, what visitors say is written to a file. Each event is a line of
// JSON on stdout; the end of stdin is the end.
import { createWriteStream } from 'node:fs';

import { createStreamingSystem } from 'visavis';

const SIDE = 256;
const RATE = 24_000;
const TONE_HZ = 440;

const say = (event, about = {}) => console.log(JSON.stringify({ event, ...about }));

const system = await createStreamingSystem({
  webrtc: { signalingPort: 0, iceServers: [] },
  media: {
    videoFps: 30,
    videoWidth: SIDE,
    videoHeight: SIDE,
    audioSampleRate: RATE,
    audioChannels: 1,
  },
});
const { bridge, server } = system;

const heard = createWriteStream(process.argv[2]);
bridge.once('incoming-audio', ({ sampleRate, channels, peerId }) => {
  say('heard', { sampleRate, channels, peerId });
});
bridge.once('microphone-level', ({ peerId, level }) => say('level', { peerId, level }));
bridge.on('incoming-audio', ({ data }) => heard.write(data));
bridge.on('message', ({ peerId, label, message }) => {
  say('message', { peerId, label, message });
  bridge.send(peerId, `${message}, says Node`);
});
bridge.once('started', () => say('started'));
bridge.once('stopped', () => say('stopped'));
server.on('peer-connected', (peer) => say('peer-connected', { peerId: peer.id }));
server.on('peer-disconnected', ({ peerId, reason }) =>
  say('peer-disconnected', { peerId, reason }),
);
for (const kind of ['offer', 'answer', 'ice-candidate']) {
  server.on(kind, (about) => say(kind, about));
}

await system.start();
say('ready', { url: server.url });

const picture = Buffer.alloc(SIDE * SIDE * 4, 255);
function paint(number) {
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const near = (x - 4 * number) & (SIDE - 1);
      const at = 4 * (y * SIDE + x);
      picture[at] = near < 64 ? 220 : 40;
      picture[at + 1] = y >> 1;
      picture[at + 2] = 90;
    }
  }
}

// As a synthesizer has it: in chunks of 100 ms, and one of them ahead.
const CHUNK = RATE / 10;
let samples = 0;
function tone() {
  const data = new Int16Array(CHUNK);
  for (let i = 0; i < CHUNK; i += 1, samples += 1) {
    data[i] = 8_000 * Math.sin((2 * Math.PI * TONE_HZ * samples) / RATE);
  }
  return data;
}

const begun = Date.now();
let frames = 0;
const pushing = setInterval(async () => {
  const now = Date.now();
  while (samples < ((now - begun) * RATE) / 1_000 + CHUNK) {
    const timestamp = begun + (1_000 * samples) / RATE;
    await bridge.pushAudioChunk({
      data: tone(),
      sampleRate: RATE,
      channels: 1,
      timestamp,
      format: 'PCM',
    });
  }
  if (((now - begun) * 30) / 1_000 < frames) return;
  paint(frames);
  frames += 1;
  const timestamp = now;
  await bridge.pushVideoFrame({
    data: picture,
    width: SIDE,
    height: SIDE,
    timestamp,
    format: 'RGBA',
  });
}, 5);

process.stdin.resume().once('end', async () => {
  say('status', system.getStatus());
  clearInterval(pushing);
  await system.stop();
  heard.end();
});
