// The light that the picture throws on its surroundings.

import { find, video } from './player-page.js';

const EVERY_MS = 250;
/** Pixels across. */
const SAMPLE = 6;

/** @param {import('./visavis-client.js').VisavisClient} client */
export function castLight(client) {
  const glow = find('glow').getContext('2d');
  const sample = document.createElement('canvas').getContext('2d', { alpha: false });
  sample.canvas.width = sample.canvas.height = SAMPLE;
  const still = window.matchMedia('(prefers-reduced-motion: reduce)');

  setInterval(() => {
    if (document.hidden || still.matches || video.readyState < 2 || client.state !== 'connected') return;
    sample.drawImage(video, 0, 0, SAMPLE, SAMPLE);
    // A few pixels stretched are a blur, and a picture drawn smaller and smaller over itself has soft edges.
    const { width } = glow.canvas;
    glow.clearRect(0, 0, width, width);
    for (let inset = 0; inset < width / 8; inset += 1) {
      glow.globalAlpha = 0.02 + 0.03 * inset;
      glow.drawImage(sample.canvas, inset, inset, width - 2 * inset, width - 2 * inset);
    }
  }, EVERY_MS);
}
