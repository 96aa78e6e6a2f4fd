// Compiled with --strict: what a program in TypeScript may write, and what it may not.
import { createStreamingSystem } from 'visavis';
import type { IncomingAudio, PushOutcome, StreamingSystem, Status } from 'visavis';

export async function serve(): Promise<StreamingSystem> {
  const system = await createStreamingSystem({
    webrtc: {
      signalingPort: 8081,
      iceServers: [{ urls: ['stun:a'] }, { urls: 'turn:b', username: 'u', credential: 'p' }],
      debug: false,
      maxClients: 10,
      videoCodec: 'VP8',
      audioCodec: 'opus',
    },
    media: {
      videoFps: 30,
      videoWidth: 512,
      videoHeight: 512,
      audioSampleRate: 16000,
      audioChannels: 1,
      debug: false,
    },
  });
  system.bridge.on('incoming-audio', (chunk: IncomingAudio) =>
    console.log(chunk.peerId, chunk.data.readInt16LE(0)),
  );
  system.bridge.once('started', () => {}).off('stopped', () => {});
  system.bridge.on('live-ended', ({ stalled }) => stalled === true);
  system.bridge.on('message', ({ peerId, message }) => {
    const outcome: 'accepted' | 'full' = system.bridge.send(
      peerId,
      typeof message === 'string' ? message : message.toString(),
    );
    return outcome;
  });
  system.server.on('peer-connected', (peer) =>
    console.log(peer.id.length, peer.videoCodec?.length),
  );
  system.server.on('peer-disconnected', ({ peerId, reason }) => reason === 'closed' && peerId);
  system.server.on('offer', ({ peerId, offer }) => offer.sdp + peerId);
  system.server.on('answer', ({ answer }) => answer.sdp);
  system.server.on('ice-candidate', ({ candidate }) => candidate.candidate);
  system.server.on('error', (error) => console.error(error.code));
  await system.start();

  const frame = {
    data: Buffer.alloc(4),
    width: 512,
    height: 512,
    timestamp: Date.now(),
    format: 'RGBA',
  } as const;
  const pushed: Promise<PushOutcome> = system.bridge.pushVideoFrame(frame);
  const asBefore: Promise<void> = pushed.then(() => {});
  await Promise.all([pushed, asBefore]);
  await system.bridge.pushAudioChunk({
    data: new Int16Array(1600),
    sampleRate: 16000,
    channels: 1,
    timestamp: 0,
    format: 'PCM',
  });

  const { peerCount, metrics }: Status = system.getStatus();
  console.log(
    peerCount + metrics.videoFrames + metrics.audioChunks + metrics.droppedFrames,
    metrics.avgLatency,
    metrics.lastFrameTime,
    metrics.fps,
    metrics.isStreaming,
  );

  const anna = await system.createSession({ id: 'anna', maxPeers: 1, encoded: 'VP8' });
  anna.on('keyframe-requested', ({ codec }) => codec.length);
  anna.on('microphone-level', ({ peerId, level }) => peerId.length + level);
  await anna.pushEncodedVideo({ data: new Uint8Array(4), codec: 'VP8', keyframe: true });
  await anna.setIdle('anna.mp4');
  const utterance = anna.beginUtterance();
  await utterance.pushVideoFrame({ data: new Uint8Array(4), timestamp: 0 });
  const { sent, interrupted } = await utterance.finished();
  console.log(sent, interrupted, anna.interrupt());
  const { peerId, answer } = await system.server.answer(
    { type: 'offer', sdp: 'v=0' },
    { session: 'anna' },
  );
  system.server.addCandidate(peerId, answer.sdp);

  // @ts-expect-error a port is required
  await createStreamingSystem({ webrtc: {} });
  // @ts-expect-error no such codec
  await createStreamingSystem({ webrtc: { signalingPort: 1, videoCodec: 'H265' } });
  // @ts-expect-error no such event
  system.bridge.on('incoming-video', () => {});
  // @ts-expect-error a picture of an utterance has a time
  await utterance.pushVideoFrame({ data: new Uint8Array(4) });
  // @ts-expect-error bytes are no array of numbers
  await system.bridge.pushVideoFrame({ data: [1, 2, 3] });
  return system;
}
