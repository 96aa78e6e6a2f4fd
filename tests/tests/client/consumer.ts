// A page's code in TypeScript, as strict as it gets. Compiled and never run.
import { VisavisClient, VisavisError } from 'visavis-client';
import type { Device, FailureCode, Stats, MicrophoneErrorCode, Quality, State, VisavisOptions } from 'visavis-client';
import 'visavis-client/element';

const options: VisavisOptions = {
  url: 'wss://faces.example.org/ws',
  session: 'anna',
  videoCodec: 'VP8',
  iceServers: [{ urls: 'stun:stun.example.org' }],
  pushToTalk: true,
  token: async () => 'word',
  maxAttempts: undefined,
  levelIntervalMs: 100,
};
const client = new VisavisClient(options);
client.attach(document.createElement('video'));
client.addEventListener('state', ({ detail }) => {
  const state: State = detail.state;
  console.log(state, detail.reason.length, detail.attempt / detail.attempts);
});
client.addEventListener('stats', ({ detail }) => {
  const stats: Stats = detail;
  console.log((stats.latencyMs ?? 0) + stats.width);
});
client.addEventListener('quality', ({ detail }) => {
  const quality: Quality = detail;
  console.log(quality.level, quality.reasons.join(), quality.cause satisfies string | null);
});
client.addEventListener('message', ({ detail: { data } }) => {
  console.log(typeof data === 'string' ? data.length : data.byteLength);
});
client.addEventListener('live', ({ detail }) => {
  const live: boolean = detail.live;
  console.log(live, client.live === null);
});
client.addEventListener('utterance', ({ detail: { id, state, sentMs } }) => {
  console.log(id + (sentMs ?? 0), state === 'interrupted');
});
client.addEventListener('microphone', ({ detail: { code, label, state } }) => {
  const error: MicrophoneErrorCode | null = code;
  console.log(error, label, state === 'asking');
});
client.addEventListener('level', ({ detail }) => console.log(detail.level + detail.dbfs));
client.prepare();
async function visit(track: MediaStreamTrack): Promise<FailureCode | undefined> {
  if (!VisavisClient.isSupported()) return 'unsupported';
  try {
    await client.connect();
  } catch (error) {
    return error instanceof VisavisError ? error.code : undefined;
  }
  const { microphones } = await client.getDevices();
  const first: Device | undefined = microphones[0];
  if (first) await client.setMicrophone({ deviceId: first.deviceId });
  else await client.setMicrophone({ track });
  client.setVolume(0.5);
  const moved: boolean = await client.setOutput('default');
  console.log(moved);
  return undefined;
}
console.log(visit);
const player = document.createElement('visavis-player');
player.client?.close();
const heard: Promise<boolean> = client.talk(true);
const taken: boolean = client.send(new Uint8Array(3));
const peer: string | null = client.connection === null ? null : client.peerId;
console.log(heard, taken, peer);
client.close();

// @ts-expect-error there is no such codec
new VisavisClient({ videoCodec: 'H261' });
// @ts-expect-error an event of this name carries no statistics
client.addEventListener('muted', ({ detail }) => detail.latencyMs);
// @ts-expect-error a microphone is chosen by its id
client.setMicrophone({ label: 'mine' });
// @ts-expect-error the state is the client's own
client.state = 'closed';
