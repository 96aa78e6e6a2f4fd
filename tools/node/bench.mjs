// What pushes cost, and what they do to the event loop: `npm run build && npm run bench`, on a quiet machine.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { createStreamingSystem } from './index.js';

const SECONDS = 10;
const FPS = 30;

const system = await createStreamingSystem({ webrtc: { signalingPort: null, host: '127.0.0.1' } });
await system.start();

/** Pushes a frame; returns how long that took, in µs. */
async function push(data, width, height) {
  const begun = performance.now();
  await system.bridge.pushVideoFrame({ data, width, height, timestamp: Date.now() });
  return 1_000 * (performance.now() - begun);
}

function summary(times) {
  const sorted = times.sort((a, b) => a - b);
  const at = (part) => sorted[Math.floor(part * (sorted.length - 1))].toFixed(1);
  return `p50 ${at(0.5)} µs, p99 ${at(0.99)} µs, max ${at(1)} µs`;
}

/** The event loop's delay over some seconds, while something else is done. */
async function delay(name, work) {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  const ms = (ns) => (ns / 1e6).toFixed(2);
  const [p50, p99] = [histogram.percentile(50), histogram.percentile(99)];
  console.log(
    `event loop, ${name}: p50 ${ms(p50)} ms, p99 ${ms(p99)} ms, max ${ms(histogram.max)} ms`,
  );
}

for (const [width, height] of [
  [512, 512],
  [1_920, 1_080],
]) {
  const data = Buffer.alloc(4 * width * height, 99);
  // Each in a turn of its own, as a renderer has it; the first fill caches and pools.
  const times = [];
  for (let i = 0; i < 1_100; i += 1) {
    const time = await push(data, width, height);
    if (i >= 100) times.push(time);
    await sleep(2);
  }
  console.log(`pushVideoFrame ${width}x${height} RGBA: ${summary(times)}`);
}

await delay('idle', () => sleep(1_000 * SECONDS));
const data = Buffer.alloc(4 * 512 * 512, 99);
const paced = [];
await delay(`512x512 at ${FPS} fps`, async () => {
  const begun = performance.now();
  for (let frame = 0; frame < SECONDS * FPS; frame += 1) {
    await sleep(begun + (1_000 * frame) / FPS - performance.now());
    paced.push(await push(data, 512, 512));
  }
});
console.log(`pushVideoFrame 512x512 RGBA at ${FPS} fps: ${summary(paced)}`);
await system.stop();
