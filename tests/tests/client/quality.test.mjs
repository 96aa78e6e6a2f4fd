// What the client says of a connection, and whose fault it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';

const { QualityMonitor } = await import(process.env.VISAVIS_WEB + '/visavis-quality.js');

const GOOD = {
  latencyMs: 60, lossPercent: 0, rttMs: 20, jitterBufferMs: 15, decodeMs: 3, droppedPercent: 0, freezes: 0,
};

/** What is said after this lasted for long enough. */
function rate(...changes) {
  const monitor = new QualityMonitor();
  for (const change of changes) {
    for (let update = 0; update < 5; update += 1) monitor.update({ ...GOOD, ...change });
  }
  return monitor.quality;
}

test('a good connection is nobody\'s fault', () => {
  assert.deepEqual(rate({}), { level: 'good', reasons: [], cause: null });
});

for (const [name, change, level, reason, cause] of [
  ['loss', { lossPercent: 3 }, 'fair', 'loss', 'network'],
  ['much loss', { lossPercent: 10 }, 'poor', 'loss', 'network'],
  ['a long way', { rttMs: 300 }, 'fair', 'round trip', 'network'],
  ['a queue', { jitterBufferMs: 200, latencyMs: 260 }, 'fair', 'latency', 'network'],
  ['a server that is late', { latencyMs: 400 }, 'fair', 'latency', 'server'],
  ['a device that drops frames', { latencyMs: 400, droppedPercent: 30 }, 'fair', 'latency', 'device'],
  ['a device that decodes slowly', { lossPercent: 3, decodeMs: 40 }, 'fair', 'loss', 'device'],
]) {
  test(name, () => {
    const quality = rate(change);
    assert.equal(quality.level, level);
    assert.ok(quality.reasons.includes(reason), quality.reasons.join());
    assert.equal(quality.cause, cause);
  });
}

test('freezes without loss are the server\'s, with it the network\'s', () => {
  for (const [lossPercent, cause] of [[0, 'server'], [1, 'network']]) {
    const monitor = new QualityMonitor();
    for (let freezes = 1; freezes < 4; freezes += 1) monitor.update({ ...GOOD, lossPercent, freezes });
    assert.deepEqual(monitor.quality, { level: 'fair', reasons: ['freezes'], cause });
  }
});

test('what is over is not told of any more, and a new cause is', () => {
  assert.deepEqual(rate({ lossPercent: 10 }, {}), { level: 'good', reasons: [], cause: null });
  assert.equal(rate({ lossPercent: 3 }, { lossPercent: 3, decodeMs: 50 }).cause, 'device');
  assert.equal(rate({ lossPercent: 3, droppedPercent: 20 }).cause, 'network', 'what was lost is dropped');
});

test('whatever is not good has a cause, halfway back too', () => {
  const monitor = new QualityMonitor();
  for (const lossPercent of [10, 10, 3, 0, 0, 0]) monitor.update({ ...GOOD, lossPercent });
  assert.deepEqual(monitor.quality, { level: 'fair', reasons: ['loss'], cause: 'network' });
  // Whatever comes, in whatever order.
  let random = 1;
  const draw = (of) => {
    random = (random * 48271) % 2147483647;
    return of[random % of.length];
  };
  let freezes = 0;
  for (let update = 0; update < 10_000; update += 1) {
    freezes += draw([0, 0, 1, 2]);
    const stats = { ...GOOD, freezes, lossPercent: draw([0, 3, 10, null]), latencyMs: draw([60, 400, null]) };
    monitor.update({ ...stats, droppedPercent: draw([0, 50, null]), rttMs: draw([20, 300, null]) });
    const { level, reasons, cause } = monitor.quality;
    assert.equal(cause === null, level === 'good');
    assert.equal(reasons.length === 0, level === 'good');
  }
});
