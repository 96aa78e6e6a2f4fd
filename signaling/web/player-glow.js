// A glow around the video, in its colours.

import { find, video } from './player-dom.js';

const INTERVAL_MS = 250;
/** Width and height to which the video is scaled down, in pixels. */
const SAMPLE = 6;

/** @param {import('./visavis-client.js').VisavisClient} client */
export function setUpGlow(client) {
  const glow = find('glow').getContext('2d');
  const sample = document.createElement('canvas').getContext('2d', { alpha: false });
  sample.canvas.width = sample.canvas.height = SAMPLE;
  const reducedMotion = window.matchMedia('(prefers-reduced-motion: reduce)');

  setInterval(() => {
    if (document.hidden || reducedMotion.matches || video.readyState < 2 || client.state !== 'connected') return;
    sample.drawImage(video, 0, 0, SAMPLE, SAMPLE);
    // Scaling up a few pixels blurs them, and drawing ever smaller copies softens the edges.
    const { width } = glow.canvas;
    glow.clearRect(0, 0, width, width);
    for (let inset = 0; inset < width / 8; inset += 1) {
      glow.globalAlpha = 0.02 + 0.03 * inset;
      glow.drawImage(sample.canvas, inset, inset, width - 2 * inset, width - 2 * inset);
    }
  }, INTERVAL_MS);
}
