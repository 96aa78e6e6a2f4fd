// What can be seen of a system without a visitor. Visitors are those of tests/tests/node.rs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { createStreamingSystem } from 'visavis';

import { png } from './png.mjs';

const WEBRTC = { signalingPort: 0, host: '127.0.0.1' };
const RGBA = Buffer.alloc(512 * 512 * 4, 128);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

/** A frame of now. */
const frame = (more) => ({ data: RGBA, width: 512, height: 512, timestamp: Date.now(), ...more });

/** 100 ms of silence, 16 kHz mono. */
const chunk = (more) => ({
  data: Buffer.alloc(3_200),
  sampleRate: 16_000,
  channels: 1,
  timestamp: Date.now(),
  ...more,
});

/** A system that is stopped when the test is over. */
async function open(t, config = {}) {
  const system = await createStreamingSystem({
    webrtc: { ...WEBRTC, ...config.webrtc },
    media: config.media,
  });
  t.after(() => system.stop());
  return system;
}

/** Runs a program that is given here, and returns how it ended and what it said. */
async function run(program, env = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const [code, signal] = await new Promise((done) => child.once('close', (...end) => done(end)));
  return { code, signal, said };
}

test('what is pushed outside of start and stop is counted, and no more', async (t) => {
  const system = await open(t);
  const { bridge } = system;
  const seen = [];
  for (const event of ['video-frame', 'audio-chunk', 'started', 'stopped']) {
    bridge.on(event, () => seen.push(event));
  }
  assert.equal(await bridge.pushVideoFrame(frame()), 'not-started');
  assert.equal(await bridge.pushAudioChunk(chunk()), 'not-started');
  assert.deepEqual(seen, []);
  await system.start();
  await system.start();
  assert.equal(await bridge.pushVideoFrame(frame()), 'accepted');
  assert.equal(await bridge.pushAudioChunk(chunk()), 'accepted');
  await Promise.all([system.stop(), system.stop()]);
  await system.stop();
  assert.equal(await bridge.pushVideoFrame(frame()), 'stopped');
  assert.equal(await bridge.pushAudioChunk(chunk()), 'stopped');
  assert.deepEqual(seen, ['started', 'video-frame', 'audio-chunk', 'stopped']);
  const { metrics } = system.getStatus();
  assert.deepEqual([metrics.videoFrames, metrics.audioChunks], [3, 3]);
  await assert.rejects(system.start(), { code: 'stopped' });
});

test('the status has what was promised, and is there at once', async (t) => {
  const system = await open(t);
  const before = system.getStatus();
  assert.equal(before.peerCount, 0);
  assert.deepEqual([before.rungs, before.networks], [[], null]);
  const expected = {
    videoFrames: 0,
    audioChunks: 0,
    droppedFrames: 0,
    avgLatency: 0,
    lastFrameTime: 0,
    fps: 0,
    isStreaming: false,
  };
  for (const [name, value] of Object.entries(expected))
    assert.equal(before.metrics[name], value, name);
  await system.start();
  await system.bridge.pushVideoFrame(frame({ timestamp: Date.now() - 200 }));
  await system.bridge.pushVideoFrame(frame());
  const { metrics } = system.getStatus();
  assert.deepEqual([metrics.videoFrames, metrics.droppedFrames, metrics.isStreaming], [2, 1, true]);
  assert.ok(Math.abs(metrics.lastFrameTime - Date.now()) < 1_000);
});

test('what cannot be used is refused with a code', async (t) => {
  const system = await open(t);
  const { bridge } = system;
  // Files are looked into only where they are wanted.
  await system.start();
  bridge.on('video-frame', () => assert.fail('nothing was taken'));
  const frames = [
    [frame({ data: RGBA.subarray(1) }), 'invalid-length'],
    [frame({ width: 511 }), 'invalid-size'],
    [frame({ width: 8_192 }), 'invalid-size'],
    [frame({ width: -2 }), 'invalid-value'],
    [frame({ width: 512.5 }), 'invalid-value'],
    [frame({ height: '512' }), 'invalid-value'],
    [frame({ data: 'pixels' }), 'invalid-value'],
    [frame({ data: null }), 'invalid-value'],
    [frame({ timestamp: NaN }), 'invalid-value'],
    [frame({ timestamp: -1 }), 'invalid-value'],
    [frame({ timestamp: new Date() }), 'invalid-value'],
    [frame({ format: 'GIF' }), 'invalid-value'],
    [frame({ format: 'JPEG' }), 'undecodable'],
    [frame({ format: 'PNG', data: png(64, 64) }), 'other-size'],
    [frame({ format: 'YUV' }), 'invalid-length'],
    [null, 'invalid-value'],
    [undefined, 'invalid-value'],
  ];
  for (const [given, code] of frames)
    await assert.rejects(bridge.pushVideoFrame(given), { code }, code);
  const chunks = [
    [chunk({ data: Buffer.alloc(3) }), 'invalid-length'],
    [chunk({ data: Buffer.alloc(0) }), 'invalid-length'],
    [chunk({ channels: 7 }), 'invalid-channels'],
    [chunk({ channels: 65_537 }), 'invalid-channels'],
    [chunk({ sampleRate: 1_234 }), 'invalid-sample-rate'],
    [chunk({ sampleRate: Infinity }), 'invalid-value'],
    [chunk({ format: 'MP3', data: RGBA }), 'undecodable'],
    [chunk({ format: 'OPUS', data: Buffer.alloc(0) }), 'undecodable'],
    [chunk({ format: 'WAV' }), 'invalid-value'],
    [chunk({ data: [1, 2] }), 'invalid-value'],
  ];
  for (const [given, code] of chunks)
    await assert.rejects(bridge.pushAudioChunk(given), { code }, code);
  // Numbers that are not refused here are the engine's own words.
  await assert.rejects(
    bridge.pushVideoFrame(frame({ width: 511 })),
    /must be even and from 16 to 4096/,
  );
});

test('whatever holds bytes can be pushed, in each format', async (t) => {
  const system = await open(t, { media: { videoWidth: 64, videoHeight: 32 } });
  const { bridge } = system;
  await system.start();
  const bytes = 64 * 32 * 4;
  const shifted = new Uint8ClampedArray(new ArrayBuffer(bytes + 8), 8, bytes);
  const holders = [
    Buffer.alloc(bytes),
    new Uint8Array(bytes),
    shifted,
    new ArrayBuffer(bytes),
    new DataView(new ArrayBuffer(bytes)),
    new Uint32Array(64 * 32),
    new Uint8Array(new SharedArrayBuffer(bytes)),
  ];
  for (const data of holders) {
    assert.equal(await bridge.pushVideoFrame({ data }), 'accepted', data.constructor.name);
  }
  const sizes = { BGRA: 4, RGB: 3, YUV: 1.5, I420: 1.5, NV12: 1.5, rgba: 4 };
  for (const [format, each] of Object.entries(sizes)) {
    const data = Buffer.alloc(64 * 32 * each);
    assert.equal(await bridge.pushVideoFrame({ data, format }), 'accepted', format);
  }
  assert.equal(await bridge.pushVideoFrame({ data: png(64, 32), format: 'PNG' }), 'accepted');
  for (const data of [new Int16Array(1_600), new Float32Array(1_600), Buffer.alloc(3_200)]) {
    assert.equal(await bridge.pushAudioChunk({ data }), 'accepted', data.constructor.name);
  }
});

test('settings that cannot be meant are refused with a sentence', async () => {
  const cases = [
    [undefined, /expected an object/],
    [{}, /webrtc\.signalingPort undefined; expected a port/],
    [{ webrtc: { signalingPort: 70_000 } }, /webrtc\.signalingPort 70000/],
    [{ webrtc: { signalingPort: '8081' } }, /webrtc\.signalingPort "8081"/],
    [{ webrtc: { ...WEBRTC, host: 'nowhere' } }, /expected an IP address/],
    [{ webrtc: { ...WEBRTC, videoCodec: 'H265' } }, /expected VP8, VP9 or H264/],
    [{ webrtc: { ...WEBRTC, audioCodec: 'mp3' } }, /expected opus, pcmu or pcma/],
    [{ webrtc: { ...WEBRTC, maxClients: 0 } }, /webrtc\.maxClients 0/],
    [{ webrtc: { ...WEBRTC, iceServers: [{ urls: [] }] } }, /iceServers\[0\]\.urls/],
    [{ webrtc: { ...WEBRTC, iceServers: {} } }, /an array of RTCIceServer/],
    [{ webrtc: { ...WEBRTC, tls: { cert: 'a.pem' } } }, /names of PEM files/],
    [{ webrtc: { ...WEBRTC, tls: { cert: 'a.pem', key: 'b.pem' } } }, /cannot use a\.pem/],
    [
      { webrtc: { ...WEBRTC, announce: ['x y'] } },
      /invalid announced address "x y"; expected an address/,
    ],
    [{ webrtc: WEBRTC, media: { videoFps: 0 } }, /media\.videoFps 0; expected 1 to 120/],
    [{ webrtc: WEBRTC, media: 5 }, /media 5; expected an object/],
  ];
  for (const [config, message] of cases)
    await assert.rejects(createStreamingSystem(config), message);
});

test('two systems in one process do not disturb each other', async (t) => {
  const [one, other] = [await open(t), await open(t)];
  assert.notEqual(one.server.port, other.server.port);
  await assert.rejects(open(t, { webrtc: { signalingPort: one.server.port } }), {
    code: 'EADDRINUSE',
  });
  await Promise.all([one.start(), other.start()]);
  await one.bridge.pushVideoFrame(frame());
  await one.stop();
  assert.equal(await other.bridge.pushVideoFrame(frame()), 'accepted');
  const response = await fetch(`http://127.0.0.1:${other.server.port}/status`);
  const { metrics } = await response.json();
  assert.equal(metrics.videoFrames, other.getStatus().metrics.videoFrames);
  assert.equal(metrics.videoFrames, 1);
});

test('a thousand frames leave no memory behind', async (t) => {
  const system = await open(t);
  await system.start();
  const push = async (count) => {
    for (let i = 0; i < count; i += 1) {
      await system.bridge.pushVideoFrame(frame());
      if (i % 10 === 0) await system.bridge.pushAudioChunk(chunk());
    }
    // What is garbage is not left behind.
    collectGarbage();
    return process.memoryUsage().rss;
  };
  let before = await push(200);
  // What is left behind is so each time; that the allocator keeps some for later is not.
  const grown = [];
  for (let round = 0; round < 3; round += 1) {
    const after = await push(1_000);
    grown.push(after - before);
    before = after;
  }
  assert.ok(Math.min(...grown) < 8e6, `${grown} bytes more`);
});

test('twenty systems leave no thread and no descriptor behind', async () => {
  const held = () => [readdirSync('/proc/self/task').length, readdirSync('/proc/self/fd').length];
  const cycle = async () => {
    const system = await createStreamingSystem({ webrtc: WEBRTC });
    for (const event of ['incoming-audio', 'message']) system.bridge.once(event, () => {});
    system.bridge.removeAllListeners();
    await system.start();
    await system.bridge.pushVideoFrame(frame());
    await system.stop();
  };
  await cycle();
  const before = held();
  for (let i = 0; i < 20; i += 1) await cycle();
  // What Node closes it closes in its next turn.
  await new Promise((done) => setTimeout(done, 50));
  const after = held();
  assert.ok(after[0] <= before[0] && after[1] <= before[1], `${before} before, ${after} after`);
});

test('a listener that throws reaches uncaughtException, and nobody else', async () => {
  const { code, said } = await run(`
    import { createStreamingSystem } from 'visavis';
    const caught = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    const system = await createStreamingSystem({ webrtc: ${JSON.stringify(WEBRTC)} });
    system.bridge.on('started', () => { throw new Error('one'); });
    system.bridge.on('video-frame', () => { throw new Error('two'); });
    system.server.once('media-video-frame', () => { throw new Error('three'); });
    await system.start();
    const data = Buffer.alloc(64 * 64 * 4);
    const outcome = await system.bridge.pushVideoFrame({ data, width: 64, height: 64 });
    await system.stop();
    console.log(JSON.stringify({ caught, outcome }));
  `);
  assert.equal(code, 0, said);
  assert.deepEqual(JSON.parse(said), { caught: ['one', 'two', 'three'], outcome: 'accepted' });
});

test('a process stays while a system runs, unless it is told not to', async () => {
  const opened = `
    import { createStreamingSystem } from 'visavis';
    const system = await createStreamingSystem({ webrtc: ${JSON.stringify(WEBRTC)} });
    await system.start();
  `;
  const stays = await run(
    `${opened} setTimeout(() => { console.log('here'); system.stop(); }, 300).unref();`,
  );
  assert.deepEqual([stays.code, stays.said], [0, 'here\n'], stays.said);
  const goes = await run(
    `${opened} system.unref(); setTimeout(() => console.log('here'), 5_000).unref();`,
  );
  assert.deepEqual([goes.code, goes.said], [0, ''], goes.said);
});

test('a process that ends without stop does so cleanly', async () => {
  const { code, signal, said } = await run(`
    import { createStreamingSystem } from 'visavis';
    const system = await createStreamingSystem({ webrtc: ${JSON.stringify(WEBRTC)} });
    system.bridge.on('incoming-audio', () => {});
    await system.start();
    await system.bridge.pushVideoFrame({ data: Buffer.alloc(64 * 64 * 4), width: 64, height: 64 });
    process.exit(7);
  `);
  assert.deepEqual([code, signal, said], [7, null, '']);
});

test('workers have systems of their own, which end with them', async () => {
  const program = `
    const { parentPort } = require('node:worker_threads');
    const { createStreamingSystem } = require('visavis');
    (async () => {
      const system = await createStreamingSystem({ webrtc: ${JSON.stringify(WEBRTC)} });
      system.bridge.on('incoming-audio', () => {});
      await system.start();
      const data = new Uint8Array(64 * 64 * 4);
      parentPort.postMessage(await system.bridge.pushVideoFrame({ data, width: 64, height: 64 }));
      parentPort.postMessage(system.server.port);
    })();
  `;
  for (let i = 0; i < 3; i += 1) {
    const worker = new Worker(program, { eval: true });
    const said = [];
    await new Promise((done, failed) => {
      worker.once('error', failed);
      worker.on('message', (message) => said.push(message) === 2 && done());
    });
    assert.equal(said[0], 'accepted');
    await worker.terminate();
    await assert.rejects(fetch(`http://127.0.0.1:${said[1]}/healthz`), 'its port is closed');
  }
});

test('a fault that ends the engine is an error of the server', async () => {
  const program = (more) => `
    import { createStreamingSystem } from 'visavis';
    const system = await createStreamingSystem({ webrtc: ${JSON.stringify(WEBRTC)} });
    ${more}
    await system.start();
  `;
  const plant = { VISAVIS_PLANT_FAULT: 'media-loop' };
  const told = await run(
    program(`system.server.once('error', (error) => { console.log(error.code); system.stop(); });`),
    plant,
  );
  assert.deepEqual([told.code, told.said.trim().split('\n').at(-1)], [0, 'fault'], told.said);
  const untold = await run(program(''), plant);
  assert.equal(untold.code, 1, untold.said);
  assert.match(untold.said, /the media-loop has ended by a fault/);
});
