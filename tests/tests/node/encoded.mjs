// A film that is encoded already goes out as it is, from its one keyframe on whenever visitors want one.
import { readFileSync } from 'node:fs';

import { createStreamingSystem } from 'visavis';

const say = (event, about = {}) => console.log(JSON.stringify({ event, ...about }));

/** The frames of an IVF file. */
function frames(file) {
  const all = [];
  for (let at = 32; at < file.length; ) {
    const size = file.readUInt32LE(at);
    all.push(file.subarray(at + 12, at + 12 + size));
    at += 12 + size;
  }
  return all;
}

const film = frames(readFileSync(process.argv[2]));
const system = await createStreamingSystem({
  webrtc: { signalingPort: 0, iceServers: [], videoCodec: 'VP8', encoded: 'VP8' },
  media: { videoFps: 25 },
});
const { bridge, server } = system;
let next = 0;
bridge.on('keyframe-requested', ({ codec }) => {
  say('keyframe-requested', { codec });
  next = 0;
});
await system.start();
say('ready', { url: server.url });

const pushing = setInterval(async () => {
  const data = film[next];
  next = (next + 1) % film.length;
  await bridge.pushEncodedVideo({ data, codec: 'VP8', timestamp: Date.now() });
}, 40);

process.stdin.resume().once('end', async () => {
  clearInterval(pushing);
  say('status', system.getStatus());
  await system.stop();
});
