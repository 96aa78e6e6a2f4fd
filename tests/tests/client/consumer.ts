// A page's code in TypeScript, as strict as it gets. Compiled and never run.
import { VisavisClient } from 'visavis-client';
import type { Figures, Quality, State, VisavisOptions } from 'visavis-client';

const options: VisavisOptions = {
  url: 'wss://faces.example.org/ws',
  session: 'anna',
  videoCodec: 'VP8',
  iceServers: [{ urls: 'stun:stun.example.org' }],
  pushToTalk: true,
};
const client = new VisavisClient(options);
client.attach(document.createElement('video'));
client.addEventListener('state', ({ detail }) => {
  const state: State = detail.state;
  console.log(state, detail.reason.length, detail.attempt / detail.attempts);
});
client.addEventListener('figures', ({ detail }) => {
  const figures: Figures = detail;
  console.log((figures.latencyMs ?? 0) + figures.width);
});
client.addEventListener('quality', ({ detail }) => {
  const quality: Quality = detail;
  console.log(quality.level, quality.reasons.join());
});
client.addEventListener('message', ({ detail: { data } }) => {
  console.log(typeof data === 'string' ? data.length : data.byteLength);
});
client.prepare();
client.connect();
const heard: Promise<boolean> = client.talk(true);
const taken: boolean = client.send(new Uint8Array(3));
const peer: string | null = client.connection === null ? null : client.peerId;
console.log(heard, taken, peer);
client.close();

// @ts-expect-error there is no such codec
new VisavisClient({ videoCodec: 'H261' });
// @ts-expect-error an event of this name carries no figures
client.addEventListener('muted', ({ detail }) => detail.latencyMs);
// @ts-expect-error the state is the client's own
client.state = 'closed';
