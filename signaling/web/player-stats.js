// Live statistics, graphs and a log, shown on demand.

import { find, loadChoice, saveChoice, showSection } from './player-dom.js';
import { Graph } from './player-graphs.js';

const LOG_LINES = 200;

const number = (value, digits, unit) =>
  value === null || value === undefined ? '–' : `${value.toFixed(digits)} ${unit}`;
const bitrate = (value) => (value >= 1000 ? number(value / 1000, 1, 'Mb/s') : number(value, 0, 'kb/s'));

const GRAPHS = {
  latency: { of: (f) => f.latencyMs, minTop: 50, format: (v) => number(v, 0, 'ms') },
  fps: { of: (f) => f.fps, minTop: 30, format: (v) => number(v, 0, 'fps') },
  bitrate: { of: (f) => f.bitrateKbps, minTop: 500, format: bitrate },
  loss: { of: (f) => f.lossPercent, minTop: 2, format: (v) => number(v, 1, '%') },
};
const STATS = {
  rtt: (f) => number(f.rttMs, f.rttMs < 10 ? 1 : 0, 'ms'),
  buffer: (f) => number(f.jitterBufferMs, 0, 'ms'),
  freezes: (f) => String(f.freezes),
  size: (f) => (f.width ? `${f.width} × ${f.height}` : '–'),
  codecs: (f) => [f.codec, f.audioCodec].filter(Boolean).join(', ') || '–',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function setUpStats(client) {
  const graphs = [...document.querySelectorAll('[data-graph]')].map((section) => {
    const kind = GRAPHS[section.dataset.graph];
    const graph = new Graph(section.querySelector('svg'), kind);
    return { ...kind, graph, value: section.querySelector('[data-value]') };
  });
  const cells = [...document.querySelectorAll('[data-stat]')];

  function show(stats) {
    for (const { of, format, value } of graphs) value.textContent = stats ? format(of(stats)) : '–';
    for (const cell of cells) cell.textContent = stats ? STATS[cell.dataset.stat](stats) : '–';
  }

  client.addEventListener('stats', ({ detail }) => {
    show(detail);
    for (const { of, graph } of graphs) graph.push(of(detail));
  });
  client.addEventListener('state', ({ detail: { state } }) => {
    // Stale values would be misleading.
    if (state !== 'connected') show(null);
  });
  // While reconnecting the graphs continue, with a gap.
  setInterval(() => {
    if (client.state !== 'reconnecting') return;
    for (const { graph } of graphs) graph.push(null);
  }, 1000);

  client.addEventListener('log', ({ detail }) => {
    const line = document.createElement('li');
    const time = document.createElement('time');
    time.textContent = new Date().toLocaleTimeString([], { hour12: false });
    line.append(time, ` ${detail.text}`);
    const log = find('log');
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(line);
    while (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
    // Scroll only if the log was scrolled to its end.
    if (atEnd) log.scrollTop = log.scrollHeight;
  });

  const button = find('toggle-stats');
  function setShown(shown) {
    showSection(find('stats-panel'), shown);
    button.setAttribute('aria-pressed', String(shown));
  }
  button.addEventListener('click', () => {
    const shown = find('stats-panel').hidden;
    setShown(shown);
    saveChoice('stats', shown ? 'shown' : '');
  });
  setShown(loadChoice('stats') === 'shown');
}
