// What the engine has beyond the bridge: sessions, utterances, idle pictures, messages, own signaling.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { test } from 'node:test';

import { createStreamingSystem } from 'visavis';

import { png } from './png.mjs';

const OFFER = readFileSync(new URL('offer.sdp', import.meta.url), 'utf8');
const RATE = 16_000;

/** So much silence. */
const silence = (ms) => ({
  data: new Int16Array((RATE * ms) / 1_000),
  sampleRate: RATE,
  channels: 1,
});
const picture = (timestamp) => ({
  data: Buffer.alloc(64 * 64 * 4, 99),
  width: 64,
  height: 64,
  timestamp,
});

async function open(t, webrtc = {}) {
  const system = await createStreamingSystem({
    webrtc: { signalingPort: null, host: '127.0.0.1', ...webrtc },
  });
  t.after(() => system.stop());
  await system.start();
  return system;
}

test('sessions have names, and lives of their own', async (t) => {
  const system = await open(t);
  const anna = await system.createSession({ id: 'anna', videoCodec: 'H264', maxPeers: 1 });
  assert.deepEqual([system.bridge.id, anna.id], ['default', 'anna']);
  await assert.rejects(system.createSession({ id: 'anna' }), { code: 'session-exists' });
  await assert.rejects(system.createSession({ id: 'a b' }), { code: 'invalid-value' });
  await assert.rejects(system.createSession({}), { code: 'invalid-value' });
  await assert.rejects(
    system.createSession({ id: 'berta', microphoneRate: 11_000 }),
    /expected 8000, 12000/,
  );
  assert.equal(await anna.pushVideoFrame(picture()), 'not-started');
  await anna.start();
  const seen = [];
  system.server.on('media-video-frame', () => seen.push('first'));
  anna.on('video-frame', () => seen.push('anna'));
  assert.equal(await anna.pushVideoFrame(picture()), 'accepted');
  assert.equal(await system.bridge.pushVideoFrame(picture()), 'accepted');
  assert.deepEqual(seen, ['anna', 'first']);
  assert.equal(anna.getStatus().metrics.videoFrames, 2);
  assert.equal(system.getStatus().metrics.videoFrames, 1);
  await anna.stop();
  assert.equal(await anna.pushVideoFrame(picture()), 'stopped');
  assert.equal(anna.getStatus().metrics.videoFrames, 3);
  assert.throws(() => anna.interrupt(), { code: 'stopped' });
  anna.on('incoming-audio', () => {});
  await (await system.createSession({ id: 'anna' })).stop();
});

test('pictures may come encoded, into a session that was made for it', async (t) => {
  const system = await open(t);
  const anna = await system.createSession({ id: 'anna', videoCodec: 'VP8', encoded: 'vp8' });
  const data = Buffer.from('5000009d012a400040000000', 'hex');
  assert.equal(await anna.pushEncodedVideo({ data, codec: 'VP8' }), 'not-started');
  await anna.start();
  assert.equal(await anna.pushEncodedVideo({ data, codec: 'VP8', keyframe: true }), 'accepted');
  assert.equal(await anna.pushEncodedVideo({ data, codec: 'VP8', timestamp: 5 }), 'accepted');
  for (const [unit, code] of [
    [{ data, codec: 'H264' }, 'other-codec'],
    [{ data, codec: 'H265' }, 'invalid-value'],
    [{ data, codec: 'VP8', keyframe: 1 }, 'invalid-value'],
    [{ data: Buffer.alloc(0), codec: 'VP8' }, 'invalid-length'],
  ]) {
    await assert.rejects(anna.pushEncodedVideo(unit), { code }, code);
  }
  await assert.rejects(anna.pushVideoFrame(picture()), { code: 'encoded-session' });
  await assert.rejects(system.bridge.pushEncodedVideo({ data, codec: 'VP8' }), {
    code: 'raw-session',
  });
  await assert.rejects(system.createSession({ id: 'b', encoded: 'MPEG' }), /expected VP8, VP9 or H264/);
  await anna.stop();
  assert.equal(await anna.pushEncodedVideo({ data, codec: 'VP8' }), 'stopped');
});

test('an utterance takes picture files', async (t) => {
  const { bridge } = await open(t);
  const utterance = bridge.beginUtterance();
  const file = { data: png(64, 64), width: 64, height: 64, format: 'PNG' };
  assert.equal(await utterance.pushVideoFrame({ ...file, timestamp: 0 }), 'accepted');
  const broken = { ...file, data: Buffer.from('no picture'), timestamp: 40 };
  await assert.rejects(utterance.pushVideoFrame(broken), { code: 'undecodable' });
  assert.equal(await utterance.pushVideoFrame(picture(40)), 'accepted');
  assert.equal(await utterance.pushAudioChunk(silence(100)), 'accepted');
  await utterance.end();
  await assert.rejects(utterance.pushVideoFrame({ ...file, timestamp: 80 }), { code: 'ended' });
  assert.equal((await utterance.finished()).interrupted, false);
});

test('an utterance says when it begins and ends', async (t) => {
  const { bridge } = await open(t);
  const told = [];
  for (const event of ['utterance-started', 'utterance-ended', 'interrupted', 'live-started']) {
    bridge.on(event, (about) => told.push([event, about?.utterance]));
  }
  const utterance = bridge.beginUtterance();
  for (let at = 0; at < 400; at += 40)
    assert.equal(await utterance.pushVideoFrame(picture(at)), 'accepted');
  for (let i = 0; i < 4; i += 1)
    assert.equal(await utterance.pushAudioChunk(silence(100)), 'accepted');
  await utterance.end();
  await assert.rejects(utterance.pushAudioChunk(silence(100)), { code: 'ended' });
  await utterance.started();
  assert.equal(utterance.progress().over, false);
  const { sent, interrupted } = await utterance.finished();
  assert.equal(interrupted, false);
  assert.ok(Math.abs(sent - 400) <= 40, `${sent} ms`);
  assert.equal(utterance.progress().over, true);
  const own = told.filter(([event]) => event !== 'live-started');
  assert.deepEqual(own, [
    ['utterance-started', utterance.id],
    ['utterance-ended', utterance.id],
  ]);
  assert.ok(told.some(([event]) => event === 'live-started'));
});

test('what is interrupted is over once, whoever interrupts it', async (t) => {
  const system = await open(t);
  const { bridge } = system;
  for (const end of ['itself', 'all', 'stop']) {
    const [playing, waiting] = [bridge.beginUtterance(), bridge.beginUtterance()];
    for (const utterance of [playing, waiting]) await utterance.pushAudioChunk(silence(2_000));
    await playing.started();
    await new Promise((done) => setTimeout(done, 100));
    let sent;
    if (end === 'itself') sent = playing.interrupt();
    if (end === 'all') sent = bridge.interrupt();
    if (end === 'stop') await system.stop();
    const how = await playing.finished();
    assert.equal(how.interrupted, true, end);
    assert.ok(how.sent >= 60 && how.sent < 1_000, `${how.sent} ms`);
    if (sent !== undefined)
      assert.ok(Math.abs(how.sent - sent) <= 20, `${how.sent} and ${sent} ms`);
    if (end === 'itself') bridge.interrupt();
    const rest = await waiting.finished();
    assert.equal(rest.interrupted, true, end);
  }
});

test('what does not fit into an utterance waits for room', async (t) => {
  const { bridge } = await open(t);
  const utterance = bridge.beginUtterance();
  const pushes = [];
  let taken = 0;
  for (let second = 0; second < 62; second += 1) {
    pushes.push(utterance.pushAudioChunk(silence(1_000)).then(() => (taken += 1)));
  }
  await new Promise((done) => setTimeout(done, 300));
  assert.ok(taken >= 59 && taken < 62, `${taken} of 62`);
  utterance.interrupt();
  await Promise.all(pushes);
});

test('an idle picture is a file', async (t) => {
  const { bridge } = await open(t);
  await bridge.setIdle(png(64, 64));
  await bridge.setIdle(null);
  await assert.rejects(bridge.setIdle(Buffer.from('no picture')), { code: 'undecodable' });
  await assert.rejects(bridge.setIdle('/nonexistent.png'), { code: 'ENOENT' });
  await assert.rejects(bridge.setIdle(7), { code: 'invalid-value' });
  const film = join(tmpdir(), `visavis-${process.pid}.y4m`);
  const frame = Buffer.concat([Buffer.from('FRAME\n'), Buffer.alloc((64 * 64 * 3) / 2, 99)]);
  writeFileSync(film, Buffer.concat([Buffer.from('YUV4MPEG2 W64 H64 F25:1 Ip C420jpeg\n'), frame, frame]));
  t.after(() => rmSync(film));
  await bridge.setIdle(film);
  writeFileSync(film, 'no film');
  await assert.rejects(bridge.setIdle(film), { code: 'not-built' });
});

test('messages that reach nobody are refused', async (t) => {
  const { bridge } = await open(t);
  assert.deepEqual(bridge.broadcast('hello'), { accepted: 0, full: [] });
  assert.deepEqual(bridge.broadcast(Buffer.from([1]), { label: 'captions' }), {
    accepted: 0,
    full: [],
  });
  assert.throws(() => bridge.broadcast(''), { code: 'invalid-length' });
  assert.throws(() => bridge.broadcast(Buffer.alloc(65_537)), { code: 'invalid-length' });
  assert.throws(() => bridge.broadcast(5), { code: 'invalid-value' });
  assert.throws(() => bridge.send('0123456789abcdef', 'hello'), { code: 'no-peer' });
  assert.throws(() => bridge.send('somebody', 'hello'), { code: 'invalid-value' });
});

test('offers are answered without a server', async (t) => {
  const { server } = await open(t);
  assert.deepEqual([server.url, server.port], [null, null]);
  assert.ok(server.mediaPort > 0);
  const { peerId, answer } = await server.answer(OFFER);
  assert.equal(answer.type, 'answer');
  assert.match(answer.sdp, /^v=0\r\n[^]*m=video/);
  assert.equal((await server.answer({ type: 'offer', sdp: OFFER }, { peerId })).peerId, peerId);
  server.addCandidate(peerId, {
    candidate: 'candidate:1 1 udp 2122260223 127.0.0.1 49203 typ host',
  });
  assert.throws(() => server.addCandidate(peerId, 'nonsense'), { code: 'bad-candidate' });
  await assert.rejects(server.answer('no SDP'), { code: 'bad-sdp' });
  await assert.rejects(server.answer(OFFER, { session: 'nobody' }), { code: 'no-session' });
  await assert.rejects(server.answer(OFFER, { peerId: '0123456789abcdef' }), { code: 'no-peer' });
  await assert.rejects(server.answer(7), { code: 'invalid-value' });
  const left = once(server, 'peer-disconnected');
  server.disconnect(peerId);
  assert.deepEqual((await left)[0], { peerId, session: 'default', reason: 'closed' });
});
